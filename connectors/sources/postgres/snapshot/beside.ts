/**
 * The snapshot beside the stream, which asks for work between two of its reads. Work is one round of about a second in a
 * transaction of its own; then the stream has as long, while it has something to read.
 *
 * Of a row, the round sends the version that its table's origin sees, if it still stands. If it does not, the stream has
 * the change, since the origin does not see who made it. And while a round lasts no event is sent, all events before it
 * are in its snapshot (this is made sure of): so no row comes after an event that is newer than it.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { CatalogueTable, Query } from '../schema.ts';
import type { SourceOffset } from '../../../../runtime/api/plugin.ts';
import type { ChangeBatch } from '../batch.ts';
import type { CapturedTable } from '../captured-tables.ts';
import type { RowImage } from '../change.ts';
import { beginTogether, closeAll, type Connection, exportSnapshot, openReaders, originOf, serverFacts, type SnapshotParts } from '../snapshot.ts';
import { parseLsn } from '../lsn.ts';
import { tableSizes } from './chunks.ts';
import type { Origin } from './progress.ts';
import { nameOf, Rounds } from './rounds.ts';
import { fillUnchanged } from './unchanged-values.ts';
import { parseVisibility, sees } from './visibility.ts';

const ROUND_MS = 1000;
/** How long tables that join may hold the stream back in any case. */
const LEAST_WAIT_MS = 2000;
/** How long to wait for a transaction that has committed but is not yet seen to have. */
const AGAIN_MS = 20;
const MOST_SENT = 50_000;

interface Joining { readonly origin: Origin; readonly nodes: ReadonlyMap<number, string>; readonly names: readonly string[] }

interface Pending { promise: Promise<void>; outcome: Joining | Error | undefined }

export class SnapshotBeside {
  private readonly parts: SnapshotParts;
  private readonly query: Query;
  private readonly signal: AbortSignal;
  private readonly tellable: (name: string) => boolean;
  private rounds: Rounds | undefined;
  private readers: Connection[] = [];
  private readonly sent = new Set<bigint>();
  private notBefore = 0;
  private origin: Pending | undefined;

  /** `rounds` is what the first part left; undefined after a restart. `lastXid` is the newest transaction that was sent before it. */
  constructor(parts: SnapshotParts, query: Query, rounds: Rounds | undefined, options: { readonly tellable: (name: string) => boolean; readonly lastXid: bigint | null }, signal: AbortSignal) {
    this.parts = parts; this.query = query; this.rounds = rounds; this.tellable = options.tellable; this.signal = signal;
    if (options.lastXid !== null) this.sent.add(options.lastXid & 0xffff_ffffn);
  }

  /** How long the stream may wait for data before it asks again, in milliseconds; undefined when nothing is left to do. */
  get waitMs(): number | undefined {
    if (!this.parts.progress.active) return undefined;
    return this.origin !== undefined && this.origin.outcome === undefined ? AGAIN_MS : Math.max(0, Math.min(AGAIN_MS, this.notBefore - performance.now()));
  }
  /** The stream begins to send a transaction. */
  began(xid: bigint): void { if (this.parts.progress.active) this.sent.add(xid); }
  shown(schema: string, table: string, finalLsn: bigint): boolean { return this.parts.progress.shown(schema, table, finalLsn); }
  settling(finalLsn: bigint): boolean { return this.parts.progress.settling(finalLsn); }
  /** Values that an update left alone, of a row that may not have been shown. */
  fill(table: CapturedTable, image: RowImage): Promise<RowImage> { return fillUnchanged(this.query, table, image); }
  keys(lsn: bigint): SourceOffset { return this.parts.progress.keys(lsn); }

  /** Position that the stream has to reach before anything can be read; undefined when it need not. */
  awaited: bigint | undefined;

  /** `busy`: the stream has more at hand. `lsn`: what it has sent whole. */
  async *work(busy: boolean, lsn: bigint): AsyncGenerator<ChangeBatch> {
    const { progress } = this.parts;
    if (!progress.active) return;
    if (this.sent.size > MOST_SENT) await this.forgetSent();
    if (performance.now() < this.notBefore && (busy || this.notBefore - performance.now() <= AGAIN_MS)) return;
    this.rounds ??= await this.resume();
    this.rounds.beside(true);
    const began = performance.now();
    if (progress.joining.size > 0) yield* this.join(this.rounds);
    const ready = ({ oid }: CatalogueTable): boolean => (progress.of(oid)?.after ?? 0n) <= lsn;
    const { left } = this.rounds;
    this.awaited = left.length > 0 && !left.some(ready) ? left.map(({ oid }) => progress.of(oid)?.after ?? 0n).reduce((a, b) => (a < b ? a : b)) : undefined;
    if (this.awaited !== undefined) this.notBefore = performance.now() + AGAIN_MS;
    else if (left.length > 0) yield* this.round(this.rounds, ready);
    if (this.signal.aborted) return;
    if (this.rounds.done && progress.joining.size === 0) yield* this.end(this.rounds);
    if (performance.now() - began > AGAIN_MS) this.notBefore = performance.now() + (performance.now() - began);
  }

