/**
 * Which log a worker and its tasks work on: the embedded one in `log.dir`, or Kafka where `bootstrap.servers` is set. On
 * Kafka a standalone worker's `log.dir` still holds what belongs to it alone: source offsets, connectors, epochs of sinks.
 * In a cluster nothing lies on the worker's disk.
 */
import type { Logger } from '../api/logger.ts';
import { openEmbeddedLog } from '../log/embedded/embedded-log.ts';
import type { KafkaLogOptions, OffsetTopics } from '../log/kafka/kafka-log.ts';
import type { Log, TopicOptions } from '../log/log.ts';
import { clientOverrides } from './client-overrides.ts';
import type { ClusterLog, TaskOrder } from './task-messages.ts';
import { transactionTimeout } from './transaction-boundary.ts';

type Properties = Readonly<Record<string, string>>;
interface WorkerLog {
  readonly directory: string;
  /** What topics of the embedded log get that say nothing themselves. */
  readonly topics: TopicOptions;
  readonly worker: Properties;
  readonly logger: Logger;
  readonly housekeepingMs?: number;
}

const onKafka = (worker: Properties): boolean => (worker['bootstrap.servers'] ?? '').trim() !== '';

/** Loaded when it is asked for: without brokers its client is only time and memory. */
const openKafkaLog = async (options: KafkaLogOptions): Promise<Log> => (await import('../log/kafka/kafka-log.ts')).openKafkaLog(options);

/** The worker's own. Throws as {@link openEmbeddedLog} and {@link openKafkaLog}. */
export async function openWorkerLog({ directory, topics, worker, logger, housekeepingMs }: WorkerLog): Promise<Log> {
  const log = await openEmbeddedLog(directory, { mode: 'writer', defaults: topics, ...(housekeepingMs === undefined ? {} : { housekeepingMs }) });
  if (!onKafka(worker)) return log;
  return over(log, () => openKafkaLog({ worker, offsets: { log }, clientIds: { admin: 'tributary-admin', producer: 'tributary-producer', consumer: 'tributary-consumer' }, logger }));
}

/** A task's, with its connector's `topic.creation.` and override keys. Clients are named as Connect names them. */
export async function openTaskLog({ logDirectory, topics, worker, connector, task, config, cluster }: TaskOrder, logger: Logger): Promise<Log> {
  const clientIds = { admin: `connector-adminclient-${connector}-${task}`, producer: `connector-producer-${connector}-${task}`, consumer: `connector-consumer-${connector}-${task}` };
  const kafka = { worker, overrides: clientOverrides(config), connector: config, clientIds, logger };
  if (cluster !== undefined) {
    const { transactionalId } = cluster;
    const producer = { ...transactionTimeout({ config, worker, cluster }), ...kafka.overrides.producer };
    return openKafkaLog({ ...kafka, overrides: { ...kafka.overrides, producer }, offsets: offsetTopics(cluster, config, worker), ...(transactionalId === undefined ? {} : { transactionalId: () => transactionalId }) });
  }
  const log = await openEmbeddedLog(logDirectory, { mode: 'writer', defaults: topics });
  if (!onKafka(worker)) return log;
  return over(log, () => openKafkaLog({ ...kafka, offsets: { log } }));
}

/**
 * Connect's choice (Worker.offsetStoreFor…SourceConnector): offsets are in the connector's own topic, with the worker's behind
 * it, or in the worker's alone. In transactions they must be in the cluster that the records go to, whatever the topic is called.
 */
function offsetTopics({ offsetTopic, offsetPartitions: partitions, offsetReplicas: replicationFactor, offsetSettings: settings, transactionalId }: ClusterLog, config: Properties, worker: Properties): OffsetTopics {
  const made = { partitions, replicationFactor, settings };
  const own = config['offsets.storage.topic'] ?? '';
  if (own === '' && transactionalId === undefined) return { ...made, topic: offsetTopic, ofWorker: true };
  const topic = own === '' ? offsetTopic : own;
  const servers = config['producer.override.bootstrap.servers'] ?? worker['producer.bootstrap.servers'] ?? worker['bootstrap.servers'];
  const elsewhere = servers !== worker['bootstrap.servers'];
  return { ...made, topic, ...(topic === offsetTopic && !elsewhere ? {} : { shared: offsetTopic }) };
}

async function over(local: Log, open: () => Promise<Log>): Promise<Log> {
  try { return await open(); } catch (error) { await local[Symbol.asyncDispose](); throw error; }
}
