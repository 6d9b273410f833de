/**
 * The consistent read of whole tables: every table through COPY in one transaction over one exported snapshot, in heap
 * order, the catalogue read in that same transaction.
 */
import type { Client } from 'pg';
import type { Logger } from '../../../runtime/api/logger.ts';
import type { Metrics } from '../../../runtime/api/metrics.ts';
import type { NotificationFacts, Notifier } from '../capture/notifications.ts';
import { ChangeBatch } from './batch.ts';
import type { CapturedTable, CapturedTables } from './captured-tables.ts';
import type { Change, EventSource } from './change.ts';
import type { PostgresConfig } from './config.ts';
import { queryOn } from './connection.ts';
import { mapped } from './server-errors.ts';
import { parseLsn } from './lsn.ts';
import { identifier, literal, qualified } from './replication.ts';
import type { SnapshotProgress } from './snapshot-progress.ts';
import type { CatalogueTable } from './schema.ts';
import { copyRow } from './wire/copy-text.ts';
import { CopyStream, serverError } from './wire/copy-stream.ts';
import { nowNs } from './now.ts';

export interface SnapshotSource {
  readonly client: Client;
  readonly config: PostgresConfig;
  /** Options of families: statements that stand in for a table. */
  readonly extra: Readonly<Record<string, string>>;
  readonly tables: CapturedTables;
  /** Names of all captured tables, for notifications. */
  readonly captured: readonly string[];
  /** Name of an exported snapshot; empty for one of our own. */
  readonly snapshot: string;
  /** Position of that snapshot; 0 when it is to be asked for. */
  readonly lsn: bigint;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly progress: SnapshotProgress;
  readonly notifier: Notifier;
}
export interface SnapshotFacts { readonly txId: bigint; readonly timeUs: bigint; readonly lsn: bigint; readonly version: number; readonly blockBytes: number }

/** Opens the transaction, on the exported snapshot when there is one. */
export async function beginSnapshot({ client, config, snapshot, lsn }: SnapshotSource): Promise<SnapshotFacts> {
  const query = queryOn(client, config);
  await query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
  if (snapshot !== '') await query(`SET TRANSACTION SNAPSHOT ${literal(snapshot)}`);
  const [row] = await query("SELECT txid_snapshot_xmin(txid_current_snapshot()), (extract(epoch FROM now()) * 1000000)::bigint, CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, current_setting('server_version_num'), current_setting('block_size')");
  return { txId: BigInt(row?.[0] ?? '0'), timeUs: BigInt(row?.[1] ?? '0'), lsn: lsn === 0n ? parseLsn(row?.[2] ?? '0/0') : lsn, version: Number(row?.[3]), blockBytes: Number(row?.[4]) };
}

/** `snapshot.locking.mode=shared`. */
export async function lockTables({ client, config }: SnapshotSource, tables: readonly CatalogueTable[]): Promise<void> {
  if (config['snapshot.locking.mode'] !== 'shared') return;
  const query = queryOn(client, config);
  await query(`SET lock_timeout = ${config['snapshot.lock.timeout.ms']}`);
  for (const table of tables) await query(`LOCK TABLE ${qualified(table)} IN ACCESS SHARE MODE`);
}

/** Rows of all tables as batches. The last row of a table is known only when the next comes, so one row is held back. */
export async function* readTables(source: SnapshotSource, facts: SnapshotFacts, tables: readonly CatalogueTable[], signal: AbortSignal): AsyncGenerator<ChangeBatch> {
  const { progress, metrics } = source;
  const state: MarkerState = { first: !progress.resumed, held: undefined };
  const all = tables.map(({ schema, table }) => `${schema}.${table}`).join(',');
  const notify = (type: string, facts?: NotificationFacts): ChangeBatch => {
    const batch = new ChangeBatch();
    const record = source.notifier.make('Initial Snapshot', type, facts);
    if (record !== undefined) batch.addRecord(record);
    return batch;
  };
  const captured = source.captured.join(',');
  yield notify('STARTED');
  const left = tables.filter(({ schema, table }) => !progress.isDone(`${schema}.${table}`));
  for (const [i, catalogue] of left.entries()) {
    const name = `${catalogue.schema}.${catalogue.table}`;
    const wire = catalogue.columns.map(({ name: column, typeOid, typmod }) => ({ name: column, typeOid, typmod, isKey: catalogue.key.includes(column) }));
    const table = await source.tables.describe(catalogue, wire, 'snapshot');
    metrics.set('snapshot_tables_remaining', left.length - i);
    progress.begin(name, facts.lsn);
    yield notify('IN_PROGRESS', { current_collection_in_progress: name, data_collections: all });
    const gauge = await TableGauge.open(source, catalogue);
    for await (const batch of readTable(source, facts, table, state, gauge, signal)) yield batch;
    if (signal.aborted) return;
    source.logger.info({ table: name, rows: gauge.rows }, 'snapshot of a table read');
    progress.done(name);
    yield release(state, i === left.length - 1 ? 'last' : 'last_in_data_collection');
    yield notify('TABLE_SCAN_COMPLETED', { scanned_collection: name, total_rows_scanned: String(gauge.rows), status: 'SUCCEEDED', data_collections: captured });
  }
  yield notify('COMPLETED');
  metrics.set('snapshot_tables_remaining', 0);
}

/** Progress of one table in the metrics: rows by the planner's estimate, and the time left at the present pace. */
class TableGauge {
  private readonly metrics: Metrics;
  private readonly labels: Readonly<Record<string, string>>;
  private readonly total: number;
  private readonly began = performance.now();
  rows = 0;

  private constructor(metrics: Metrics, table: string, total: number) { this.metrics = metrics; this.labels = { table }; this.total = total; metrics.set('snapshot_rows_estimated', total, this.labels); this.set(0); }

