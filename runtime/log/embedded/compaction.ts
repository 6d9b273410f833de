/**
 * Compaction: in a topic that asks for it the last record of each key stays, the older ones go in time. Offsets do not
 * change, so partitions get gaps.
 *
 * A pass looks at the records since the last pass, notes the newest offset of each key, and then goes through the
 * partition from its start, piece by piece, one transaction each. A kill between two pieces leaves a partition that is
 * compacted in part: what went had a newer record behind it, and older records always go before the tombstone that
 * covers them, so no deleted key comes back. The last batch is never touched (the end of a partition stays readable), nor
 * is anything that a registered group has yet to commit.
 *
 * A tombstone stays for `deleteRetentionMs` after the pass that first met it (the batch's delete horizon), so that a
 * reader on its way through the partition sees it.
 */
import { setImmediate as breathe } from 'node:timers/promises';
import { DataError } from '../../api/errors.ts';
import { batchHeader, SplitScratch, type SplitRecords, splitBatch } from '../record-batch.ts';
import { deleteHorizonOf, retainRecords } from '../retain-records.ts';
import { batchKey, cleanedKey, type PartitionEntry, partitionKey, type Store, type TopicEntry, transact } from './store.ts';

/** Bytes of batches that are read or rewritten before other work gets its turn. */
const PIECE_BYTES = 1024 * 1024;
/** What the keys of one pass may take; a pass with more keys ends early and the next one goes on from there. */
const KEYS_BYTES = 32 * 1024 * 1024;
const KEY_OVERHEAD_BYTES = 64;

/** What the last pass left: everything below `offset` is compacted and takes `bytes`; the first tombstone may go at `horizonMs`. */
interface Cleaned { readonly offset: number; readonly bytes: number; readonly horizonMs: number | null }
const NEVER: Cleaned = { offset: 0, bytes: 0, horizonMs: null };

export interface CompactionOptions {
  /** Part of a partition that must be new since the last pass before another one is worth it; Kafka's min.cleanable.dirty.ratio. */
  readonly dirtyRatio: number;
  /** And at least so many bytes of it. */
  readonly dirtyBytes: number;
  /** A partition that gave nothing is looked at again after so long, in milliseconds, or after `dirtyBytes` more. */
  readonly againMs: number;
}
export const COMPACTION: CompactionOptions = { dirtyRatio: 0.5, dirtyBytes: 1024 * 1024, againMs: 60_000 };
interface Progress { bytes: number; horizonMs: number | null }

export class Compaction {
  private readonly store: Store;
  private readonly heldFrom: (topic: TopicEntry, partition: number) => number;
  private readonly options: CompactionOptions;
  private readonly stop = new AbortController();
  private readonly looked = new Map<string, { readonly bytes: number; readonly at: number }>();
  private readonly scratch = new SplitScratch();
  /** Partitions to look at; a map keeps the order in which they came, and one that comes while it is gone through is met too. */
  private readonly waiting = new Map<string, { readonly topic: TopicEntry; readonly partition: number }>();
  private running: Promise<void> = Promise.resolve();
  private busy = false;

  /** `heldFrom`: smallest offset that some registered group still needs, Infinity when none does. */
  constructor(store: Store, heldFrom: (topic: TopicEntry, partition: number) => number, options: CompactionOptions) {
    this.store = store; this.heldFrom = heldFrom; this.options = options;
  }

  /** Starts a pass in the background when one is due; while another one runs in this thread, after it. */
  consider(topic: TopicEntry, partition: number): void {
    if (!topic.compact || this.stop.signal.aborted) return;
    this.waiting.set(`${topic.number}/${partition}`, { topic, partition });
    if (this.busy) return;
    this.busy = true;
    this.running = this.runWaiting().finally(() => { this.busy = false; });
  }

  private async runWaiting(): Promise<void> {
    for (const [name, { topic, partition }] of this.waiting) {
      this.waiting.delete(name);
      const now = Date.now();
      if (this.stop.signal.aborted || !this.due(topic, partition, now)) continue;
      // A pass that fails (a full disk) left the partition as it was or compacted in part; the next one is due again.
      await this.run(topic, partition, now).catch(() => { /* as above */ });
    }
  }

