/**
 * The embedded log at steady state: append and read rates, and the time to open a large one.
 *
 *   npm run bench:log -- [--records 1000000] [--rounds 5] [--gigabytes 10]
 *
 * Append: records of 500 B as envelopes look, batches of 1,000, lz4, fsync before each acknowledgement, a source offset in
 * each transaction. Before it and beside it other topics get batches of all sizes and lose them again to retention, and the
 * measured topic is at its own bound, so pages come from a fragmented free list. Read: all that the topic holds, checksums
 * checked, records split. Open: a log of incompressible batches, in a process that has only just started.
 * Rates are medians over the rounds; CPU is the whole process's. The figures go to bench/results/log.json.
 */
import { spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openEmbeddedLog } from '../../runtime/log/embedded/embedded-log.ts';
import type { BatchBody, Log, LogWriter } from '../../runtime/log/log.ts';
import { BatchBuilder, SplitScratch, splitBatch } from '../../runtime/log/record-batch.ts';
import { temporaryDirectory } from '../../tests/kit/directories.ts';
import { projectRoot } from '../../tests/kit/worker.ts';
import { load, median, round, writeReport } from '../report.ts';

const RECORD_BYTES = 500;
const BATCH_RECORDS = 1_000;
const IN_FLIGHT = 4;
const NOISE_TOPICS = 3;
const never = new AbortController().signal;
interface Rate { readonly recordsPerSecond: number; readonly cpuMicrosecondsPerRecord: number }

async function rate(records: number, work: () => Promise<unknown>): Promise<Rate> {
  const since = performance.now(), before = process.cpuUsage();
  await work();
  const seconds = (performance.now() - since) / 1000;
  const { user, system } = process.cpuUsage(before);
  return { recordsPerSecond: Math.round(records / seconds), cpuMicrosecondsPerRecord: round((user + system) / records) };
}

/** Batches as a source makes them; different ones in turn, so that no cache has seen the next. */
function envelopes(): BatchBody[] {
  let id = 0;
  return Array.from({ length: IN_FLIGHT * 2 }, () => {
    const builder = new BatchBuilder(1024 * 1024);
    for (let i = 0; i < BATCH_RECORDS; i++) {
      id++;
      const key = Buffer.from(`{"id":${id}}`);
      const text = `{"before":null,"after":{"id":${id},"name":"customer ${(id * 7919) % 100_003}","amount":"${(id * 31) % 9_999}.${id % 100}","at":${1_700_000_000_000 + id * 17}},"op":"c","ts_ms":${1_700_000_000_000 + id},"note":"`;
      const value = Buffer.from(`${text}${Math.abs(Math.sin(id)).toString(36).slice(2).padEnd(12, 'x').repeat(40).slice(0, RECORD_BYTES - key.length - text.length - 2)}"}`);
      builder.append(1_700_000_000_000 + id, out => { out.write(key); return true; }, out => { out.write(value); return true; });
    }
    return builder.body();
  });
}

function incompressible(bytes: number): BatchBody {
  const builder = new BatchBuilder(bytes + 256);
  const value = randomFillSync(Buffer.allocUnsafe(bytes));
  builder.append(1_700_000_000_000, () => false, out => { out.write(value); return true; });
  return builder.body();
}

/** Sizes from 1 KB to 300 KB, mostly small. */
const noise: readonly BatchBody[] = Array.from({ length: 24 }, (_, i) => incompressible(Math.round(1_000 * 300 ** (i / 23))));

async function makeNoise(writer: LogWriter, turns: number): Promise<void> {
  for (let n = 0; n < turns; n++) {
    await Promise.all(Array.from({ length: NOISE_TOPICS }, (_, topic) => writer.append([0, 1, 2].map(i => ({ topic: `noise${topic}`, partition: 0, body: noise[(n * 7 + topic * 5 + i * 11) % noise.length] ?? incompressible(1_000) })), undefined, never)));
  }
}

async function append(writer: LogWriter, disturb: LogWriter | undefined, bodies: readonly BatchBody[], records: number): Promise<void> {
  const waiting: Promise<unknown>[] = [];
  for (let n = 0; n < records / BATCH_RECORDS; n++) {
    const body = bodies[n % bodies.length];
    if (body === undefined) break;
    waiting.push(writer.append([{ topic: 'bench', partition: 0, body }], { connector: 'bench', offsets: [{ partition: { server: 'b' }, offset: { n } }] }, never));
    if (disturb !== undefined && n % 50 === 0) waiting.push(makeNoise(disturb, 1));
    if (waiting.length >= IN_FLIGHT) await waiting.shift();
  }
  await Promise.all(waiting);
}

async function read(log: Log): Promise<number> {
  const { start, end } = await log.range({ topic: 'bench', partition: 0 });
  await using reader = await log.reader({ topic: 'bench', partition: 0 }, start);
  let records = 0;
  const scratch = new SplitScratch();
  while (reader.position < end) for (const batch of await reader.next(1024 * 1024, 0, never)) records += splitBatch(batch.bytes, scratch).length;
  return records;
}

