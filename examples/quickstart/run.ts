/**
 * `npm run quickstart [-- --keep] [-- --seconds 20]`: a real PostgreSQL, one worker, Iceberg and Delta tables; a workload,
 * then source and tables compared value by value. Exit status 0 only when everything is equal.
 */
import { mkdirSync, mkdtempSync } from 'node:fs';
import { join, relative } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { until } from '../../tests/kit/condition.ts';
import { type LakeReader, openLakeReader } from '../../tests/kit/lake-reader.ts';
import { cacheDirectory, freePort } from '../../tests/kit/postgres.ts';
import { projectRoot, type RunningWorker, runWorker } from '../../tests/kit/worker.ts';
import { COMPARED, compareTable, type Outcome, sourceRows } from './comparison.ts';
import { type Database, fill, openDatabase, SLOT } from './database.ts';
import { parseMetrics, Screen, screenLines } from './screen.ts';
import { startWorkload } from './workload.ts';

const FORMATS = ['iceberg', 'delta'] as const;
const FILES = ['worker', 'source', ...FORMATS];
const CATCH_UP_MS = 120_000;

const USAGE = `npm run quickstart -- [--keep] [--seconds N]

  --keep        leave database, worker and tables running until Ctrl-C
  --seconds N   how long the workload runs, 20 without it

DATABASE_URL=postgres://USER:PASSWORD@HOST:PORT/DATABASE takes your server: a database of its own is made there, and removed
at the end and on Ctrl-C.`;
const { keep, seconds } = given();
const say = (line = ''): void => { process.stdout.write(`${line}\n`); };

const stop = new AbortController();
process.once('SIGINT', () => { say('\nstopping; once more ends at once'); stop.abort(new Error('stopped by Ctrl-C')); process.once('SIGINT', () => process.exit(130)); });
for (const signal of ['SIGTERM', 'SIGHUP']) process.once(signal, () => { stop.abort(new Error(`stopped by ${signal}`)); });

try {
  process.exitCode = await quickstart() ? 0 : 1;
} catch (error) {
  say(stop.signal.aborted ? '\nstopped; its database is gone' : `\nquickstart failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = stop.signal.aborted ? 130 : 1;
}

/** The options; ends the process on --help (status 0) and on wrong ones (status 2). */
function given(): { readonly keep: boolean; readonly seconds: number } {
  try {
    const { values: { keep, seconds, help } } = parseArgs({ options: { keep: { type: 'boolean', default: false }, seconds: { type: 'string', default: '20' }, help: { type: 'boolean', default: false } } });
    if (help) { process.stdout.write(`${USAGE}\n`); process.exit(0); }
    if (!/^[1-9]\d{0,4}$/.test(seconds)) throw new TypeError(`--seconds needs a whole number from 1, not '${seconds}'`);
    return { keep, seconds: Number(seconds) };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}\n`);
    process.exit(2);
  }
}

async function quickstart(): Promise<boolean> {
  using reader = await openLakeReader();
  await using database = await openDatabase(process.env['DATABASE_URL']);
  const home = newHome();
  say(`database   ${database.description}`);
  const client = await database.connect();
  try {
    await fill(client);
    say('tables     public.orders (100,000 rows), public.customers (10,000 rows)');
    await using worker = await start(home, database);
    say(`worker     ${worker.rest}, log and tables in ${home}`);
    say('lag        from the commit in the database to the commit in the table\n');
    const workload = startWorkload(await database.connect());
    const screen = new Screen();
    try { await watch(worker, screen, Date.now() + seconds * 1000, () => workload.changes); } finally { await workload.stop(); }
    const caughtUp = Date.now();
    const expected = new Map(await Promise.all(COMPARED.map(async table => [table.name, await sourceRows(client, table)] as const)));
    const outcomes = await settle(reader, home, expected, worker, screen, () => workload.changes);
    screen.settle();
    const equal = verdict(outcomes, reader, workload.changes, Date.now() - caughtUp);
    commands(home, worker);
    if (keep && !stop.signal.aborted) { say('\nkept running; Ctrl-C ends it'); await new Promise(resolve => { stop.signal.addEventListener('abort', resolve, { once: true }); }); }
    await worker.stop();
    return equal;
  } finally { await client.end(); }
}

/** A new folder for log and tables; it stays, so that the tables can be looked at. */
function newHome(): string {
  const parent = join(cacheDirectory(), 'quickstart');
  mkdirSync(parent, { recursive: true });
  return mkdtempSync(join(parent, 'run-'));
}

async function start(home: string, database: Database): Promise<RunningWorker> {
  const port = await freePort();
  return runWorker({
    files: FILES.map(name => join(projectRoot, 'examples', 'quickstart', `${name}.properties`)), port, output: join(home, 'worker.out'),
    environment: {
      QUICKSTART_HOME: home, QUICKSTART_REST_PORT: String(port), QUICKSTART_PG_HOST: database.host, QUICKSTART_PG_PORT: String(database.port),
      QUICKSTART_PG_USER: database.user, QUICKSTART_PG_PASSWORD: database.password, QUICKSTART_PG_DATABASE: database.name, QUICKSTART_PG_SSLMODE: database.sslMode, QUICKSTART_PG_SLOT: SLOT,
    },
  });
}

