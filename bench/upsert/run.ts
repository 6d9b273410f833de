/**
 * Upsert benchmark of the table sinks: batches of changes, as envelopes in record batches in the log, through the sink
 * pipeline into a large table of each format; then a rival's MERGE of changes of the same kind and number.
 *
 *   node tests/start.mjs bench/upsert/run.js [--rows N] [--batch N] [--batches N] [--formats iceberg,delta] [-- RIVAL COMMAND…]
 *
 * The rival gets ROWS, BATCH, BATCHES and MODES in its environment and prints lines `FIGURE {"what": "iceberg-v3dv MERGE …",
 * "wall_s": …, "cpu_s": …}`. Ours decodes the envelopes, the rival reads typed Parquet. Building the key index, which a
 * running sink does once, is given apart. Results go to bench/results/upsert.json; the exit status is 1 when a bar is missed.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { version as duckVersion } from '@duckdb/node-api';
import { temporaryDirectory } from '../../tests/kit/directories.ts';
import { openLakeReader } from '../../tests/kit/lake-reader.ts';
import { projectRoot } from '../../tests/kit/worker.ts';
import { sample } from '../postgres/process-sampler.ts';
import { expectedSums, writeData } from './data.ts';

interface Batch { readonly records: number; readonly commits: number; readonly wallSeconds: number; readonly cpuSeconds: number }
interface Ours { readonly batches: readonly Batch[]; readonly index: unknown; readonly memoryMegabytes: number; readonly residentMegabytes: number }
interface RivalFigure { readonly what: string; readonly wall_s?: number; readonly cpu_s?: number; readonly mb?: number }

/** Which of the rival's figures stands against which format, and how many times its CPU seconds have to be ours. */
const RIVALS = { 'iceberg': { mode: 'iceberg-v3dv', bar: 5 }, 'iceberg-v2': { mode: 'iceberg-mor', bar: 5 }, 'delta': { mode: 'delta-dv', bar: 15 } } as const;
type Format = keyof typeof RIVALS;
const MEMORY_BAR = 700;

const dash = process.argv.indexOf('--', 2);
const rival = dash < 0 ? [] : process.argv.slice(dash + 1);
const { values } = parseArgs({ args: process.argv.slice(2, dash < 0 ? undefined : dash), options: { rows: { type: 'string', default: '5000000' }, batch: { type: 'string', default: '100000' }, batches: { type: 'string', default: '5' }, formats: { type: 'string', default: 'iceberg,delta' } } });
const size = { rows: Number(values.rows), batch: Number(values.batch), batches: Number(values.batches) };
const formats = values.formats.split(',') as readonly Format[];
const round = (value: number): number => Math.round(value * 1000) / 1000;
const median = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;

/** Runs the engine in a process of its own; its lines of JSON. */
async function engine(args: readonly string[]): Promise<{ readonly lines: readonly Readonly<Record<string, unknown>>[]; readonly memoryMegabytes: number; readonly residentMegabytes: number }> {
  const child = spawn(process.execPath, [...process.execArgv, join(import.meta.dirname, 'engine.js'), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>(resolve => { child.once('exit', resolve); });
  using sampler = sample(child.pid ?? 0);
  const lines: Readonly<Record<string, unknown>>[] = [];
  for await (const line of createInterface(child.stdout)) { process.stdout.write(`  ${line}\n`); lines.push(JSON.parse(line) as Readonly<Record<string, unknown>>); }
  const status = await ended;
  if (status !== 0) throw new Error(`the engine ended with status ${String(status)}`);
  return { lines, memoryMegabytes: Math.round(sampler.memoryMegabytes), residentMegabytes: Math.round(sampler.residentMegabytes) };
}

async function measure(format: Format, folder: string, data: string): Promise<Ours> {
  process.stdout.write(`${format}: filling\n`);
  await engine(['fill', format, folder, data, String(size.batches)]);
  const { lines, memoryMegabytes, residentMegabytes } = await engine(['upsert', format, folder, String(size.batches)]);
  using reader = await openLakeReader();
  const table = join(folder, 'warehouse', 'public', 'items');
  const [seen] = await reader.rows(`SELECT count(*), sum(id), sum(price) FROM ${reader.scan(format === 'delta' ? 'delta' : 'iceberg', table)}`);
  const expected = await expectedSums(data, size);
  if (JSON.stringify(seen) !== JSON.stringify(expected)) throw new Error(`${format}: the table has ${JSON.stringify(seen)}, not ${JSON.stringify(expected)}`);
  return { batches: lines.filter(line => line['step'] === 'batch') as unknown as Batch[], index: lines.find(line => line['step'] !== 'batch'), memoryMegabytes, residentMegabytes };
}

async function runRival(): Promise<readonly RivalFigure[]> {
  const [command = '', ...args] = rival;
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ROWS: String(size.rows), BATCH: String(size.batch), BATCHES: String(size.batches), MODES: formats.map(format => RIVALS[format].mode).join(',') } });
  const ended = new Promise<number | null>(resolve => { child.once('exit', resolve); });
  const figures: RivalFigure[] = [];
  for await (const line of createInterface(child.stdout)) { process.stdout.write(`  ${line}\n`); if (line.startsWith('FIGURE ')) figures.push(JSON.parse(line.slice(7)) as RivalFigure); }
  const status = await ended;
  if (status !== 0) throw new Error(`the rival ended with status ${String(status)}`);
  return figures;
}

