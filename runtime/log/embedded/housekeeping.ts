/** Looks at all partitions now and then, for those that get no appends: records grow old there, and tombstones too. */
import type { Compaction } from './compaction.ts';
import type { Retention } from './retention.ts';
import { type Store, transact } from './store.ts';

export class Housekeeping {
  private readonly store: Store;
  private readonly retention: Retention;
  private readonly compaction: Compaction;
  private readonly timer: NodeJS.Timeout;
  private round: Promise<void> | undefined;
  private closed = false;

  constructor(store: Store, retention: Retention, compaction: Compaction, intervalMs: number) {
    this.store = store; this.retention = retention; this.compaction = compaction;
    this.timer = setInterval(() => { this.round ??= this.look().catch(() => { /* a full disk; the next round tries again */ }).finally(() => { this.round = undefined; }); }, intervalMs);
    this.timer.unref();
  }

  private async look(): Promise<void> {
    this.store.root.resetReadTxn();
    for (const { value: topic } of [...this.store.topics.getRange({})]) {
      for (let partition = 0; partition < topic.partitions && !this.closed; partition++) {
        if (topic.retentionMs >= 0 || topic.retentionBytes >= 0) await this.trim(topic, partition);
        this.compaction.consider(topic, partition);
      }
    }
  }

  /** Until nothing more may go: each transaction deletes a bounded number of batches. */
  private async trim(topic: Parameters<Retention['trim']>[0], partition: number): Promise<void> {
    for (let more = true; more && !this.closed;) {
      this.store.root.resetReadTxn();
      if (!this.retention.mayTrim(topic, partition, Date.now())) return;
      more = await transact(this.store, () => {
        const { start } = this.retention.entryOf(topic, partition);
        return this.store.topics.get(topic.name)?.number === topic.number && this.retention.trim(topic, partition, Date.now()).start > start;
      });
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    clearInterval(this.timer);
    await this.round;
  }
}
