import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { openEmbeddedLog } from '../../../../runtime/log/embedded/embedded-log.ts';
import type { Log, LogWriter } from '../../../../runtime/log/log.ts';
import { BatchBuilder, headersOf, splitBatch } from '../../../../runtime/log/record-batch.ts';
import { deleteHorizonOf } from '../../../../runtime/log/retain-records.ts';
import { until } from '../../../kit/condition.ts';
import { appendOf, never } from '../../../kit/log-values.ts';

const base = mkdtempSync(join(tmpdir(), 'tributary-compaction-'));
let count = 0;
afterAll(() => { rmSync(base, { recursive: true, force: true }); });

const eager = { dirtyRatio: 0, dirtyBytes: 1, againMs: 0 };
const open = (directory = join(base, `log${count++}`), compaction = eager): Promise<Log> => openEmbeddedLog(directory, { mode: 'writer', compaction, defaults: { compression: 'zstd' } });

interface Kept { readonly offset: number; readonly key: string; readonly value: string | null; readonly timestamp: number; readonly header: string | undefined }
const T = 1_700_000_000_000;

/** One batch; a value null is a tombstone. Each record has a header and a timestamp of its own. */
async function put(writer: LogWriter, topic: string, records: readonly (readonly [key: string, value: string | null])[], from = 0): Promise<void> {
  const builder = new BatchBuilder(1024);
  records.forEach(([key, value], i) => {
    builder.append(T + from + i, out => { out.writeText(key); return true; }, out => { if (value !== null) out.writeText(value); return value !== null; }, [{ name: 'n', value: Buffer.from(`${from + i}`) }]);
  });
  await writer.append([{ topic, partition: 0, body: builder.body() }], undefined, never);
}

async function recordsOf(log: Log, topic: string, from = 0): Promise<{ readonly kept: Kept[]; readonly horizons: (number | undefined)[] }> {
  const { end } = await log.range({ topic, partition: 0 });
  await using reader = await log.reader({ topic, partition: 0 }, from);
  const kept: Kept[] = [], horizons: (number | undefined)[] = [];
  while (reader.position < end) {
    const batches = await reader.next(4096, 5_000, never);
    for (const { bytes } of batches) {
      const split = splitBatch(bytes);
      horizons.push(deleteHorizonOf(bytes));
      for (let i = 0; i < split.length; i++) {
        const text = (start = -1, end = 0): string | null => (start < 0 ? null : split.buffer.toString('utf8', start, end));
        kept.push({
          offset: split.baseOffset + (split.offsetDelta[i] ?? 0), key: text(split.keyStart[i], split.keyEnd[i]) ?? '', value: text(split.valueStart[i], split.valueEnd[i]),
          timestamp: split.baseTimestamp + (split.timestampDelta[i] ?? 0), header: headersOf(split, i)[0]?.value?.toString(),
        });
      }
    }
  }
  return { kept, horizons };
}
const plain = ({ kept }: { readonly kept: readonly Kept[] }): string[] => kept.map(({ offset, key, value }) => `${offset} ${key}=${value ?? 'null'}`);

/** Appends until the partition reads as wanted: each append starts a pass that may be due. */
async function compactedTo(log: Log, topic: string, wanted: readonly string[]): Promise<void> {
  await until(`compaction to ${wanted.join(', ')}`, async () => JSON.stringify(plain(await recordsOf(log, topic))) === JSON.stringify(wanted), 15_000)
    .catch(async () => { expect(plain(await recordsOf(log, topic))).toEqual(wanted); });
}

test('keeps the last record of each key with its offset, timestamp and headers, and never the batch at the end', async () => {
  await using log = await open();
  await log.createTopic('t', { compact: true });
  await using writer = await log.writer('w');
  await put(writer, 't', [['a', '1'], ['b', '1'], ['a', '2']]);
  await put(writer, 't', [['c', '1'], ['c', '2']], 10);
  await put(writer, 't', [['b', '2'], ['d', '1'], ['d', '2']], 20);
  await put(writer, 't', [['end', '1']], 30);
  await compactedTo(log, 't', ['2 a=2', '4 c=2', '5 b=2', '7 d=2', '8 end=1']);
  const { kept } = await recordsOf(log, 't');
  expect(kept.map(({ timestamp, header }) => [timestamp - T, header])).toEqual([[2, '2'], [11, '11'], [20, '20'], [22, '22'], [30, '30']]);
  const range = await log.range({ topic: 't', partition: 0 });
  expect([range.start, range.end]).toEqual([0, 9]);
  for (let from = 0; from <= 8; from++) expect(plain({ kept: (await recordsOf(log, 't', from)).kept.filter(({ offset }) => offset >= from) })[0]).toBe(['2 a=2', '2 a=2', '2 a=2', '4 c=2', '4 c=2', '5 b=2', '7 d=2', '7 d=2', '8 end=1'][from]);
});

