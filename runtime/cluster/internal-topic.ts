/**
 * A compacted topic as a table that many workers read and some write (Connect's KafkaBasedLog): records are followed as
 * they come, and a reader can make sure that it has seen everything that was there when it asked.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { RetriableError } from '../api/errors.ts';
import type { Logger } from '../api/logger.ts';
import type { Log, LogReader, TopicAppend } from '../log/log.ts';
import { BatchBuilder, partOf, type SplitRecords, splitBatch } from '../log/record-batch.ts';
import { partitionFor } from '../pipeline/partitioner.ts';
import type { KeyValue } from './config-records.ts';

const FETCH_BYTES = 1024 * 1024;
/** How long one read waits for data. Where a transaction's marker is the end, no batch comes, only the position moves. */
const FETCH_WAIT_MS = 200;
const RETRY_MS = 500;
const RETRY_MAX_MS = 10_000;

/** Where the records come from: a log, or its parts that read. */
export type TopicSource = Pick<Log, 'range' | 'reader'>;
export interface InternalTopicOptions {
  readonly source: TopicSource;
  readonly topic: string;
  readonly partitions: number;
  readonly logger: Logger;
  /** Told of every record, in order within a partition. Must not throw. */
  readonly record: (offset: number, record: KeyValue) => void;
}
interface Position { offset: number }

export class InternalTopic implements AsyncDisposable {
  private readonly options: InternalTopicOptions;
  private readonly stop = new AbortController();
  private readonly positions: readonly Position[];
  private readonly followers: Promise<void>[];
  private waiters: { readonly ends: readonly number[]; readonly done: () => void }[] = [];

  private constructor(options: InternalTopicOptions) {
    this.options = options;
    this.positions = Array.from({ length: options.partitions }, () => ({ offset: 0 }));
    this.followers = this.positions.map((position, partition) => this.follow(partition, position));
  }

  /** Begins to follow; resolves when everything that is there now has been told. Rejects with RetriableError TOPIC_BEHIND after `timeoutMs`. */
  static async open(options: InternalTopicOptions, timeoutMs: number): Promise<InternalTopic> {
    const topic = new InternalTopic(options);
    try { await topic.readToEnd(timeoutMs); } catch (error) { await topic[Symbol.asyncDispose](); throw error; }
    return topic;
  }

  /** Resolves when every record that was in the topic at the call has been told. Rejects with RetriableError TOPIC_BEHIND. */
  async readToEnd(timeoutMs: number): Promise<void> {
    const { source, topic } = this.options;
    await this.readThrough(await limited(timeoutMs, Promise.all(this.positions.map(async (_, partition) => (await source.range({ topic, partition })).end)), `the end of ${topic}`), timeoutMs);
  }

  /** Resolves when every record before these offsets, one for each partition, has been told. Rejects with RetriableError TOPIC_BEHIND. */
  async readThrough(ends: readonly number[], timeoutMs: number): Promise<void> {
    const { topic } = this.options;
    if (this.reached(ends)) return;
    let waiter: (typeof this.waiters)[number] | undefined;
    const seen = new Promise<void>(done => { waiter = { ends, done }; this.waiters.push(waiter); });
    try { await limited(timeoutMs, seen, `the end of ${topic}`); } finally { this.waiters = this.waiters.filter(one => one !== waiter); }
  }

  private reached(ends: readonly number[]): boolean { return ends.every((end, partition) => (this.positions[partition]?.offset ?? 0) >= end); }

  private async follow(partition: number, position: Position): Promise<void> {
    const { source, topic, logger } = this.options;
    let retryMs = RETRY_MS;
    while (!this.stop.signal.aborted) {
      try {
        const { start } = await source.range({ topic, partition });
        await using reader = await source.reader({ topic, partition }, Math.max(start, position.offset));
        position.offset = Math.max(start, position.offset);
        this.told();
        for (;;) {
          await this.step(reader, position);
          if (this.stop.signal.aborted) return;
          retryMs = RETRY_MS;
        }
      } catch (error) {
        if (this.stop.signal.aborted) return;
        logger.warn({ topic, partition, reason: (error as Error).message, retryMs }, 'internal topic cannot be read');
        await pause(retryMs * (0.75 + Math.random() / 2), undefined, { signal: this.stop.signal }).catch(() => { /* the loop looks at the signal */ });
        retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
      }
    }
  }

  private async step(reader: LogReader, position: Position): Promise<void> {
    const batches = await reader.next(FETCH_BYTES, FETCH_WAIT_MS, this.stop.signal);
    for (const { bytes, lastOffset } of batches) {
      this.tell(splitBatch(bytes), position.offset);
      position.offset = Math.max(position.offset, lastOffset + 1);
    }
    position.offset = Math.max(position.offset, reader.position);
    this.told();
  }

  private tell(split: SplitRecords, from: number): void {
    const text = (start: number, end: number): string | null => (start < 0 ? null : split.buffer.toString('utf8', start, end));
    for (let i = 0; i < split.length; i++) {
      const offset = split.baseOffset + (split.offsetDelta[i] ?? 0);
      const key = text(split.keyStart[i] ?? -1, split.keyEnd[i] ?? 0);
      if (offset >= from && key !== null) this.options.record(offset, { key, value: text(split.valueStart[i] ?? -1, split.valueEnd[i] ?? 0) });
    }
  }

  private told(): void { for (const { ends, done } of this.waiters) if (this.reached(ends)) done(); }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop.abort();
    await Promise.all(this.followers);
  }
}

async function limited<T>(ms: number, work: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => { reject(new RetriableError(`Reading did not reach ${what} within ${ms} ms`, { code: 'TOPIC_BEHIND', hint: 'Check that the brokers answer, and that no transaction is left open in the topic.' })); }, ms);
  });
  try { return await Promise.race([work, late]); } finally { clearTimeout(timer); work.catch(() => { /* told by the race */ }); }
}

/** The records as entries of an append, those of one partition as one batch: all of them or none. Keys choose the partition as Kafka's own producer does. */
export function encodeRecords(topic: string, partitions: number, records: readonly KeyValue[]): readonly TopicAppend[] {
  const builders = new Map<number, BatchBuilder>();
  for (const { key, value } of records) {
    const keyPart = partOf(Buffer.from(key, 'utf8'));
    const partition = partitionFor(keyPart, partitions);
    let builder = builders.get(partition);
    if (builder === undefined) { builder = new BatchBuilder(1024); builders.set(partition, builder); }
    builder.append(Date.now(), keyPart, partOf(value === null ? null : Buffer.from(value, 'utf8')));
  }
  return [...builders].map(([partition, builder]) => ({ topic, partition, body: builder.body() }));
}