/** Draws once a second until the deadline. Throws when a task has FAILED. */
async function watch(worker: RunningWorker, screen: Screen, deadline: number, changes: () => number): Promise<void> {
  while (Date.now() < deadline) {
    await pause(Math.min(1000, Math.max(1, deadline - Date.now())), undefined, { signal: stop.signal });
    const now = parseMetrics(await (await fetch(`${worker.rest}/metrics`)).text());
    const { samples, at } = screen.sampled(now);
    screen.draw(screenLines(now, samples, (Date.now() - at) / 1000, changes()));
    await failNever(worker);
  }
}

async function failNever(worker: RunningWorker): Promise<void> {
  const all = await (await fetch(`${worker.rest}/connectors?expand=status`)).json() as Record<string, { status: { tasks: { state: string; trace?: string }[] } }>;
  for (const [name, { status }] of Object.entries(all)) for (const task of status.tasks) if (task.state === 'FAILED') throw new Error(`${name} failed: ${task.trace ?? ''}`);
}

/** Compares until all four tables are equal, or the time is over; the last outcomes either way. */
async function settle(reader: LakeReader, home: string, expected: ReadonlyMap<string, readonly (readonly (string | null)[])[]>, worker: RunningWorker, screen: Screen, changes: () => number): Promise<readonly Outcome[]> {
  let last: Outcome[] = [];
  const compare = async (): Promise<true | undefined> => {
    await watch(worker, screen, Date.now() + 1000, changes);
    last = [];
    for (const format of FORMATS) for (const table of COMPARED) last.push(await compareTable(reader, format, join(home, format, 'public', table.name), table, expected.get(table.name) ?? []).catch((error: Error) => ({ table: table.name, format, rows: 0, differences: [error.message] })));
    return last.every(({ differences }) => differences.length === 0) ? true : undefined;
  };
  await until('the tables to be equal', compare, CATCH_UP_MS).catch((error: Error) => { if (stop.signal.aborted || last.length === 0) throw error; });
  return last;
}

function verdict(outcomes: readonly Outcome[], reader: LakeReader, changes: number, ms: number): boolean {
  say(`\n${changes.toLocaleString('en-GB')} row changes; tables read by ${reader.name} ${(ms / 1000).toFixed(1)} s after the last one`);
  for (const { table, format, rows, differences } of outcomes) {
    say(`  ${differences.length === 0 ? 'equal  ' : 'DIFFERS'}  ${format.padEnd(8)} public.${table}  ${rows.toLocaleString('en-GB')} rows`);
    for (const line of differences.slice(0, 5)) say(`           ${line}`);
    if (differences.length > 5) say(`           … and ${differences.length - 5} more differences`);
  }
  const equal = outcomes.length > 0 && outcomes.every(({ differences }) => differences.length === 0);
  say(equal ? '\nEvery row and every value of the source is in both tables, and nothing else is.' : '\nSource and tables are NOT equal.');
  return equal;
}

function commands(home: string, { rest }: RunningWorker): void {
  const iceberg = join(home, 'iceberg', 'public', 'orders'), delta = join(home, 'delta', 'public', 'orders');
  say(`
The tables lie in ${home} until you remove it.
  DuckDB     INSTALL iceberg; LOAD iceberg; SELECT status, count(*) FROM iceberg_scan('${iceberg}') GROUP BY ALL;
             INSTALL delta; LOAD delta; SELECT status, count(*) FROM delta_scan('${delta}') GROUP BY ALL;
  PyIceberg  python -c "from pyiceberg.table import StaticTable as T; from pathlib import Path as P; m=max(P('${iceberg}/metadata').glob('*.metadata.json'), key=lambda f: f.stat().st_mtime); print(T.from_metadata(str(m)).scan().to_arrow().num_rows)"
  Polars     python -c "import polars; print(polars.scan_delta('${delta}').select(polars.len()).collect())"
  Spark      spark-sql --packages org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.10.1 --conf spark.sql.catalog.lake=org.apache.iceberg.spark.SparkCatalog --conf spark.sql.catalog.lake.type=hadoop --conf spark.sql.catalog.lake.warehouse=${join(home, 'iceberg')} -e "SELECT count(*) FROM lake.public.orders"
While it runs (--keep):
  curl ${rest}/connectors/shop/status
  curl ${rest}/connectors/shop-iceberg/offsets
  curl -X PUT ${rest}/connectors/shop-delta/pause
  curl -X PUT ${rest}/connectors/shop-delta/resume
The log:     node ${relative(process.cwd(), join(projectRoot, 'dist', 'main.js'))} topics --log-dir ${join(home, 'log')}`);
}