  private due(topic: TopicEntry, partition: number, now: number): boolean {
    const name = `${topic.number}/${partition}`;
    const entry = this.entryOf(topic, partition);
    const { bytes, horizonMs } = this.cleanedOf(topic, partition);
    const { dirtyBytes, dirtyRatio, againMs } = this.options;
    const dirty = entry.bytes - bytes;
    const expired = horizonMs !== null && horizonMs <= now;
    if (!expired && (dirty < dirtyBytes || dirty < entry.bytes * dirtyRatio)) return false;
    // A group may hold everything back: then a look costs a scan for nothing.
    const last = this.looked.get(name);
    if (last !== undefined && entry.bytes < last.bytes + dirtyBytes && now < last.at + againMs) return false;
    this.looked.set(name, { bytes: entry.bytes, at: now });
    return true;
  }

  /** One pass. Resolves early when the log is closed. */
  private async run(topic: TopicEntry, partition: number, now: number): Promise<void> {
    this.store.root.resetReadTxn();
    const cleaned = this.cleanedOf(topic, partition);
    const newest = new Map<string, number>();
    const bound = await this.note(topic, partition, cleaned.offset, this.boundOf(topic, partition), newest);
    const expired = cleaned.horizonMs !== null && cleaned.horizonMs <= now;
    if (bound <= cleaned.offset && !expired) return;
    const progress: Progress = { bytes: 0, horizonMs: null };
    for (let from = 0; from < bound && !this.stop.signal.aborted;) {
      from = await transact(this.store, () => this.piece(topic, partition, from, bound, newest, now, progress));
      await breathe();
    }
  }

  /** Where a pass must stop: the last batch, or what a group has yet to commit. */
  private boundOf(topic: TopicEntry, partition: number): number {
    const keys = this.store.batches.getKeys({ start: batchKey(topic.number, partition, Number.MAX_SAFE_INTEGER), end: batchKey(topic.number, partition, 0), reverse: true, inclusiveEnd: true, limit: 1 } as Parameters<Store['batches']['getKeys']>[0]);
    const [last] = [...keys];
    if (last === undefined) return 0;
    return Math.min(Number(last.readBigUInt64BE(8)), topic.deleteUncommitted ? Number.POSITIVE_INFINITY : this.heldFrom(topic, partition));
  }

  /** Newest offset of each key from `from` on; answers where it had to stop, at a batch's first offset. */
  private async note(topic: TopicEntry, partition: number, from: number, bound: number, newest: Map<string, number>): Promise<number> {
    let at = from;
    let room = KEYS_BYTES;
    while (at < bound && !this.stop.signal.aborted) {
      let bytes = 0;
      this.store.root.resetReadTxn();
      const before = at;
      for (const { value } of this.store.batches.getRange({ start: batchKey(topic.number, partition, at), end: batchKey(topic.number, partition, bound) })) {
        const { baseOffset, lastOffset } = batchHeader(value);
        if (lastOffset >= bound) return baseOffset;
        if (room <= 0) return baseOffset;
        room -= this.noteBatch(value, newest);
        at = lastOffset + 1;
        bytes += value.length;
        if (bytes >= PIECE_BYTES) break;
      }
      if (at === before) return bound; // nothing but a gap up to the bound
      await breathe();
    }
    return Math.min(at, bound);
  }

  private noteBatch(value: Buffer, newest: Map<string, number>): number {
    const split = this.split(value);
    if (split === undefined) return 0;
    let added = 0;
    for (let i = 0; i < split.length; i++) {
      const key = keyOf(split, i);
      if (key === undefined) continue;
      if (!newest.has(key)) added += key.length + KEY_OVERHEAD_BYTES;
      newest.set(key, split.baseOffset + (split.offsetDelta[i] ?? 0));
    }
    return added;
  }

