/**
 * Our engine alone: snapshot and stream of the 8-column table into the embedded log, one figure a line.
 * `node …/bench/postgres/engine.js snapshot|stream ROWS PG_URL DIRECTORY` — started by run.ts, one process per figure.
 */
import { postgresSource } from '../../connectors/sources/postgres/index.ts';
import { parseConfig } from '../../runtime/api/config-parse.ts';
import type { Logger } from '../../runtime/api/logger.ts';
import { jsonConverter } from '../../runtime/converters/json.ts';
import { openEmbeddedLog } from '../../runtime/log/embedded/embedded-log.ts';
import { runSourcePipeline } from '../../runtime/pipeline/source-pipeline.ts';

const [mode = 'snapshot', rowText = '0', address = '', directory = ''] = process.argv.slice(2);
const rows = Number(rowText);
const url = new URL(address);
const quiet: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => quiet };

const { config, extra, problems } = parseConfig(postgresSource.config, {
  'database.hostname': url.hostname, 'database.port': url.port, 'database.user': url.username, 'database.password': url.password, 'database.dbname': 'bench',
  'topic.prefix': 'bench', 'plugin.name': 'pgoutput', 'slot.name': 'bench_slot', 'publication.name': 'bench_pub', 'table.include.list': 'public.acct', 'snapshot.mode': mode === 'stream' ? 'no_data' : 'initial_only',
});
if (config === undefined) throw new Error(JSON.stringify(problems));

let taken = 0;
let began: { readonly at: number; readonly cpu: NodeJS.CpuUsage } | undefined;
const stop = new AbortController();
const metrics = {
  set: () => {},
  add: (name: string, delta: number) => {
    if (name !== 'source_records' || delta === 0) return;
    began ??= { at: performance.now(), cpu: process.cpuUsage() };
    taken += delta;
    if (taken >= rows) stop.abort();
  },
};
await using log = await openEmbeddedLog(directory, { mode: 'writer' });
const converter = jsonConverter({ schemas: false });
const task = await postgresSource.open(config, { connector: 'bench', task: 0, logger: quiet, metrics, offset: async () => undefined }, extra);
process.stdout.write('ready\n');
await runSourcePipeline({ connector: 'bench', task, log, keyConverter: converter, valueConverter: converter, headerConverter: converter, transforms: [], metrics, topicSeen: () => {} }, stop.signal);
const seconds = (performance.now() - (began?.at ?? 0)) / 1000;
const cpu = process.cpuUsage(began?.cpu);
await task[Symbol.asyncDispose]();
process.stdout.write(`${JSON.stringify({ mode, rows: taken, rowsPerSecond: Math.round(taken / seconds), microsecondsPerRow: round(seconds * 1e6 / taken), cpuMicrosecondsPerRow: round((cpu.user + cpu.system) / taken), peakMegabytes: Math.round(process.resourceUsage().maxRSS / 1024) })}\n`);

function round(value: number): number { return Math.round(value * 100) / 100; }
