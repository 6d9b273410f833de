/**
 * How far a snapshot has come, kept in the source offset so that a killed one goes on behind its last finished chunk.
 * The stream always starts where the slot was made; a table that was read at a later point has a watermark, and stream
 * events of transactions before it are left out, since the read has shown them.
 */
import type { SourceOffset } from '../../../runtime/api/plugin.ts';

const KEY = 'tributary_snapshot';

interface Stored { readonly done?: readonly string[]; readonly table?: string; readonly block?: number; readonly watermarks?: Readonly<Record<string, string>> }

export class SnapshotProgress {
  private readonly finished: Set<string>;
  private readonly watermarks: Map<string, bigint>;
  /** Table that is being read, and the first of its pages that is not read. */
  private table: string | undefined;
  private block: number;
  /** True when an earlier run has read something. */
  readonly resumed: boolean;

  constructor(offset: SourceOffset | undefined) {
    const text = offset?.[KEY];
    const stored = (typeof text === 'string' ? JSON.parse(text) : {}) as Stored;
    this.finished = new Set(stored.done);
    this.watermarks = new Map(Object.entries(stored.watermarks ?? {}).map(([name, lsn]) => [name, BigInt(lsn)]));
    this.table = stored.table;
    this.block = stored.block ?? 0;
    this.resumed = this.finished.size > 0 || this.table !== undefined;
  }

  isDone(table: string): boolean { return this.finished.has(table); }
  firstBlock(table: string): number { return this.table === table ? this.block : 0; }

  /** `lsn`: where a snapshot that goes on reads a table from its beginning. */
  begin(table: string, lsn: bigint): void {
    if (this.table === table) return;
    this.table = table;
    this.block = 0;
    if (this.resumed) this.watermarks.set(table, lsn);
  }
  reach(block: number): void { this.block = block; }
  done(table: string): void { this.finished.add(table); this.table = undefined; this.block = 0; }

  /** Members for the offset while the snapshot runs. */
  snapshotKeys(): SourceOffset { return { [KEY]: JSON.stringify({ done: [...this.finished], ...(this.table !== undefined && { table: this.table, block: this.block }), ...this.marks() }) }; }

  /** Members for the offset of the stream: the watermarks that `lsn` has not passed. */
  streamKeys(lsn: bigint): SourceOffset {
    if (this.watermarks.size === 0) return {};
    for (const [name, mark] of this.watermarks) if (mark <= lsn) this.watermarks.delete(name);
    return this.watermarks.size === 0 ? {} : { [KEY]: JSON.stringify(this.marks()) };
  }

  /** True for an event that the read of its table has shown. */
  readonly shown = (schema: string, table: string, finalLsn: bigint): boolean => {
    if (this.watermarks.size === 0) return false;
    const mark = this.watermarks.get(`${schema}.${table}`);
    return mark !== undefined && finalLsn < mark;
  };

  private marks(): { watermarks?: Record<string, string> } {
    return this.watermarks.size === 0 ? {} : { watermarks: Object.fromEntries([...this.watermarks].map(([name, lsn]) => [name, String(lsn)])) };
  }
}
