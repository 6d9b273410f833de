import type { LogBatch, LogReader } from '../log.ts';
import { batchHeader } from '../record-batch.ts';
import { batchKey, partitionKey, type Store } from './store.ts';
import type { Wakeups } from './wakeups.ts';

/** Reads one partition forward. Starts behind deleted data at the first batch that is still there. */
export class EmbeddedReader implements LogReader {
  position: number;
  private readonly store: Store;
  private readonly topic: number;
  private readonly partition: number;
  private readonly wakeups: Wakeups;

  constructor(store: Store, wakeups: Wakeups, topic: number, partition: number, from: number) {
    this.store = store; this.wakeups = wakeups; this.topic = topic; this.partition = partition; this.position = from;
  }

  async next(maxBytes: number, timeoutMs: number, signal: AbortSignal): Promise<readonly LogBatch[]> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const woken = this.wakeups.next(this.topic, this.partition);
      try {
        const batches = this.read(maxBytes);
        const left = deadline - performance.now();
        if (batches.length > 0 || left <= 0 || signal.aborted) return batches;
        await woken.wait(left, signal);
      } finally { woken.cancel(); }
    }
  }

  private read(maxBytes: number): LogBatch[] {
    const { batches, partitions, root } = this.store;
    root.resetReadTxn();
    const entry = partitions.get(partitionKey(this.topic, this.partition));
    if (entry === undefined || entry.end <= this.position) return [];
    const end = batchKey(this.topic, this.partition, Number.MAX_SAFE_INTEGER);
    const first = [...batches.getKeys({ start: batchKey(this.topic, this.partition, this.position), end: batchKey(this.topic, this.partition, 0), reverse: true, inclusiveEnd: true, limit: 1 } as Parameters<typeof batches.getKeys>[0])][0];
    const found: LogBatch[] = [];
    let size = 0;
    for (const { value } of batches.getRange({ start: first ?? batchKey(this.topic, this.partition, this.position), end })) {
      const { baseOffset, lastOffset } = batchHeader(value);
      if (lastOffset < this.position) continue;
      found.push({ baseOffset, lastOffset, bytes: value });
      this.position = lastOffset + 1;
      size += value.length;
      if (size >= maxBytes) break;
    }
    // Compaction or retention took everything up to the end: the next record is the next one written.
    if (found.length === 0) this.position = entry.end;
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> { /* holds nothing open between calls */ }
}