const load = loadavg().map(round);
using home = temporaryDirectory('bench-upsert-');
const data = join(home.path, 'data');
await writeData(data, size);
const ours = new Map<Format, Ours>();
for (const format of formats) ours.set(format, await measure(format, join(home.path, format), data));
const theirs = rival.length === 0 ? [] : await runRival();

const missed: string[] = [];
const results = Object.fromEntries([...ours].map(([format, { batches, index, memoryMegabytes, residentMegabytes }]) => {
  const cpuSeconds = round(median(batches.map(batch => batch.cpuSeconds))), wallSeconds = round(median(batches.map(batch => batch.wallSeconds)));
  const { mode, bar } = RIVALS[format];
  const merges = theirs.filter(figure => figure.what.startsWith(`${mode} MERGE`));
  const rivalCpu = median(merges.map(figure => figure.cpu_s ?? 0)), rivalWall = median(merges.map(figure => figure.wall_s ?? 0));
  if (memoryMegabytes > MEMORY_BAR) missed.push(`${format} memory ${memoryMegabytes} MB, bar ${MEMORY_BAR}`);
  if (merges.length > 0 && rivalCpu / cpuSeconds < bar) missed.push(`${format} CPU ratio ${round(rivalCpu / cpuSeconds)}, bar ${bar}`);
  process.stdout.write(`${format}: CPU ${cpuSeconds} s, wall ${wallSeconds} s a batch of ${size.batch}, memory ${memoryMegabytes} MB${merges.length > 0 ? `; rival CPU ${rivalCpu} s, wall ${rivalWall} s: ${round(rivalCpu / cpuSeconds)} times, bar ${bar}` : ''}\n`);
  return [format, { cpuSeconds, wallSeconds, memoryMegabytes, residentMegabytes, batches, openAndIndex: index, ...(merges.length > 0 ? { rival: { mode, cpuSeconds: rivalCpu, wallSeconds: rivalWall, merges }, cpuRatio: round(rivalCpu / cpuSeconds), bar } : {}) }];
}));
const report = {
  what: 'Changes as Debezium envelopes (JSON with schemas) from the embedded log into a large table; medians of the batches. The rival merges typed Parquet.',
  ...size, node: process.version, duckdb: duckVersion(), cpu: cpus()[0]?.model, cores: cpus().length, memoryGigabytes: Math.round(totalmem() / 2 ** 30), loadBefore: load, loadAfter: loadavg().map(round),
  rivalCommand: rival.length > 0 ? process.env['BENCH_RIVAL_NAME'] ?? 'unnamed (BENCH_RIVAL_NAME)' : null, results, rivalFigures: theirs,
};
const target = join(projectRoot, 'bench/results');
mkdirSync(target, { recursive: true });
writeFileSync(join(target, rival.length > 0 ? 'upsert.json' : 'upsert-alone.json'), `${JSON.stringify(report, null, 2)}\n`);
if (missed.length > 0) { process.stdout.write(`missed: ${missed.join('; ')}\n`); process.exitCode = 1; }
