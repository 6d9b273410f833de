/** A compacted topic as a map of texts: the last value of each key. What Connect's KafkaBasedLog is to its three topics. */
import { ConfigError } from '../../api/errors.ts';
import type { BatchBody, LogReader, TopicAppend } from '../log.ts';
import { murmur2 } from '../../../envelopes/murmur2.ts';
import { BatchBuilder, partOf, splitBatch } from '../record-batch.ts';
import type { Fetcher } from './fetcher.ts';
import type { Producer } from './producer.ts';
import type { Topics } from './topics.ts';

/** Key and value of a record; a null value is a tombstone. */
export interface KeyValue { readonly key: string; readonly value: string | null }

/** A short wait: where the end is a transaction's marker, no batch comes, only the position moves. */
const READ_BYTES = 1024 * 1024, READ_MS = 100, END_MS = 120_000;

export interface CompactTopicParts {
  readonly topic: string;
  /** Of the topic when it is made; -1 = the brokers' default. */
  readonly partitions: number;
  readonly replicationFactor?: number;
  readonly settings?: Readonly<Record<string, string>>;
  readonly topics: Topics;
  readonly fetcher: Fetcher;
  readonly producer: Producer;
}

export class CompactTopic implements AsyncDisposable {
  private readonly parts: CompactTopicParts;
  private readonly values = new Map<string, string>();
  private readers: readonly LogReader[] = [];
  private reading: Promise<void> = Promise.resolve();

  private constructor(parts: CompactTopicParts) { this.parts = parts; }

  get name(): string { return this.parts.topic; }

  /** Makes the topic when it is missing. Throws ConfigError TOPIC_NOT_COMPACTED when it exists and may delete records. */
  static async open(parts: CompactTopicParts): Promise<CompactTopic> {
    const found = await parts.topics.createAs({ name: parts.topic, partitions: parts.partitions, replicationFactor: parts.replicationFactor ?? -1, configs: { ...parts.settings, 'cleanup.policy': 'compact' } });
    if (!found.compact) throw new ConfigError(`Topic '${parts.topic}' must have 'cleanup.policy=compact' to keep what is stored there`, { code: 'TOPIC_NOT_COMPACTED', hint: `kafka-configs --alter --entity-type topics --entity-name ${parts.topic} --add-config cleanup.policy=compact` });
    const made = new CompactTopic(parts);
    made.readers = await Promise.all(Array.from({ length: found.partitions }, async (_, partition) => parts.fetcher.reader({ topic: parts.topic, partition }, (await parts.topics.range({ topic: parts.topic, partition })).start)));
    return made;
  }

  /** All values as of now: reads up to what is committed at the time of the call. */
  async current(): Promise<ReadonlyMap<string, string>> {
    const turn = this.reading.then(() => this.catchUp());
    this.reading = turn.catch(() => { /* met by its caller */ });
    await turn;
    return this.values;
  }

  private async catchUp(): Promise<void> {
    const { topic, topics } = this.parts;
    const late = AbortSignal.timeout(END_MS);
    await Promise.all(this.readers.map(async (reader, partition) => {
      const { end } = await topics.range({ topic, partition });
      while (reader.position < end) {
        late.throwIfAborted();
        for (const batch of await reader.next(READ_BYTES, READ_MS, late)) this.take(batch.bytes);
      }
    }));
  }

  private take(batch: Buffer): void {
    const { length, buffer, keyStart, keyEnd, valueStart, valueEnd } = splitBatch(batch);
    for (let i = 0; i < length; i++) {
      if ((keyStart[i] ?? -1) < 0) continue;
      const key = buffer.toString('utf8', keyStart[i], keyEnd[i]);
      if ((valueStart[i] ?? -1) < 0) this.values.delete(key); else this.values.set(key, buffer.toString('utf8', valueStart[i], valueEnd[i]));
    }
  }

  /** The records as batches for a writer, each key in the partition where Java's producer puts it. */
  appends(records: readonly KeyValue[]): TopicAppend[] {
    const builders = new Map<number, BatchBuilder>();
    const now = Date.now();
    for (const { key, value } of records) {
      const bytes = Buffer.from(key, 'utf8');
      const partition = (murmur2(bytes) & 0x7fff_ffff) % this.readers.length;
      let builder = builders.get(partition);
      if (builder === undefined) builders.set(partition, builder = new BatchBuilder(1024));
      builder.append(now, partOf(bytes), partOf(value === null ? null : Buffer.from(value, 'utf8')));
    }
    return [...builders].map(([partition, builder]): { topic: string; partition: number; body: BatchBody } => ({ topic: this.parts.topic, partition, body: builder.body() }));
  }

  /** Durable when it resolves. */
  async put(records: readonly KeyValue[], signal: AbortSignal): Promise<void> {
    if (records.length > 0) await this.parts.producer.send(this.appends(records), signal);
  }

  async [Symbol.asyncDispose](): Promise<void> { for (const reader of this.readers) await reader[Symbol.asyncDispose](); }
}
