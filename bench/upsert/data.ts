/** The data of the upsert benchmark: a table of ten columns, batches of changes against it, and both as Parquet and as envelopes. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { sourceSchema } from '../../connectors/sources/postgres/source-info.ts';
import { envelopeSchema } from '../../envelopes/change-event.ts';
import { parseDecimal, unscaledBytes } from '../../envelopes/decimal.ts';
import * as types from '../../envelopes/logical/schemas.ts';
import type { Struct, StructSchema, Value } from '../../envelopes/schema.ts';
import type { Converter } from '../../runtime/api/converter.ts';
import type { BatchBody } from '../../runtime/log/log.ts';
import { BatchBuilder, partOf } from '../../runtime/log/record-batch.ts';

/** Base files: what several commits of a snapshot would have left. */
export const PARTS = 8;
const COLUMNS = (id: string, salt: string): string => `(hash(${id}, 1, ${salt}) % 100)::INTEGER AS qty, ((hash(${id}, 2, ${salt}) % 10000000)::DECIMAL(18, 0) / 100)::DECIMAL(10, 2) AS price, make_timestamptz(1700000000000000 + ${id} * 1000) AS ts,
  (hash(${id}, 3, ${salt}) % 1000000) / 1000.0::DOUBLE AS dbl, hash(${id}, 4, ${salt}) % 2 = 0 AS flag, 'customer-' || hash(${id}, 5, ${salt}) % 50000 AS name,
  CASE WHEN ${id} % 10 = 0 THEN NULL ELSE 'order note ' || ${id} || ' ' || hash(${id}, 6, ${salt}) % 1000000000 END AS note, DATE '2022-01-01' + (hash(${id}, 7, ${salt}) % 1000)::INTEGER AS day, md5(${id}::VARCHAR) AS uuid`;

export interface DataSize { readonly rows: number; readonly batch: number; readonly batches: number }

export async function openDuck(): Promise<DuckDBConnection> {
  const connection = await (await DuckDBInstance.create(':memory:', { threads: '2' })).connect();
  await connection.run("SET TimeZone = 'UTC'");
  return connection;
}

/** Writes base-N.parquet and batch-N.parquet (half updates, a tenth deletes, the rest inserts, each key once, in no order). */
export async function writeData(directory: string, { rows, batch, batches }: DataSize): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const duck = await openDuck();
  const part = Math.ceil(rows / PARTS);
  for (let n = 0; n < PARTS; n++) await duck.run(`COPY (SELECT i AS id, ${COLUMNS('i', '0')} FROM range(${n * part}, ${Math.min(rows, (n + 1) * part)}) AS t(i)) TO '${join(directory, `base-${n}.parquet`)}' (FORMAT parquet, COMPRESSION zstd)`);
  const updates = Math.floor(batch / 2), deletes = Math.floor(batch / 10), inserts = batch - updates - deletes;
  for (let n = 1; n <= batches; n++) {
    // A prime step through the table: distinct keys, all over the files.
    await duck.run(`COPY (WITH old AS (SELECT r, (r * 7919 * 2 + ${n} * 104729) % ${rows} AS id FROM range(${updates + deletes}) AS t(r)),
      changes AS (SELECT CASE WHEN r < ${updates} THEN 'u' ELSE 'd' END AS op, id FROM (SELECT min(r) AS r, id FROM old GROUP BY id) UNION ALL SELECT 'c', ${rows + (n - 1) * inserts} + r FROM range(${inserts}) AS t(r))
      SELECT op, id, ${COLUMNS('id', String(n))} FROM changes ORDER BY hash(id, 99)) TO '${join(directory, `batch-${n}.parquet`)}' (FORMAT parquet, COMPRESSION zstd)`);
  }
  duck.closeSync();
}

