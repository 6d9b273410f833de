/**
 * The consistent read of whole tables: every table through COPY in one transaction over one exported snapshot, in heap
 * order, the catalogue read in that same transaction.
 */
import type { Client } from 'pg';
import type { Logger } from '../../../runtime/api/logger.ts';
import type { Metrics } from '../../../runtime/api/metrics.ts';
import { ChangeBatch } from './batch.ts';
import type { CapturedTable, CapturedTables } from './captured-tables.ts';
import type { Change, EventSource, RowImage } from './change.ts';
import type { PostgresConfig } from './config.ts';
import { mapped, queryOn } from './connection.ts';
import { identifier, literal } from './replication.ts';
import type { CatalogueTable } from './schema.ts';
import { copyRow } from './wire/copy-text.ts';
import { CopyStream, serverError } from './wire/copy-stream.ts';
import { nowNs } from './now.ts';

export interface SnapshotSource { readonly client: Client; readonly config: PostgresConfig; readonly tables: CapturedTables; readonly snapshot: string; readonly lsn: bigint; readonly logger: Logger; readonly metrics: Metrics }
export interface SnapshotFacts { readonly txId: bigint; readonly timeUs: bigint }

/** Opens the transaction on the exported snapshot. */
export async function beginSnapshot({ client, config, snapshot }: SnapshotSource): Promise<SnapshotFacts> {
  const query = queryOn(client, config);
  await query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
  await query(`SET TRANSACTION SNAPSHOT ${literal(snapshot)}`);
  const [row] = await query('SELECT txid_snapshot_xmin(txid_current_snapshot()), (extract(epoch FROM now()) * 1000000)::bigint');
  return { txId: BigInt(row?.[0] ?? '0'), timeUs: BigInt(row?.[1] ?? '0') };
}

/** Rows of all tables as batches. The last row of a table is known only when the next comes, so one row is held back. */
export async function* readTables(source: SnapshotSource, facts: SnapshotFacts, tables: readonly CatalogueTable[], signal: AbortSignal): AsyncGenerator<ChangeBatch> {
  const state: MarkerState = { first: true, held: undefined };
  for (const [i, catalogue] of tables.entries()) {
    const wire = catalogue.columns.map(({ name, typeOid, typmod }) => ({ name, typeOid, typmod, isKey: catalogue.key.includes(name) }));
    const table = await source.tables.describe(catalogue, wire, 'snapshot');
    source.metrics.set('snapshot_tables_remaining', tables.length - i);
    let rows = 0;
    for await (const batch of readTable(source, facts, table, state, signal)) { rows += batch.length; yield batch; }
    source.logger.info({ table: `${catalogue.schema}.${catalogue.table}`, rows }, 'snapshot of a table read');
    if (signal.aborted) return;
    const end = release(state, i === tables.length - 1 ? 'last' : 'last_in_data_collection');
    if (end !== undefined) yield end;
  }
  source.metrics.set('snapshot_tables_remaining', 0);
}

interface Held { readonly image: RowImage; readonly table: CapturedTable; readonly change: Omit<Change, 'source'>; readonly source: EventSource; readonly marker: string }
interface MarkerState { first: boolean; held: Held | undefined }

function release(state: MarkerState, marker: string): ChangeBatch | undefined {
  const { held } = state;
  if (held === undefined) return undefined;
  state.held = undefined;
  const batch = new ChangeBatch();
  const shown = marker === 'last_in_data_collection' && held.marker === 'first' ? 'first' : marker;
  batch.add({ ...held.change, source: { ...held.source, snapshot: shown } }, held.table.encoder);
  return batch;
}

async function* readTable(source: SnapshotSource, facts: SnapshotFacts, table: CapturedTable, state: MarkerState, signal: AbortSignal): AsyncGenerator<ChangeBatch> {
  const { catalogue } = table;
  const stream = new CopyStream(source.client);
  let rowsRead = 0;
  let finished = false;
  try {
    stream.query(`COPY (SELECT ${catalogue.columns.map(({ name }) => identifier(name)).join(', ')} FROM ${identifier(catalogue.schema)}.${identifier(catalogue.table)}) TO STDOUT`);
    const base: EventSource = { commitUs: facts.timeUs, snapshot: 'true', txId: facts.txId, lsn: source.lsn, lastCommitLsn: null, xmin: null, origin: null, originLsn: null };
    while (!finished) {
      const buffer = await stream.next(600_000, signal);
      if (buffer === undefined) { if (signal.aborted) return; throw new Error('timeout: the server sent nothing for ten minutes during a snapshot'); }
      const batch = new ChangeBatch();
      const processedNs = nowNs();
      for (let at = 0; at < buffer.length;) {
        const end = at + 1 + buffer.readInt32BE(at + 1);
        const type = buffer[at] as number;
        if (type === 0x64) {
          const image = copyRow(buffer, at + 5, end);
          if (state.held !== undefined) batch.add({ ...state.held.change, source: state.held.source }, state.held.table.encoder);
          const marker = state.first ? 'first' : rowsRead === 0 ? 'first_in_data_collection' : 'true';
          state.first = false;
          state.held = { image, table, marker, source: marker === 'true' ? base : { ...base, snapshot: marker }, change: { table: table.schema, op: 'r', before: undefined, after: image, transaction: undefined, processedNs } };
          rowsRead++;
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