async function rates(records: number, rounds: number): Promise<{ readonly append: Rate[]; readonly read: Rate[]; readonly fileMegabytes: number }> {
  using directory = temporaryDirectory('bench-log-');
  await using log = await openEmbeddedLog(directory.path, { mode: 'writer', defaults: { retentionMs: -1 } });
  for (let topic = 0; topic < NOISE_TOPICS; topic++) await log.createTopic(`noise${topic}`, { compression: 'none', retentionBytes: 24 * 1024 * 1024 });
  await log.createTopic('bench', { retentionBytes: 64 * 1024 * 1024 });
  await using writer = await log.writer('bench');
  await using other = await log.writer('noise');
  const bodies = envelopes();
  // Until every topic has been at its bound for a while.
  await makeNoise(other, 300);
  while ((await log.range({ topic: 'bench', partition: 0 })).start === 0) await append(writer, other, bodies, 100_000);
  const appended: Rate[] = [], reads: Rate[] = [];
  for (let turn = 0; turn < rounds; turn++) appended.push(await rate(records, () => append(writer, other, bodies, records)));
  const { start, end } = await log.range({ topic: 'bench', partition: 0 });
  for (let turn = 0; turn < rounds; turn++) {
    reads.push(await rate(end - start, async () => { if (await read(log) !== end - start) throw new Error('the reader met another number of records'); }));
  }
  return { append: appended, read: reads, fileMegabytes: Math.round(statSync(join(directory.path, 'data.mdb')).size / 1e6) };
}

/** Fills a log, then opens it in a fresh process, three times. Milliseconds. */
async function opening(gigabytes: number): Promise<number[]> {
  if (gigabytes === 0) return [];
  using directory = temporaryDirectory('bench-open-');
  {
    await using log = await openEmbeddedLog(directory.path, { mode: 'writer', defaults: { compression: 'none', retentionMs: -1 } });
    await using writer = await log.writer('fill');
    const body = incompressible(900_000);
    const total = Math.ceil(gigabytes * 1e9 / 900_000);
    for (let n = 0; n < total; n += 8) await writer.append(Array.from({ length: 8 }, (_, i) => ({ topic: `t${(n + i) % 50}`, partition: 0, body })), undefined, never);
  }
  return Array.from({ length: 3 }, () => {
    const { stdout, stderr } = spawnSync(process.execPath, [...process.execArgv, import.meta.filename, '--open', directory.path], { encoding: 'utf8' });
    const taken = Number(stdout);
    if (!(taken > 0)) throw new Error(`the log could not be opened: ${stderr}`);
    return taken;
  });
}

async function openOnce(directory: string): Promise<void> {
  const since = performance.now();
  await using log = await openEmbeddedLog(directory, { mode: 'writer' });
  let bytes = 0;
  for (const { name } of await log.topics()) bytes += (await log.range({ topic: name, partition: 0 })).bytes;
  if (bytes > 0) process.stdout.write(String(round(performance.now() - since)));
}

const { values } = parseArgs({ options: { records: { type: 'string', default: '1000000' }, rounds: { type: 'string', default: '5' }, gigabytes: { type: 'string', default: '10' }, open: { type: 'string' } } });
if (values.open === undefined) {
  const before = load();
  const { append: appended, read: reads, fileMegabytes } = await rates(Number(values.records), Number(values.rounds));
  for (const [what, list] of [['append', appended], ['read', reads]] as const) for (const { recordsPerSecond, cpuMicrosecondsPerRecord } of list) process.stdout.write(`${what.padEnd(7)} ${recordsPerSecond.toLocaleString('en').padStart(10)} records/s  ${cpuMicrosecondsPerRecord} µs CPU a record\n`);
  const opened = await opening(Number(values.gigabytes));
  const pick = (rate: readonly Rate[], figure: keyof Rate): number => median(rate.map(one => one[figure]));
  const { version } = JSON.parse(readFileSync(join(projectRoot, 'node_modules/lmdb/package.json'), 'utf8')) as { readonly version: string };
  writeReport('log', 'Embedded log: records of 500 B in batches of 1,000, lz4, fsync before each acknowledgement, retention on, fragmented free list; medians', {
    lmdb: version, recordBytes: RECORD_BYTES, recordsARound: Number(values.records), rounds: Number(values.rounds), fileMegabytes,
    appendCpuMicrosecondsPerRecord: pick(appended, 'cpuMicrosecondsPerRecord'), readCpuMicrosecondsPerRecord: pick(reads, 'cpuMicrosecondsPerRecord'), append: appended, read: reads, openedGigabytes: Number(values.gigabytes), openMilliseconds: opened,
  }, [
    { name: 'append, records/s', value: pick(appended, 'recordsPerSecond'), bar: 500_000 },
    { name: 'read, records/s', value: pick(reads, 'recordsPerSecond'), bar: 2_000_000 },
    ...(opened.length === 0 ? [] : [{ name: `open ${values.gigabytes} GB, ms`, value: median(opened), bar: 1_000, atMost: true as const }]),
  ], before);
} else await openOnce(values.open);