  static async open({ client, config, metrics }: SnapshotSource, { oid, schema, table }: CatalogueTable): Promise<TableGauge> {
    const [row] = await queryOn(client, config)(`SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = ${oid}`);
    return new TableGauge(metrics, `${schema}.${table}`, Number(row?.[0] ?? 0));
  }

  set(rows: number): void {
    this.rows = rows;
    this.metrics.set('snapshot_rows_done', this.rows, this.labels);
    const seconds = (performance.now() - this.began) / 1000;
    if (this.rows > 0) this.metrics.set('snapshot_seconds_left', Math.max(0, this.total - this.rows) * (seconds / this.rows), this.labels);
  }
}

interface Held { readonly table: CapturedTable; readonly change: Change; readonly marker: string }
interface MarkerState { first: boolean; held: Held | undefined }

function release(state: MarkerState, marker: string): ChangeBatch {
  const { held } = state;
  const batch = new ChangeBatch();
  if (held === undefined) return batch;
  state.held = undefined;
  const shown = marker === 'last_in_data_collection' && held.marker === 'first' ? 'first' : marker;
  batch.add({ ...held.change, source: { ...held.change.source, snapshot: shown } }, held.table.encoder);
  return batch;
}

/** Statements that read a table piece by piece, in heap order. */
async function* chunks(source: SnapshotSource, facts: SnapshotFacts, catalogue: CatalogueTable): AsyncGenerator<{ sql: string; block: number }> {
  const columns = catalogue.columns.map(({ name }) => identifier(name)).join(', ');
  const override = source.extra[`snapshot.select.statement.overrides.${catalogue.schema}.${catalogue.table}`];
  if (override !== undefined) { yield { sql: `SELECT ${columns} FROM (${override.replace(/;\s*$/, '')}) AS chosen`, block: 0 }; return; }
  const from = `SELECT ${columns} FROM ${qualified(catalogue)}`;
  const [row] = await queryOn(source.client, source.config)(`SELECT relkind = 'r', pg_relation_size(oid) / ${facts.blockBytes} FROM pg_class WHERE oid = ${catalogue.oid}`);
  const pages = source.config['snapshot.chunk.pages'];
  const blocks = Number(row?.[1] ?? 0);
  const first = source.progress.firstBlock(`${catalogue.schema}.${catalogue.table}`);
  // Before version 14 a range of ctids is no access path, and each chunk would read the whole table.
  if (row?.[0] !== 't' || facts.version < 140_000 || (blocks <= pages && first === 0)) { yield { sql: from, block: 0 }; return; }
  for (let block = first; block < blocks; block += pages) {
    const end = block + pages >= blocks ? '' : ` AND ctid < '(${block + pages},0)'`;
    yield { sql: `${from} WHERE ctid >= '(${block},0)'${end}`, block };
  }
}

async function* readTable(source: SnapshotSource, facts: SnapshotFacts, table: CapturedTable, state: MarkerState, gauge: TableGauge, signal: AbortSignal): AsyncGenerator<ChangeBatch> {
  const begun = source.progress.firstBlock(`${table.catalogue.schema}.${table.catalogue.table}`) > 0;
  const rows = { read: begun ? 1 : 0 };
  for await (const { sql, block } of chunks(source, facts, table.catalogue)) {
    for await (const batch of readChunk(source, facts, table, state, sql, rows, () => { source.progress.reach(block); }, signal)) { gauge.set(rows.read - (begun ? 1 : 0)); yield batch; }
    if (signal.aborted) return;
  }
}

/** `settled` is called when the last row before this chunk has been handed out. */
async function* readChunk(source: SnapshotSource, facts: SnapshotFacts, table: CapturedTable, state: MarkerState, sql: string, rows: { read: number }, settled: () => void, signal: AbortSignal): AsyncGenerator<ChangeBatch> {
  const stream = new CopyStream(source.client);
  let finished = false;
  let before = true;
  const columns = table.schema.columns.length;
  try {
    stream.query(`COPY (${sql}) TO STDOUT`);
    const base: EventSource = { commitUs: facts.timeUs, snapshot: 'true', txId: facts.txId, lsn: facts.lsn, lastCommitLsn: null, xmin: null, origin: null, originLsn: null };
    while (!finished) {
      const buffer = await stream.next(600_000, signal);
      if (buffer === undefined) { if (signal.aborted) return; throw new Error('timeout: the server sent nothing for ten minutes during a snapshot'); }
      const batch = new ChangeBatch();
      const processedNs = nowNs();
      for (let at = 0; at < buffer.length;) {
        const end = at + 1 + buffer.readInt32BE(at + 1);
        const type = buffer[at] as number;
        if (type === 0x64) {
          const image = copyRow(buffer, at + 5, end, columns);
          if (state.held !== undefined) batch.add(state.held.change, state.held.table.encoder);
          if (before) { before = false; settled(); }
          const marker = state.first ? 'first' : rows.read === 0 ? 'first_in_data_collection' : 'true';
          state.first = false;
          state.held = { table, marker, change: { table: table.schema, op: 'r', before: undefined, after: image, source: marker === 'true' ? base : { ...base, snapshot: marker }, transaction: undefined, processedNs } };
          rows.read++;
        } else if (type === 0x45) {
          const failure = serverError(buffer, at + 5, end);
          throw Object.assign(new Error(failure.message), { code: failure.code });
        } else if (type === 0x5a) finished = true;
        at = end;
      }
      batch.bytes = buffer.length;
      batch.more = !finished;
      source.metrics.add('snapshot_rows', batch.length);
      yield batch;
    }
  } catch (error) { throw mapped(error, source.config); } finally {
    stream.release();
    if (!finished) stream.destroy();
  }
}
