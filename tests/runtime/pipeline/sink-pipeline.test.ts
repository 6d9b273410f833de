import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DataError } from '../../../runtime/api/errors.ts';
import type { AssignedPartition, PartitionPosition, SinkBatch, SinkTask } from '../../../runtime/api/plugin.ts';
import { jsonConverter } from '../../../runtime/converters/json.ts';
import { simpleHeaderConverter } from '../../../runtime/converters/header.ts';
import { openEmbeddedLog } from '../../../runtime/log/embedded/embedded-log.ts';
import type { Log } from '../../../runtime/log/log.ts';
import { BatchBuilder, headersOf, splitBatch } from '../../../runtime/log/record-batch.ts';
import { DeadLetters } from '../../../runtime/pipeline/dead-letters.ts';
import { runSinkPipeline, type SinkPipeline } from '../../../runtime/pipeline/sink-pipeline.ts';
import { createTransforms } from '../../../runtime/transforms/transforms.ts';

let folder: string;
let log: Log;
beforeEach(async () => { folder = mkdtempSync(join(tmpdir(), 'sink-pipeline-')); log = await openEmbeddedLog(folder, { mode: 'writer' }); });
afterEach(async () => { await log[Symbol.asyncDispose](); rmSync(folder, { recursive: true, force: true }); });

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined, child: () => quiet };
const metrics = { set: () => undefined, add: () => undefined };

async function append(topic: string, values: readonly (string | null)[]): Promise<void> {
  await using writer = await log.writer('test');
  const builder = new BatchBuilder();
  values.forEach((value, i) => { builder.append(1000 + i, out => { out.write(Buffer.from(`"k${i}"`)); return true; }, out => { if (value !== null) out.write(Buffer.from(value)); return value !== null; }, []); });
  await writer.append([{ topic, partition: 0, body: builder.body() }], undefined, new AbortController().signal);
}

/** A sink whose target is an array; it refuses the value `"bad"`. */
class ArraySink implements SinkTask {
  readonly accepted: { offset: number; value: unknown }[] = [];
  readonly durable: { offset: number; value: unknown }[] = [];
  private pending: { offset: number; value: unknown }[] = [];
  private positions = new Map<string, PartitionPosition>();
  resume: readonly PartitionPosition[] = [];
  readonly flushBytes = 1_000_000;
  readonly flushIntervalMs = 20;
  onFlush: () => void = () => undefined;
  get pendingBytes(): number { return this.pending.length; }
  async assign(partitions: readonly AssignedPartition[]): Promise<readonly PartitionPosition[]> {
    for (const one of partitions) this.positions.set(one.topic, { ...one, offset: 0 });
    return this.resume.map(position => ({ ...position, topicId: partitions.find(({ topic }) => topic === position.topic)?.topicId ?? '' }));
  }
  async put(batch: SinkBatch): Promise<void> {
    const records = Array.from({ length: batch.length }, (_, i) => ({ offset: batch.offset(i), value: batch.decode(i).value.value }));
    if (records.some(({ value }) => value === 'bad')) throw new DataError('record is bad', { code: 'BAD' });
    this.accepted.push(...records);
    this.pending.push(...records);
    const position = this.positions.get(batch.topic);
    if (position !== undefined) this.positions.set(batch.topic, { ...position, offset: batch.offset(batch.length - 1) + 1 });
  }
  async flush(): Promise<readonly PartitionPosition[]> {
    this.durable.push(...this.pending);
    this.pending = [];
    this.onFlush();
    return [...this.positions.values()];
  }
  async [Symbol.asyncDispose](): Promise<void> { /* nothing is held */ }
}

function pipeline(task: ArraySink, more: Partial<SinkPipeline> = {}): SinkPipeline {
  const json = jsonConverter({ schemas: false });
  return {
    connector: 'c', group: 'connect-c', task, log, topics: { names: ['t'], regex: undefined }, converters: { key: json, value: json, header: simpleHeaderConverter() }, transforms: [],
    tolerance: { tolerance: 'none', retryTimeoutMs: 0, retryDelayMaxMs: 1000, log: false, logMessages: false }, deadLetters: undefined, logger: quiet, metrics, topicSeen: () => undefined, ...more,
  };
}

/** Runs until the sink has made `count` records durable. */
async function runUntil(task: ArraySink, count: number, more: Partial<SinkPipeline> = {}): Promise<void> {
  const stop = new AbortController();
  task.onFlush = () => { if (task.durable.length >= count) stop.abort(); };
  await runSinkPipeline(pipeline(task, more), stop.signal);
}

