/**
 * Paired benchmark of the PostgreSQL source: the built worker on its embedded log, then the rival on its broker, in turn,
 * over the same tables of the same server.
 *
 *   npm run bench -- [--rows N] [--changes N] [--mixed N] [--rounds N] [-- BOOTSTRAP RIVAL COMMAND…]
 *
 * The rival's command is started as `COMMAND WORKDIR RESTPORT BOOTSTRAP CONNECTOR_PROPERTIES` and must become the engine
 * (Kafka Connect with Debezium, say) that serves REST on RESTPORT and writes to the broker at BOOTSTRAP. Medians, ratios,
 * versions and machine go to bench/results/postgres-source.json; the exit status is 1 when a bar is missed.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { temporaryDirectory } from '../../tests/kit/directories.ts';
import { startPostgres } from '../../tests/kit/postgres.ts';
import { projectRoot } from '../../tests/kit/worker.ts';
import { type Engine, ours, rival } from './engines.ts';
import { type Figures, measure } from './measure.ts';
import { mixed, narrow, type Workload } from './workloads.ts';

type Phase = 'snapshot' | 'stream';
interface Result { readonly engine: string; readonly workload: string; readonly phase: Phase; readonly figures: Figures }

/** Ours against the rival: at least this many times its rate, at most this part of its CPU, memory and time. */
const BARS: readonly { readonly name: string; readonly workload: string; readonly phase: Phase; readonly figure: keyof Figures; readonly bar: number; readonly higherIsBetter?: true }[] = [
  { name: 'snapshot rate', workload: 'narrow', phase: 'snapshot', figure: 'recordsPerSecond', bar: 6, higherIsBetter: true },
  { name: 'snapshot CPU a row', workload: 'narrow', phase: 'snapshot', figure: 'cpuMicrosecondsPerRecord', bar: 16 },
  { name: 'stream rate', workload: 'narrow', phase: 'stream', figure: 'recordsPerSecond', bar: 6, higherIsBetter: true },
  { name: 'stream CPU a row', workload: 'narrow', phase: 'stream', figure: 'cpuMicrosecondsPerRecord', bar: 16 },
  { name: 'mixed stream rate', workload: 'mixed', phase: 'stream', figure: 'recordsPerSecond', bar: 5, higherIsBetter: true },
  { name: 'memory', workload: 'narrow', phase: 'stream', figure: 'memoryMegabytes', bar: 7 },
  { name: 'memory in the snapshot', workload: 'narrow', phase: 'snapshot', figure: 'memoryMegabytes', bar: 7 },
  { name: 'REST ready', workload: 'narrow', phase: 'snapshot', figure: 'restReadySeconds', bar: 8 },
  { name: 'first record', workload: 'narrow', phase: 'snapshot', figure: 'firstRecordSeconds', bar: 8 },
];
/** Debezium's own figure is no part of this one: CPU microseconds a streamed row, ours. */
const OWN_STREAM_CPU = 5;

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const round = (value: number): number => Math.round(value * 100) / 100;

function medians(results: readonly Result[], engine: string, workload: string, phase: Phase): Figures | undefined {
  const found = results.filter(result => result.engine === engine && result.workload === workload && result.phase === phase).map(({ figures }) => figures);
  const [sample] = found;
  if (sample === undefined) return undefined;
  return Object.fromEntries(Object.keys(sample).map(key => [key, median(found.map(figures => figures[key as keyof Figures]))])) as unknown as Figures;
}

function verdicts(results: readonly Result[]): { readonly name: string; readonly ours: number; readonly rival: number; readonly ratio: number; readonly bar: number; readonly passed: boolean }[] {
  return BARS.flatMap(({ name, workload, phase, figure, bar, higherIsBetter }) => {
    const mine = medians(results, 'tributary', workload, phase)?.[figure], other = medians(results, 'rival', workload, phase)?.[figure];
    if (mine === undefined || other === undefined) return [];
    const ratio = round(higherIsBetter ? mine / other : other / mine);
    return [{ name, ours: mine, rival: other, ratio, bar, passed: ratio >= bar }];
  });
}

const dash = process.argv.indexOf('--', 2);
const [bootstrap = '', ...command] = dash < 0 ? [] : process.argv.slice(dash + 1);
const { values } = parseArgs({ args: process.argv.slice(2, dash < 0 ? undefined : dash), options: { rows: { type: 'string', default: '500000' }, changes: { type: 'string', default: '300000' }, mixed: { type: 'string', default: '150000' }, rounds: { type: 'string', default: '5' } } });
const engines: Engine[] = command.length > 0 ? [ours, rival(command, bootstrap)] : [ours];
const workloads: Workload[] = [narrow(Number(values.rows), Number(values.changes)), mixed(Number(values.mixed))];
const rounds = Number(values.rounds);

const load = loadavg().map(round);
using folder = temporaryDirectory('bench-');
await using server = await startPostgres({ settings: { max_wal_size: '4GB', shared_buffers: '256MB', fsync: 'on' } });
const results: Result[] = [];
for (let turn = 1; turn <= rounds; turn++) {
  for (const workload of workloads) for (const engine of engines) {
    const measured = await measure(engine, workload, server, join(folder.path, `${engine.name}-${workload.name}-${turn}`));
    for (const phase of ['snapshot', 'stream'] as const) {
      results.push({ engine: engine.name, workload: workload.name, phase, figures: measured[phase] });
      process.stdout.write(`${turn}/${rounds} ${engine.name} ${workload.name} ${phase} ${JSON.stringify(measured[phase])}\n`);
    }
  }
}
const [version] = (await server.sql('SHOW server_version')).rows as { server_version: string }[];
const bars = verdicts(results);
const own = medians(results, 'tributary', 'narrow', 'stream');
const figures = Object.fromEntries(engines.map(engine => [engine.name, Object.fromEntries(workloads.map(workload => [workload.name, { snapshot: medians(results, engine.name, workload.name, 'snapshot'), stream: medians(results, engine.name, workload.name, 'stream') }]))]));
const report = {
  what: 'PostgreSQL source, JSON without schemas: tributary on its embedded log, the rival on its broker; medians',
  rounds, rows: Number(values.rows), changes: Number(values.changes), mixedChanges: Number(values.mixed),
  node: process.version, postgres: version?.server_version, cpu: cpus()[0]?.model, cores: cpus().length, memoryGigabytes: Math.round(totalmem() / 2 ** 30), loadBefore: load, loadAfter: loadavg().map(round),
  rivalCommand: command.length > 0 ? process.env['BENCH_RIVAL_NAME'] ?? 'unnamed (BENCH_RIVAL_NAME)' : null, bars, figures,
};
const missed = bars.filter(({ passed }) => !passed).map(({ name }) => name);
if (own !== undefined && own.cpuMicrosecondsPerRecord > OWN_STREAM_CPU) missed.push(`stream CPU a row above ${OWN_STREAM_CPU} µs`);
for (const { name, ours: mine, rival: other, ratio, bar, passed } of bars) process.stdout.write(`${passed ? 'passed' : 'MISSED'}  ${name.padEnd(24)} ${mine} against ${other}: ${ratio} times better, bar ${bar}\n`);
const target = join(projectRoot, 'bench/results');
mkdirSync(target, { recursive: true });
writeFileSync(join(target, command.length > 0 ? 'postgres-source.json' : 'postgres-source-alone.json'), `${JSON.stringify(report, null, 2)}\n`);
if (missed.length > 0) { process.stdout.write(`missed: ${missed.join(', ')}\n`); process.exitCode = 1; }
