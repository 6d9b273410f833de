/**
 * What the worker itself costs: start, memory, and how fast REST answers while everything else is busy.
 *
 *   npm run bench:worker -- [--rows 5000000] [--changes 100000] [--starts 5] [--equal-threads]
 *
 * 1. An idle worker: time from its start to the first answer of `/health`, memory after three seconds; five times.
 * 2. A table of ROWS rows of about 100 B goes through the real way: snapshot, embedded log, Iceberg and Delta sink, all at
 *    once; then CHANGES updates all over the table, applied to both tables as upserts. Memory is the highest RssAnon +
 *    RssShmem of the whole time (pages of mapped files left out), read every 10 ms; `/health` is asked every 50 ms by a
 *    process of its own from the first row to the last commit, while another one asks for all connectors every 20 ms.
 *    What kept the REST thread from its work is told by the time that it stood in line for a core (schedstat) and by the
 *    longest delay of its event loop, looked at every 200 ms. With --equal-threads (as root) all threads of the worker are
 *    put back to the same priority, which docs/decisions/0024-rest-thread-first.md is about.
 *
 * PostgreSQL runs on the same machine. The figures go to bench/results/worker.json; the exit status is 1 when a bar is missed.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { until } from '../../tests/kit/condition.ts';
import { temporaryDirectory } from '../../tests/kit/directories.ts';
import { freePort, type PostgresServer, startPostgres } from '../../tests/kit/postgres.ts';
import { program, type RunningWorker, startWorker } from '../../tests/kit/worker.ts';
import { sample } from '../postgres/process-sampler.ts';
import { load, median, percentile, round, writeReport } from '../report.ts';

const PROBE_MS = 50, CLIENT_MS = 20;
const HOUR = 3_600_000;

interface Probe { stop(): Promise<{ readonly p50: number; readonly p99: number; readonly most: number; readonly probeLateP99: number; readonly asked: number; readonly failed: number }> }
function probe(url: string, everyMs = PROBE_MS): Probe {
  const child = spawn(process.execPath, [...process.execArgv, join(import.meta.dirname, 'probe.js'), url, String(everyMs)], { stdio: ['pipe', 'pipe', 'inherit'] });
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

/** What the REST thread of a worker used and waited for since the start, in seconds (the kernel's sched-stats.rst). */
function restThread(pid: number): { readonly cpuSeconds: number; readonly inLineSeconds: number; readonly turns: number } {
  const [cpu = 0, inLine = 0, turns = 0] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'latin1').split(' ').map(Number);
  return { cpuSeconds: round(cpu / 1e9), inLineSeconds: round(inLine / 1e9), turns };
}
/** Takes back what the worker does to the priority of its threads. */
function equalThreads(pid: number): Disposable {
  const timer = setInterval(() => { for (const thread of readdirSync(`/proc/${pid}/task`)) try { setPriority(Number(thread), 0); } catch { /* it ended */ } }, 200);
  return { [Symbol.dispose]: () => { clearInterval(timer); } };
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

interface Metrics { value(name: string, connector?: string): number; /** One without labels. */ plain(name: string): number }
async function metricsOf(worker: RunningWorker): Promise<Metrics> {
  const text = await (await fetch(`${worker.rest}/metrics`)).text();
  return { plain: name => Number(new RegExp(`^tributary_${name} (\\S+)$`, 'm').exec(text)?.[1] ?? 0), value: (name, connector) => [...text.matchAll(/^(\w+)\{([^}]*)\} (\S+)$/gm)].filter(([, found, labels]) => found === `tributary_${name}` && (connector === undefined || labels?.includes(`connector="${connector}"`))).reduce((sum, match) => sum + Number(match[3]), 0) };
}
/** Both sinks have taken `records` and committed them. Answers the longest delay of the REST thread's event loop in each part of a second, in milliseconds. */
async function caughtUp(worker: RunningWorker, records: number, title: string): Promise<readonly number[]> {
  let shown = 0;
  const delays: number[] = [];
  await until(title, async () => {
    const metrics = await metricsOf(worker);
    delays.push(metrics.plain('nodejs_eventloop_lag_max_seconds') * 1000);
    const done = ['iceberg', 'delta'].every(name => metrics.value('sink_records_total', name) >= records && metrics.value('sink_pending_bytes', name) === 0);
    if (Date.now() - shown > 10_000) { shown = Date.now(); process.stdout.write(`  source ${metrics.value('source_records_total', 'bench')}, iceberg ${metrics.value('sink_records_total', 'iceberg')}, delta ${metrics.value('sink_records_total', 'delta')}\n`); }
    if (worker.output().includes('"level":50')) throw new Error(worker.output().slice(-2_000));
    await pause(200);
    return done;
  }, HOUR);
  return delays;
}

