/** What every log promises: one suite, run over each implementation. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PartitionOffset } from '../../runtime/api/plugin.ts';
import type { Log, LogReader } from '../../runtime/log/log.ts';
import { splitBatch } from '../../runtime/log/record-batch.ts';
import { appendOf, never } from './log-values.ts';

/** Values from the reader's place up to `end`. */
export async function valuesUntil(reader: LogReader, end: number): Promise<string[]> {
  const values: string[] = [];
  const deadline = performance.now() + 20_000;
  while (reader.position < end) {
    expect(performance.now()).toBeLessThan(deadline);
    const from = reader.position;
    // Empty where only records came that no reader sees (the ends of transactions): the position moves all the same.
    const batches = await reader.next(1024 * 1024, 250, never);
    for (const batch of batches) {
      const split = splitBatch(batch.bytes);
      for (let i = 0; i < split.length; i++) if (split.baseOffset + (split.offsetDelta[i] ?? 0) >= from) values.push(split.buffer.toString('utf8', split.valueStart[i], split.valueEnd[i]));
    }
  }
  return values;
}
/** All values of a partition. */
export async function valuesOf(log: Log, topic: string, partition = 0): Promise<string[]> {
  const { start, end } = await log.range({ topic, partition });
  await using reader = await log.reader({ topic, partition }, start);
  return await valuesUntil(reader, end);
}

const at = (n: number): PartitionOffset => ({ partition: { server: 's' }, offset: { n } });

/** Where the contract leaves a log its own way. */
export interface LogTraits {
  /** Offsets have no gaps. Kafka's transactions leave one each. */
  readonly dense: boolean;
  /** A later writer of the same id shuts the earlier one out. Kafka does so for transactional writers. */
  readonly fences: boolean;
}

/** `openLog` makes a new empty log. */
export function describeLog(name: string, openLog: () => Promise<Log>, traits: LogTraits = { dense: true, fences: true }): void {
  describe(`${name} log`, () => {
    let log: Log;
    beforeEach(async () => { log = await openLog(); });
    afterEach(async () => { await log[Symbol.asyncDispose](); });
    describe('append and read', () => { appendTests(() => log, traits.dense); });
    describe('writers', () => { writerTests(() => log, traits.fences); });
    describe('groups', () => { groupTests(() => log); });
    describe('topics, source offsets and state', () => { restTests(() => log); });
  });
}

