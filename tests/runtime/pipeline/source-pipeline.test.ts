import { describe, expect, it } from 'vitest';
import type { Transform } from '../../../runtime/api/converter.ts';
import { DataError } from '../../../runtime/api/errors.ts';
import type { JsonRecords, PartitionOffset, SourceBatch, SourceRecord, SourceTask } from '../../../runtime/api/plugin.ts';
import { jsonConverter } from '../../../runtime/converters/json.ts';
import { openEmbeddedLog } from '../../../runtime/log/embedded/embedded-log.ts';
import { splitBatch } from '../../../runtime/log/record-batch.ts';
import { runSourcePipeline } from '../../../runtime/pipeline/source-pipeline.ts';
import { Tolerance } from '../../../runtime/pipeline/tolerance.ts';
import { temporaryDirectory } from '../../kit/directories.ts';

const never = new AbortController().signal;
const offsetOf = (n: number): PartitionOffset => ({ partition: { server: 's' }, offset: { n } });

/** Ready JSON in the topics named; `more` as a source says it in the middle of a burst. */
function batchOf(n: number, topics: readonly string[], more = false): SourceBatch {
  const json: JsonRecords = {
    writeKey: (i, out) => { out.writeText(`{"id":${i}}`); return true; },
    writeValue: (i, out) => { out.writeText(`{"batch":${n},"row":${i}}`); return true; },
    headers: () => [],
  };
  return { length: topics.length, bytes: topics.length, more, offset: offsetOf(n), topic: i => topics[i] ?? '', decode: () => { throw new Error('not asked for'); }, json: () => json };
}

function taskOf(batches: Iterable<SourceBatch>, committed: (offset: PartitionOffset) => Promise<void>): SourceTask {
  return { async *batches() { yield* batches; }, committed, async [Symbol.asyncDispose]() { /* nothing is open */ } };
}

async function run(directory: string, batches: Iterable<SourceBatch>, committed: (offset: PartitionOffset) => Promise<void> = async () => { /* not watched */ }): Promise<void> {
  await using log = await openEmbeddedLog(directory, { mode: 'writer' });
  const converter = jsonConverter({ schemas: false });
  await runSourcePipeline({ connector: 'c', task: taskOf(batches, committed), log, keyConverter: converter, valueConverter: converter, headerConverter: converter, transforms: [], metrics: { add: () => { /* not watched */ }, set: () => { /* not watched */ } }, topicSeen: () => { /* not watched */ } }, never);
}

async function records(directory: string, topic: string): Promise<string[]> {
  await using log = await openEmbeddedLog(directory, { mode: 'reader' });
  const { end } = await log.range({ topic, partition: 0 });
  await using reader = await log.reader({ topic, partition: 0 }, 0);
  const found: string[] = [];
  while (reader.position < end) {
    for (const { bytes } of await reader.next(1024 * 1024, 1000, never)) {
      const split = splitBatch(bytes);
      for (let i = 0; i < split.length; i++) found.push(split.buffer.toString('utf8', split.valueStart[i], split.valueEnd[i]));
    }
  }
  return found;
}

/** Records for transforms and converters, one for each name; no JSON that could be taken as it is. */
function plainBatch(names: readonly string[]): SourceBatch {
  const decode = (i: number): SourceRecord => ({ topic: 't', partition: null, timestamp: null, headers: [], key: { schema: null, value: null }, value: { schema: null, value: names[i] ?? null } });
  return { length: names.length, bytes: names.length, more: false, offset: offsetOf(1), topic: () => 't', decode, json: () => undefined };
}

