/**
 * One process of the upsert benchmark, a line of JSON for each figure:
 *   engine.js fill iceberg|delta DIRECTORY DATA BATCHES     the table of DATA's base files, and the batches in a log, topic by topic
 *   engine.js upsert iceberg|delta DIRECTORY BATCHES        each topic through the sink pipeline: log → decode → key index → files → commit
 */
import { join } from 'node:path';
import { deltaFormat } from '../../connectors/sinks/delta/table.ts';
import { icebergFormat } from '../../connectors/sinks/iceberg/table.ts';
import { Parquet } from '../../connectors/sinks/tables/parquet.ts';
import type { Column, TableFormat } from '../../connectors/sinks/tables/table.ts';
import { openTableSink } from '../../connectors/sinks/tables/task.ts';
import type { Logger } from '../../runtime/api/logger.ts';
import { jsonConverter } from '../../runtime/converters/json.ts';
import { openEmbeddedLog } from '../../runtime/log/embedded/embedded-log.ts';
import type { Log } from '../../runtime/log/log.ts';
import { runSinkPipeline } from '../../runtime/pipeline/sink-pipeline.ts';
import { envelopesOf, PARTS } from './data.ts';

const [mode, name, directory = '', ...rest] = process.argv.slice(2);
const warehouse = join(directory, 'warehouse'), table = ['public', 'items'];
const format: TableFormat = name === 'delta' ? deltaFormat(warehouse) : icebergFormat(warehouse, name === 'iceberg-v2' ? { version: 2 } : {});
const never = new AbortController().signal;
const converter = jsonConverter({ schemas: true });
const topicOf = (n: number): string => `bench${n}.public.items`;
const say = (figures: Readonly<Record<string, unknown>>): void => { process.stdout.write(`${JSON.stringify(figures)}\n`); };

const kinds: readonly (readonly [string, Column['type']])[] = [
  ['id', { kind: 'long' }], ['qty', { kind: 'int' }], ['price', { kind: 'decimal', precision: 10, scale: 2 }], ['ts', { kind: 'timestamptz' }], ['dbl', { kind: 'double' }],
  ['flag', { kind: 'boolean' }], ['name', { kind: 'string' }], ['note', { kind: 'string' }], ['day', { kind: 'date' }], ['uuid', { kind: 'string' }],
];

async function fill(data: string, batches: number): Promise<void> {
  const target = await format.openOrCreate({ name: table, columns: kinds.map(([column, type]) => ({ name: column, type, required: column === 'id' })), key: ['id'] }, never);
  await using parquet = await Parquet.open(512 << 20);
  for (let part = 0; part < PARTS; part++) {
    const file = await parquet.rewrite(join(data, `base-${part}.parquet`), [], target.columns, await target.newDataFile());
    const outcome = await target.commit({ added: [file], deletes: new Map(), deletedRows: 0, replaceAll: false, tokens: [], commitId: `base-${part}` }, never);
    if (outcome !== 'committed') throw new Error(`base file ${part}: ${outcome}`);
  }
  await using log = await openEmbeddedLog(join(directory, 'log'), { mode: 'writer', defaults: { retentionMs: -1 } });
  await using writer = await log.writer('bench');
  for (let n = 0; n <= batches; n++) {
    // Batch 0 has one record: it makes the sink open the table and build its index.
    const bodies = await envelopesOf(data, Math.max(1, n), converter, n === 0 ? 1 : undefined);
    for (const body of bodies) await writer.append([{ topic: topicOf(n), partition: 0, body }], undefined, never);
  }
}

/** The pipeline over one topic until `records` have gone through and are committed. */
async function consume(log: Log, task: Parameters<typeof runSinkPipeline>[0]['task'], topic: string, records: number, commits: () => void): Promise<void> {
  const stop = new AbortController();
  let taken = 0;
  await runSinkPipeline({
    connector: 'bench', group: 'connect-bench', task, log, topics: { names: [topic], regex: undefined }, converters: { key: converter, value: converter, header: converter }, transforms: [],
    tolerance: { tolerance: 'none', retryTimeoutMs: 0, retryDelayMaxMs: 60_000, log: false, logMessages: false },
    deadLetters: undefined, logger: quiet, topicSeen: () => undefined,
    metrics: { set: () => undefined, add: (metric, delta) => { if (metric === 'sink_commits') commits(); if (metric === 'sink_records') { taken += delta; if (taken >= records) stop.abort(); } } },
  }, stop.signal);
}
const quiet: Logger = { debug: () => undefined, info: () => undefined, warn: (facts, text) => { process.stderr.write(`${String(text)} ${JSON.stringify(facts)}\n`); }, error: (facts, text) => { process.stderr.write(`${String(text)} ${JSON.stringify(facts)}\n`); }, child: () => quiet };

async function upsert(batches: number): Promise<void> {
  await using log = await openEmbeddedLog(join(directory, 'log'), { mode: 'writer', defaults: { retentionMs: -1 } });
  let index: Readonly<Record<string, unknown>> = {};
  const logger: Logger = { ...quiet, info: (facts, text) => { if (text === 'key index built') index = facts as Readonly<Record<string, unknown>>; }, child: () => logger };
  const config = {
    'topics': [], 'topics.regex': undefined, warehouse, 'table.name.format': 'public.items', 'mode': 'upsert', 'truncate.enabled': true, 'unavailable.value.placeholder': '__debezium_unavailable_value',
    'commit.interval.ms': 600_000, 'commit.max.bytes': 128 << 20, 'sink.memory.bytes': 384 << 20,
  } as const;
  await using task = await openTableSink(format, config, { connector: 'bench', task: 0, logger, metrics: { set: () => undefined, add: () => undefined } });
  for (let n = 0; n <= batches; n++) {
    const { start, end } = await log.range({ topic: topicOf(n), partition: 0 });
    if (start !== 0 || end === 0) throw new Error(`batch ${n}: the log has ${start} to ${end}`);
    let commits = 0;
    const started = performance.now(), cpu = process.cpuUsage();
    await consume(log, task, topicOf(n), end, () => { commits++; });
    const { user, system } = process.cpuUsage(cpu);
    const figures = { records: end, commits, wallSeconds: (performance.now() - started) / 1000, cpuSeconds: (user + system) / 1e6 };
    say(n === 0 ? { step: 'open, index and first commit', ...figures, index } : { step: 'batch', batch: n, ...figures });
  }
}

await (mode === 'fill' ? fill(rest[0] ?? '', Number(rest[1])) : upsert(Number(rest[0])));
