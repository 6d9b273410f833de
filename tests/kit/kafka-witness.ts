/** Reads a topic as it grows, with kafkajs's own consumer (read_committed): what {@link consumeAll} cannot, since a topic that grows has no end. */
import { type Consumer, Kafka, logLevel } from 'kafkajs';
import { randomUUID } from 'node:crypto';
import { until } from './condition.ts';
import type { KafkaCluster } from './kafka.ts';

export interface Witness extends AsyncDisposable {
  /** Values so far, those of one partition in their order. */
  readonly values: readonly (string | null)[];
}

/** Waits for the topic to be there, and begins at its start. */
export async function startWitness(kafka: KafkaCluster, topic: string): Promise<Witness> {
  const client = new Kafka({ brokers: kafka.bootstrap.split(','), logLevel: logLevel.NOTHING, retry: { retries: 30, maxRetryTime: 1_000 } });
  const admin = client.admin();
  await admin.connect();
  try { await until(`topic ${topic}`, async () => (await admin.listTopics()).includes(topic), 120_000); } finally { await admin.disconnect(); }
  const consumer: Consumer = client.consumer({ groupId: `witness-${randomUUID()}`, maxWaitTimeInMs: 200, retry: { retries: 30, maxRetryTime: 1_000 } });
  const values: (string | null)[] = [];
  await consumer.connect();
  // A topic that is new is known to each broker only after a moment.
  await until(`topic ${topic} at all brokers`, () => consumer.subscribe({ topics: [topic], fromBeginning: true }).then(() => true, () => false), 60_000);
  await consumer.run({ eachMessage: async ({ message: { value } }) => { values.push(value === null ? null : value.toString('utf8')); } });
  return { values, [Symbol.asyncDispose]: () => consumer.disconnect() };
}