describe('sink pipeline', () => {
  it('refuses to go on where the target is ahead of the log, until the offsets are reset', async () => {
    await append('t', ['"a"', '"b"']);
    const sink = new ArraySink();
    sink.resume = [{ topic: 't', partition: 0, topicId: '', epoch: 0, offset: 9 }];
    await expect(runUntil(sink, 1)).rejects.toMatchObject({ code: 'LOG_BEHIND_SINK' });
    expect(sink.accepted).toEqual([]);
    await log.resetPositions('connect-c', [{ topic: 't', partition: 0, offset: null }]);
    await runUntil(sink, 2);
    expect(sink.durable.map(({ value }) => value)).toEqual(['a', 'b']);
  });
  it('delivers in order, commits after the target, and goes on behind what it committed', async () => {
    await append('t', ['1', '2', '3']);
    const first = new ArraySink();
    await runUntil(first, 3);
    expect(first.durable.map(({ offset }) => offset)).toEqual([0, 1, 2]);
    expect((await log.positions('connect-c'))[0]?.offset).toBe(3);
    await append('t', ['4', '5']);
    const second = new ArraySink();
    await runUntil(second, 2);
    expect(second.durable).toEqual([{ offset: 3, value: 4 }, { offset: 4, value: 5 }]);
  });
  it("resumes from the target's own position inside a batch", async () => {
    await append('t', ['1', '2', '3', '4']);
    const task = new ArraySink();
    task.resume = [{ topic: 't', partition: 0, topicId: '', epoch: 0, offset: 2 }];
    await runUntil(task, 2);
    expect(task.durable.map(({ offset }) => offset)).toEqual([2, 3]);
  });
  it('takes up a topic that is made later', async () => {
    const task = new ArraySink();
    const run = runUntil(task, 1, { topics: { names: [], regex: /^late.*/u } });
    await append('late-1', ['7']);
    await run;
    expect(task.durable).toEqual([{ offset: 0, value: 7 }]);
  });
  it('fails on a bad record, with its place in the message', async () => {
    await append('t', ['1', '"bad"', '3']);
    await expect(runUntil(new ArraySink(), 3)).rejects.toThrow(/topic t, partition 0, offset/);
    await append('u', ['{"broken']);
    await expect(runUntil(new ArraySink(), 1, { topics: { names: ['u'], regex: undefined }, transforms: createTransforms({ transforms: 'r', 'transforms.r.type': 'RegexRouter', 'transforms.r.regex': 'x', 'transforms.r.replacement': 'y' }) as SinkPipeline['transforms'] })).rejects.toThrow(/VALUE_CONVERTER, topic u, partition 0, offset 0/);
  });
  it('skips bad records under errors.tolerance=all and keeps them in the dead letters', async () => {
    await append('t', ['1', '"bad"', '3']);
    const task = new ArraySink();
    await using deadLetters = await DeadLetters.open(log, { topic: 'dead', contextHeaders: true, connector: 'c', task: 0 });
    await runUntil(task, 2, { tolerance: { tolerance: 'all', retryTimeoutMs: 0, retryDelayMaxMs: 1000, log: true, logMessages: false }, deadLetters });
    expect(task.durable.map(({ offset }) => offset)).toEqual([0, 2]);
    await using reader = await log.reader({ topic: 'dead', partition: 0 }, 0);
    const [batch] = await reader.next(1_000_000, 1000, new AbortController().signal);
    const split = splitBatch(batch?.bytes ?? Buffer.alloc(0));
    expect(split.buffer.toString('utf8', split.valueStart[0], split.valueEnd[0])).toBe('"bad"');
    const headers = new Map(headersOf(split, 0).map(({ name, value }) => [name, Buffer.from(value ?? []).toString('utf8')]));
    expect(headers.get('__connect.errors.offset')).toBe('1');
    expect(headers.get('__connect.errors.stage')).toBe('TASK_PUT');
  });
  it('goes round all partitions of all topics', async () => {
    for (const topic of ['t1', 't2', 't3']) await append(topic, Array.from({ length: 50 }, (_, i) => String(i)));
    const task = new ArraySink();
    await runUntil(task, 150, { topics: { names: [], regex: /^t\d$/u } });
    expect(task.durable).toHaveLength(150);
  });

  it('leaves no wait behind when it fails by itself: a timer would keep the thread of the task alive', async () => {
    await append('t', ['"bad"']);
    const waits: AbortSignal[] = [];
    const watched = new Proxy(log, { get: (target, name) => {
      if (name === 'topicsChanged') return (signal: AbortSignal) => { waits.push(signal); return target.topicsChanged(signal); };
      const value = target[name as keyof Log];
      return typeof value === 'function' ? value.bind(target) : value;
    } });
    await expect(runSinkPipeline(pipeline(new ArraySink(), { log: watched }), new AbortController().signal)).rejects.toThrow('record is bad');
    expect(waits.length).toBeGreaterThan(0);
    expect(waits.every(({ aborted }) => aborted)).toBe(true);
  });
});