interface Phase { readonly seconds: number; readonly health: Awaited<ReturnType<Probe['stop']>>; readonly connectors: Awaited<ReturnType<Probe['stop']>>; readonly loopDelayP99: number; readonly restThread: ReturnType<typeof restThread> }
/** One part of the way, with clients asking all the while. */
async function phase(worker: RunningWorker, records: number, title: string, work: () => Promise<void>): Promise<Phase> {
  const since = performance.now(), before = restThread(worker.pid);
  const health = probe(`${worker.rest}/health`), connectors = probe(`${worker.rest}/connectors?expand=info&expand=status`, CLIENT_MS);
  await work();
  const delays = await caughtUp(worker, records, title);
  const seconds = round((performance.now() - since) / 1000), after = restThread(worker.pid);
  return {
    seconds, health: await health.stop(), connectors: await connectors.stop(), loopDelayP99: round(percentile(delays, 0.99)),
    restThread: { cpuSeconds: round(after.cpuSeconds - before.cpuSeconds), inLineSeconds: round(after.inLineSeconds - before.inLineSeconds), turns: after.turns - before.turns },
  };
}

async function loaded(server: PostgresServer, directory: string, { rows, changes, equal }: { readonly rows: number; readonly changes: number; readonly equal: boolean }): Promise<{ readonly memoryMegabytes: number; readonly residentMegabytes: number; readonly snapshot: Phase; readonly upserts: Phase; readonly cpuSeconds: number }> {
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
  using _equal = equal ? equalThreads(worker.pid) : undefined;
  const snapshot = await phase(worker, rows, 'the snapshot in both tables', () => Promise.resolve());
  process.stdout.write(`  snapshot of ${rows} rows in both tables after ${snapshot.seconds} s, memory so far ${round(sampler.memoryMegabytes)} MB, health p99 ${snapshot.health.p99} ms\n`);
  const upserts = await phase(worker, rows + changes, 'the changes in both tables', async () => {
    for (let done = 0; done < changes; done += 1_000) await server.sql(`UPDATE acct SET balance = balance + 1, name = 'changed ' || id WHERE id IN (SELECT 1 + (g * 7919::bigint) % ${rows} FROM generate_series(${done}, ${done + 999}) g)`);
  });
  const figures = { memoryMegabytes: round(sampler.memoryMegabytes), residentMegabytes: round(sampler.residentMegabytes), snapshot, upserts, cpuSeconds: round(sampler.cpuSeconds(performance.now())) };
  await worker.stop();
  return figures;
}

const { values } = parseArgs({ options: { rows: { type: 'string', default: '5000000' }, changes: { type: 'string', default: '100000' }, starts: { type: 'string', default: '5' }, 'equal-threads': { type: 'boolean', default: false } } });
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
const figures = await loaded(server, folder.path, { rows, changes, equal: values['equal-threads'] });
process.stdout.write(`${JSON.stringify(figures, null, 1)}\n`);
writeReport(values['equal-threads'] ? 'worker-equal-threads' : 'worker', 'Worker: start, memory (RssAnon + RssShmem) and REST latency, idle and with the snapshot and both sinks running beside PostgreSQL', { rows, changes, idle: idles, ...figures }, [
  { name: 'idle memory, MB', value: median(idles.map(({ megabytes }) => megabytes)), bar: 120, atMost: true },
  { name: 'memory with both sinks, MB', value: figures.memoryMegabytes, bar: 700, atMost: true },
  { name: '/health p99 in the snapshot, ms', value: figures.snapshot.health.p99, bar: 100, atMost: true },
  { name: '/health p99 under upserts, ms', value: figures.upserts.health.p99, bar: 100, atMost: true },
  { name: 'REST ready, ms', value: median(idles.map(({ readyMs }) => readyMs)), bar: 1_500, atMost: true },
], before);
