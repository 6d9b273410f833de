/**
 * The batch bodies that a source's records are written into, one at a time per topic partition. Their buffers come from a
 * pool: memory follows the bytes that are on their way, however many topics there are.
 */
import { DataError } from '../api/errors.ts';
import type { EncodedHeader } from '../api/plugin.ts';
import type { Log, TopicAppend } from '../log/log.ts';
import { BatchBuilder, type PartWriter } from '../log/record-batch.ts';
import { partitionFor } from './partitioner.ts';

/** Size of a batch body at which it is closed, in bytes. */
const BODY_BYTES = 900_000;
/** A new buffer's size, and the largest that is kept for the next use, in bytes. */
const FIRST_BYTES = 16 * 1024, KEPT_BYTES = 2 * 1024 * 1024;
/** Bytes of buffers that wait for a use, over all topics. */
const POOL_BYTES = 10 * 1024 * 1024;

/** Buffers out of use. */
export class BuilderPool {
  private readonly free: BatchBuilder[] = [];
  private bytes = 0;

  take(): BatchBuilder {
    const builder = this.free.pop();
    if (builder === undefined) return new BatchBuilder(FIRST_BYTES);
    this.bytes -= builder.out.buffer.length;
    return builder;
  }

  give(builder: BatchBuilder): void {
    const { length } = builder.out.buffer;
    if (length > KEPT_BYTES || this.bytes + length > POOL_BYTES) return;
    builder.reset();
    this.bytes += length;
    this.free.push(builder);
  }
}

/** The bodies being filled, per topic partition. */
export class Bodies {
  private readonly log: Log;
  private readonly topics = new Map<string, TopicBodies>();
  private readonly filled = new Set<TopicBodies>();
  private readonly topicSeen: (topic: string) => void;
  private readonly pool: BuilderPool;
  /** Bytes over all topics, uncompressed. */
  bytes = 0;
  constructor(log: Log, topicSeen: (topic: string) => void, pool: BuilderPool) { this.log = log; this.topicSeen = topicSeen; this.pool = pool; }

  /** The bodies of a topic, which is made when absent: a promise only the first time. */
  topic(name: string): TopicBodies | Promise<TopicBodies> { return this.topics.get(name) ?? this.open(name); }

  private async open(name: string): Promise<TopicBodies> {
    const { partitions } = await this.log.createTopic(name);
    const bodies = new TopicBodies(name, partitions, this.pool);
    this.topics.set(name, bodies);
    this.topicSeen(name);
    return bodies;
  }

  /** Writes one record; an error thrown by a part writer leaves everything as it was. */
  append(topic: TopicBodies, ...record: Parameters<BatchBuilder['append']>): void {
    this.filled.add(topic);
    this.bytes += topic.append(undefined, ...record);
  }

  /** The same into a partition that the record itself names. Throws DataError PARTITION_UNKNOWN. */
  appendTo(topic: TopicBodies, partition: number, ...record: Parameters<BatchBuilder['append']>): void {
    this.filled.add(topic);
    this.bytes += topic.append(partition, ...record);
  }

  /** What is filled, ready to append; valid until {@link reset}. */
  take(): TopicAppend[] { return [...this.filled].flatMap(topic => topic.take()); }
  reset(): void {
    for (const topic of this.filled) topic.reset();
    this.filled.clear();
    this.bytes = 0;
  }
}

class TopicBodies {
  private readonly name: string;
  private readonly pool: BuilderPool;
  private readonly partitions: readonly BatchBuilder[][];

  constructor(name: string, partitions: number, pool: BuilderPool) { this.name = name; this.pool = pool; this.partitions = Array.from({ length: partitions }, () => []); }

  /** Bytes that the record took. */
  append(partition: number | undefined, timestamp: number, key: PartWriter, value: PartWriter, headers?: readonly EncodedHeader[]): number {
    const builders = this.partitions[partition ?? (this.partitions.length === 1 ? 0 : partitionFor(key, this.partitions.length))];
    if (builders === undefined) throw new DataError(`Topic ${this.name} has no partition ${partition}`, { code: 'PARTITION_UNKNOWN', hint: `It has ${this.partitions.length}; a transform asked for one more.` });
    let builder = builders.at(-1);
    if (builder === undefined || builder.bytes >= BODY_BYTES) { builder = this.pool.take(); builders.push(builder); }
    const before = builder.bytes;
    builder.append(timestamp, key, value, headers);
    return builder.bytes - before;
  }

  take(): TopicAppend[] {
    return this.partitions.flatMap((builders, partition) => builders.filter(({ records }) => records > 0).map(builder => ({ topic: this.name, partition, body: builder.body() })));
  }

  /** Gives the buffers back; the bodies over them are no longer needed. */
  reset(): void {
    for (const builders of this.partitions) {
      for (const builder of builders) this.pool.give(builder);
      builders.length = 0;
    }
  }
}
