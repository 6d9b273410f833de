/**
 * Which log a worker and its tasks work on: the embedded one in `log.dir`, or Kafka where `bootstrap.servers` is set. On
 * Kafka a standalone worker's `log.dir` still holds what belongs to it alone: source offsets, connectors, epochs of sinks.
 * In a cluster nothing lies on the worker's disk.
 */
import type { Logger } from '../api/logger.ts';
import { openEmbeddedLog } from '../log/embedded/embedded-log.ts';
import type { KafkaLogOptions } from '../log/kafka/kafka-log.ts';
import type { Log, TopicOptions } from '../log/log.ts';
import { clientOverrides } from './client-overrides.ts';
import type { TaskOrder } from './task-messages.ts';

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
    const { offsetTopic, offsetPartitions, transactionalId } = cluster;
    return openKafkaLog({ ...kafka, offsets: { topic: offsetTopic, partitions: offsetPartitions }, ...(transactionalId === undefined ? {} : { transactionalId: () => transactionalId }) });
  }
  const log = await openEmbeddedLog(logDirectory, { mode: 'writer', defaults: topics });
  if (!onKafka(worker)) return log;
  return over(log, () => openKafkaLog({ ...kafka, offsets: { log } }));
}

async function over(local: Log, open: () => Promise<Log>): Promise<Log> {
  try { return await open(); } catch (error) { await local[Symbol.asyncDispose](); throw error; }
}
