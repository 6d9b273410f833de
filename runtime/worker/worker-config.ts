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
  'offset.flush.interval.ms': long({ default: 60_000, group: worker, importance: 'LOW', doc: 'Accepted; offsets go to the log together with the records here.' }),
  'offset.flush.timeout.ms': long({ default: 5_000, group: worker, importance: 'LOW', doc: 'Accepted; see offset.flush.interval.ms.' }),
  'offset.storage.file.filename': string({ group: worker, importance: 'LOW', doc: 'Accepted and left alone; offsets lie in the log.' }),
  'plugin.path': list({ default: [], group: worker, importance: 'LOW', doc: 'Accepted; plugins are part of the program.' }),
  'topic.tracking.enable': bool({ default: true, group: worker, importance: 'LOW', doc: 'Keep the list of topics that each connector used.' }),
  'topic.tracking.allow.reset': bool({ default: true, group: worker, importance: 'LOW', doc: 'Let REST reset that list.' }),
  'config.providers': list({ default: [], group: worker, importance: 'LOW', doc: 'file, env and dir are always there.' }),
}, {
  families: [/^(key|value|header)\.converter\./, /^(producer|consumer|admin)\./, /^config\.providers\./, /^rest\./, /^listeners\.https\./, /^ssl\./, /^access\.control\./, /^admin\.listeners$/, /^response\.http\./, /^metrics?\./, /^plugin\./, /^topic\.creation\./, /^client\./, /^(security|sasl)\./, /^internal\./, /^connector\.client\./],
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