  /** After a restart: the tables that are not done; what cannot go on begins anew. */
  private async resume(): Promise<Rounds> {
    const { parts, query } = this;
    const { progress } = parts;
    const facts = await serverFacts(query);
    const list = await this.list();
    const sizes = await tableSizes(query, list, facts.blockBytes);
    for (const table of list) {
      if (progress.isDone(table.oid) || progress.joining.has(nameOf(table))) continue;
      const known = progress.of(table.oid);
      const node = known?.node ?? progress.nodes.get(table.oid) ?? String(table.oid);
      const origin = progress.origins[known?.origin ?? 0];
      const size = sizes.get(table.oid);
      const goesOn = this.tellable(nameOf(table)) && origin !== undefined && origin.xids !== '' && (size?.chunked !== true || size.node === node);
      if (goesOn) continue;
      progress.forget(table.oid);
      progress.join([nameOf(table)], this.tellable(nameOf(table)) || (known !== undefined && (known.next > 0 || known.open.length > 0)));
    }
    const rounds = new Rounds(parts, facts);
    rounds.begin(list.filter(table => !progress.joining.has(nameOf(table))), sizes);
    parts.logger.info({ tables: list.length, left: rounds.left.length, joining: progress.joining.size }, 'snapshot goes on');
    return rounds;
  }
  private async list(): Promise<readonly CatalogueTable[]> {
    const { members } = this.parts.progress;
    return (await this.parts.list(this.query)).filter(table => members.size === 0 || members.has(nameOf(table)));
  }

  /** One transaction over the present, all events that were sent within it; for the rest of a second chunk after chunk. */
  private async *round(rounds: Rounds, ready: (table: CatalogueTable) => boolean): AsyncGenerator<ChangeBatch> {
    if (this.readers.length === 0) this.readers = await openReaders(this.parts);
    const { readers } = this;
    const [first] = readers;
    await beginTogether(readers, '');
    const [row] = await first?.query('SELECT txid_current_snapshot()::text') ?? [];
    const now = parseVisibility(row?.[0] ?? '');
    if ([...this.sent].some(xid => !sees(now, xid))) {
      await Promise.all(readers.map(({ query }) => query('ROLLBACK')));
      this.notBefore = performance.now() + AGAIN_MS;
      return;
    }
    this.sent.clear();
    const until = performance.now() + ROUND_MS;
    yield* rounds.read({ readers: readers.map(({ client }) => client), wants: ready, later: true, over: () => performance.now() > until, signal: this.signal });
    if (!this.signal.aborted) await Promise.all(readers.map(({ query }) => query('COMMIT')));
  }

  /** Those that everyone sees cannot be unseen any more. */
  private async forgetSent(): Promise<void> {
    const [row] = await this.query('SELECT txid_current_snapshot()::text');
    const now = parseVisibility(row?.[0] ?? '');
    for (const xid of this.sent) if (sees(now, xid)) this.sent.delete(xid);
  }

  /**
   * To be called before the stream begins. Tables that join get their origin now, while nothing of them is sent or left
   * out, unless open transactions keep the slot for it from being made for longer than the stream may be held back.
   */
  async prepare(): Promise<void> {
    const { parts, signal } = this;
    const { progress, config } = parts;
    if (!progress.active || signal.aborted) return;
    this.rounds ??= await this.resume();
    const tables = (await this.joiningTables()).filter(table => this.tellable(nameOf(table)));
    if (tables.length === 0) return;
    const pending = this.seekOrigin(tables);
    await Promise.race([pending.promise, wait(Math.max(config['snapshot.stream.after.ms'], LEAST_WAIT_MS), undefined, { signal, ref: false }).catch(() => { /* aborted: the stream sees it */ })]);
    if (pending.outcome !== undefined) await this.takeOrigin(this.rounds);
    else parts.logger.warn({ tables: tables.length }, 'open transactions delay the snapshot of tables that joined');
  }

