/**
 * PostgreSQL → log → Iceberg and Delta → four readers: each value of each mapped type, snapshot and stream, in the source's
 * settings of times, decimals, bytes and hstore. The database itself says what a reader has to see.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../kit/condition.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { openLakeReader } from '../kit/lake-reader.ts';
import { type Canonical, type CanonicalRows, duckRows, type PythonRead, pythonRows } from '../kit/lake-values.ts';
import { type PostgresServer, startPostgres } from '../kit/postgres.ts';
import { lakePython } from '../kit/python.ts';
import { startWorker } from '../kit/worker.ts';
import { type Mode, timeColumns, type TypeColumn, typeColumns } from './type-columns.ts';

interface Capture { readonly mode: Mode; readonly table: string; readonly columns: readonly TypeColumn[]; readonly options: Readonly<Record<string, string>> }
const captures: readonly Capture[] = [
  { mode: 'precise', table: 'all_types', columns: typeColumns, options: {} },
  { mode: 'text', table: 'all_types', columns: typeColumns, options: { 'time.precision.mode': 'connect', 'decimal.handling.mode': 'string', 'interval.handling.mode': 'string', 'hstore.handling.mode': 'map', 'binary.handling.mode': 'base64' } },
  { mode: 'nanos', table: 'times', columns: timeColumns, options: { 'time.precision.mode': 'nanoseconds', 'decimal.handling.mode': 'double', 'binary.handling.mode': 'hex' } },
  { mode: 'iso', table: 'times', columns: timeColumns, options: { 'time.precision.mode': 'isostring' } },
];
const tables = [{ name: 'all_types', columns: typeColumns }, { name: 'times', columns: timeColumns }] as const;
/** Rows of the snapshot have ids from 0, those of the stream from here. */
const STREAMED = 100;

async function fill(server: PostgresServer, from: number): Promise<void> {
  for (const { name, columns } of tables) {
    const most = Math.max(...columns.map(column => column.values.length));
    // One row more than there are values: NULL in every column.
    for (let row = 0; row <= most; row++) await server.sql(`INSERT INTO ${name} VALUES (${from + row}, ${columns.map(({ values, type }) => `(${values[row] ?? 'NULL'})::${type}`).join(', ')})`);
  }
}

/** What the database says that the lake has to show, by column. */
async function wanted(server: PostgresServer, { table, columns, mode }: Capture, format: 'iceberg' | 'delta'): Promise<CanonicalRows> {
  const select = columns.map(({ name, render }) => `(SELECT CASE WHEN c IS NOT NULL THEN ${render(mode, format).sql} END FROM (SELECT t.${name} AS c) AS one) AS ${name}`);
  const { rows } = await server.sql(`SET TimeZone = 'UTC'; SELECT t.id::text, ${select.join(', ')} FROM ${table} AS t ORDER BY t.id`).then(results => (results as unknown as readonly { rows: Record<string, string | null>[] }[])[1] ?? { rows: [] });
  return rows.map(row => Object.fromEntries(Object.entries(row).map(([name, text]): [string, Canonical] => {
    const read = columns.find(column => column.name === name)?.render(mode, format).read;
    return [name, text === null || read === undefined ? text : read(text)];
  })));
}

/** Differences as `column[id]: seen, not wanted`. */
function differences(seen: CanonicalRows, expected: CanonicalRows): readonly string[] {
  if (seen.length !== expected.length) return [`${seen.length} rows, not ${expected.length}`];
  return expected.flatMap((row, i) => Object.entries(row).flatMap(([name, value]) => {
    const found = seen[i]?.[name];
    return JSON.stringify(found) === JSON.stringify(value) ? [] : [`${name}[${String(row['id'])}]: ${JSON.stringify(found)?.slice(0, 90)}, not ${JSON.stringify(value).slice(0, 90)}`];
  }));
}

test('every mapped type arrives in both tables as the database shows it', async () => {
  const python = lakePython();
  using reader = await openLakeReader();
  using home = temporaryDirectory('types-');
  await using server = await startPostgres({ version: 17 });
  await server.sql("CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree; CREATE TYPE mood AS ENUM ('sad', 'very happy'); CREATE DOMAIN positive AS integer CHECK (VALUE > 0)");
  for (const { name, columns } of tables) await server.sql(`CREATE TABLE ${name} (id integer PRIMARY KEY, ${columns.map(column => `${column.name} ${column.type}`).join(', ')})`);
  await fill(server, 0);
  const source = { 'connector.class': 'io.debezium.connector.postgresql.PostgresConnector', 'database.hostname': server.host, 'database.port': String(server.port), 'database.user': server.user, 'database.password': server.password, 'database.dbname': 'postgres', 'plugin.name': 'pgoutput', 'publication.autocreate.mode': 'filtered' };
  const sink = { 'topics.regex': '.*\\.public\\..*', 'table.name.format': '${topic}', 'commit.interval.ms': '300' };
  await using worker = await startWorker({
    directory: home.path, properties: { 'log.dir': join(home.path, 'log'), 'log.level': 'warn' },
    connectors: [
      ...captures.map(({ mode, table, options }) => ({ ...source, ...options, 'name': mode, 'topic.prefix': mode, 'table.include.list': `public.${table}`, 'slot.name': `slot_${mode}`, 'publication.name': `publication_${mode}` })),
      { ...sink, 'name': 'ice', 'connector.class': 'iceberg', 'warehouse': join(home.path, 'iceberg') },
      { ...sink, 'name': 'lake', 'connector.class': 'delta', 'warehouse': join(home.path, 'delta') },
    ],
  });
  await until('all slots to stream', async () => (await server.sql('SELECT count(*)::int AS active FROM pg_replication_slots WHERE active')).rows[0]?.active === captures.length, 60_000);
  await fill(server, STREAMED);
  const reads: (PythonRead & { readonly what: string; readonly expected: CanonicalRows })[] = [];
  for (const capture of captures) {
    for (const format of ['iceberg', 'delta'] as const) {
      const folder = join(home.path, format, capture.mode, 'public', capture.table), expected = await wanted(server, capture, format);
      await until(`${format} ${capture.mode} to have all rows`, async () => {
        await pause(200);
        return (await reader.rows(`SELECT count(*) FROM ${reader.scan(format, folder)}`).catch(() => [['none']]))[0]?.[0] === String(expected.length);
      }, 60_000).catch((error: Error) => { throw new Error(`${error.message}\n${worker.output().slice(-4000)}`); });
      expect.soft(differences(await duckRows(reader.connection, reader.scan(format, folder)), expected), `${format}, ${capture.mode}, DuckDB`).toEqual([]);
      for (const engine of format === 'iceberg' ? ['pyiceberg', 'polars iceberg'] as const : ['delta-rs', 'polars delta'] as const) reads.push({ engine, folder, expected, what: `${format}, ${capture.mode}, ${engine}` });
    }
  }
  pythonRows(python, reads).forEach((rows, i) => { expect.soft(differences(rows, reads[i]?.expected ?? []), reads[i]?.what).toEqual([]); });
  expect(reads.length).toBe(16);
  expect(await worker.stop()).toBe(0);
});