async function transformed(directory: string, tolerance: 'none' | 'all', partition: number | null): Promise<void> {
  await using log = await openEmbeddedLog(directory, { mode: 'writer' });
  await log.createTopic('t', { partitions: 2 });
  const quiet = { debug: () => { /* not watched */ }, info: () => { /* not watched */ }, warn: () => { /* not watched */ }, error: () => { /* not watched */ }, child: () => quiet };
  const metrics = { add: () => { /* not watched */ }, set: () => { /* not watched */ } };
  const converter = jsonConverter({ schemas: false });
  const refusing: Transform<SourceRecord> = { apply: record => { if (record.value.value === 'bad') throw new DataError('bad', { code: 'TEST' }); return { ...record, partition }; } };
  await runSourcePipeline({
    connector: 'c', task: taskOf([plainBatch(['a', 'bad', 'b'])], async () => { /* not watched */ }), log, keyConverter: converter, valueConverter: converter, headerConverter: converter, transforms: [refusing], metrics, topicSeen: () => { /* not watched */ },
    tolerance: new Tolerance({ tolerance, retryTimeoutMs: 0, retryDelayMaxMs: 0, log: false, logMessages: false }, { logger: quiet, metrics }),
  }, never);
}

describe('source pipeline', () => {
  it('leaves out records that a transform cannot take under errors.tolerance=all, and fails without', async () => {
    using all = temporaryDirectory(), none = temporaryDirectory();
    await transformed(all.path, 'all', null);
    expect(await records(all.path, 't')).toEqual(['"a"', '"b"']);
    await expect(transformed(none.path, 'none', null)).rejects.toThrow(/bad \(TRANSFORMATION, topic t\)/);
  });

  it('takes a partition that a transform asks for, and refuses one that is not there', async () => {
    using there = temporaryDirectory(), missing = temporaryDirectory();
    await transformed(there.path, 'all', 1);
    expect(await records(there.path, 't')).toEqual([]);
    await expect(transformed(missing.path, 'none', 2)).rejects.toThrow(/no partition 2/);
  });

  it('keeps the order of a topic over many appends, and tells the task of offsets in order when they are durable', async () => {
    using directory = temporaryDirectory();
    const seen: number[] = [];
    await run(directory.path, Array.from({ length: 50 }, (_, n) => batchOf(n, Array<string>(100).fill('t'), n % 7 !== 0)), async ({ offset }) => { seen.push(Number(offset['n'])); });
    expect(await records(directory.path, 't')).toEqual(Array.from({ length: 5000 }, (_, i) => `{"batch":${Math.floor(i / 100)},"row":${i % 100}}`));
    expect(seen.at(-1)).toBe(49);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    await using log = await openEmbeddedLog(directory.path, { mode: 'reader' });
    expect(await log.sourceOffsets('c')).toEqual([offsetOf(49)]);
  });

  it('takes memory by the bytes on their way, not by the number of topics', async () => {
    using directory = temporaryDirectory();
    const names = Array.from({ length: 2_000 }, (_, i) => `table_${i}`);
    let most = 0;
    const before = process.memoryUsage().arrayBuffers;
    const watched = function* (): Generator<SourceBatch> {
      for (let n = 0; n < 4; n++) { yield batchOf(n, names); most = Math.max(most, process.memoryUsage().arrayBuffers - before); }
    };
    await run(directory.path, watched());
    expect(await records(directory.path, 'table_1999')).toEqual([0, 1, 2, 3].map(n => `{"batch":${n},"row":1999}`));
    // 256 KiB for each topic, twice, would be 1 GB.
    expect(most).toBeLessThan(200e6);
  });

  it('ends with what an append failed with, although the source has nothing to say', async () => {
    using directory = temporaryDirectory();
    await using log = await openEmbeddedLog(directory.path, { mode: 'writer' });
    await using good = await log.writer('source:c');
    const converter = jsonConverter({ schemas: false });
    // The source waits for changes that never come, as a quiet database does.
    const task: SourceTask = {
      async *batches(signal) { yield batchOf(1, ['t']); await new Promise<void>(done => { signal.addEventListener('abort', () => { done(); }, { once: true }); }); },
      committed: () => Promise.reject(new Error('the slot is gone')), async [Symbol.asyncDispose]() { /* nothing is open */ },
    };
    await expect(runSourcePipeline({ connector: 'c', task, log, writer: good, keyConverter: converter, valueConverter: converter, headerConverter: converter, transforms: [], metrics: { add: () => { /* not watched */ }, set: () => { /* not watched */ } }, topicSeen: () => { /* not watched */ } }, never)).rejects.toThrow('the slot is gone');
  });
});