/** What the table has to hold after all batches: rows, sum of ids, sum of prices. */
export async function expectedSums(directory: string, { batches }: DataSize): Promise<readonly string[]> {
  const duck = await openDuck();
  await duck.run(`CREATE TABLE current AS SELECT id, price FROM '${join(directory, 'base-*.parquet')}'`);
  for (let n = 1; n <= batches; n++) {
    await duck.run(`DELETE FROM current WHERE id IN (SELECT id FROM '${join(directory, `batch-${n}.parquet`)}')`);
    await duck.run(`INSERT INTO current SELECT id, price FROM '${join(directory, `batch-${n}.parquet`)}' WHERE op <> 'd'`);
  }
  const [row] = (await duck.runAndReadAll('SELECT count(*), sum(id), sum(price) FROM current')).getRows();
  duck.closeSync();
  return (row ?? []).map(String);
}

const rowFields = { id: types.INT64, qty: types.optional(types.INT32), price: types.optional(types.decimal(2, 10)), ts: types.optional(types.zonedTimestamp), dbl: types.optional(types.DOUBLE), flag: types.optional(types.BOOLEAN), name: types.optional(types.STRING), note: types.optional(types.STRING), day: types.optional(types.date), uuid: types.optional(types.STRING) };
const row = types.struct(rowFields, { name: 'bench.public.items.Value' });
const keySchema = types.struct({ id: types.INT64 }, { name: 'bench.public.items.Key' });
const envelope = envelopeSchema('bench.public.items.Envelope', row, sourceSchema);

export function structOf(schema: StructSchema, values: Readonly<Record<string, Value>>): Struct { return { schema, values: schema.fields.map(field => values[field.name] ?? null) }; }
export function sourceBlock(table: string, n: number): Struct {
  return structOf(sourceSchema, { version: '3.6.1.Final', connector: 'postgresql', name: 'bench', ts_ms: 1_700_000_000_000n, snapshot: 'false', db: 'bench', sequence: `["${24_023_128 + n}","${24_023_160 + n}"]`, ts_us: 1_700_000_000_000_000n, ts_ns: 1_700_000_000_000_000_000n, schema: 'public', table, txId: 555n, lsn: BigInt(24_023_160 + n) });
}

/** The changes of one batch (the first `limit` of them) as bodies of record batches of 1,000 records; a delete is followed by its tombstone. */
export async function envelopesOf(directory: string, n: number, converter: Converter, limit = 1e9): Promise<readonly BatchBody[]> {
  const duck = await openDuck();
  const reader = await duck.runAndReadAll(`SELECT op, id, qty, price::VARCHAR, strftime(ts, '%Y-%m-%dT%H:%M:%S.%fZ'), dbl, flag, name, note, day - DATE '1970-01-01', uuid FROM '${join(directory, `batch-${n}.parquet`)}' LIMIT ${limit}`);
  const bodies: BatchBody[] = [], topic = 'bench.public.items', now = Date.now();
  let builder = new BatchBuilder(4 << 20), records = 0;
  const append = (key: Uint8Array | null, value: Uint8Array | null): void => {
    builder.append(now, partOf(key), partOf(value));
    if (++records === 1000) { bodies.push(builder.body()); builder = new BatchBuilder(4 << 20); records = 0; }
  };
  reader.getRows().forEach(([op, id, qty, price, ts, dbl, flag, name, note, day, uuid], i) => {
    const deleted = op === 'd';
    const image = structOf(row, deleted ? { id: id as bigint } : { id: id as bigint, qty: qty as number, price: unscaledBytes(parseDecimal(String(price))?.unscaled ?? 0n), ts: ts as string, dbl: dbl as number, flag: flag as boolean, name: name as string, note: note as string | null, day: Number(day), uuid: uuid as string });
    const value = structOf(envelope, { before: deleted ? image : null, after: deleted ? null : image, source: sourceBlock('items', i), op: op as string, ts_ms: 1_700_000_000_005n, ts_us: 1_700_000_000_005_000n, ts_ns: 1_700_000_000_005_000_000n });
    const key = converter.encode(topic, keySchema, structOf(keySchema, { id: id as bigint }));
    append(key, converter.encode(topic, envelope, value));
    if (deleted) append(key, null);
  });
  duck.closeSync();
  if (records > 0) bodies.push(builder.body());
  return bodies;
}
