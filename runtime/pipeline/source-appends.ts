/**
 * The sending half of a source pipeline: one step after the other to the log's writer, transactions ended where the
 * boundary says, and the source told of each offset once it is durable.
 */
import type { PartitionOffset } from '../api/plugin.ts';
import type { LogWriter, TopicAppend } from '../log/log.ts';

/**
 * What ends a transaction (Connect's `transaction.boundary`): every append (`poll`), time, or the source itself. On a log
 * whose writers span no appends every append is one, whatever is asked for.
 */
export type TransactionBoundary = { readonly by: 'append' } | { readonly by: 'interval'; readonly intervalMs: number } | { readonly by: 'source' };

export interface SourceAppendsParts {
  readonly connector: string;
  readonly writer: LogWriter;
  readonly boundary: TransactionBoundary;
  /** Records up to and with this offset are durable and committed. One call at a time. */
  readonly committed: (offset: PartitionOffset) => Promise<void>;
  /** Called once when a step fails: nobody may be waiting for one. */
  readonly failed: () => void;
  readonly signal: AbortSignal;
}

export class SourceAppends {
  private readonly parts: SourceAppendsParts;
  private readonly boundary: TransactionBoundary;
  private tail: Promise<void> = Promise.resolve();
  /** Position behind what was added and is not committed. */
  private offset: PartitionOffset | undefined;
  private open = false;
  private dueAt = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(parts: SourceAppendsParts) {
    this.parts = parts;
    this.boundary = parts.writer.spanning === undefined ? { by: 'append' } : parts.boundary;
    this.restartInterval();
  }

  /** Resolves when all steps so far are done; throws what made one fail. */
  idle(): Promise<void> { return this.tail; }

  /** Starts a step; `done` is called when the entries' bytes are needed no more. */
  send(entries: readonly TopicAppend[], offset: PartitionOffset | undefined, end: 'commit' | 'abort' | undefined, done: () => void): void {
    this.next(async () => {
      this.offset = offset ?? this.offset;
      await this.sendNow(entries, end);
      done();
    });
  }

  private async sendNow(entries: readonly TopicAppend[], end: 'commit' | 'abort' | undefined): Promise<void> {
    const { writer, signal } = this.parts;
    const { boundary } = this;
    if (boundary.by === 'source' && end === 'abort') {
      await writer.spanning?.abort(signal);
      // The records are given up, the position is not: they must not come again.
      await this.commit([]);
      return;
    }
    if (boundary.by === 'append' || (boundary.by === 'source' ? end === 'commit' : performance.now() >= this.dueAt)) { await this.commit(entries); return; }
    if (entries.length > 0) { this.open = true; await writer.spanning?.add(entries, signal); }
    if (boundary.by === 'interval') this.timer ??= setTimeout(() => { this.next(() => this.commit([])); }, Math.max(0, this.dueAt - performance.now()));
  }

  private async commit(entries: readonly TopicAppend[]): Promise<void> {
    const { writer, connector, committed, signal } = this.parts;
    const { offset, open } = this;
    this.offset = undefined;
    this.open = false;
    this.restartInterval();
    if (entries.length === 0 && offset === undefined && !open) return;
    await writer.append(entries, offset === undefined ? undefined : { connector, offsets: [offset] }, signal);
    if (offset !== undefined) await committed(offset);
  }

  private restartInterval(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.boundary.by === 'interval') this.dueAt = performance.now() + this.boundary.intervalMs;
  }

  private next(step: () => Promise<void>): void {
    const next = this.tail.then(step);
    next.catch(() => { clearTimeout(this.timer); this.parts.failed(); });
    this.tail = next;
  }

  /** Commits what time would have; what a source has not ended itself is left to be given up. */
  async finish(): Promise<void> {
    if (this.boundary.by === 'interval') this.next(() => this.commit([]));
    await this.tail;
    clearTimeout(this.timer);
  }
}
