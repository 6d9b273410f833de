/** Worker files as they are around Kafka Connect are taken: every key of its standalone worker is known. */
import { describe, expect, it } from 'vitest';
import { restConfig } from '../../../rest/config.ts';
import { parseConfig } from '../../../runtime/api/config-parse.ts';
import { workerConfig } from '../../../runtime/worker/worker-config.ts';

/** Keys and defaults of Kafka Connect 4.3: WorkerConfig, RestServerConfig, StandaloneConfig (their names are the contract). */
const CONNECT: Readonly<Record<string, string>> = {
  'bootstrap.servers': '', 'client.dns.lookup': 'use_all_dns_ips', 'config.providers': '', 'connector.client.config.override.policy': 'All', 'header.converter': 'org.apache.kafka.connect.storage.SimpleHeaderConverter',
  'key.converter': 'org.apache.kafka.connect.json.JsonConverter', 'key.converter.schemas.enable': 'true', 'metric.reporters': 'org.apache.kafka.common.metrics.JmxReporter', 'metrics.context.cluster': 'c', 'metrics.num.samples': '2', 'metrics.recording.level': 'INFO',
  'metrics.sample.window.ms': '30000', 'offset.flush.interval.ms': '60000', 'offset.flush.timeout.ms': '5000', 'offset.storage.file.filename': '/tmp/connect.offsets', 'plugin.discovery': 'hybrid_warn', 'plugin.path': '/usr/share/java', 'task.shutdown.graceful.timeout.ms': '5000',
  'topic.creation.enable': 'true', 'topic.tracking.allow.reset': 'true', 'topic.tracking.enable': 'true', 'value.converter': 'org.apache.kafka.connect.json.JsonConverter', 'value.converter.schemas.enable': 'true',
  'access.control.allow.methods': '', 'access.control.allow.origin': '', 'admin.listeners': '', listeners: 'http://:8083', 'response.http.headers.config': '', 'rest.advertised.host.name': 'h', 'rest.advertised.listener': 'http', 'rest.advertised.port': '1', 'rest.extension.classes': '', 'ssl.client.auth': 'none',
  'producer.acks': 'all', 'consumer.max.poll.records': '500', 'admin.retries': '1', 'listeners.https.ssl.keystore.location': '/k', 'security.protocol': 'SSL', 'sasl.mechanism': 'PLAIN',
};

describe('a worker file of Kafka Connect', () => {
  it('has no key that is not known', () => {
    const { problems, unknown } = parseConfig(workerConfig, CONNECT);
    expect([problems, unknown]).toEqual([[], []]);
    expect(parseConfig(restConfig, CONNECT).problems).toEqual([]);
  });
  it('tells of a misspelt key', () => {
    expect(parseConfig(workerConfig, { 'plugin.pth': 'x', 'metrics.num.sample': '2' }).unknown).toEqual([{ option: 'plugin.pth', nearest: 'plugin.path' }, { option: 'metrics.num.sample', nearest: 'metrics.num.samples' }]);
  });
});
