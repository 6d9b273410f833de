/**
 * Deletes whole batches from the front of a partition: past `retentionBytes`, or older than `retentionMs`, and never
 * what a registered group has yet to commit, unless the topic says so. A partition that is full of uncommitted data
 * makes its writers wait.
 */
import { RetriableError } from '../../api/errors.ts';
import { batchHeader } from '../record-batch.ts';
import { batchKey, type PartitionEntry, partitionKey, type Store, type TopicEntry } from './store.ts';
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

  /** Called before an append. Deletes what may go; waits while the partition is over its bound. RetriableError LOG_FULL after `waitMs`. */
  async makeRoom(topic: TopicEntry, partition: number, signal: AbortSignal): Promise<void> {
    if (topic.compact) return;
    const deadline = performance.now() + this.waitMs;
    let start = -1;
    for (;;) {
      const woken = this.wakeups.on(`committed/${topic.number}/${partition}`);
      try {
        const entry = await this.trim(topic, partition);
        if (topic.retentionBytes < 0 || entry.bytes <= topic.retentionBytes || topic.deleteUncommitted) return;
        // Something went: perhaps more can. Nothing went: only a commit, which wakes us, can change that.
        if (entry.start > start && start >= 0) { start = entry.start; continue; }
        start = entry.start;
        if (signal.aborted) throw signal.reason;
        if (performance.now() > deadline) throw full(topic, partition, entry);
        await woken.wait(deadline - performance.now() + 1, signal);
      } finally { woken.cancel(); }
    }
  }

  private async trim(topic: TopicEntry, partition: number): Promise<PartitionEntry> {
    const key = partitionKey(topic.number, partition);
    this.store.root.resetReadTxn();
    const entry = this.store.partitions.get(key) ?? { start: 0, end: 0, bytes: 0 };
    const last = this.checked.get(`${topic.number}/${partition}`);
    const over = topic.retentionBytes >= 0 && entry.bytes > topic.retentionBytes;
    const now = Date.now();
    if (!over && last !== undefined && entry.bytes < last.bytes + CHECK_EVERY_BYTES && now < last.at + CHECK_EVERY_MS) return entry;
    const trimmed = await this.deleteFront(topic, partition, now);
    this.checked.set(`${topic.number}/${partition}`, { bytes: trimmed.bytes, at: now });
    return trimmed;
  }

  private deleteFront(topic: TopicEntry, partition: number, now: number): Promise<PartitionEntry> {
    const { root, batches, partitions } = this.store;
    const key = partitionKey(topic.number, partition);
    return root.transaction(() => {
      const entry = partitions.get(key) ?? { start: 0, end: 0, bytes: 0 };
      const held = topic.deleteUncommitted ? Number.POSITIVE_INFINITY : this.heldFrom(topic, partition);
      let { start, bytes } = entry;
      const range = batches.getRange({ start: batchKey(topic.number, partition, 0), end: batchKey(topic.number, partition, Number.MAX_SAFE_INTEGER), limit: DELETE_BATCHES });
      for (const { key: at, value } of [...range]) {
        const header = batchHeader(value);
        const tooMuch = topic.retentionBytes >= 0 && bytes > topic.retentionBytes;
        const tooOld = topic.retentionMs >= 0 && header.maxTimestamp < now - topic.retentionMs;
        if (!(tooMuch || tooOld) || header.lastOffset >= held) break;
        batches.removeSync(at);
        bytes -= value.length;
        start = header.lastOffset + 1;
      }
      const trimmed = { start, end: entry.end, bytes };
      if (start !== entry.start) partitions.putSync(key, trimmed);
      return trimmed;
    });
  }
}

function full(topic: TopicEntry, partition: number, entry: PartitionEntry): RetriableError {
  return new RetriableError(`Topic ${topic.name} partition ${partition} holds ${entry.bytes} bytes, its bound is ${topic.retentionBytes}, and a sink has yet to commit them`, {
    code: 'LOG_FULL', hint: 'Start or repair the sink that reads this topic, delete that connector, or raise log.retention.bytes.',
  });
}
