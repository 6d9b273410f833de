/**
 * Envelopes a second that the sink takes in on one thread: record batches of the log → split → decode → typed columns →
 * last write of each key, for the 8-column table of about 100 bytes a row. Files and commits are not in it.
 *
 *   node tests/start.mjs bench/upsert/decode.js [ENVELOPES] [ROUNDS]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { deltaFormat } from '../../connectors/sinks/delta/table.ts';
import { openTableSink } from '../../connectors/sinks/tables/task.ts';
import { sourceSchema } from '../../connectors/sources/postgres/source-info.ts';
import { envelopeSchema } from '../../envelopes/change-event.ts';
import { unscaledBytes } from '../../envelopes/decimal.ts';
import * as types from '../../envelopes/logical/schemas.ts';
import type { Logger } from '../../runtime/api/logger.ts';
import { jsonConverter } from '../../runtime/converters/json.ts';
import { BatchBuilder, partOf, sealBatch, splitBatch } from '../../runtime/log/record-batch.ts';
import { EncodedRecords } from '../../runtime/pipeline/sink-batch.ts';
import { temporaryDirectory } from '../../tests/kit/directories.ts';
import { projectRoot } from '../../tests/kit/worker.ts';
import { sourceBlock, structOf } from './data.ts';

const envelopes = Number(process.argv[2] ?? 60_000), rounds = Number(process.argv[3] ?? 9);
/** Envelopes a second of CPU time. */
const BAR = 300_000;
const BATCH = 1000, topic = 'bench.public.acct';
const never = new AbortController().signal;
const quiet: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined, child: () => quiet };
const row = types.struct({ id: types.INT64, branch: types.INT32, balance: types.decimal(2, 12), name: types.STRING, filler: types.STRING, active: types.BOOLEAN, created: types.zonedTimestamp, score: types.optional(types.DOUBLE) }, { name: `${topic}.Value` });
const key = types.struct({ id: types.INT64 }, { name: `${topic}.Key` });
const envelope = envelopeSchema(`${topic}.Envelope`, row, sourceSchema);

/** Sealed batches of inserts, updates and deletes with their tombstones: a workload of all kinds. */
function batches(schemas: boolean): readonly Buffer[] {
  const converter = jsonConverter({ schemas }), sealed: Buffer[] = [];
  let builder = new BatchBuilder(5 << 20), records = 0;
  const append = (keyBytes: Uint8Array | null, value: Uint8Array | null): void => {
    builder.append(1_700_000_000_000, partOf(keyBytes), partOf(value));
    if (++records % BATCH !== 0) return;
    sealed.push(sealBatch(builder.body(), { baseOffset: records - BATCH, producerId: 0n, epoch: 0, sequence: 0, compression: 'none' }));
    builder = new BatchBuilder(5 << 20);
  };
  for (let i = 0; records < envelopes; i++) {
    const op = i % 20 === 0 ? 'd' : i % 2 === 0 ? 'u' : 'c', id = BigInt(i);
    const image = structOf(row, { id, branch: i % 97, balance: unscaledBytes(BigInt(i % 1_000_000)), name: `customer ${i}`, filler: 'filler                  ', active: i % 2 === 0, created: '2024-01-01T00:00:01.123456Z', score: i * 0.5 });
    const keyBytes = converter.encode(topic, key, structOf(key, { id }));
    append(keyBytes, converter.encode(topic, envelope, structOf(envelope, { before: op === 'd' ? image : null, after: op === 'd' ? null : image, source: sourceBlock('acct', i), op, ts_ms: 1n, ts_us: 1n, ts_ns: 1n })));
    if (op === 'd') append(keyBytes, null);
  }
  return sealed;
}

/** Microseconds of CPU an envelope, for each round. */
async function measure(schemas: boolean, directory: string): Promise<readonly number[]> {
  const converter = jsonConverter({ schemas }), converters = { key: converter, value: converter, header: converter };
  const sealed = batches(schemas), total = sealed.length * BATCH;
  const config = { 'topics': [], 'topics.regex': undefined, 'warehouse': join(directory, String(schemas)), 'table.name.format': '', 'mode': 'upsert', 'truncate.enabled': true, 'unavailable.value.placeholder': '__debezium_unavailable_value', 'commit.interval.ms': 600_000, 'commit.max.bytes': 256 << 20, 'sink.memory.bytes': 256 << 20 } as const;
  await using task = await openTableSink(deltaFormat(config.warehouse), config, { connector: 'bench', task: 0, logger: quiet, metrics: { set: () => undefined, add: () => undefined } });
  await task.assign([{ topic, partition: 0, topicId: 'bench', epoch: 0 }], never);
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const cpu = process.cpuUsage();
    for (const buffer of sealed) {
      const split = splitBatch(buffer);
      await task.put(new EncodedRecords({ topic, partition: 0 }, { ...split, baseOffset: split.baseOffset + round * total }, 0, split.length, converters, { keySchemas: schemas, valueSchemas: schemas }), never);
    }
    const { user, system } = process.cpuUsage(cpu);
    times.push((user + system) / total);
    await task.flush(never);
  }
  return times;
}

using home = temporaryDirectory('bench-decode-');
const results = [];
for (const schemas of [true, false]) {
  const times = await measure(schemas, home.path), [middle = 0] = [...times].sort((a, b) => a - b).slice(Math.floor(times.length / 2));
  const figures = { schemas, envelopesPerCpuSecond: Math.round(1e6 / middle), cpuMicrosecondsPerEnvelope: Math.round(middle * 1000) / 1000, rounds: times.map(time => Math.round(time * 1000) / 1000) };
  results.push(figures);
  process.stdout.write(`${JSON.stringify(figures)}\n`);
  if (figures.envelopesPerCpuSecond < BAR) process.exitCode = 1;
}
mkdirSync(join(projectRoot, 'bench/results'), { recursive: true });
writeFileSync(join(projectRoot, 'bench/results/sink-decode.json'), `${JSON.stringify({ what: 'record batches → columns and last write, one thread, c/u/d with tombstones, 8 columns', envelopes, bar: BAR, node: process.version, cpu: cpus()[0]?.model, load: loadavg()[0], results }, null, 2)}\n`);
