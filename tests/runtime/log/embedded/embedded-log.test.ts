import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open as openLmdb } from 'lmdb';
import { afterAll, expect, test } from 'vitest';
import { openEmbeddedLog } from '../../../../runtime/log/embedded/embedded-log.ts';
import type { TopicOptions } from '../../../../runtime/log/log.ts';
import { splitBatch } from '../../../../runtime/log/record-batch.ts';
import { until } from '../../../kit/condition.ts';
import { describeLog, valuesOf } from '../../../kit/log-suite.ts';
import { appendOf, never } from '../../../kit/log-values.ts';

const base = mkdtempSync(join(tmpdir(), 'tributary-log-'));
let count = 0;
const fresh = (): string => join(base, `log${count++}`);
const open = (directory = fresh(), defaults: TopicOptions = {}): ReturnType<typeof openEmbeddedLog> => openEmbeddedLog(directory, { mode: 'writer', defaults });
afterAll(() => { rmSync(base, { recursive: true, force: true }); });

describeLog('embedded', () => open());

test('what was appended is there when the log is opened again', async () => {
  const directory = fresh();
  {
    await using log = await open(directory);
    await using writer = await log.writer('w');
    await writer.append([appendOf('t', ['1', '2'])], { connector: 'c', offsets: [{ partition: {}, offset: { n: 1 } }] }, never);
  }
  await using log = await open(directory);
  expect(await valuesOf(log, 't')).toEqual(['1', '2']);
  expect(await log.sourceOffsets('c')).toEqual([{ partition: {}, offset: { n: 1 } }]);
  await using writer = await log.writer('w');
  expect(await writer.append([appendOf('t', ['3'])], undefined, never)).toEqual([2]);
});

test('retention by bytes frees what the group has committed and holds the rest, and writers wait for it', async () => {
  await using log = await open(fresh(), { retentionBytes: 300, compression: 'none' });
  await log.createTopic('t');
  await log.registerGroup('g', [{ topic: 't', partition: 0 }]);
  await using writer = await log.writer('w');
  const payload = 'x'.repeat(200);
  await writer.append([appendOf('t', [payload])], undefined, never);
  await writer.append([appendOf('t', [payload])], undefined, never);
  const stop = new AbortController();
  const refused = writer.append([appendOf('t', ['aborted'])], undefined, stop.signal);
  stop.abort(new Error('stopped'));
  await expect(refused).rejects.toThrow('stopped');
  let settled = false;
  const blocked = writer.append([appendOf('t', [payload])], undefined, never).finally(() => { settled = true; });
  expect(await log.range({ topic: 't', partition: 0 })).toMatchObject({ start: 0, end: 2 });
  expect(settled).toBe(false);
  const topic = await log.topic('t');
  await log.commitPositions('g', [{ topic: 't', partition: 0, topicId: topic?.id ?? '', epoch: 0, offset: 1 }]);
  expect(await blocked).toEqual([2]);
  expect(await log.range({ topic: 't', partition: 0 })).toMatchObject({ start: 1, end: 3 });
  await using late = await log.reader({ topic: 't', partition: 0 }, 0);
  expect((await late.next(1, 1_000, never)).map(({ baseOffset }) => baseOffset)).toEqual([1]);
});

test('a full partition is RetriableError LOG_FULL after the wait, and deleteUncommitted lets it go', async () => {
  await using log = await openEmbeddedLog(fresh(), { mode: 'writer', defaults: { retentionBytes: 100, compression: 'none' }, fullWaitMs: 20 });
  await log.createTopic('hold');
  await log.createTopic('drop', { deleteUncommitted: true });
  await log.registerGroup('g', [{ topic: 'hold', partition: 0 }, { topic: 'drop', partition: 0 }]);
  await using writer = await log.writer('w');
  const payload = 'x'.repeat(200);
  await writer.append([appendOf('hold', [payload]), appendOf('drop', [payload])], undefined, never);
  await expect(writer.append([appendOf('hold', [payload])], undefined, never)).rejects.toMatchObject({ name: 'RetriableError', code: 'LOG_FULL' });
  await writer.append([appendOf('drop', [payload])], undefined, never);
  expect(await log.range({ topic: 'drop', partition: 0 })).toMatchObject({ start: 1, end: 2 });
  await log.removeGroup('g');
  await writer.append([appendOf('hold', [payload])], undefined, never);
});

