/** A topic that a source takes orders from (its first partition), out of the worker's log or another Kafka cluster. */
import type { Logger } from '../api/logger.ts';
import type { FeedRecord, FeedRequest, TopicFeed } from '../api/plugin.ts';
import { openKafkaLog } from '../log/kafka/kafka-log.ts';
import type { Log, LogReader } from '../log/log.ts';
import { splitBatch } from '../log/record-batch.ts';
import type { TaskOrder } from './task-messages.ts';

const READ_BYTES = 1024 * 1024;

/** Throws what opening a log throws; RetriableError where the brokers cannot be reached. */
export async function openFeed(log: Log, order: TaskOrder, request: FeedRequest, logger: Logger): Promise<TopicFeed> {
  const { servers, client, topic, group } = request;
  const elsewhere = servers !== undefined && !sameServers(servers, order.worker['bootstrap.servers'] ?? '');
  const from = elsewhere ? await otherCluster(log, order, servers, client, logger) : log;
  const close = async (): Promise<void> => { if (elsewhere) await from[Symbol.asyncDispose](); };
  try {
    const { id } = await from.createTopic(topic);
    const known = (await from.positions(group)).find(position => position.topic === topic && position.partition === 0 && position.topicId === id);
    const { start } = await from.range({ topic, partition: 0 });
    return new Feed(from, await from.reader({ topic, partition: 0 }, Math.max(start, known?.offset ?? 0)), { topic, group, id }, close);
  } catch (error) { await close(); throw error; }
}

function sameServers(a: string, b: string): boolean {
  const sorted = (text: string): string => text.split(',').map(server => server.trim()).filter(server => server !== '').sort().join(',');
  return sorted(a) === sorted(b);
}

/** Its group's positions lie there, what Kafka has no place for stays here: the log of this machine outlives the feed. */
function otherCluster(log: Log, order: TaskOrder, servers: string, client: Readonly<Record<string, string>>, logger: Logger): Promise<Log> {
  const kept = Object.create(log, { [Symbol.asyncDispose]: { value: () => Promise.resolve() } }) as Log;
  const name = `connector-signals-${order.connector}-${order.task}`;
  return openKafkaLog({ worker: { ...client, 'bootstrap.servers': servers }, offsets: { log: kept }, clientIds: { admin: `${name}-admin`, producer: `${name}-producer`, consumer: name }, logger });
}

class Feed implements TopicFeed {
  private readonly log: Log;
  private readonly reader: LogReader;
  private readonly place: { readonly topic: string; readonly group: string; readonly id: string };
  private readonly close: () => Promise<void>;
  constructor(log: Log, reader: LogReader, place: { readonly topic: string; readonly group: string; readonly id: string }, close: () => Promise<void>) { this.log = log; this.reader = reader; this.place = place; this.close = close; }

  async next(timeoutMs: number, signal: AbortSignal): Promise<readonly FeedRecord[]> {
    const from = this.reader.position;
    const found: FeedRecord[] = [];
    for (const { bytes } of await this.reader.next(READ_BYTES, timeoutMs, signal)) {
      const split = splitBatch(bytes);
      const text = (start: Int32Array, end: Int32Array, i: number): string | null => ((start[i] ?? -1) < 0 ? null : split.buffer.toString('utf8', start[i], end[i]));
      for (let i = 0; i < split.length; i++) {
        const offset = split.baseOffset + (split.offsetDelta[i] ?? 0);
        if (offset >= from) found.push({ offset, key: text(split.keyStart, split.keyEnd, i), value: text(split.valueStart, split.valueEnd, i) });
      }
    }
    return found;
  }

  async commit(offset: number): Promise<void> {
    const { topic, group, id } = this.place;
    await this.log.commitPositions(group, [{ topic, partition: 0, topicId: id, epoch: await this.log.epoch(group), offset }]);
  }

  async [Symbol.asyncDispose](): Promise<void> { await this.reader[Symbol.asyncDispose](); await this.close(); }
}
