/** A broker that slows its clients down by quota: the client waits as long as it is told, gives nothing up and loses nothing. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Logger } from '../../../../runtime/api/logger.ts';
import { splitBatch } from '../../../../runtime/log/record-batch.ts';
import { javaMissing } from '../../../kit/jvm.ts';
import { type KafkaCluster, startKafka } from '../../../kit/kafka.ts';
import { openLogOn } from '../../../kit/kafka-log.ts';
import { quietLogger } from '../../../kit/quiet-logger.ts';
import { appendOf, never } from '../../../kit/log-values.ts';

const RATE = 100_000, BYTES = 50_000, COUNT = 12;

describe.skipIf(javaMissing() !== undefined)('quotas', () => {
  let kafka: KafkaCluster;
  // A short window, so that there is little to spend before the quota holds.
  beforeAll(async () => { kafka = await startKafka({ settings: { 'quota.window.num': '2', 'quota.window.size.seconds': '1' } }); }, 300_000);
  afterAll(async () => { await kafka[Symbol.asyncDispose](); });

  test('hold writing and reading back without an error, a repetition or a loss', async () => {
    await kafka.java('kafka.admin.ConfigCommand', ['--bootstrap-server', kafka.bootstrap, '--alter', '--entity-type', 'clients', '--entity-default', '--add-config', `producer_byte_rate=${RATE},consumer_byte_rate=${RATE}`]);
    const warnings: string[] = [];
    const logger: Logger = { ...quietLogger, warn: (_, phrase) => { warnings.push(phrase); } };
    // A request that went out while the broker holds the connection back would time out by this.
    await using log = await openLogOn(kafka.bootstrap, { logger, worker: { 'request.timeout.ms': '1500', 'producer.request.timeout.ms': '1500', 'consumer.request.timeout.ms': '1500', 'consumer.max.partition.fetch.bytes': '60000' } });
    await log.createTopic('slow', { partitions: 1, compression: 'none' });
    await using writer = await log.writer('w');
    const values = Array.from({ length: COUNT }, (_, n) => `${n}:${'x'.repeat(BYTES)}`);
    const writing = performance.now();
    for (const value of values) await writer.append([appendOf('slow', [value])], undefined, never);
    const wroteMs = performance.now() - writing;
    const reading = performance.now();
    await using reader = await log.reader({ topic: 'slow', partition: 0 }, 0);
    const read: string[] = [];
    while (read.length < COUNT && performance.now() - reading < 60_000) for (const { bytes } of await reader.next(BYTES, 5_000, never)) {
      const { length, buffer, valueStart, valueEnd } = splitBatch(bytes);
      for (let i = 0; i < length; i++) read.push(buffer.toString('utf8', valueStart[i], valueEnd[i]));
    }
    const readMs = performance.now() - reading;
    expect(read).toEqual(values);
    expect(warnings).toEqual([]);
    // Two windows' worth may go out at once; the rest takes its time.
    const leastMs = (COUNT * BYTES / RATE - 2) * 1000 * 0.7;
    expect([wroteMs > leastMs, readMs > leastMs], `${Math.round(wroteMs)} ms, ${Math.round(readMs)} ms`).toEqual([true, true]);
  }, 120_000);
});
