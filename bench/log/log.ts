/**
 * Append and read rates of the embedded log: records of 500 B as envelopes look, batches of 1,000 records, lz4, fsync
 * before each acknowledgement, retention on (so that pages are freed and used again).
 *
 *   node tests/start.mjs bench/log/log.js [records, default 4,000,000]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedLog } from '../../runtime/log/embedded/embedded-log.ts';
import type { Log } from '../../runtime/log/log.ts';
import { BatchBuilder, SplitScratch, splitBatch } from '../../runtime/log/record-batch.ts';

const RECORD_BYTES = 500;
const BATCH_RECORDS = 1_000;
const IN_FLIGHT = 4;
const never = new AbortController().signal;

function line(what: string, records: number, since: number, cpu: NodeJS.CpuUsage): void {
  const seconds = (performance.now() - since) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  process.stdout.write(`${what.padEnd(10)} ${Math.round(records / seconds).toLocaleString('en')} records/s, ${Math.round(records * RECORD_BYTES / seconds / 1e6)} MB/s, CPU ${((user + system) / 1e6 / seconds * 100).toFixed(0)} %, RSS ${Math.round(process.memoryUsage().rss / 1e6)} MB\n`);
}

function builders(): BatchBuilder[] {
  let id = 0;
  return Array.from({ length: IN_FLIGHT }, () => {
    const builder = new BatchBuilder(1024 * 1024);
    for (let i = 0; i < BATCH_RECORDS; i++) {
      id++;
      const key = Buffer.from(`{"id":${id}}`);
      const text = `{"before":null,"after":{"id":${id},"name":"customer ${(id * 7919) % 100_003}","amount":"${(id * 31) % 9_999}.${id % 100}","at":${1_700_000_000_000 + id * 17}},"op":"c","ts_ms":${1_700_000_000_000 + id},"note":"`;
      const value = Buffer.from(`${text}${Math.abs(Math.sin(id)).toString(36).slice(2).padEnd(12, 'x').repeat(40).slice(0, RECORD_BYTES - key.length - text.length - 2)}"}`);
      builder.append(1_700_000_000_000 + id, out => { out.write(key); return true; }, out => { out.write(value); return true; });
    }
    return builder;
  });
}

async function append(log: Log, records: number): Promise<void> {
  await using writer = await log.writer('bench');
  const bodies = builders().map(builder => builder.body());
  const waiting: Promise<unknown>[] = [];
  for (let n = 0; n < records / BATCH_RECORDS; n++) {
    const body = bodies[n % IN_FLIGHT];
    if (body === undefined) break;
    waiting.push(writer.append([{ topic: 'bench', partition: 0, body }], { connector: 'bench', offsets: [{ partition: { server: 'b' }, offset: { n } }] }, never));
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

async function main(): Promise<void> {
  const records = Number(process.argv[2] ?? 4_000_000);
  const directory = mkdtempSync(join(tmpdir(), 'tributary-bench-'));
  try {
    await using log = await openEmbeddedLog(directory, { mode: 'writer', defaults: { retentionBytes: 512 * 1024 * 1024 } });
    for (const round of ['append', 'append']) {
      const since = performance.now(), cpu = process.cpuUsage();
      await append(log, records / 2);
      line(round, records / 2, since, cpu);
    }
    for (const round of ['read', 'read', 'read']) {
      const since = performance.now(), cpu = process.cpuUsage();
      const count = await read(log);
      line(round, count, since, cpu);
    }
  } finally { rmSync(directory, { recursive: true, force: true }); }
}

main().catch((error: unknown) => { process.stderr.write(`${String(error)}\n`); process.exitCode = 1; });
