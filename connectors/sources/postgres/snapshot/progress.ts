/**
 * How far a snapshot has come, kept in the source offset so that a killed one goes on behind its last finished chunk.
 *
 * An origin is the moment whose rows are read: its visibility, and the place in the WAL up to which the stream has
 * nothing that it does not show. The first origin is where the slot was made, so that the stream begins there. A table
 * that joins later has an origin of its own, and stream events of it before that are left out.
 */
import type { SourceOffset } from '../../../../runtime/api/plugin.ts';
import { OidSet } from './oid-set.ts';

const KEY = 'tributary_snapshot';

/** `xids` is the text of a visibility; empty when the rows of this moment cannot be told from later ones. */
export interface Origin { readonly xids: string; readonly lsn: bigint; readonly txId: bigint; readonly timeUs: bigint }
/** Pages [from, to); `to` undefined = to the end of the table. */
export interface Range { readonly from: number; readonly to: number | undefined }
/** `next` value of a table whose pages are all handed out. */
export const ALL_PAGES: number = Number.MAX_SAFE_INTEGER;
/** `next` is the first page that nobody has begun, `node` the file that the pages belong to, `after` how far the stream has to be before the table is read. */
export interface TableProgress { readonly origin: number; readonly node: string; readonly after: bigint; next: number; readonly open: Range[]; rows: number }

interface StoredTable { readonly origin: number; readonly node: string; readonly after?: string; readonly next: number; readonly open: readonly (readonly [number, number | null])[]; readonly rows: number }
interface Stored {
  readonly origins?: readonly { readonly xids: string; readonly lsn: string; readonly txId: string; readonly timeUs: string }[];
  readonly done?: string;
  readonly nodes?: Readonly<Record<string, string>>;
  readonly tables?: Readonly<Record<string, StoredTable>>;
  readonly joining?: readonly string[];
  readonly again?: readonly string[];
  readonly members?: readonly string[];
  readonly marks?: Readonly<Record<string, string>>;
  readonly settled?: string;
}

export class SnapshotProgress {
  readonly origins: Origin[];
  private readonly finished: OidSet;
  /** Files of tables whose file is not called after their oid, as they were at the first origin. */
  readonly nodes: Map<number, string>;
  private readonly tables: Map<number, TableProgress>;
  /** Names of tables that wait for an origin of their own. */
  readonly joining: Set<string>;
  /** Those of them whose events go on being sent; the events of the others are shown by their rows. */
  readonly again: Set<string>;
  /** Names of the only tables to be read, where the others were read by an earlier snapshot; empty for all. */
  readonly members: Set<string>;
  private readonly marks: Map<string, bigint>;
  private settledLsn: bigint | undefined;
  /** True when an earlier run has begun something that is not finished. */
  readonly resumed: boolean;
  private running: boolean;

  constructor(offset: SourceOffset | undefined) {
    const text = offset?.[KEY];
    const stored = (typeof text === 'string' ? JSON.parse(text) : {}) as Stored;
    this.origins = (stored.origins ?? []).map(({ xids, lsn, txId, timeUs }) => ({ xids, lsn: BigInt(lsn), txId: BigInt(txId), timeUs: BigInt(timeUs) }));
    this.finished = new OidSet(stored.done);
    this.nodes = new Map(Object.entries(stored.nodes ?? {}).map(([oid, node]) => [Number(oid), node]));
    this.tables = new Map(Object.entries(stored.tables ?? {}).map(([oid, table]) => [Number(oid), { ...table, after: BigInt(table.after ?? 0), open: table.open.map(([from, to]) => ({ from, to: to ?? undefined })) }]));
    this.joining = new Set(stored.joining);
    this.again = new Set(stored.again);
    this.members = new Set(stored.members);
    this.marks = new Map(Object.entries(stored.marks ?? {}).map(([name, lsn]) => [name, BigInt(lsn)]));
    this.settledLsn = stored.settled === undefined ? undefined : BigInt(stored.settled);
    this.running = this.origins.length > 0 || this.joining.size > 0;
    this.resumed = this.running;
  }

  /** True from the first origin on until everything is read. */
  get active(): boolean { return this.running; }

  /** Tables that get an origin of their own. `again`: their events go on. */
  join(names: readonly string[], again = false): void {
    const alone = !this.running || this.members.size > 0;
    for (const name of names) { this.joining.add(name); if (again) this.again.add(name); if (alone) this.members.add(name); }
    if (names.length > 0) this.running = true;
  }
  addOrigin(origin: Origin): number { this.running = true; return this.origins.push(origin) - 1; }
  isDone(oid: number): boolean { return this.finished.has(oid); }
  of(oid: number): TableProgress | undefined { return this.tables.get(oid); }

