/** The worker file: Kafka Connect's own keys where they mean something here, and `log.*` for the embedded log. */
import { bool, className, defineConfig, int, list, long, oneOf, string, type ConfigOf } from '../api/config.ts';
import type { TopicOptions } from '../log/log.ts';
import { DEFAULT_CONVERTER, DEFAULT_HEADER_CONVERTER } from '../converters/converters.ts';

const worker = 'Worker', rest = 'REST', log = 'Log';
export const workerConfig = defineConfig({
  'log.dir': string({ default: 'tributary-log', group: log, importance: 'HIGH', doc: 'Directory of the embedded log. One worker per directory.' }),
  'log.retention.bytes': long({ default: -1, group: log, doc: 'Bytes that a topic keeps after all sinks have read them; -1 = no bound.' }),
  'log.retention.ms': long({ default: 604_800_000, group: log, doc: 'How long a topic keeps records after all sinks have read them, in milliseconds.' }),
  'log.compression': oneOf(['none', 'gzip', 'snappy', 'lz4', 'zstd'], { default: 'lz4', group: log, doc: 'Compression of record batches.' }),
  'log.cleanup.policy': oneOf(['delete', 'compact', 'compact,delete'], { default: 'delete', group: log, doc: 'What becomes of old records in topics that are made: deleted by log.retention.*, or compacted to the last record of each key, or both.' }),
  'log.cleaner.delete.retention.ms': long({ default: 86_400_000, group: log, doc: 'How long a compacted topic keeps the tombstone of a deleted key, in milliseconds.' }),
  'log.num.partitions': int({ default: 1, group: log, doc: 'Partitions of topics that are made.' }),
  'log.level': oneOf(['OFF', 'FATAL', 'ERROR', 'WARN', 'INFO', 'DEBUG', 'TRACE'], { default: 'INFO', group: worker, doc: 'Lowest level that is logged; `PUT /admin/loggers/NAME` changes it while the worker runs.' }),
  'bootstrap.servers': list({ default: [], group: worker, importance: 'HIGH', doc: 'Brokers of a Kafka cluster, which then holds the records. Without it the embedded log is used.' }),
  'key.converter': className({ default: DEFAULT_CONVERTER, group: worker, importance: 'HIGH', doc: 'Converter of record keys.' }),
  'value.converter': className({ default: DEFAULT_CONVERTER, group: worker, importance: 'HIGH', doc: 'Converter of record values.' }),
  'header.converter': className({ default: DEFAULT_HEADER_CONVERTER, group: worker, importance: 'LOW', doc: 'Converter of record headers.' }),
  listeners: list({ default: ['http://127.0.0.1:8083'], group: rest, doc: 'Addresses of the REST listener. Loopback unless said otherwise.' }),
  'rest.advertised.host.name': string({ group: rest, importance: 'LOW', doc: 'Host that others reach this worker by; part of worker_id.' }),
  'rest.advertised.port': int({ group: rest, importance: 'LOW', doc: 'Port that others reach this worker by.' }),
  'task.shutdown.graceful.timeout.ms': long({ default: 30_000, group: worker, importance: 'LOW', doc: 'How long a task may take to drain and commit when it is stopped, in milliseconds.' }),
  'offset.flush.interval.ms': long({ default: 60_000, group: worker, importance: 'LOW', doc: 'Default of transaction.boundary.interval.ms; apart from that accepted, since offsets go to the log together with the records here.' }),
  'offset.flush.timeout.ms': long({ default: 5_000, group: worker, importance: 'LOW', doc: 'Accepted; see offset.flush.interval.ms.' }),
  'offset.storage.file.filename': string({ group: worker, importance: 'LOW', doc: 'Accepted and left alone; offsets lie in the log.' }),
  'plugin.path': list({ default: [], group: worker, importance: 'LOW', doc: 'Accepted; plugins are part of the program.' }),
  'plugin.discovery': oneOf(['ONLY_SCAN', 'HYBRID_WARN', 'HYBRID_FAIL', 'SERVICE_LOAD'], { default: 'HYBRID_WARN', group: worker, importance: 'LOW', doc: 'Accepted; plugins are part of the program.' }),
  'topic.tracking.enable': bool({ default: true, group: worker, importance: 'LOW', doc: 'Whether REST shows the topics that each connector used; 403 otherwise.' }),
  'topic.tracking.allow.reset': bool({ default: true, group: worker, importance: 'LOW', doc: 'Whether REST may reset that list; 403 otherwise.' }),
  'topic.creation.enable': bool({ default: true, group: worker, importance: 'LOW', doc: 'Whether topics of source connectors are made by their topic.creation.* options, on Kafka; the embedded log makes them as log.* says.' }),
  'config.providers': list({ default: [], group: worker, importance: 'LOW', doc: 'Names of configuration providers; each has config.providers.NAME.class (FileConfigProvider, EnvVarConfigProvider, DirectoryConfigProvider) and may have .param.allowed.paths or .param.allowlist.pattern. file, env, dir and directory are there without.' }),
  'connector.client.config.override.policy': string({ default: 'All', group: worker, doc: 'Which producer.override., consumer.override. and admin.override. options a connector may have: All, None, Principal or Allowlist, or the class of one.' }),
  'connector.client.config.override.allowlist': list({ default: [], group: worker, doc: 'Options that the policy Allowlist lets pass.' }),
  'client.dns.lookup': oneOf(['use_all_dns_ips', 'resolve_canonical_bootstrap_servers_only'], { default: 'use_all_dns_ips', group: worker, doc: 'How names of brokers are looked up, on Kafka.' }),
  'metric.reporters': list({ default: [], group: worker, importance: 'LOW', doc: 'Accepted; metrics are at /metrics.' }),
  'metrics.num.samples': int({ default: 2, group: worker, importance: 'LOW', doc: 'Accepted, without effect.' }),
  'metrics.recording.level': oneOf(['INFO', 'DEBUG', 'TRACE'], { default: 'INFO', group: worker, importance: 'LOW', doc: 'Accepted; all metrics are always there.' }),
  'metrics.sample.window.ms': long({ default: 30_000, group: worker, importance: 'LOW', doc: 'Accepted, without effect.' }),
}, {
  families: [/^(key|value|header)\.converter\./, /^(producer|consumer|admin)\./, /^config\.providers\./, /^rest\./, /^listeners\.https\./, /^ssl\./, /^access\.control\./, /^admin\.listeners$/, /^response\.http\./, /^metrics\.context\./, /^topic\.creation\./, /^client\./, /^(security|sasl)\./, /^internal\./],
});
export type WorkerConfig = ConfigOf<typeof workerConfig>;

/** What topics of the embedded log get that say nothing themselves. */
export function topicDefaults(config: WorkerConfig): TopicOptions {
  const policy = config['log.cleanup.policy'];
  const deletes = policy !== 'compact';
  return {
    partitions: config['log.num.partitions'], compression: config['log.compression'], compact: policy !== 'delete', deleteRetentionMs: config['log.cleaner.delete.retention.ms'],
    retentionBytes: deletes ? config['log.retention.bytes'] : -1, retentionMs: deletes ? config['log.retention.ms'] : -1,
  };
}
