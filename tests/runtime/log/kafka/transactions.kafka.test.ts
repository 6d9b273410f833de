/** Transactions that span several appends, on a real broker; Kafka's own Java consumer is the witness of what counts. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PartitionOffset, SourceBatch, SourceTask } from '../../../../runtime/api/plugin.ts';
import { jsonConverter } from '../../../../runtime/converters/json.ts';
import type { Log, SpanningAppends } from '../../../../runtime/log/log.ts';
import type { TransactionBoundary } from '../../../../runtime/pipeline/source-appends.ts';
import { runSourcePipeline } from '../../../../runtime/pipeline/source-pipeline.ts';
import { javaMissing } from '../../../kit/jvm.ts';
import { type KafkaCluster, startKafka } from '../../../kit/kafka.ts';
import { consumeAll } from '../../../kit/kafka-consumer.ts';
import { openLogOn } from '../../../kit/kafka-log.ts';
import { appendOf, never } from '../../../kit/log-values.ts';

const offsetOf = (n: number): PartitionOffset => ({ partition: { server: 's' }, offset: { n } });
const offsets = (n: number): { readonly connector: string; readonly offsets: readonly PartitionOffset[] } => ({ connector: 'c', offsets: [offsetOf(n)] });

/** One record with the number `n`, and where its transaction ends. */
function batchOf(topic: string, n: number, end?: 'commit' | 'abort'): SourceBatch {
  return {
    length: 1, bytes: 1, more: false, offset: offsetOf(n), topic: () => topic, ...(end === undefined ? {} : { end }),
    decode: () => ({ topic, partition: null, timestamp: null, headers: [], key: { schema: null, value: null }, value: { schema: null, value: n } }),
  };
}

