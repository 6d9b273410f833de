/**
 * Reads tables in rounds. A round is a time under one snapshot, shared by all readers: each takes one chunk after the
 * other from the same list. What comes of it is put into batches here, with the markers that say first and last.
 */
import { hashOrder } from '../../../../envelopes/java-hash.ts';
import type { Client } from 'pg';
import type { Logger } from '../../../../runtime/api/logger.ts';
import type { Metrics } from '../../../../runtime/api/metrics.ts';
import type { SourceRecord } from '../../../../runtime/api/plugin.ts';
import type { NotificationFacts, Notifier } from '../../capture/notifications.ts';
import { ChangeBatch } from '../batch.ts';
import type { CapturedTables } from '../captured-tables.ts';
import type { EventSource, RowImage } from '../change.ts';
import type { PostgresConfig } from '../config.ts';
import { queryOn } from '../connection.ts';
import { nowNs } from '../now.ts';
import type { CatalogueTable } from '../schema.ts';
import { type Chunk, chunkPages, chunkStatement, type Job, nextRange, type TableSize } from './chunks.ts';
import { SnapshotGauges } from './gauges.ts';
import { merged } from './merged.ts';
import { ALL_PAGES, type Origin, type SnapshotProgress } from './progress.ts';
import { readRows } from './read-chunk.ts';
import { parseVisibility, writtenBefore } from './visibility.ts';

export interface RoundParts {
  readonly config: PostgresConfig;
  /** Options of families: statements that stand in for a table. */
  readonly extra: Readonly<Record<string, string>>;
  readonly tables: CapturedTables;
  /** Names of all captured tables, for notifications. */
  readonly captured: readonly string[];
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly notifier: Notifier;
  readonly progress: SnapshotProgress;
}
export interface ServerFacts { readonly version: number; readonly blockBytes: number }

export interface Round {
  readonly readers: readonly Client[];
  /** Which of the waiting tables this round may begin or go on with. */
  readonly wants: (table: CatalogueTable) => boolean;
  /** The snapshot is a later one than the tables' origin: rows that were written in between belong to the stream. */
  readonly later: boolean;
  /** Asked before each chunk; true ends the round. At least one chunk is read. */
  readonly over: () => boolean;
  readonly signal: AbortSignal;
}
interface Piece { readonly chunk: Chunk; readonly rows: readonly RowImage[]; readonly bytes: number; readonly processedNs: bigint; readonly ended: boolean; readonly rewritten: boolean }

export class Rounds {
  private readonly parts: RoundParts;
  private readonly facts: ServerFacts;
  private readonly gauges: SnapshotGauges;
  private readonly origins: readonly Origin[];
  private waiting: CatalogueTable[] = [];
  private jobs: Job[] = [];
  private sizes: ReadonlyMap<number, TableSize> = new Map();
  private all = '';
  /** All captured tables, for notifications: put together when first asked for. */
  private captured: string | undefined;
  private first: boolean;
  /** A table that is read, but for the row that it holds back. */
  private final: Job | undefined;
  private readonly notices: SourceRecord[] = [];
  private turn: Promise<unknown> = Promise.resolve();

  constructor(parts: RoundParts, facts: ServerFacts) {
    this.parts = parts; this.facts = facts; this.origins = parts.progress.origins;
    this.gauges = new SnapshotGauges(parts.metrics);
    this.first = !parts.progress.resumed;
  }

  /** The tables to be read, those that are done left out; `sizes` as the catalogue has them now. */
  begin(list: readonly CatalogueTable[], sizes: ReadonlyMap<number, TableSize>): void {
    const { progress } = this.parts;
    this.sizes = sizes;
    this.all = list.map(nameOf).join(',');
    this.waiting = list.filter(({ oid }) => !progress.isDone(oid));
    const pagesOf = ({ oid }: CatalogueTable): number => Math.max(1, sizes.get(oid)?.allPages ?? 1);
    const sum = (tables: readonly CatalogueTable[]): number => tables.reduce((pages, table) => pages + pagesOf(table), 0);
    this.gauges.begin(list.length, this.waiting.length, sum(list), sum(list) - sum(this.waiting), this.facts.blockBytes);
    this.notify('STARTED');
  }
  /** Nothing waits and nothing is under way. */
  get done(): boolean { return this.waiting.length === 0 && this.jobs.length === 0; }
  get left(): readonly CatalogueTable[] { return [...this.jobs.map(({ table }) => table.catalogue), ...this.waiting]; }
  beside(on: boolean): void { this.gauges.beside(on); }

  /** The last word; call when {@link done}. */
  end(): ChangeBatch {
    this.notify('COMPLETED');
    this.gauges.end();
    const batch = new ChangeBatch();
    this.takeNotices(batch);
    return batch;
  }