  private async *join(rounds: Rounds): AsyncGenerator<ChangeBatch> {
    const { progress } = this.parts;
    const tables = await this.joiningTables();
    // Without a key a row must not come twice, so its table's stream waits for the origin.
    const whole = tables.filter(table => !this.tellable(nameOf(table)) || (table.key.length === 0 && !progress.again.has(nameOf(table))));
    if (whole.length > 0) { yield* this.readWhole(rounds, whole); return; }
    if (tables.length === 0) return;
    for (const table of tables) progress.again.add(nameOf(table));
    if (this.origin === undefined) this.seekOrigin(tables);
    else if (this.origin.outcome !== undefined) await this.takeOrigin(rounds);
  }
  private async joiningTables(): Promise<readonly CatalogueTable[]> {
    const { progress } = this.parts;
    const tables = (await this.list()).filter(table => progress.joining.has(nameOf(table)));
    const there = new Set(tables.map(nameOf));
    for (const name of progress.joining) if (!there.has(name)) progress.joining.delete(name);
    return tables;
  }

  private seekOrigin(tables: readonly CatalogueTable[]): Pending {
    const pending: Pending = { promise: Promise.resolve(), outcome: undefined };
    pending.promise = this.findOrigin(tables).then(found => { pending.outcome = found; }, (error: unknown) => { pending.outcome = error as Error; });
    this.origin = pending;
    return pending;
  }

  private async takeOrigin(rounds: Rounds): Promise<void> {
    const { progress } = this.parts;
    const outcome = this.origin?.outcome;
    this.origin = undefined;
    if (outcome instanceof Error) throw outcome;
    if (outcome === undefined) return;
    const origin = progress.addOrigin(outcome.origin);
    const named = (await this.joiningTables()).filter(table => outcome.names.includes(nameOf(table)));
    for (const table of named) {
      const after = this.joined(table, outcome.origin.lsn);
      progress.begin(table.oid, { origin, node: outcome.nodes.get(table.oid) ?? '0', after });
    }
    rounds.add(named, await tableSizes(this.query, named, (await serverFacts(this.query)).blockBytes));
  }

  /**
   * The table has an origin at `lsn`. Events before it are left out where none was sent since it joined; else all are
   * needed, and the table is read when the stream has passed them.
   */
  private joined(table: CatalogueTable, lsn: bigint): bigint {
    const { progress } = this.parts;
    const name = nameOf(table);
    progress.joining.delete(name);
    if (progress.again.delete(name)) return lsn;
    progress.mark(name, lsn);
    return 0n;
  }

  /** Making a slot waits for the transactions that are open: the stream goes on meanwhile. */
  private async findOrigin(tables: readonly CatalogueTable[]): Promise<Joining> {
    const made = await exportSnapshot(this.parts);
    const reader = await this.parts.open(false);
    try {
      await beginTogether([reader], made.snapshot);
      const origin = await originOf(reader.query, made.consistentLsn);
      const sizes = await tableSizes(reader.query, tables, 8192);
      await reader.query('COMMIT');
      return { origin, names: tables.map(nameOf), nodes: new Map([...sizes].map(([oid, { node }]) => [oid, node])) };
    } finally { await closeAll([made.connection, reader]); }
  }

  /** Tables whose changes the stream does not all have, or that a statement stands for: whole, in the transaction of their origin, while the stream waits. */
  private async *readWhole(rounds: Rounds, tables: readonly CatalogueTable[]): AsyncGenerator<ChangeBatch> {
    const { progress } = this.parts;
    const made = await exportSnapshot(this.parts);
    const readers = await openReaders(this.parts);
    await beginTogether(readers, made.snapshot);
    const [first] = readers;
    if (first === undefined) return;
    const origin = progress.addOrigin(await originOf(first.query, made.consistentLsn));
    const sizes = await tableSizes(first.query, tables, (await serverFacts(this.query)).blockBytes);
    const oids = new Set(tables.map(({ oid }) => oid));
    for (const table of tables) {
      this.joined(table, made.consistentLsn);
      progress.begin(table.oid, { origin, node: sizes.get(table.oid)?.node ?? '0' });
    }
    rounds.add(tables, sizes);
    yield* rounds.read({ readers: readers.map(({ client }) => client), wants: ({ oid }) => oids.has(oid), later: false, over: () => false, signal: this.signal });
    if (this.signal.aborted) return;
    await closeAll([made.connection, ...readers]);
  }

  private async *end(rounds: Rounds): AsyncGenerator<ChangeBatch> {
    const [row] = await this.query('SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END');
    const batch = rounds.end();
    this.parts.progress.complete(parseLsn(row?.[0] ?? '0/0'));
    this.sent.clear();
    yield batch;
    await closeAll(this.readers);
    this.readers = [];
    this.parts.logger.info({}, 'snapshot done');
  }
}