test('a sink that is stopped holds its records; one that reads other topics now, or is deleted, lets them go', async () => {
  await using log = await openEmbeddedLog(fresh(), { mode: 'writer', defaults: { retentionBytes: 1_000, compression: 'none' }, fullWaitMs: 20 });
  const { id } = await log.createTopic('t');
  await log.createTopic('u');
  await log.registerGroup('g', [{ topic: 't', partition: 0 }, { topic: 'u', partition: 0 }]);
  await using writer = await log.writer('w');
  const append = (topic = 't'): Promise<readonly number[]> => writer.append([appendOf(topic, ['x'.repeat(200)])], undefined, never);
  const fill = async (): Promise<number> => { for (let n = 0; n < 50; n++) try { await append(); } catch (error) { expect(error).toMatchObject({ code: 'LOG_FULL' }); return n; } return 50; };
  // Stopped for long: nothing is lost, the source waits.
  expect(await fill()).toBeLessThan(10);
  expect(await fill()).toBe(0);
  const { start, end } = await log.range({ topic: 't', partition: 0 });
  expect([start, (await valuesOf(log, 't')).length]).toEqual([0, end]);
  // It goes on, and frees what it commits and no more.
  await log.commitPositions('g', [{ topic: 't', partition: 0, topicId: id, epoch: 0, offset: 2 }]);
  expect(await fill()).toBe(2);
  expect((await log.range({ topic: 't', partition: 0 })).start).toBe(2);
  // A second sink that is behind counts as well.
  await log.registerGroup('h', [{ topic: 't', partition: 0 }]);
  await log.commitPositions('g', [{ topic: 't', partition: 0, topicId: id, epoch: 0, offset: end }]);
  expect(await fill()).toBe(0);
  await log.removeGroup('h');
  expect(await fill()).toBeGreaterThan(0);
  // The sink is told to read another topic only: t is free, u is held, and its place in t is not forgotten.
  await log.registerGroup('g', [{ topic: 'u', partition: 0 }]);
  expect(await fill()).toBe(50);
  expect(await log.positions('g')).toContainEqual({ topic: 't', partition: 0, topicId: id, epoch: 0, offset: end });
  for (let n = 0; n < 4; n++) await append('u');
  await append('u').catch(() => undefined);
  expect((await log.range({ topic: 'u', partition: 0 })).start).toBe(0);
  // A position that is committed late does not bring the hold on t back.
  await log.commitPositions('g', [{ topic: 't', partition: 0, topicId: id, epoch: 0, offset: end + 1 }]);
  expect(await fill()).toBe(50);
});

test('records grow old also where nothing is appended', async () => {
  const directory = fresh();
  await using log = await openEmbeddedLog(directory, { mode: 'writer', defaults: { retentionMs: 60_000 }, housekeepingMs: 20 });
  await using writer = await log.writer('w');
  await log.createTopic('old', { retentionMs: -1 });
  await log.createTopic('held');
  await log.registerGroup('g', [{ topic: 'held', partition: 0 }]);
  for (const topic of ['old', 'held', 'gone']) await writer.append([appendOf(topic, ['from 2023'])], undefined, never);
  await until('the old record to go', async () => (await log.range({ topic: 'gone', partition: 0 })).start === 1, 10_000);
  expect(await valuesOf(log, 'old')).toEqual(['from 2023']);
  expect(await valuesOf(log, 'held')).toEqual(['from 2023']);
  // A reader that stood before it goes on behind it.
  await using reader = await log.reader({ topic: 'gone', partition: 0 }, 0);
  expect(await reader.next(1, 0, never)).toEqual([]);
  expect(reader.position).toBe(1);
});

test('a damaged batch is a typed error', async () => {
  await using log = await open();
  await using writer = await log.writer('w');
  await writer.append([appendOf('t', ['a'.repeat(500)])], undefined, never);
  await using reader = await log.reader({ topic: 't', partition: 0 }, 0);
  const [batch] = await reader.next(1, 1_000, never);
  const bytes = Buffer.from(batch?.bytes ?? []);
  for (let i = 16; i < bytes.length; i++) {
    const damaged = Buffer.from(bytes);
    damaged[i] = (damaged[i] ?? 0) ^ 0x55;
    expect(() => splitBatch(damaged)).toThrow(expect.objectContaining({ code: 'BATCH_CORRUPT' }) as Error);
  }
});

test('a missing directory cannot be read', async () => {
  await expect(openEmbeddedLog(fresh(), { mode: 'reader' })).rejects.toMatchObject({ code: 'LOG_MISSING' });
});

test('a log that its writer is about to make cannot be read yet', async () => {
  const path = fresh();
  await openLmdb({ path, noSubdir: false }).close();
  await expect(openEmbeddedLog(path, { mode: 'reader' })).rejects.toMatchObject({ code: 'LOG_MISSING', message: `The log directory ${path} holds no log yet` });
  await using log = await openEmbeddedLog(path, { mode: 'writer' });
  expect(await log.topics()).toEqual([]);
});
