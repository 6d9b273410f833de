/**
 * Where source offsets, epochs of groups and small state lie beside the records: in a topic of Kafka Connect's format
 * (`offset.storage.topic`), or in a log of this machine (the standalone worker's `log.dir`).
 */
import type { Logger } from '../../api/logger.ts';
import type { PartitionOffset, SourceOffset, SourcePartition } from '../../api/plugin.ts';
import type { Log, LogWriter, OffsetAppend, StateStore, TopicAppend } from '../log.ts';
import type { CompactTopic, KeyValue } from './compact-topic.ts';
import type { GroupEpochs } from './group-offsets.ts';
import { decodeOffsetRecord, encodeOffsetRecord, partitionKey } from './offset-records.ts';
import type { Producer } from './producer.ts';

type Changes = readonly { readonly partition: SourcePartition; readonly offset: SourceOffset | null }[];

export interface OffsetStore extends GroupEpochs {
  sourceOffsets(connector: string): Promise<readonly PartitionOffset[]>;
  alterSourceOffsets(connector: string, changes: Changes): Promise<void>;
  state(name: string): StateStore;
  writer(id: string): Promise<OffsetWriter>;
}
/** The offsets' side of a log writer. */
export interface OffsetWriter extends AsyncDisposable {
  /** A topic that no records may go to: its reader would wait for the transaction that they stand in. */
  readonly reserved?: string;
  /** Records that belong into the append itself; none where `store` does the work. */
  appends(offsets: OffsetAppend): readonly TopicAppend[];
  /** Called when the records are durable. */
  store(offsets: OffsetAppend, signal: AbortSignal): Promise<void>;
}

/** In the log of this machine. A writer of the same name fences the one before it there. */
export class LocalOffsets implements OffsetStore {
  private readonly log: Log;
  constructor(log: Log) { this.log = log; }

  sourceOffsets(connector: string): Promise<readonly PartitionOffset[]> { return this.log.sourceOffsets(connector); }
  alterSourceOffsets(connector: string, changes: Changes): Promise<void> { return this.log.alterSourceOffsets(connector, changes); }
  state(name: string): StateStore { return this.log.state(name); }
  epoch(group: string): Promise<number> { return this.log.epoch(group); }
  raiseEpoch(group: string): Promise<void> { return this.log.resetPositions(group, []); }
  async writer(id: string): Promise<OffsetWriter> {
    const writer: LogWriter = await this.log.writer(id);
    return {
      appends: () => [],
      store: async (offsets, signal) => { await writer.append([], offsets, signal); },
      [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
    };
  }
}

/** Connector under which a group's epoch stands in the topic, as an offset of this partition: Connect passes over it. */
const EPOCH: SourcePartition = { tributary: 'epoch' };
const never = new AbortController().signal;
/** How long one copy may take; after it a later one takes its place. */
const COPY_MS = 10_000;

export interface TopicOffsetsParts {
  /** Where the offsets are: the connector's own topic where it has one, else the worker's. */
  readonly topic: CompactTopic;
  /** The worker's, where that is another: it answers for what the first does not have, and gets a copy of what is written. */
  readonly shared: CompactTopic | undefined;
  /** Makes a producer with the transactional id; with it offsets are records of the append itself, otherwise they follow it. */
  readonly transactional: (() => Producer) | undefined;
  readonly logger: Logger;
}

/** In a topic of Connect's format, or in two of them (org.apache.kafka.connect.storage.ConnectorOffsetBackingStore). */
export class TopicOffsets implements OffsetStore {
  private readonly parts: TopicOffsetsParts;
  constructor(parts: TopicOffsetsParts) { this.parts = parts; }

  async sourceOffsets(connector: string): Promise<readonly PartitionOffset[]> {
    const found = new Map<string, PartitionOffset>();
    for (const topic of [this.parts.shared, this.parts.topic]) for (const [key, value] of await topic?.current() ?? []) {
      const record = decodeOffsetRecord({ key, value });
      if (record !== undefined && record.connector === connector && record.offset !== null) found.set(partitionKey(record.partition), { partition: record.partition, offset: record.offset });
    }
    return [...found.values()];
  }