test('a tombstone takes the records before it at once, stays for deleteRetentionMs, then goes', async () => {
  const directory = join(base, `log${count++}`);
  {
    await using log = await open(directory);
    await log.createTopic('t', { compact: true, deleteRetentionMs: 1_500 });
    await log.createTopic('long', { compact: true });
    await using writer = await log.writer('w');
    for (const topic of ['t', 'long']) {
      await put(writer, topic, [['a', '1'], ['b', '1']]);
      await put(writer, topic, [['a', null], ['x', '1']]);
      await put(writer, topic, [['end', '1']]);
      await compactedTo(log, topic, ['1 b=1', '2 a=null', '3 x=1', '4 end=1']);
      // The horizon is counted from the pass that met the tombstone; timestamps are as they were.
      const { kept, horizons } = await recordsOf(log, topic);
      expect(horizons.map(horizon => horizon !== undefined)).toEqual([false, true, false]);
      expect((horizons[1] ?? 0) - Date.now()).toBeLessThanOrEqual(topic === 't' ? 1_500 : 86_400_000);
      expect(kept.map(({ timestamp }) => timestamp - T)).toEqual([1, 0, 1, 0]);
    }
  }
  // Time alone makes it due: nothing more is appended.
  await using log = await openEmbeddedLog(directory, { mode: 'writer', compaction: eager, housekeepingMs: 100 });
  await compactedTo(log, 't', ['1 b=1', '3 x=1', '4 end=1']);
  expect(plain(await recordsOf(log, 'long'))).toEqual(['1 b=1', '2 a=null', '3 x=1', '4 end=1']);
});

test('touches nothing that a registered group has yet to commit', async () => {
  await using log = await open();
  const { id } = await log.createTopic('t', { compact: true });
  await log.registerGroup('g', [{ topic: 't', partition: 0 }]);
  await using writer = await log.writer('w');
  for (let n = 1; n <= 4; n++) await put(writer, 't', [['a', `${n}`]]);
  await log.createTopic('other', { compact: true });
  for (let n = 1; n <= 4; n++) await put(writer, 'other', [['a', `${n}`]]);
  await compactedTo(log, 'other', ['2 a=3', '3 a=4']);
  expect(plain(await recordsOf(log, 't'))).toEqual(['0 a=1', '1 a=2', '2 a=3', '3 a=4']);
  await log.commitPositions('g', [{ topic: 't', partition: 0, topicId: id, epoch: 0, offset: 2 }]);
  await put(writer, 't', [['a', '5']]);
  await compactedTo(log, 't', ['1 a=2', '2 a=3', '3 a=4', '4 a=5']);
  await log.removeGroup('g');
  await put(writer, 't', [['end', '1']]);
  await compactedTo(log, 't', ['4 a=5', '5 end=1']);
});

test('compact,delete also deletes from the front by size', async () => {
  await using log = await open();
  await log.createTopic('t', { compact: true, retentionBytes: 400, compression: 'none' });
  await using writer = await log.writer('w');
  for (let n = 0; n < 20; n++) await put(writer, 't', [[`k${n % 10}`, `${n}`.padStart(20, '.')]]);
  await until('the bound', async () => (await log.range({ topic: 't', partition: 0 })).bytes <= 400, 10_000);
  const { start } = await log.range({ topic: 't', partition: 0 });
  expect(start).toBeGreaterThan(10);
  await log.createTopic('only', { compact: true });
  expect(await log.topic('only')).toMatchObject({ retentionBytes: -1, retentionMs: -1 });
});

test('a record without a key is refused, and nothing of its append is written', async () => {
  await using log = await open();
  await log.createTopic('t', { compact: true });
  await using writer = await log.writer('w');
  await expect(writer.append([appendOf('free', ['1']), appendOf('t', ['2'])], { connector: 'c', offsets: [{ partition: {}, offset: { n: 1 } }] }, never)).rejects.toMatchObject({ name: 'FatalError', code: 'LOG_KEY_MISSING' });
  expect(await log.sourceOffsets('c')).toEqual([]);
  expect(await log.range({ topic: 't', partition: 0 })).toMatchObject({ end: 0 });
});

test('whatever is appended, the last value of each key can be read at any time, and deleted keys stay deleted', async () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd', 'e');
  const record = fc.tuple(key, fc.option(fc.string({ maxLength: 40 }), { nil: null, freq: 3 }));
  await fc.assert(fc.asyncProperty(fc.array(fc.array(record, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 25 }), async batches => {
    await using log = await open();
    await log.createTopic('t', { compact: true, deleteRetentionMs: 0 });
    await using writer = await log.writer('w');
    const expected = new Map<string, string>();
    for (const records of batches) {
      await put(writer, 't', records);
      for (const [name, value] of records) if (value === null) expected.delete(name); else expected.set(name, value);
      const seen = new Map<string, string>();
      let before = -1;
      for (const { offset, key: name, value } of (await recordsOf(log, 't')).kept) {
        expect(offset).toBeGreaterThan(before);
        before = offset;
        if (value === null) seen.delete(name); else seen.set(name, value);
      }
      expect([...seen].sort()).toEqual([...expected].sort());
    }
  }), { numRuns: 25 });
}, 120_000);
