/**
 * Paired benchmark of the PostgreSQL source: `node …/bench/postgres/run.js [ROWS] [-- RIVAL COMMAND…]`.
 * Our figures, then the rival's command (its output is kept as it stands), a few rounds in turn; medians go to
 * bench/results with versions and machine. The rival gets BENCH_PG_URL and BENCH_ROWS.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type PostgresServer, startPostgres } from '../../tests/kit/postgres.ts';

interface Figures { readonly mode: string; readonly rows: number; readonly rowsPerSecond: number; readonly microsecondsPerRow: number; readonly cpuMicrosecondsPerRow: number; readonly peakMegabytes: number }
const dash = process.argv.indexOf('--');
const rival = dash < 0 ? [] : process.argv.slice(dash + 1);
const rows = Number(process.argv[2] ?? 500_000) || 500_000;
const ROUNDS = Number(process.env['ROUNDS'] ?? 5);
const FILL = "SELECT g, g % 97, (g % 1000000)::numeric / 100, 'customer ' || g, 'filler', g % 2 = 0, '2024-01-01 00:00:00+00'::timestamptz + g * interval '1 second', g * 0.5 FROM generate_series";

async function prepare(server: PostgresServer, filled: boolean): Promise<void> {
  await server.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active");
  await server.sql('DROP DATABASE IF EXISTS bench WITH (FORCE)');
  await server.sql('CREATE DATABASE bench');
  await server.sql('CREATE TABLE acct (id bigint PRIMARY KEY, branch int NOT NULL, balance numeric(12,2) NOT NULL, name varchar(40) NOT NULL, filler char(24) NOT NULL, active boolean NOT NULL, created timestamptz NOT NULL, score double precision)', 'bench');
  if (filled) { await server.sql(`INSERT INTO acct ${FILL}(1, ${rows}) g`, 'bench'); await server.sql('VACUUM ANALYZE acct', 'bench'); }
}

async function measure(server: PostgresServer, mode: 'snapshot' | 'stream'): Promise<Figures> {
  await prepare(server, mode === 'snapshot');
  if (mode === 'stream') {
    // The changes wait in the slot, so that the reader's own pace is measured and not the writer's.
    await server.sql('CREATE PUBLICATION bench_pub FOR ALL TABLES', 'bench');
    await server.sql("SELECT pg_create_logical_replication_slot('bench_slot', 'pgoutput')", 'bench');
    for (let first = 1; first <= rows; first += 10_000) await server.sql(`INSERT INTO acct ${FILL}(${first}, ${Math.min(rows, first + 9_999)}) g`, 'bench');
  }
  const directory = mkdtempSync(join(tmpdir(), 'bench-'));
  const child = spawn(process.execPath, [...process.execArgv, join(import.meta.dirname, 'engine.js'), mode, String(rows), server.url, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  let figures: Figures | undefined;
  for await (const line of createInterface(child.stdout)) if (line.startsWith('{')) figures = JSON.parse(line) as Figures;
  rmSync(directory, { recursive: true, force: true });
  if (figures === undefined) throw new Error('the engine gave no figures');
  return figures;
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

await using server = await startPostgres({ settings: { max_wal_size: '4GB', shared_buffers: '256MB', fsync: 'on' } });
const results: Figures[] = [], rivals: string[] = [];
for (let round = 0; round < ROUNDS; round++) {
  for (const mode of ['snapshot', 'stream'] as const) { const figures = await measure(server, mode); results.push(figures); process.stdout.write(`${JSON.stringify(figures)}\n`); }
  if (rival.length > 0) { await prepare(server, true); const run = spawnSync(rival[0] ?? '', rival.slice(1), { encoding: 'utf8', env: { ...process.env, BENCH_PG_URL: server.url, BENCH_ROWS: String(rows) } }); rivals.push(run.stdout); process.stdout.write(run.stdout); }
}
const summary = Object.fromEntries((['snapshot', 'stream'] as const).map(mode => {
  const own = results.filter(figures => figures.mode === mode);
  return [mode, { rowsPerSecond: median(own.map(figures => figures.rowsPerSecond)), microsecondsPerRow: median(own.map(figures => figures.microsecondsPerRow)), cpuMicrosecondsPerRow: median(own.map(figures => figures.cpuMicrosecondsPerRow)), peakMegabytes: median(own.map(figures => figures.peakMegabytes)) }];
}));
const [version] = (await server.sql('SHOW server_version')).rows as { server_version: string }[];
const report = { what: 'PostgreSQL source to the embedded log, JSON without schemas, median', rounds: ROUNDS, rows, node: process.version, postgres: version?.server_version, cpu: cpus()[0]?.model, cores: cpus().length, memoryGigabytes: Math.round(totalmem() / 2 ** 30), loadAverage: loadavg().map(value => Math.round(value * 10) / 10), ours: summary, ...(rivals.length > 0 && { rival: rivals }) };
mkdirSync('bench/results', { recursive: true });
writeFileSync('bench/results/postgres-source.json', `${JSON.stringify(report, null, 2)}\n`);
process.stdout.write(`${JSON.stringify(report.ours)}\n`);
