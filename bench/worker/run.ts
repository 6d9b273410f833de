/**
 * What the worker itself costs: start, memory, and how fast REST answers while everything else is busy.
 *
 *   npm run bench:worker -- [--rows 5000000] [--changes 100000]
 *
 * 1. An idle worker: time from its start to the first answer of `/health`, memory after three seconds; five times.
 * 2. A table of ROWS rows of about 100 B goes through the real way: snapshot, embedded log, Iceberg and Delta sink, all at
 *    once; then CHANGES updates all over the table, applied to both tables as upserts. Memory is the highest RssAnon +
 *    RssShmem of the whole time (pages of mapped files left out), read every 10 ms; `/health` is asked every 50 ms by a
 *    process of its own from the first row to the last commit.
 *
 * PostgreSQL runs on the same machine. The figures go to bench/results/worker.json; the exit status is 1 when a bar is missed.
 */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { until } from '../../tests/kit/condition.ts';
import { temporaryDirectory } from '../../tests/kit/directories.ts';
import { freePort, type PostgresServer, startPostgres } from '../../tests/kit/postgres.ts';
import { program, type RunningWorker, startWorker } from '../../tests/kit/worker.ts';
import { sample } from '../postgres/process-sampler.ts';
import { load, median, percentile, round, writeReport } from '../report.ts';

const PROBE_MS = 50;
const HOUR = 3_600_000;

