/**
 * The durable log: topics of partitions of record batches. Two implementations pass one suite: `embedded` and `kafka`.
 *
 * Its unit is the Kafka record batch, format v2 (kafka.apache.org/protocol, "Record Batch"). A pipeline makes the body
 * (the records, compressed or not); the log seals it: base offset, producer id, epoch, sequence and CRC are the log's.
 * Offsets in a partition increase strictly but may have gaps.
 */
import type { PartitionOffset, PartitionPosition, SourceOffset, SourcePartition, TopicPartition } from '../api/plugin.ts';

export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

/** The records of one batch, encoded (relative offsets from 0, relative timestamps from `baseTimestamp`), not yet sealed. */
export interface BatchBody {
  readonly records: number;
  /** The records section, uncompressed. Owned by the log until the append settles. */
  readonly bytes: Uint8Array;
  readonly baseTimestamp: number;
  readonly maxTimestamp: number;
}

export interface TopicAppend extends TopicPartition { readonly body: BatchBody }

/** Source offsets of one connector to store in the same transaction as the records. */
export interface OffsetAppend { readonly connector: string; readonly offsets: readonly PartitionOffset[] }

export interface TopicOptions {
  readonly partitions?: number;
  /**
   * Keep the last record of each key, drop the older ones in time (cleanup.policy=compact); every record needs a key. With
   * it `retentionBytes` and `retentionMs` are -1 unless they are given too (cleanup.policy=compact,delete).
   */
  readonly compact?: boolean;
  /** How long a compacted topic keeps a tombstone after the compaction that first met it; default 24 hours. */
  readonly deleteRetentionMs?: number;
  readonly retentionBytes?: number;
  readonly retentionMs?: number;
  /** True = retention may delete what a registered group has not committed. Default false: back-pressure instead. */
  readonly deleteUncommitted?: boolean;
  readonly compression?: Compression;
}
export interface TopicDescription extends Required<Omit<TopicOptions, 'deleteRetentionMs'>>, Pick<TopicOptions, 'deleteRetentionMs'> { readonly name: string; readonly id: string }

/** A sealed batch as it lies in the log: the whole v2 batch with its 61-byte header. Valid until the next `next()`. */
export interface LogBatch { readonly baseOffset: number; readonly lastOffset: number; readonly bytes: Buffer }

/** `bytes` is -1 where the log does not say. */
export interface PartitionRange { readonly start: number; readonly end: number; readonly bytes: number }

/** Fenced by a later writer of the same id. Not safe for concurrent `append` calls beyond the log's own pipelining: appends are applied in call order. */
export interface LogWriter extends AsyncDisposable {
  /**
   * All of it or nothing, durable (fsynced / acked by all) when it resolves, also over several topics and the offsets.
   * Missing topics are made with the defaults. Rejects with RetriableError (disk full, log full: nothing was written) or
   * FatalError (fenced; a record without a key for a compacted topic). Returns the base offset of each entry.
   */
  append(entries: readonly TopicAppend[], offsets: OffsetAppend | undefined, signal: AbortSignal): Promise<readonly number[]>;
  /** Present where one transaction can span several appends. */
  readonly spanning?: SpanningAppends;
}

/**
 * Appends that count only with the next `append`, which commits them together with its own records and offsets. When one
 * fails, all of the transaction is lost: every call throws until `abort`, and the source reads it again from its last offset.
 */
export interface SpanningAppends {
  /** Durable when it resolves, but not committed: who reads committed records does not see it yet. */
  add(entries: readonly TopicAppend[], signal: AbortSignal): Promise<void>;
  /** Gives up what was added since the last `append`. */
  abort(signal: AbortSignal): Promise<void>;
}

/** Sequential reader of one partition. */
export interface LogReader extends AsyncDisposable {
  /** Up to about `maxBytes` of batches, the first one that holds `position` included; waits for data without polling; empty only when `timeoutMs` passed or `signal` aborted. */
  next(maxBytes: number, timeoutMs: number, signal: AbortSignal): Promise<readonly LogBatch[]>;
  /** Offset of the next record. */
  readonly position: number;
}

/** Last value per key, durable: connector configurations, target states, statuses, active topics. Values are JSON text. */
export interface StateStore {
  get(key: string): Promise<string | undefined>;
  entries(prefix?: string): Promise<readonly (readonly [string, string])[]>;
  /** One transaction; null deletes. */
  put(changes: readonly (readonly [key: string, value: string | null])[]): Promise<void>;
}

export interface Log extends AsyncDisposable {
  /** Stable identity of this log (`kafka_cluster_id` in REST). */
  readonly id: string;
  topics(): Promise<readonly TopicDescription[]>;
  topic(name: string): Promise<TopicDescription | undefined>;
  /** Makes it when absent; an existing topic is returned as it is. */
  createTopic(name: string, options?: TopicOptions): Promise<TopicDescription>;
  deleteTopic(name: string): Promise<void>;
  range(partition: TopicPartition): Promise<PartitionRange>;
  /** Resolves when a topic was created or deleted since the call. */
  topicsChanged(signal: AbortSignal): Promise<void>;

  writer(id: string): Promise<LogWriter>;
  reader(partition: TopicPartition, from: number): Promise<LogReader>;

  /** Committed positions of a sink's group, and with them what retention must keep. */
  commitPositions(group: string, positions: readonly PartitionPosition[]): Promise<void>;
  positions(group: string): Promise<readonly PartitionPosition[]>;
  /**
   * The whole assignment of a group: from now on retention keeps what it has not committed in these partitions, from their
   * present start, and holds nothing for it in others that it read before (their positions stay known).
   */
  registerGroup(group: string, partitions: readonly TopicPartition[]): Promise<void>;
  removeGroup(group: string): Promise<void>;
  /** Epoch of a group's offsets; raised by a reset, never lowered. */
  epoch(group: string): Promise<number>;
  /** Null offset forgets the partition; raises the epoch. */
  resetPositions(group: string, positions: readonly (TopicPartition & { readonly offset: number | null })[]): Promise<void>;

  sourceOffsets(connector: string): Promise<readonly PartitionOffset[]>;
  alterSourceOffsets(connector: string, changes: readonly { readonly partition: SourcePartition; readonly offset: SourceOffset | null }[]): Promise<void>;

  state(name: string): StateStore;
}