  /** In a transaction: rewrites batches from `from` on, up to about {@link PIECE_BYTES}; answers where the next piece begins. */
  private piece(topic: TopicEntry, partition: number, from: number, bound: number, newest: ReadonlyMap<string, number>, now: number, progress: Progress): number {
    const { batches, partitions, topics } = this.store;
    if (topics.get(topic.name)?.number !== topic.number) return bound;
    let at = bound;
    let read = 0;
    let freed = 0;
    const found: { readonly key: Buffer; readonly value: Buffer }[] = [];
    for (const { key, value } of batches.getRange({ start: batchKey(topic.number, partition, from), end: batchKey(topic.number, partition, bound) })) {
      if (read >= PIECE_BYTES) { at = batchHeader(value).baseOffset; break; }
      found.push({ key, value });
      read += value.length;
    }
    const rewritten = found.map(({ key, value }) => ({ key, value, made: this.rewrite(value, newest, now, topic.deleteRetentionMs ?? DELETE_RETENTION_MS) }));
    for (const { key, value, made } of rewritten) {
      if (made === undefined) batches.removeSync(key);
      else if (made !== value) batches.putSync(key, made);
      const left = made?.length ?? 0;
      freed += value.length - left;
      progress.bytes += left;
      const horizon = made === undefined ? undefined : deleteHorizonOf(made);
      if (horizon !== undefined) progress.horizonMs = Math.min(horizon, progress.horizonMs ?? horizon);
    }
    const entry = this.entryOf(topic, partition);
    if (freed !== 0) partitions.putSync(partitionKey(topic.number, partition), { ...entry, bytes: entry.bytes - freed });
    if (at >= bound) this.finished(topic, partition, { offset: bound, ...progress });
    return at;
  }

  private finished(topic: TopicEntry, partition: number, cleaned: Cleaned): void {
    if (this.cleanedOf(topic, partition).offset <= cleaned.offset) this.store.meta.putSync(cleanedKey(topic.number, partition), JSON.stringify(cleaned));
  }

  /** The batch without what a newer record or the time has done away with: itself when nothing changes, undefined when nothing stays. */
  private rewrite(value: Buffer, newest: ReadonlyMap<string, number>, now: number, deleteRetentionMs: number): Buffer | undefined {
    const split = this.split(value);
    if (split === undefined) return value;
    const horizon = deleteHorizonOf(value);
    const stays: boolean[] = [];
    let kept = 0;
    let tombstones = false;
    for (let i = 0; i < split.length; i++) {
      const key = keyOf(split, i);
      const tombstone = (split.valueStart[i] ?? -1) < 0;
      const superseded = key !== undefined && split.baseOffset + (split.offsetDelta[i] ?? 0) < (newest.get(key) ?? -1);
      const stay = !superseded && !(tombstone && key !== undefined && horizon !== undefined && horizon <= now);
      stays.push(stay);
      if (stay) { kept++; tombstones ||= tombstone; }
    }
    if (kept === 0) return undefined;
    const marked = tombstones && horizon === undefined;
    if (kept === split.length && !marked) return value;
    return retainRecords(value, split, i => stays[i] === true, marked ? now + deleteRetentionMs : undefined);
  }

  /** A batch that is damaged stays as it is: its readers report it. */
  private split(value: Buffer): SplitRecords | undefined {
    try { return splitBatch(value, this.scratch); } catch (error) {
      if (error instanceof DataError) return undefined;
      throw error;
    }
  }

  private entryOf(topic: TopicEntry, partition: number): PartitionEntry {
    return this.store.partitions.get(partitionKey(topic.number, partition)) ?? { start: 0, end: 0, bytes: 0 };
  }
  private cleanedOf(topic: TopicEntry, partition: number): Cleaned {
    const text = this.store.meta.get(cleanedKey(topic.number, partition));
    return text === undefined ? NEVER : JSON.parse(text) as Cleaned;
  }

  /** Stops after the piece at hand. */
  async close(): Promise<void> {
    this.stop.abort();
    await this.running;
  }
}

/** Kafka's delete.retention.ms where a topic says nothing. */
export const DELETE_RETENTION_MS = 86_400_000;

function keyOf(split: SplitRecords, i: number): string | undefined {
  const start = split.keyStart[i] ?? -1;
  return start < 0 ? undefined : split.buffer.toString('latin1', start, split.keyEnd[i]);
}