  /** From here on events of the table before the origin's place are left out of the stream. */
  mark(name: string, lsn: bigint): void { this.marks.set(name, lsn); }
  begin(oid: number, table: { readonly origin: number; readonly node: string; readonly after?: bigint }): TableProgress {
    const begun = { after: 0n, ...table, next: 0, open: [], rows: 0 };
    this.tables.set(oid, begun);
    return begun;
  }
  forget(oid: number): void { this.tables.delete(oid); }
  chunkBegun(oid: number, range: Range, next: number): void {
    const table = this.tables.get(oid);
    if (table === undefined) return;
    if (!table.open.some(({ from }) => from === range.from)) table.open.push(range);
    table.next = Math.max(table.next, next);
  }
  chunkDone(oid: number, { from }: Range, rows: number): void {
    const table = this.tables.get(oid);
    if (table === undefined) return;
    table.open.splice(table.open.findIndex(range => range.from === from), 1);
    table.rows += rows;
  }
  tableDone(oid: number): void { this.finished.add(oid); this.tables.delete(oid); }

  /** Without a stream nothing is known of what changed meanwhile: tables that were begun are read from their beginning. */
  startOver(): void { this.origins.length = 0; this.tables.clear(); this.joining.clear(); this.again.clear(); this.nodes.clear(); }

  /** Everything is read. Up to `settled` the stream may have updates of rows that were changed before they were read. */
  complete(settled: bigint | undefined): void {
    this.running = false;
    this.settledLsn = settled;
    this.origins.length = 0;
    this.finished.clear(); this.nodes.clear(); this.tables.clear(); this.joining.clear(); this.again.clear(); this.members.clear();
  }

  /** Members for the offset; `lsn` is how far the stream has come. */
  keys(lsn: bigint): SourceOffset {
    if (!this.running && this.marks.size === 0 && this.settledLsn === undefined) return {};
    this.pass(lsn);
    if (this.running) return { snapshot: 'INITIAL', snapshot_completed: false, last_snapshot_record: false, [KEY]: JSON.stringify(this.stored()) };
    const rest = this.later();
    return Object.keys(rest).length === 0 ? {} : { [KEY]: JSON.stringify(rest) };
  }

  /** Forgets what only mattered up to `lsn`. */
  private pass(lsn: bigint): void {
    for (const [name, mark] of this.marks) if (mark <= lsn) this.marks.delete(name);
    if (this.settledLsn !== undefined && this.settledLsn <= lsn) this.settledLsn = undefined;
  }

  private stored(): Stored {
    return {
      origins: this.origins.map(({ xids, lsn, txId, timeUs }) => ({ xids, lsn: String(lsn), txId: String(txId), timeUs: String(timeUs) })),
      ...(this.finished.size > 0 && { done: this.finished.toString() }), ...(this.nodes.size > 0 && { nodes: Object.fromEntries(this.nodes) }),
      ...(this.tables.size > 0 && { tables: Object.fromEntries([...this.tables].map(([oid, { open, after, ...table }]) => [oid, { ...table, ...(after > 0n && { after: String(after) }), open: open.map(({ from, to }): [number, number | null] => [from, to ?? null]) }])) }),
      ...(this.joining.size > 0 && { joining: [...this.joining] }), ...(this.again.size > 0 && { again: [...this.again] }), ...(this.members.size > 0 && { members: [...this.members] }), ...this.later(),
    };
  }
  private later(): Pick<Stored, 'marks' | 'settled'> {
    return { ...(this.marks.size > 0 && { marks: Object.fromEntries([...this.marks].map(([name, lsn]) => [name, String(lsn)])) }), ...(this.settledLsn !== undefined && { settled: String(this.settledLsn) }) };
  }

  /** True for an event that the read of its table shows. */
  shown(schema: string, table: string, finalLsn: bigint): boolean {
    if (this.marks.size === 0 && this.joining.size === 0) return false;
    const name = `${schema}.${table}`;
    const mark = this.marks.get(name);
    return (this.joining.has(name) && !this.again.has(name)) || (mark !== undefined && finalLsn < mark);
  }

  /** True for an event of a row that may not have been shown yet. */
  settling(finalLsn: bigint): boolean { return this.running || (this.settledLsn !== undefined && finalLsn < this.settledLsn); }
}
