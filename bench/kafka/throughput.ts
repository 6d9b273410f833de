/** How fast records of 200 bytes go into Kafka and come out of it again through our log, three partitions. */
import { BatchBuilder, type PartWriter, partOf, splitBatch, SplitScratch } from '../../runtime/log/record-batch.ts';
import { openKafkaLog } from '../../runtime/log/kafka/kafka-log.ts';
import type { Log } from '../../runtime/log/log.ts';
import { quietLogger } from '../../tests/kit/quiet-logger.ts';

export interface Throughput { readonly recordsPerSecond: number; readonly cpuMicrosecondsPerRecord: number }

const PARTITIONS = 3, BODY_BYTES = 900_000, READ_BYTES = 4 * 1024 * 1024;
const never = new AbortController().signal;

function open(bootstrap: string): Promise<Log> {
  return openKafkaLog({ worker: { 'bootstrap.servers': bootstrap }, offsets: { topic: 'bench-offsets', partitions: 1 }, clientIds: { admin: 'bench', producer: 'bench', consumer: 'bench' }, logger: quietLogger });
}

async function timed(records: number, run: () => Promise<void>): Promise<Throughput> {
  const cpu = process.cpuUsage(), started = performance.now();
  await run();
  const seconds = (performance.now() - started) / 1000, { user, system } = process.cpuUsage(cpu);
  return { recordsPerSecond: Math.round(records / seconds), cpuMicrosecondsPerRecord: Math.round((user + system) / records * 100) / 100 };
}

/** Builds the batches while the ones before are on their way, as the source pipeline does. */
export async function produceRecords(bootstrap: string, topic: string, records: number): Promise<Throughput> {
  await using log = await open(bootstrap);
  await log.createTopic(topic, { partitions: PARTITIONS });
  await using writer = await log.writer('bench');
  const value = partOf(Buffer.alloc(192, 'v')), key: PartWriter = partOf(Buffer.alloc(8, 'k'));
  return timed(records, async () => {
    let made = 0, sent: Promise<unknown> = Promise.resolve();
    for (let turn = 0; made < records; turn++) {
      const entries = Array.from({ length: PARTITIONS }, (_, partition) => {
        const builder = new BatchBuilder(BODY_BYTES + 4096);
        while (builder.bytes < BODY_BYTES && made < records) { builder.append(1_700_000_000_000 + turn, key, value); made++; }
        return { topic, partition, body: builder.body() };
      }).filter(({ body }) => body.records > 0);
      await sent;
      sent = writer.append(entries, undefined, never);
    }
    await sent;
  });
}

/** Reads every record's place in its batch, as a sink's pipeline does, its checksum included. */
export async function consumeRecords(bootstrap: string, topic: string): Promise<Throughput & { readonly records: number }> {
  await using log = await open(bootstrap);
  const ends = await Promise.all(Array.from({ length: PARTITIONS }, (_, partition) => log.range({ topic, partition })));
  const records = ends.reduce((sum, { start, end }) => sum + end - start, 0);
  let seen = 0;
  const figures = await timed(records, async () => {
    await Promise.all(ends.map(async ({ start, end }, partition) => {
      await using reader = await log.reader({ topic, partition }, start);
      const scratch = new SplitScratch();
      while (reader.position < end) for (const { bytes } of await reader.next(READ_BYTES, 10_000, never)) seen += splitBatch(bytes, scratch).length;
    }));
  });
  if (seen !== records) throw new Error(`read ${seen} of ${records} records`);
  return { ...figures, records };
}
