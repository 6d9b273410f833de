/** Reads several partitions at once, in turn, with one bound in bytes over all of them. */
import type { TopicPartition } from '../api/plugin.ts';
import type { Log, LogBatch, LogReader } from '../log/log.ts';

/** What one read of one partition brought. Release it when its bytes are done with; the partition is read on then. */
export interface Arrival { readonly key: string; readonly batches: readonly LogBatch[] }

interface Source { readonly reader: LogReader; readonly stop: AbortController; pending: Promise<void>; bytes: number }

/** How long a read waits for data before it asks again, in milliseconds. */
const READ_TIMEOUT_MS = 30_000;
const LEAST_READ_BYTES = 64 * 1024;

export class PartitionFeed {
  private readonly log: Log;
  private readonly limit: number;
  private readonly signal: AbortSignal;
  private readonly sources = new Map<string, Source>();
  private readonly ready: Arrival[] = [];
  private failure: unknown;
  private wake: () => void = () => { /* nobody waits yet */ };

  constructor(log: Log, limitBytes: number, signal: AbortSignal) { this.log = log; this.limit = limitBytes; this.signal = signal; }

  get bytes(): number { let sum = 0; for (const source of this.sources.values()) sum += source.bytes; return sum; }

  async add(key: string, partition: TopicPartition, from: number): Promise<void> {
    const source: Source = { reader: await this.log.reader(partition, from), stop: new AbortController(), pending: Promise.resolve(), bytes: 0 };
    this.sources.set(key, source);
    this.read(key, source);
  }

  async remove(key: string): Promise<void> {
    const source = this.sources.get(key);
    if (source === undefined) return;
    this.sources.delete(key);
    source.stop.abort();
    await source.pending;
    await source.reader[Symbol.asyncDispose]();
    const kept = this.ready.filter(arrival => arrival.key !== key);
    this.ready.splice(0, this.ready.length, ...kept);
  }

  /** The next arrival; undefined after `waitMs`, when `other` settles, or on abort. Throws what a reader threw. */
  async next(waitMs: number, other: Promise<void>): Promise<Arrival | undefined> {
    if (this.ready.length === 0 && this.failure === undefined && !this.signal.aborted) await this.wait(waitMs, other);
    if (this.failure !== undefined) throw this.failure;
    return this.ready.shift();
  }

  private async wait(waitMs: number, other: Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const woken = new Promise<void>(done => { this.wake = done; timer = setTimeout(done, waitMs); });
    const abort = (): void => { this.wake(); };
    this.signal.addEventListener('abort', abort, { once: true });
    try { await Promise.race([woken, other]); } finally {
      clearTimeout(timer);
      this.signal.removeEventListener('abort', abort);
    }
  }

  release(arrival: Arrival): void {
    const source = this.sources.get(arrival.key);
    if (source !== undefined) this.read(arrival.key, source);
  }

  private read(key: string, source: Source): void {
    source.bytes = 0;
    const share = Math.max(LEAST_READ_BYTES, Math.floor(this.limit / Math.max(1, this.sources.size)));
    source.pending = this.fetch(key, source, Math.min(share, 4 * 1024 * 1024)).catch((error: unknown) => { this.failure ??= error; this.wake(); });
  }

  private async fetch(key: string, source: Source, maxBytes: number): Promise<void> {
    const signal = AbortSignal.any([this.signal, source.stop.signal]);
    while (!signal.aborted) {
      const batches = await source.reader.next(maxBytes, READ_TIMEOUT_MS, signal);
      if (batches.length === 0 || signal.aborted) continue;
      source.bytes = batches.reduce((sum, batch) => sum + batch.bytes.length, 0);
      this.ready.push({ key, batches });
      this.wake();
      return;
    }
  }

  async close(): Promise<void> { for (const key of [...this.sources.keys()]) await this.remove(key); }
}
