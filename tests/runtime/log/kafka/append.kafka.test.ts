import { Kafka, logLevel, type KafkaMessage } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Compression } from '../../../../runtime/log/log.ts';
import { BatchBuilder, partOf } from '../../../../runtime/log/record-batch.ts';
import { javaMissing } from '../../../kit/jvm.ts';
import { type KafkaCluster, startKafka } from '../../../kit/kafka.ts';
import { consumeAll } from '../../../kit/kafka-consumer.ts';
import { openLogOn } from '../../../kit/kafka-log.ts';
import { valuesOf } from '../../../kit/log-suite.ts';
import { appendOf, never } from '../../../kit/log-values.ts';

const CODECS: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

describe.skipIf(javaMissing() !== undefined)('append to Kafka', () => {
  let kafka: KafkaCluster;
  beforeAll(async () => { kafka = await startKafka(); });
  afterAll(async () => { await kafka[Symbol.asyncDispose](); });

  test('every codec is read by the Java consumer, byte for byte, tombstones and headers included', async () => {
    for (const codec of CODECS) {
      await using log = await openLogOn(kafka.bootstrap, { worker: { 'producer.compression.type': codec } });
      await using writer = await log.writer('w');
      const builder = new BatchBuilder();
      for (let n = 0; n < 500; n++) builder.append(1_700_000_000_000 + n, partOf(Buffer.from(`key-${n}`)), partOf(n % 7 === 0 ? null : Buffer.from(`value ${n} äöü ${'x'.repeat(n)}`)), [{ name: 'h', value: Buffer.from('v') }]);
      await writer.append([{ topic: `java-${codec}`, partition: 0, body: builder.body() }], undefined, never);
    }
    const expected = Array.from({ length: 500 }, (_, n) => ({ partition: 0, offset: n, key: `key-${n}`, value: n % 7 === 0 ? null : `value ${n} äöü ${'x'.repeat(n)}` }));
    for (const codec of CODECS) expect(await consumeAll(kafka, `java-${codec}`, { idleMs: 2_000 })).toEqual(expected);
  });

  test('what kafkajs produces is read, and kafkajs reads what is appended', async () => {
    const client = new Kafka({ brokers: [kafka.bootstrap], logLevel: logLevel.NOTHING });
    await using log = await openLogOn(kafka.bootstrap);
    await log.createTopic('both');
    const producer = client.producer();
    await producer.connect();
    await producer.send({ topic: 'both', messages: [{ value: 'theirs' }] });
    await producer.disconnect();
    await using writer = await log.writer('w');
    await writer.append([appendOf('both', ['ours'])], undefined, never);
    expect(await valuesOf(log, 'both')).toEqual(['theirs', 'ours']);
    const consumer = client.consumer({ groupId: 'reference' });
    await consumer.connect();
    await consumer.subscribe({ topics: ['both'], fromBeginning: true });
    const messages: KafkaMessage[] = [];
    await new Promise<void>(done => { void consumer.run({ eachMessage: async ({ message }) => { messages.push(message); if (messages.length === 2) done(); } }); });
    await consumer.disconnect();
    expect(messages.map(({ value, offset }) => [value?.toString(), offset])).toEqual([['theirs', '0'], ['ours', '1']]);
  });

  test('a batch that is larger than the topic takes is cut until it fits; a record alone is refused by its name', async () => {
    await kafka.java('org.apache.kafka.tools.TopicCommand', ['--bootstrap-server', kafka.bootstrap, '--create', '--topic', 'small', '--config', 'max.message.bytes=2000']);
    await using log = await openLogOn(kafka.bootstrap);
    await using writer = await log.writer('w');
    const values = Array.from({ length: 200 }, (_, n) => `${n}-${'y'.repeat(n % 50)}`);
    expect(await writer.append([appendOf('small', values), appendOf('small', ['after'])], undefined, never)).toEqual([0, 200]);
    expect(await valuesOf(log, 'small')).toEqual([...values, 'after']);
    await expect(writer.append([appendOf('small', ['z'.repeat(3000)])], undefined, never)).rejects.toMatchObject({ name: 'FatalError', code: 'RECORD_TOO_LARGE', message: expect.stringContaining('topic small') as string });
    await writer.append([appendOf('small', ['still'])], undefined, never);
    expect((await valuesOf(log, 'small')).at(-1)).toBe('still');
  });

  test('a record above max.request.size is refused before it is sent', async () => {
    await using log = await openLogOn(kafka.bootstrap, { worker: { 'producer.max.request.size': '10000' } });
    await using writer = await log.writer('w');
    await expect(writer.append([appendOf('t', ['z'.repeat(20_000)])], undefined, never)).rejects.toMatchObject({ name: 'FatalError', code: 'RECORD_TOO_LARGE' });
  });

  test('hidden from read_committed readers, ours and Java\'s: what was written in a transaction that was aborted', async () => {
    await using log = await openLogOn(kafka.bootstrap, { worker: { 'consumer.isolation.level': 'read_committed' }, transactionalId: id => `abort-${id}` });
    await using writer = await log.writer('w');
    await log.createTopic('abort', { partitions: 1 });
    await kafka.java('org.apache.kafka.tools.TopicCommand', ['--bootstrap-server', kafka.bootstrap, '--create', '--topic', 'abort-small', '--config', 'max.message.bytes=200']);
    await writer.append([appendOf('abort', ['kept 1'])], undefined, never);
    // Its first entry is written, the second one refused: the whole is taken back.
    await expect(writer.append([appendOf('abort', ['dropped']), appendOf('abort-small', ['z'.repeat(500)])], { connector: 'c', offsets: [{ partition: { p: 1 }, offset: { n: 1 } }] }, never)).rejects.toMatchObject({ code: 'RECORD_TOO_LARGE' });
    await writer.append([appendOf('abort', ['kept 2'])], { connector: 'c', offsets: [{ partition: { p: 1 }, offset: { n: 2 } }] }, never);
    expect(await valuesOf(log, 'abort')).toEqual(['kept 1', 'kept 2']);
    expect(await log.sourceOffsets('c')).toEqual([{ partition: { p: 1 }, offset: { n: 2 } }]);
    expect((await consumeAll(kafka, 'abort', { idleMs: 2_000 })).map(({ value }) => value)).toEqual(['kept 1', 'kept 2']);
    expect((await consumeAll(kafka, 'abort', { idleMs: 2_000, isolation: 'read_uncommitted' })).map(({ value }) => value)).toEqual(['kept 1', 'dropped', 'kept 2']);
    await using loose = await openLogOn(kafka.bootstrap, { worker: { 'consumer.isolation.level': 'read_uncommitted' } });
    expect(await valuesOf(loose, 'abort')).toEqual(['kept 1', 'dropped', 'kept 2']);
  });

  test('topics are made by topic.creation rules; a setting that the cluster refuses is named', async () => {
    const rules = { 'topic.creation.groups': 'big', 'topic.creation.default.replication.factor': '1', 'topic.creation.default.partitions': '2', 'topic.creation.big.include': 'made\\.big.*', 'topic.creation.big.exclude': '.*not', 'topic.creation.big.partitions': '5', 'topic.creation.big.cleanup.policy': 'compact' };
    await using log = await openLogOn(kafka.bootstrap, { connector: rules });
    expect(await log.createTopic('made.big.one')).toMatchObject({ partitions: 5, compact: true });
    expect(await log.createTopic('made.big.not')).toMatchObject({ partitions: 2, compact: false });
    await using wrong = await openLogOn(kafka.bootstrap, { connector: { ...rules, 'topic.creation.default.replication.factor': '3' } });
    await expect(wrong.createTopic('made.other')).rejects.toMatchObject({ name: 'ConfigError', code: 'TOPIC_SETTINGS' });
  });
});