  /** Reads until the round is over or nothing is left that it wants. A batch ends the pipeline's collecting where a chunk of a large table, or the round, ends. */
  async *read(round: Round): AsyncGenerator<ChangeBatch> {
    for await (const piece of merged(round.readers.map((client, i) => this.reader(client, round, i === 0)))) {
      if (round.signal.aborted) return;
      const batch = this.take(piece);
      batch.more = !(piece.ended && (piece.chunk.range.from > 0 || piece.chunk.range.to !== undefined));
      yield batch;
    }
    if (round.signal.aborted) return;
    // What follows the round may be newer than the rows that it still holds back.
    const rest = new ChangeBatch();
    this.releaseFinal('last_in_data_collection', rest);
    for (const job of this.jobs) this.release(job, undefined, rest);
    this.takeNotices(rest);
    yield rest;
  }

  private async *reader(client: Client, round: Round, first: boolean): AsyncGenerator<Piece> {
    const query = queryOn(client, this.parts.config);
    for (let n = 0; ; n++) {
      if (round.signal.aborted || ((n > 0 || !first) && round.over())) return;
      const chunk = await this.inTurn(() => this.nextChunk(round));
      if (chunk === undefined) return;
      const { job, range } = chunk;
      const origin = this.originOf(job.table.catalogue.oid);
      const condition = round.later && origin.xids !== '' ? writtenBefore(parseVisibility(origin.xids)) : undefined;
      const sql = chunkStatement(job, range, condition, this.facts.version, this.facts.blockBytes);
      const columns = job.table.schema.columns.length;
      for await (const { rows, bytes } of readRows(client, this.parts.config, sql, columns, round.signal)) yield { chunk, rows, bytes, processedNs: nowNs(), ended: false, rewritten: false };
      if (round.signal.aborted) return;
      // The table is locked against a new file until the transaction ends, so what stands here stood while it was read.
      const [row] = job.size.chunked ? await query(`SELECT pg_relation_filenode(${job.table.catalogue.oid})`) : [];
      yield { chunk, rows: [], bytes: 0, processedNs: 0n, ended: true, rewritten: row !== undefined && row[0] !== job.size.node };
    }
  }