function appendTests(log: () => Log, dense: boolean): void {
  test('keeps the order of concurrent appends, also when the first has to make its topic', async () => {
    await log().createTopic('known');
    await using writer = await log().writer('w');
    const bases = await Promise.all([
      writer.append([appendOf('new', ['a0']), appendOf('known', ['k0'])], undefined, never),
      writer.append([appendOf('known', ['k1', 'k2'])], undefined, never),
      writer.append([appendOf('known', ['k3']), appendOf('new', ['a1'])], undefined, never),
    ]);
    if (dense) expect(bases).toEqual([[0, 0], [1], [3, 1]]);
    else expect(bases.map(of => of.length)).toEqual([2, 1, 2]);
    expect(await valuesOf(log(), 'known')).toEqual(['k0', 'k1', 'k2', 'k3']);
    expect(await valuesOf(log(), 'new')).toEqual(['a0', 'a1']);
  });

  test('stores records and source offsets together, or neither', async () => {
    await using writer = await log().writer('w');
    await log().createTopic('t');
    await writer.append([appendOf('t', ['1'])], { connector: 'c', offsets: [at(1)] }, never);
    await expect(writer.append([appendOf('t', ['2']), appendOf('t', ['x'], 7)], { connector: 'c', offsets: [at(2)] }, never)).rejects.toMatchObject({ code: 'PARTITION_UNKNOWN' });
    expect(await valuesOf(log(), 't')).toEqual(['1']);
    expect(await log().sourceOffsets('c')).toEqual([at(1)]);
    await writer.append([], { connector: 'c', offsets: [at(3)] }, never);
    expect(await log().sourceOffsets('c')).toEqual([at(3)]);
  });

  test('fails the appends behind a failed one, and goes on with the next', async () => {
    await using writer = await log().writer('w');
    await log().createTopic('t');
    const outcomes = await Promise.allSettled([
      writer.append([appendOf('t', ['1'])], undefined, never),
      writer.append([appendOf('t', ['bad'], 9)], { connector: 'c', offsets: [at(1)] }, never),
      writer.append([appendOf('t', ['2'])], { connector: 'c', offsets: [at(2)] }, never),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(await log().sourceOffsets('c')).toEqual([]);
    await writer.append([appendOf('t', ['3'])], undefined, never);
    expect(await valuesOf(log(), 't')).toEqual(['1', '3']);
  });

  test('wakes waiting readers, several of them, as soon as there is data', async () => {
    await log().createTopic('t');
    await using one = await log().reader({ topic: 't', partition: 0 }, 0);
    await using two = await log().reader({ topic: 't', partition: 0 }, 0);
    const waiting = [one.next(1024, 20_000, never), two.next(1024, 20_000, never)];
    await using writer = await log().writer('w');
    const since = performance.now();
    await writer.append([appendOf('t', ['a', 'b'])], undefined, never);
    for (const batches of await Promise.all(waiting)) expect(batches.map(({ baseOffset, lastOffset }) => [baseOffset, lastOffset])).toEqual([[0, 1]]);
    expect(performance.now() - since).toBeLessThan(5_000);
    expect([one.position, two.position].map(position => position >= 2)).toEqual([true, true]);
  });

  test('gives a reader the batch that holds its position, and stays within the bytes asked for', async () => {
    await using writer = await log().writer('w');
    const bases: number[] = [];
    for (let n = 0; n < 5; n++) bases.push(...await writer.append([appendOf('t', [`${n}a`, `${n}b`])], undefined, never));
    const [, second = 0, third = 0] = bases;
    await using reader = await log().reader({ topic: 't', partition: 0 }, second + 1);
    const batches = await reader.next(1, 5_000, never);
    expect(batches.map(({ baseOffset }) => baseOffset)).toEqual([second]);
    expect(reader.position).toBe(third);
    expect(await valuesUntil(reader, (await log().range({ topic: 't', partition: 0 })).end)).toEqual(['2a', '2b', '3a', '3b', '4a', '4b']);
  });

  test('answers an aborted or timed out read with nothing', async () => {
    await log().createTopic('t');
    await using reader = await log().reader({ topic: 't', partition: 0 }, 0);
    expect(await reader.next(1024, 5, never)).toEqual([]);
    const stop = new AbortController();
    const waiting = reader.next(1024, 60_000, stop.signal);
    stop.abort();
    expect(await waiting).toEqual([]);
  });
}

function writerTests(log: () => Log, fences: boolean): void {
  if (fences) test('a later writer of the same id fences the earlier one, and no other', async () => {
    await using first = await log().writer('w');
    await using other = await log().writer('v');
    await first.append([appendOf('t', ['1'])], undefined, never);
    await using second = await log().writer('w');
    await expect(first.append([appendOf('t', ['stale'])], { connector: 'c', offsets: [at(1)] }, never)).rejects.toMatchObject({ name: 'FatalError', code: 'LOG_WRITER_FENCED' });
    await second.append([appendOf('t', ['2'])], undefined, never);
    await other.append([appendOf('t', ['3'])], undefined, never);
    expect(await valuesOf(log(), 't')).toEqual(['1', '2', '3']);
    expect(await log().sourceOffsets('c')).toEqual([]);
  });

  test('several writers at once: every record once, each writer in its order', async () => {
    const names = ['a', 'b', 'c', 'd'];
    await Promise.all(names.map(async name => {
      await using writer = await log().writer(name);
      await Promise.all(Array.from({ length: 25 }, (_, n) => writer.append([appendOf('t', [`${name}${n}`])], undefined, never)));
    }));
    const values = await valuesOf(log(), 't');
    expect(values).toHaveLength(100);
    for (const name of names) expect(values.filter(value => value.startsWith(name))).toEqual(Array.from({ length: 25 }, (_, n) => `${name}${n}`));
  });
}

function groupTests(log: () => Log): void {
  const position = async (group: string, topic: string, offset: number): Promise<Parameters<Log['commitPositions']>[1][number]> =>
    ({ topic, partition: 0, topicId: (await log().topic(topic))?.id ?? '', epoch: await log().epoch(group), offset });

  test('commits forward only; a reset moves anywhere and raises the epoch', async () => {
    await log().createTopic('t');
    await log().commitPositions('g', [await position('g', 't', 5)]);
    await log().commitPositions('g', [await position('g', 't', 3)]);
    expect(await log().positions('g')).toMatchObject([{ topic: 't', partition: 0, offset: 5 }]);
    const stale = await position('g', 't', 9);
    const epoch = await log().epoch('g');
    await log().resetPositions('g', [{ topic: 't', partition: 0, offset: 2 }]);
    expect(await log().epoch('g')).toBe(epoch + 1);
    await log().commitPositions('g', [stale]);
    expect(await log().positions('g')).toMatchObject([{ offset: 2 }]);
    await log().resetPositions('g', [{ topic: 't', partition: 0, offset: null }]);
    expect(await log().positions('g')).toEqual([]);
    expect(await log().epoch('g')).toBe(epoch + 2);
  });

  test('forgets positions of a topic that was made again, and keeps epochs over removal', async () => {
    await log().createTopic('t');
    await log().commitPositions('g', [await position('g', 't', 5)]);
    await log().resetPositions('g', [{ topic: 't', partition: 0, offset: 5 }]);
    const epoch = await log().epoch('g');
    await log().deleteTopic('t');
    await log().createTopic('t');
    expect(await log().positions('g')).toEqual([]);
    await log().removeGroup('g');
    expect(await log().epoch('g')).toBe(epoch);
  });
}

function restTests(log: () => Log): void {
  test('makes a topic once, lists and deletes it, and tells of each change', async () => {
    const stop = new AbortController();
    const made = log().topicsChanged(stop.signal);
    const first = await log().createTopic('t', { partitions: 3, retentionMs: -1 });
    await made;
    expect(await log().createTopic('t')).toEqual(first);
    expect(first).toMatchObject({ name: 't', partitions: 3 });
    expect((await log().topics()).map(({ name }) => name)).toContain('t');
    const gone = log().topicsChanged(stop.signal);
    await log().deleteTopic('t');
    await gone;
    expect(await log().topic('t')).toBeUndefined();
    await expect(log().range({ topic: 't', partition: 0 })).rejects.toMatchObject({ code: 'TOPIC_UNKNOWN' });
    await expect(log().createTopic('a/b')).rejects.toMatchObject({ code: 'TOPIC_NAME' });
    stop.abort();
  });

  test('a topic made again is empty and has another id', async () => {
    await using writer = await log().writer('w');
    const { id } = await log().createTopic('t');
    await writer.append([appendOf('t', ['old'])], undefined, never);
    await log().deleteTopic('t');
    await writer.append([appendOf('t', ['new'])], undefined, never);
    expect((await log().topic('t'))?.id).not.toBe(id);
    expect(await valuesOf(log(), 't')).toEqual(['new']);
  });

  test('keeps partitions apart', async () => {
    await log().createTopic('t', { partitions: 2 });
    await using writer = await log().writer('w');
    await writer.append([appendOf('t', ['a'], 0), appendOf('t', ['b', 'c'], 1)], undefined, never);
    expect([await valuesOf(log(), 't', 0), await valuesOf(log(), 't', 1)]).toEqual([['a'], ['b', 'c']]);
    const range = await log().range({ topic: 't', partition: 1 });
    expect(range.start).toBe(0);
    expect(range.end).toBeGreaterThanOrEqual(2);
  });

  test('source offsets: large numbers exactly, altered and forgotten by partition, apart by connector', async () => {
    await using writer = await log().writer('w');
    const lsn = 9_223_372_036_854_775_807n;
    const offsets = [{ partition: { server: 's' }, offset: { lsn } }, at(4)];
    await writer.append([], { connector: 'c', offsets: offsets.slice(0, 1) }, never);
    await writer.append([], { connector: 'cc', offsets: [at(4)] }, never);
    expect(await log().sourceOffsets('c')).toEqual([{ partition: { server: 's' }, offset: { lsn } }]);
    await log().alterSourceOffsets('c', [{ partition: { server: 's' }, offset: null }, { partition: { server: 'u' }, offset: { n: 1 } }]);
    expect(await log().sourceOffsets('c')).toEqual([{ partition: { server: 'u' }, offset: { n: 1 } }]);
    expect(await log().sourceOffsets('cc')).toEqual([at(4)]);
  });

  test('state: by prefix, changed together, deleted with null, apart by name', async () => {
    const state = log().state('s');
    await state.put([['a/1', '1'], ['a/2', '2'], ['b', '3']]);
    await log().state('s2').put([['a/1', 'other']]);
    expect(await state.entries('a/')).toEqual([['a/1', '1'], ['a/2', '2']]);
    await state.put([['a/1', null], ['b', '4']]);
    expect(await state.get('a/1')).toBeUndefined();
    expect(await state.entries()).toEqual([['a/2', '2'], ['b', '4']]);
    expect(await log().state('s2').get('a/1')).toBe('other');
  });
}
