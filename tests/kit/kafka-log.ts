/** Logs on a test's Kafka. */
import type { Log } from '../../runtime/log/log.ts';
import { openKafkaLog, type KafkaLogOptions } from '../../runtime/log/kafka/kafka-log.ts';
import { clientConfig } from '../../runtime/log/kafka/client-config.ts';
import { openKafkaClient } from '../../runtime/log/kafka/client.ts';
import { deleteTopics } from '../../runtime/log/kafka/protocol/admin-api.ts';
import { until } from './condition.ts';
import { quietLogger } from './quiet-logger.ts';

/** A log whose offsets lie in a topic of their own. */
export function openLogOn(bootstrap: string, options: Partial<KafkaLogOptions> = {}): Promise<Log> {
  return openKafkaLog({ worker: { 'bootstrap.servers': bootstrap, ...options.worker }, offsets: { topic: 'offsets', partitions: 3 }, clientIds: { admin: 'test-admin', producer: 'test-producer', consumer: 'test-consumer' }, logger: quietLogger, ...Object.fromEntries(Object.entries(options).filter(([key]) => key !== 'worker')) });
}

/** Deletes every topic of the cluster, internal ones aside. */
export async function emptyCluster(bootstrap: string): Promise<void> {
  await using client = await openKafkaClient(clientConfig({ 'bootstrap.servers': bootstrap }, 'test'));
  const names = async (): Promise<string[]> => (await client.refresh(null)).topics.filter(({ internal }) => !internal).map(({ name }) => name);
  const present = await names();
  if (present.length > 0) await client.request('controller', deleteTopics, { names: present, timeoutMs: 30_000 });
  await until('the topics to be gone', async () => (await names()).length === 0);
}
