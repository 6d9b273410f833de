/**
 * Deletes whole batches from the front of a partition: past `retentionBytes`, or older than `retentionMs`, and never
 * what a registered group has yet to commit, unless the topic says so. A partition that is full of uncommitted data
 * makes its writers wait.
 */
import { RetriableError } from '../../api/errors.ts';
import { batchHeader } from '../record-batch.ts';
import { batchKey, type PartitionEntry, partitionKey, type Store, type TopicEntry, transact } from './store.ts';
import type { Wakeups } from './wakeups.ts';

const CHECK_EVERY_BYTES = 16 * 1024 * 1024;
const CHECK_EVERY_MS = 60_000;
const DELETE_BATCHES = 200;

export class Retention {
  private readonly store: Store;
  private readonly wakeups: Wakeups;
  private readonly heldFrom: (topic: TopicEntry, partition: number) => number;
  private readonly waitMs: number;
  private readonly checked = new Map<string, { readonly bytes: number; readonly at: number }>();

  /** `heldFrom`: smallest offset that some registered group still needs, Infinity when none does. */
  constructor(store: Store, wakeups: Wakeups, heldFrom: (topic: TopicEntry, partition: number) => number, waitMs: number) {
    this.waitMs = waitMs; this.store = store; this.wakeups = wakeups; this.heldFrom = heldFrom;
  }

  /**
   * Called before an append: waits while the partition is over its bound and a group holds it. RetriableError LOG_FULL after
   * `waitMs`. What may go is normally gone already, with the append before ({@link afterAppend}).
   */
  async makeRoom(topic: TopicEntry, partition: number, signal: AbortSignal): Promise<void> {
    if (topic.retentionBytes < 0 || topic.deleteUncommitted) return;
    const deadline = performance.now() + this.waitMs;
    for (;;) {
      this.store.root.resetReadTxn();
      const { start, bytes } = this.entryOf(topic, partition);
      if (bytes <= topic.retentionBytes) return;
      const woken = this.wakeups.on(`committed/${topic.number}/${partition}`);
      try {
        const entry = await transact(this.store, () => this.trim(topic, partition, Date.now()));
        if (entry.bytes <= topic.retentionBytes) return;
        // Something went: perhaps more can. Nothing went: only a commit, which wakes us, can change that.
        if (entry.start > start) continue;
        if (signal.aborted) throw signal.reason;
        if (performance.now() > deadline) throw full(topic, partition, entry);
        await woken.wait(deadline - performance.now() + 1, signal);
      } finally { woken.cancel(); }
    }
  }

  /** Inside the transaction of an append, after the batch at `baseOffset` was put: deletes what may go before it, when it is time to look. */
  afterAppend(topic: TopicEntry, partition: number, now: number, baseOffset: number): void {
    if (this.due(topic, partition, now)) this.trim(topic, partition, now, baseOffset);
  }

  /** Whether {@link trim} would delete something; outside a transaction. */
  mayTrim(topic: TopicEntry, partition: number, now: number): boolean {
    const { bytes } = this.entryOf(topic, partition);
    for (const { value } of this.store.batches.getRange({ ...rangeOf(topic, partition), limit: 1 })) return this.goes(topic, value, bytes, now, this.heldIn(topic, partition));
    return false;
  }

  private heldIn(topic: TopicEntry, partition: number): number { return topic.deleteUncommitted ? Number.POSITIVE_INFINITY : this.heldFrom(topic, partition); }

  private goes(topic: TopicEntry, batch: Buffer, bytes: number, now: number, held: number): boolean {
    const { lastOffset, maxTimestamp } = batchHeader(batch);
    const tooMuch = topic.retentionBytes >= 0 && bytes > topic.retentionBytes;
    const tooOld = topic.retentionMs >= 0 && maxTimestamp < now - topic.retentionMs;
    return (tooMuch || tooOld) && lastOffset < held;
  }

  /**
   * Inside a write transaction: deletes what may go from the front, at most {@link DELETE_BATCHES}, and answers the partition
   * as it is then. Batches from `keepFrom` on stay whatever the bound says.
   */
  trim(topic: TopicEntry, partition: number, now: number, keepFrom = Number.POSITIVE_INFINITY): PartitionEntry {
    const entry = this.entryOf(topic, partition);
    const { batches, partitions } = this.store;
    const held = this.heldIn(topic, partition);
    let { start, bytes } = entry;
    const gone: Buffer[] = [];
    for (const { key, value } of batches.getRange({ ...rangeOf(topic, partition), limit: DELETE_BATCHES })) {
      const { baseOffset, lastOffset } = batchHeader(value);
      if (baseOffset >= keepFrom || !this.goes(topic, value, bytes, now, held)) break;
      gone.push(key);
      bytes -= value.length;
      start = lastOffset + 1;
    }
    for (const key of gone) batches.removeSync(key);
    const trimmed = { start, end: entry.end, bytes };
    if (gone.length > 0) partitions.putSync(partitionKey(topic.number, partition), trimmed);
    this.checked.set(`${topic.number}/${partition}`, { bytes, at: now });
    return trimmed;
  }

  entryOf(topic: TopicEntry, partition: number): PartitionEntry {
    return this.store.partitions.get(partitionKey(topic.number, partition)) ?? { start: 0, end: 0, bytes: 0 };
  }

  /** Over the bound: at once. By time: looked at now and then, since it needs the first batch. */
  private due(topic: TopicEntry, partition: number, now: number): boolean {
    const entry = this.entryOf(topic, partition);
    if (topic.retentionBytes >= 0 && entry.bytes > topic.retentionBytes) return true;
    if (topic.retentionMs < 0) return false;
    const last = this.checked.get(`${topic.number}/${partition}`);
    return last === undefined || entry.bytes >= last.bytes + CHECK_EVERY_BYTES || now >= last.at + CHECK_EVERY_MS;
  }
}

function rangeOf(topic: TopicEntry, partition: number): { start: Buffer; end: Buffer } {
  return { start: batchKey(topic.number, partition, 0), end: batchKey(topic.number, partition, Number.MAX_SAFE_INTEGER) };
}

function full(topic: TopicEntry, partition: number, entry: PartitionEntry): RetriableError {
  return new RetriableError(`Topic ${topic.name} partition ${partition} holds ${entry.bytes} bytes, its bound is ${topic.retentionBytes}, and a sink has yet to commit them`, {
    code: 'LOG_FULL', hint: 'Start or repair the sink that reads this topic, delete that connector, or raise log.retention.bytes.',
  });
}