interface Probe { stop(): Promise<{ readonly p50: number; readonly p99: number; readonly most: number; readonly probeLateP99: number; readonly asked: number; readonly failed: number }> }
function probe(url: string): Probe {
  const child = spawn(process.execPath, [...process.execArgv, join(import.meta.dirname, 'probe.js'), url, String(PROBE_MS)], { stdio: ['pipe', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => { text += chunk.toString(); });
  const ended = new Promise(resolve => { child.once('close', resolve); });
  return {
    stop: async () => {
      child.stdin.end();
      await ended;
      const samples = JSON.parse(text) as { late: number; ms: number; ok: boolean }[];
      const times = samples.map(({ ms }) => ms);
      return {
        p50: round(percentile(times, 0.5)), p99: round(percentile(times, 0.99)), most: round(Math.max(...times)), probeLateP99: round(percentile(samples.map(({ late }) => late), 0.99)),
        asked: samples.length, failed: samples.filter(({ ok }) => !ok).length,
      };
    },
  };
}

/** Spawn to the first answer, and memory at rest. */
async function idle(directory: string): Promise<{ readonly readyMs: number; readonly megabytes: number }> {
  const port = await freePort();
  const since = performance.now();
  const child = spawn(process.execPath, [program, 'standalone', workerFile(directory, port)], { stdio: 'ignore' });
  try {
    const url = `http://127.0.0.1:${port}/health`;
    while (!await fetch(url).then(answer => answer.ok, () => false)) {
      if (performance.now() - since > 60_000 || child.exitCode !== null) throw new Error('the idle worker did not start');
      await pause(2);
    }
    const readyMs = round(performance.now() - since);
    await pause(3_000); // what memory is after a while, not a wait for something
    using sampler = sample(child.pid ?? 0);
    return { readyMs, megabytes: round(sampler.memoryMegabytes) };
  } finally {
    const gone = new Promise(resolve => { child.once('exit', resolve); });
    child.kill();
    await gone;
  }
}
function workerFile(directory: string, port: number): string {
  const path = join(directory, 'idle.properties');
  writeFileSync(path, `listeners=http://127.0.0.1:${port}\nlog.dir=${join(directory, 'idle-log')}\nlog.level=warn\n`);
  return path;
}

interface Metrics { value(name: string, connector?: string): number }
async function metricsOf(worker: RunningWorker): Promise<Metrics> {
  const text = await (await fetch(`${worker.rest}/metrics`)).text();
  return { value: (name, connector) => [...text.matchAll(/^(\w+)\{([^}]*)\} (\S+)$/gm)].filter(([, found, labels]) => found === `tributary_${name}` && (connector === undefined || labels?.includes(`connector="${connector}"`))).reduce((sum, match) => sum + Number(match[3]), 0) };
}
/** Both sinks have taken `records` and committed them. */
async function caughtUp(worker: RunningWorker, records: number, title: string): Promise<void> {
  let shown = 0;
  await until(title, async () => {
    const metrics = await metricsOf(worker);
    const done = ['iceberg', 'delta'].every(name => metrics.value('sink_records_total', name) >= records && metrics.value('sink_pending_bytes', name) === 0);
    if (Date.now() - shown > 10_000) { shown = Date.now(); process.stdout.write(`  source ${metrics.value('source_records_total', 'bench')}, iceberg ${metrics.value('sink_records_total', 'iceberg')}, delta ${metrics.value('sink_records_total', 'delta')}\n`); }
    if (worker.output().includes('"level":50')) throw new Error(worker.output().slice(-2_000));
    await pause(200);
    return done;
  }, HOUR);
}

async function loaded(server: PostgresServer, directory: string, rows: number, changes: number): Promise<{ readonly memoryMegabytes: number; readonly residentMegabytes: number; readonly snapshotSeconds: number; readonly upsertSeconds: number; readonly health: Awaited<ReturnType<Probe['stop']>>; readonly upsertHealth: Awaited<ReturnType<Probe['stop']>>; readonly cpuSeconds: number }> {
  const sink = { 'topics': 'bench.public.acct', 'commit.interval.ms': '2000' };
  await using worker = await startWorker({
    directory, properties: { 'log.dir': join(directory, 'log'), 'log.level': 'warn' },
    connectors: [
      { 'name': 'bench', 'connector.class': 'postgres', 'database.hostname': server.host, 'database.port': String(server.port), 'database.user': server.user, 'database.password': server.password, 'database.dbname': 'postgres', 'topic.prefix': 'bench', 'plugin.name': 'pgoutput', 'table.include.list': 'public.acct', 'slot.name': 'bench', 'publication.name': 'bench', 'publication.autocreate.mode': 'filtered' },
      { ...sink, 'name': 'iceberg', 'connector.class': 'iceberg', 'warehouse': join(directory, 'iceberg') },
      { ...sink, 'name': 'delta', 'connector.class': 'delta', 'warehouse': join(directory, 'delta') },
    ],
  });
  using sampler = sample(worker.pid);
  const since = performance.now();
  const during = probe(`${worker.rest}/health`);
  await caughtUp(worker, rows, 'the snapshot in both tables');
  const snapshotSeconds = round((performance.now() - since) / 1000);
  const health = await during.stop();
  const memory = sampler.memoryMegabytes;
  process.stdout.write(`  snapshot of ${rows} rows in both tables after ${snapshotSeconds} s, memory so far ${round(memory)} MB, health p99 ${health.p99} ms\n`);
  const changesSince = performance.now();
  const later = probe(`${worker.rest}/health`);
  for (let done = 0; done < changes; done += 1_000) await server.sql(`UPDATE acct SET balance = balance + 1, name = 'changed ' || id WHERE id IN (SELECT 1 + (g * 7919::bigint) % ${rows} FROM generate_series(${done}, ${done + 999}) g)`);
  await caughtUp(worker, rows + changes, 'the changes in both tables');
  const upsertSeconds = round((performance.now() - changesSince) / 1000);
  const upsertHealth = await later.stop();
  const cpuSeconds = round(sampler.cpuSeconds(performance.now()));
  const figures = { memoryMegabytes: round(sampler.memoryMegabytes), residentMegabytes: round(sampler.residentMegabytes), snapshotSeconds, upsertSeconds, health, upsertHealth, cpuSeconds };
  await worker.stop();
  return figures;
}

const { values } = parseArgs({ options: { rows: { type: 'string', default: '5000000' }, changes: { type: 'string', default: '100000' }, starts: { type: 'string', default: '5' } } });
const rows = Number(values.rows), changes = Number(values.changes);
const before = load();
using folder = temporaryDirectory('bench-worker-');
const idles: Awaited<ReturnType<typeof idle>>[] = [];
for (let n = 0; n < Number(values.starts); n++) idles.push(await idle(folder.path));
process.stdout.write(`idle: ${JSON.stringify(idles)}\n`);
await using server = await startPostgres({ version: 17, settings: { max_wal_size: '4GB', shared_buffers: '256MB' } });
await server.sql('CREATE TABLE acct (id bigint PRIMARY KEY, branch int NOT NULL, balance numeric(12,2) NOT NULL, name varchar(40) NOT NULL, filler char(24) NOT NULL, active boolean NOT NULL, created timestamptz NOT NULL, score double precision)');
for (let first = 1; first <= rows; first += 1_000_000) {
  await server.sql(`INSERT INTO acct SELECT g, g % 97, (g % 1000000)::numeric / 100, 'customer ' || g, 'filler', g % 2 = 0, '2024-01-01 00:00:00+00'::timestamptz + g * interval '1 second', g * 0.5 FROM generate_series(${first}, ${Math.min(rows, first + 999_999)}) g`);
}
const figures = await loaded(server, folder.path, rows, changes);
process.stdout.write(`${JSON.stringify(figures, null, 1)}\n`);
writeReport('worker', 'Worker: start, memory (RssAnon + RssShmem) and REST latency, idle and with the snapshot and both sinks running beside PostgreSQL', { rows, changes, idle: idles, ...figures }, [
  { name: 'idle memory, MB', value: median(idles.map(({ megabytes }) => megabytes)), bar: 120, atMost: true },
  { name: 'memory with both sinks, MB', value: figures.memoryMegabytes, bar: 700, atMost: true },
  { name: '/health p99 in the snapshot, ms', value: figures.health.p99, bar: 100, atMost: true },
  { name: '/health p99 under upserts, ms', value: figures.upsertHealth.p99, bar: 100, atMost: true },
  { name: 'REST ready, ms', value: median(idles.map(({ readyMs }) => readyMs)), bar: 1_500, atMost: true },
], before);