  /** One at a time: opening a table asks the server. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = this.turn.then(work);
    this.turn = next.catch(() => { /* met by its caller */ });
    return next;
  }

  private async nextChunk({ wants }: Round): Promise<Chunk | undefined> {
    for (;;) {
      for (const job of this.jobs) {
        if (job.dropped || !wants(job.table.catalogue)) continue;
        const range = nextRange(job);
        if (range === undefined) continue;
        job.running++;
        this.parts.progress.chunkBegun(job.table.catalogue.oid, range, job.next);
        return { job, range, rows: 0, ended: false };
      }
      const at = this.waiting.findIndex(wants);
      const [catalogue] = at < 0 ? [] : this.waiting.splice(at, 1);
      if (catalogue === undefined) return undefined;
      this.jobs.push(await this.open(catalogue));
    }
  }

  private async open(catalogue: CatalogueTable): Promise<Job> {
    const { progress, tables, config, extra } = this.parts;
    const { oid } = catalogue;
    const name = nameOf(catalogue);
    const wire = catalogue.columns.map(({ name: column, typeOid, typmod }) => ({ name: column, typeOid, typmod, isKey: catalogue.key.includes(column) }));
    const table = await tables.describe(catalogue, wire, 'snapshot');
    const known = progress.of(oid);
    const found = this.sizes.get(oid) ?? { chunked: false, pages: 0, allPages: 0, rows: 0, node: '0' };
    const size = { ...found, node: known?.node ?? found.node };
    const begun = known ?? progress.begin(oid, { origin: 0, node: size.node });
    this.notify('IN_PROGRESS', { current_collection_in_progress: name, data_collections: hashOrder(this.all.split(','), one => one).join(',') });
    return {
      table, name, size, gauge: this.gauges.table(name, size.rows, begun.rows), override: extra[`snapshot.select.statement.overrides.${name}`], pagesPerChunk: chunkPages(config['snapshot.chunk.pages'], size, this.facts.version),
      again: [...begun.open], next: begun.next, running: 0, rows: 0, continued: known !== undefined && (known.next > 0 || known.open.length > 0), held: undefined, dropped: false,
    };
  }
  /** A table that has not joined with an origin of its own has the first. */
  private originOf(oid: number): Origin {
    const origin = this.origins[this.parts.progress.of(oid)?.origin ?? 0];
    if (origin === undefined) throw new RangeError('a table is read before its origin is known');
    return origin;
  }

  private take({ chunk, rows, bytes, processedNs, ended, rewritten }: Piece): ChangeBatch {
    const batch = new ChangeBatch();
    this.takeNotices(batch);
    const { job } = chunk;
    if (job.dropped) return batch;
    if (rows.length > 0) {
      this.releaseFinal('last_in_data_collection', batch);
      const { lsn, txId, timeUs } = this.originOf(job.table.catalogue.oid);
      const base: EventSource = { commitUs: timeUs, snapshot: 'true', txId, lsn, lastCommitLsn: null, xmin: null, origin: null, originLsn: null };
      for (const after of rows) {
        this.release(job, undefined, batch);
        const marker = this.first ? 'first' : job.rows === 0 && !job.continued ? 'first_in_data_collection' : 'true';
        this.first = false;
        job.held = { chunk, marker, change: { table: job.table.schema, op: 'r', before: undefined, after, source: marker === 'true' ? base : { ...base, snapshot: marker }, transaction: undefined, processedNs } };
        job.rows++;
        chunk.rows++;
      }
      job.gauge.add(rows.length);
      this.parts.metrics.add('snapshot_rows', rows.length);
    }
    batch.bytes = bytes;
    if (rewritten) this.drop(job); else if (ended) this.chunkEnded(chunk, batch);
    return batch;
  }

  private chunkEnded(chunk: Chunk, batch: ChangeBatch): void {
    const { job, range } = chunk;
    chunk.ended = true;
    job.running--;
    this.gauges.pass(((range.to ?? Math.max(job.size.pages, range.from)) - range.from) * Math.max(1, job.size.allPages) / Math.max(1, job.size.pages), this.facts.blockBytes);
    if (job.held?.chunk !== chunk) this.parts.progress.chunkDone(job.table.catalogue.oid, range, chunk.rows);
    if (job.running > 0 || job.next !== ALL_PAGES || job.again.length > 0) return;
    this.jobs = this.jobs.filter(other => other !== job);
    const total = (this.parts.progress.of(job.table.catalogue.oid)?.rows ?? 0) + (job.held?.chunk.rows ?? 0);
    this.finish(job, batch);
    this.gauges.tablesLeft(this.jobs.length + this.waiting.length);
    this.parts.logger.info({ table: job.name, rows: job.rows }, 'snapshot of a table read');
    this.notify('TABLE_SCAN_COMPLETED', { scanned_collection: job.name, total_rows_scanned: String(Math.max(total, job.rows)), status: 'SUCCEEDED', data_collections: this.captured ??= this.parts.captured.join(',') });
    this.takeNotices(batch);
  }

  /** Its last row is kept until another table has one: the very last row of all has a marker of its own, and the last table may be empty. */
  private finish(job: Job, batch: ChangeBatch): void {
    const last = this.done && this.parts.progress.joining.size === 0;
    if (job.held !== undefined) this.releaseFinal('last_in_data_collection', batch);
    if (job.held === undefined) this.parts.progress.tableDone(job.table.catalogue.oid); else this.final = job;
    if (last) this.releaseFinal('last', batch);
  }
  private releaseFinal(marker: string, batch: ChangeBatch): void {
    const { final } = this;
    if (final === undefined) return;
    this.final = undefined;
    this.release(final, marker, batch);
    this.parts.progress.tableDone(final.table.catalogue.oid);
  }

  /** Hands out the held row; `marker` is undefined when another row of the table follows. */
  private release(job: Job, marker: string | undefined, batch: ChangeBatch): void {
    const { held } = job;
    if (held === undefined) return;
    job.held = undefined;
    const shown = marker === undefined || (marker === 'last_in_data_collection' && held.marker === 'first') ? held.marker : marker;
    const { change } = held;
    batch.add(shown === change.source.snapshot ? change : { ...change, source: { ...change.source, snapshot: shown } }, job.table.encoder);
    if (held.chunk.ended) this.parts.progress.chunkDone(job.table.catalogue.oid, held.chunk.range, held.chunk.rows);
  }

  /** The file behind a table is another one: its pages are no longer those that were counted, so it is read anew, from a later origin. */
  private drop(job: Job): void {
    const { progress, logger } = this.parts;
    logger.warn({ table: job.name }, 'table was rewritten while the snapshot read it, it is read anew');
    job.dropped = true;
    this.jobs = this.jobs.filter(other => other !== job);
    progress.forget(job.table.catalogue.oid);
    progress.join([job.name], true);
  }

  /** Tables that have got their origin. */
  add(list: readonly CatalogueTable[], sizes: ReadonlyMap<number, TableSize>): void {
    this.sizes = new Map([...this.sizes, ...sizes]);
    const known = new Set(this.left.map(({ oid }) => oid));
    this.waiting.push(...list.filter(({ oid }) => !known.has(oid)));
  }

  private notify(type: string, facts?: NotificationFacts): void {
    const record = this.parts.notifier.make('Initial Snapshot', type, facts);
    if (record !== undefined) this.notices.push(record);
  }
  private takeNotices(batch: ChangeBatch): void { for (const notice of this.notices.splice(0)) batch.addRecord(notice); }
}

/** `schema.table`. */
export const nameOf = ({ schema, table }: CatalogueTable): string => `${schema}.${table}`;