  /**
   * A partition is found whatever the order of its keys; its own spelling is the one that is replaced. What is forgotten is
   * forgotten in the worker's topic first: otherwise that would answer for it.
   */
  async alterSourceOffsets(connector: string, changes: Changes): Promise<void> {
    const { topic, shared, transactional } = this.parts;
    const spelling = new Map((await this.sourceOffsets(connector)).map(({ partition }) => [partitionKey(partition), partition]));
    const records = changes.map(({ partition, offset }) => encodeOffsetRecord({ connector, partition: spelling.get(partitionKey(partition)) ?? partition, offset }));
    await shared?.put(records.filter(({ value }) => value === null), never);
    if (transactional === undefined) await topic.put(records, never);
    else if (records.length > 0) await transactional().send(topic.appends(records), never);
    const copy = this.copy();
    copy?.put(records.filter(({ value }) => value !== null));
    await copy?.[Symbol.asyncDispose]();
  }

  async epoch(group: string): Promise<number> {
    const [stored] = await this.sourceOffsets(group);
    return Number(stored?.offset['epoch'] ?? 0);
  }
  async raiseEpoch(group: string): Promise<void> { await this.own.put([encodeOffsetRecord({ connector: group, partition: EPOCH, offset: { epoch: await this.epoch(group) + 1 } })], never); }

  async writer(): Promise<OffsetWriter> {
    const { topic, transactional } = this.parts;
    const copy = this.copy();
    const records = ({ connector, offsets }: OffsetAppend): KeyValue[] => offsets.map(({ partition, offset }) => encodeOffsetRecord({ connector, partition, offset }));
    return {
      ...(transactional === undefined ? {} : { reserved: topic.name }),
      appends: offsets => (transactional === undefined ? [] : topic.appends(records(offsets))),
      store: async (offsets, signal) => {
        if (transactional === undefined) await topic.put(records(offsets), signal);
        copy?.put(records(offsets));
      },
      [Symbol.asyncDispose]: async () => { await copy?.[Symbol.asyncDispose](); },
    };
  }
  private copy(): OffsetCopy | undefined { const { shared, logger } = this.parts; return shared === undefined ? undefined : new OffsetCopy(shared, logger); }

  /** What is ours alone lies in the worker's topic. */
  private get own(): CompactTopic { return this.parts.shared ?? this.parts.topic; }

  state(name: string): StateStore {
    const owner = `tributary.state.${name}`;
    const entries = async (): Promise<(readonly [string, string])[]> => {
      const found: (readonly [string, string])[] = [];
      for (const [key, value] of await this.own.current()) {
        const record = decodeOffsetRecord({ key, value });
        if (record?.connector === owner) found.push([String(record.partition['key']), String(record.offset?.['value'])]);
      }
      return found.sort(([a], [b]) => (a < b ? -1 : 1));
    };
    return {
      get: async key => (await entries()).find(([known]) => known === key)?.[1],
      entries: async (prefix = '') => (await entries()).filter(([key]) => key.startsWith(prefix)),
      put: changes => this.own.put(changes.map(([key, value]) => encodeOffsetRecord({ connector: owner, partition: { key }, offset: value === null ? null : { value } })), never),
    };
  }
}

/**
 * Copies offsets into the worker's topic behind the append that stored them, the last one per partition: nobody waits for
 * it, and a failure is only told, since the connector's own topic answers first.
 */
class OffsetCopy implements AsyncDisposable {
  private readonly topic: CompactTopic;
  private readonly logger: Logger;
  private readonly waiting = new Map<string, KeyValue>();
  private sending: Promise<void> | undefined;

  constructor(topic: CompactTopic, logger: Logger) { this.topic = topic; this.logger = logger; }

  put(records: readonly KeyValue[]): void {
    for (const record of records) this.waiting.set(record.key, record);
    if (this.waiting.size > 0) this.sending ??= this.send();
  }

  private async send(): Promise<void> {
    while (this.waiting.size > 0) {
      const records = [...this.waiting.values()];
      this.waiting.clear();
      try { await this.topic.put(records, AbortSignal.timeout(COPY_MS)); } catch (error) {
        this.logger.warn({ topic: this.topic.name, reason: (error as Error).message }, "offsets cannot be copied to the worker's topic");
      }
    }
    this.sending = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> { await this.sending; }
}
