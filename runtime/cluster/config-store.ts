/** The config topic: its state here, and the way to change it. Only the leader writes what others must not write at the same time. */
import type { Logger } from '../api/logger.ts';
import type { Producer } from '../log/kafka/producer.ts';
import { type ConfigRecord, encodeConfigRecord } from './config-records.ts';
import { type ConfigChange, ConfigState } from './config-state.ts';
import { encodeRecords, InternalTopic, type TopicSource } from './internal-topic.ts';

/** How long a write, and reading it back, may take: Connect's READ_WRITE_TOTAL_TIMEOUT_MS. */
const WRITE_MS = 30_000;

export interface ConfigStoreOptions {
  readonly source: TopicSource;
  readonly producer: Pick<Producer, 'send'>;
  readonly topic: string;
  readonly logger: Logger;
  /** Told of what changes after the first reading. */
  readonly changed: (change: ConfigChange) => void;
}

export class ConfigStore implements AsyncDisposable {
  readonly state = new ConfigState();
  private readonly options: ConfigStoreOptions;
  private topic: InternalTopic | undefined;
  private writing: Promise<void> = Promise.resolve();

  private constructor(options: ConfigStoreOptions) { this.options = options; }

  /** Resolves when everything that is in the topic has been read. */
  static async open(options: ConfigStoreOptions, timeoutMs: number): Promise<ConfigStore> {
    const store = new ConfigStore(options);
    let started = false;
    store.topic = await InternalTopic.open({
      source: options.source, topic: options.topic, partitions: 1, logger: options.logger,
      record: (offset, record) => {
        const change = store.state.apply(offset, record);
        // What was asked for before this worker came (restarts, levels) is over.
        if (started && change !== undefined) options.changed(change);
      },
    }, timeoutMs);
    started = true;
    return store;
  }

  /** Rejects with RetriableError TOPIC_BEHIND when the end is not reached in time. */
  async readToEnd(timeoutMs: number): Promise<void> { await this.topic?.readToEnd(timeoutMs); }

  /** All of the records or none; one write after the other. Resolves when this worker has read them itself. */
  write(records: readonly ConfigRecord[], producer: Pick<Producer, 'send'> = this.options.producer): Promise<void> {
    const next = this.writing.then(async () => {
      const [base = -1] = await producer.send(encodeRecords(this.options.topic, 1, records.map(encodeConfigRecord)), AbortSignal.timeout(WRITE_MS));
      await this.readToEnd(WRITE_MS);
      // A transaction counts as committed before readers of committed records see its end: what was written must have come back.
      await this.topic?.readThrough([base + records.length], WRITE_MS);
    });
    this.writing = next.catch(() => { /* told to its own caller */ });
    return next;
  }

  async [Symbol.asyncDispose](): Promise<void> { await this.topic?.[Symbol.asyncDispose](); }
}