describe.skipIf(javaMissing() !== undefined)('transactions over several appends', () => {
  let kafka: KafkaCluster;
  beforeAll(async () => { kafka = await startKafka({ settings: { 'transaction.abort.timed.out.transaction.cleanup.interval.ms': '1000' } }); }, 300_000);
  afterAll(async () => { await kafka[Symbol.asyncDispose](); });

  const open = (name: string): Promise<Log> => openLogOn(kafka.bootstrap, { transactionalId: () => `test-${name}`, offsets: { topic: `${name}-offsets`, partitions: 1 } });
  const values = async (topic: string, isolation: 'read_committed' | 'read_uncommitted' = 'read_committed'): Promise<(string | null)[]> => (await consumeAll(kafka, topic, { isolation, idleMs: 2_000 })).map(({ value }) => value);
  const spanning = (found: SpanningAppends | undefined): SpanningAppends => { if (found === undefined) throw new Error('a transactional writer spans appends'); return found; };

  test('count all at once with the append that ends them, or not at all', async () => {
    await using log = await open('span');
    await log.createTopic('span', { partitions: 1 });
    await using writer = await log.writer('w');
    const { add, abort } = spanning(writer.spanning);
    await add([appendOf('span', ['1'])], never);
    await add([appendOf('span', ['2'])], never);
    expect([await values('span'), await values('span', 'read_uncommitted')]).toEqual([[], ['1', '2']]);
    await writer.append([appendOf('span', ['3'])], offsets(3), never);
    expect(await values('span')).toEqual(['1', '2', '3']);
    expect(await log.sourceOffsets('c')).toEqual([offsetOf(3)]);
    await add([appendOf('span', ['given up'])], never);
    await abort(never);
    await writer.append([], offsets(4), never);
    expect(await values('span')).toEqual(['1', '2', '3']);
    expect(await log.sourceOffsets('c')).toEqual([offsetOf(4)]);
  });

  test('are given up when the writer closes, so that readers do not wait for them', async () => {
    await using log = await open('closed');
    await log.createTopic('closed', { partitions: 1 });
    {
      await using writer = await log.writer('w');
      await spanning(writer.spanning).add([appendOf('closed', ['open'])], never);
    }
    await using plain = await openLogOn(kafka.bootstrap);
    await using after = await plain.writer('w');
    await after.append([appendOf('closed', ['after'])], undefined, never);
    expect(await values('closed')).toEqual(['after']);
  });

  test('are lost when a later writer of the name comes: the earlier one is told, and writes nothing more', async () => {
    await using log = await open('zombie'), successor = await open('zombie');
    await log.createTopic('zombie', { partitions: 1 });
    await using old = await log.writer('w');
    const { add } = spanning(old.spanning);
    await add([appendOf('zombie', ['old 1'])], never);
    await using next = await successor.writer('w');
    await next.append([appendOf('zombie', ['new'])], offsets(1), never);
    await expect(add([appendOf('zombie', ['old 2'])], never)).rejects.toMatchObject({ code: 'LOG_WRITER_FENCED' });
    await expect(old.append([appendOf('zombie', ['old 3'])], offsets(9), never)).rejects.toMatchObject({ name: 'RetriableError', code: 'LOG_TRANSACTION_LOST' });
    expect(await values('zombie')).toEqual(['new']);
    expect(await successor.sourceOffsets('c')).toEqual([offsetOf(1)]);
  });

  test('that the brokers ended because they took too long are told as that, and the next one begins anew', async () => {
    await using log = await openLogOn(kafka.bootstrap, { worker: { 'producer.transaction.timeout.ms': '1000' }, transactionalId: () => 'test-late', offsets: { topic: 'late-offsets', partitions: 1 } });
    await log.createTopic('late', { partitions: 1 });
    await using writer = await log.writer('w');
    const { add, abort } = spanning(writer.spanning);
    let failure: unknown;
    for (let n = 0; failure === undefined && n < 300; n++) {
      await add([appendOf('late', ['late'])], never).catch((error: unknown) => { failure = error; });
      await new Promise(resolve => { setTimeout(resolve, 200); });
    }
    expect(failure).toMatchObject({ name: 'RetriableError', code: 'LOG_TRANSACTION_TIMEOUT' });
    await expect(writer.append([], offsets(1), never)).rejects.toMatchObject({ code: 'LOG_TRANSACTION_LOST' });
    await abort(never);
    await writer.append([appendOf('late', ['in time'])], offsets(2), never);
    expect(await values('late')).toEqual(['in time']);
  }, 120_000);

  test('no records go to the topic of the offsets themselves', async () => {
    await using log = await open('own');
    await using writer = await log.writer('w');
    await expect(writer.append([appendOf('own-offsets', ['x'])], undefined, never)).rejects.toMatchObject({ name: 'FatalError', message: 'Source tasks may not produce to their own offsets topics when exactly-once support is enabled' });
  });

  test.each<readonly [string, TransactionBoundary, readonly string[], number]>([
    ['poll', { by: 'append' }, ['1', '2', '3', '4', '5', '6'], 6],
    ['interval', { by: 'interval', intervalMs: 600_000 }, ['1', '2', '3', '4', '5', '6'], 6],
    // 1 and 2 committed, 3 and 4 given up, 5 committed; nobody said anything about 6.
    ['connector', { by: 'source' }, ['1', '2', '5'], 5],
  ])('a pipeline with the boundary %s leaves what it should', async (name, boundary, left, last) => {
    await using log = await open(`pipe-${name}`);
    await using writer = await log.writer('w');
    const topic = `pipe-${name}`, converter = jsonConverter({ schemas: false }), told: number[] = [];
    const task: SourceTask = {
      async *batches() { yield batchOf(topic, 1); yield batchOf(topic, 2, 'commit'); yield batchOf(topic, 3); yield batchOf(topic, 4, 'abort'); yield batchOf(topic, 5, 'commit'); yield batchOf(topic, 6); },
      committed: async ({ offset }) => { told.push(Number(offset['n'])); }, async [Symbol.asyncDispose]() { /* nothing is open */ },
    };
    await runSourcePipeline({ connector: 'c', task, log, writer, boundary, keyConverter: converter, valueConverter: converter, headerConverter: converter, transforms: [], metrics: { add: () => undefined, set: () => undefined }, topicSeen: () => undefined }, never);
    await writer[Symbol.asyncDispose]();
    expect(await values(topic)).toEqual(left);
    expect(told).toEqual({ poll: [1, 2, 3, 4, 5, 6], interval: [6], connector: [2, 4, 5] }[name]);
    expect(await log.sourceOffsets('c')).toEqual([offsetOf(last)]);
  });
});
