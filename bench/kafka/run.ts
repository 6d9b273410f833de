/**
 * Benchmark of Kafka as the engine: records in and out of our log on a broker, and the PostgreSQL source into the broker,
 * ours (engine.sh over the built worker) and a rival in turn, same broker, same server.
 *
 *   npm run bench:kafka -- [--records N] [--rows N] [--changes N] [--rounds N] [-- RIVAL COMMAND…]
 *
 * The rival's command is started as `COMMAND WORKDIR RESTPORT BOOTSTRAP CONNECTOR_PROPERTIES`. Medians, versions and
 * machine go to bench/results/kafka.json; the exit status is 1 when a bar is missed.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { temporaryDirectory } from '../../tests/kit/directories.ts';
import { startKafka } from '../../tests/kit/kafka.ts';
import { startPostgres } from '../../tests/kit/postgres.ts';
import { projectRoot } from '../../tests/kit/worker.ts';
import { type Engine, rival } from '../postgres/engines.ts';
import { type Figures, measure } from '../postgres/measure.ts';
import { narrow } from '../postgres/workloads.ts';
import { consumeRecords, produceRecords, type Throughput } from './throughput.ts';

const CONSUME_BAR = 300_000, RATE_BAR = 5, CPU_BAR = 15;
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

const dash = process.argv.indexOf('--', 2);
const command = dash < 0 ? [] : process.argv.slice(dash + 1);
const { values } = parseArgs({ args: process.argv.slice(2, dash < 0 ? undefined : dash), options: { records: { type: 'string', default: '2000000' }, rows: { type: 'string', default: '500000' }, changes: { type: 'string', default: '300000' }, rounds: { type: 'string', default: '5' } } });
const rounds = Number(values.rounds);

await using kafka = await startKafka({ settings: { 'num.io.threads': '4' } });
using folder = temporaryDirectory('bench-kafka-');
await using server = await startPostgres({ settings: { max_wal_size: '4GB', shared_buffers: '256MB', fsync: 'on' } });
const ours: Engine = { ...rival([join(projectRoot, 'bench/kafka/engine.sh')], kafka.bootstrap), name: 'tributary' };
const engines = command.length === 0 ? [ours] : [ours, rival(command, kafka.bootstrap)];
const load = loadavg();
const produced: Throughput[] = [], consumed: Throughput[] = [];
const figures = new Map<string, Figures[]>();
const say = (what: string, found: object): void => { process.stdout.write(`${what} ${JSON.stringify(found)}\n`); };
for (let turn = 1; turn <= rounds; turn++) {
  const topic = `throughput-${turn}`;
  produced.push(await produceRecords(kafka.bootstrap, topic, Number(values.records)));
  consumed.push(await consumeRecords(kafka.bootstrap, topic));
  say(`${turn}/${rounds} produce`, produced.at(-1) ?? {});
  say(`${turn}/${rounds} consume`, consumed.at(-1) ?? {});
  for (const engine of engines) {
    const measured = await measure(engine, narrow(Number(values.rows), Number(values.changes)), server, join(folder.path, `${engine.name}-${turn}`));
    for (const phase of ['snapshot', 'stream'] as const) {
      const key = `${engine.name} ${phase}`;
      figures.set(key, [...figures.get(key) ?? [], measured[phase]]);
      say(`${turn}/${rounds} ${key}`, measured[phase]);
    }
  }
}

const of = (key: string, figure: keyof Figures): number => median((figures.get(key) ?? []).map(found => found[figure]));
const bars = [{ name: 'consume, records a second', value: median(consumed.map(found => found.recordsPerSecond)), bar: CONSUME_BAR }];
if (command.length > 0) for (const phase of ['snapshot', 'stream']) {
  bars.push({ name: `${phase} rate, times the rival's`, value: of(`tributary ${phase}`, 'recordsPerSecond') / of(`rival ${phase}`, 'recordsPerSecond'), bar: RATE_BAR });
  bars.push({ name: `${phase} CPU a row, times less than the rival's`, value: of(`rival ${phase}`, 'cpuMicrosecondsPerRecord') / of(`tributary ${phase}`, 'cpuMicrosecondsPerRecord'), bar: CPU_BAR });
}
const medians = Object.fromEntries([...figures].map(([key, found]) => [key, Object.fromEntries(Object.keys(found[0] ?? {}).map(figure => [figure, median(found.map(one => one[figure as keyof Figures]))]))]));
const throughput = (found: readonly Throughput[]): Throughput => ({ recordsPerSecond: median(found.map(one => one.recordsPerSecond)), cpuMicrosecondsPerRecord: median(found.map(one => one.cpuMicrosecondsPerRecord)) });
const report = {
  what: 'Kafka as the engine: 200-byte records in 3 partitions through our log; PostgreSQL source into one broker, JSON without schemas; medians', rounds, records: Number(values.records), rows: Number(values.rows), changes: Number(values.changes),
  kafka: kafka.version, node: process.version, postgres: (await server.sql('SHOW server_version')).rows[0]?.['server_version'] as string, cpu: cpus()[0]?.model, cores: cpus().length, memoryGigabytes: Math.round(totalmem() / 2 ** 30), loadBefore: load, loadAfter: loadavg(),
  rivalCommand: command.length === 0 ? null : process.env['BENCH_RIVAL_NAME'] ?? 'unnamed (BENCH_RIVAL_NAME)', bars, produce: throughput(produced), consume: throughput(consumed), source: medians,
};
mkdirSync(join(projectRoot, 'bench/results'), { recursive: true });
writeFileSync(join(projectRoot, 'bench/results/kafka.json'), `${JSON.stringify(report, null, 2)}\n`);
for (const { name, value, bar } of bars) { process.stdout.write(`${value >= bar ? 'passed' : 'MISSED'}  ${name}: ${Math.round(value * 10) / 10}, bar ${bar}\n`); if (value < bar) process.exitCode = 1; }
