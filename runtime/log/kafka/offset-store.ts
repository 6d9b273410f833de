/**
 * Where source offsets, epochs of groups and small state lie beside the records: in a topic of Kafka Connect's format
 * (`offset.storage.topic`), or in a log of this machine (the standalone worker's `log.dir`).
 */
import { parseExact } from '../../api/exact-json.ts';
import type { PartitionOffset, SourceOffset, SourcePartition } from '../../api/plugin.ts';
import type { Log, LogWriter, OffsetAppend, StateStore, TopicAppend } from '../log.ts';
import type { CompactTopic, KeyValue } from './compact-topic.ts';
import type { GroupEpochs } from './group-offsets.ts';
import { decodeOffsetRecord, encodeOffsetRecord, partitionKey } from './offset-records.ts';

type Changes = readonly { readonly partition: SourcePartition; readonly offset: SourceOffset | null }[];

export interface OffsetStore extends GroupEpochs {
  sourceOffsets(connector: string): Promise<readonly PartitionOffset[]>;
  alterSourceOffsets(connector: string, changes: Changes): Promise<void>;
  state(name: string): StateStore;
  writer(id: string): Promise<OffsetWriter>;
}
/** The offsets' side of a log writer. */
export interface OffsetWriter extends AsyncDisposable {
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

/** In a topic of Connect's format. Written with `transactional`, offsets are records of the append itself; otherwise they follow it. */
export class TopicOffsets implements OffsetStore {
  private readonly topic: CompactTopic;
  private readonly transactional: boolean;
  constructor(topic: CompactTopic, transactional: boolean) { this.topic = topic; this.transactional = transactional; }

  async sourceOffsets(connector: string): Promise<readonly PartitionOffset[]> {
    const found: PartitionOffset[] = [];
    for (const [key, value] of await this.topic.current()) {
      const record = decodeOffsetRecord({ key, value });
      if (record !== undefined && record.connector === connector && record.offset !== null) found.push({ partition: record.partition, offset: record.offset });
    }
    return found;
  }

  /** A partition is found whatever the order of its keys; its own spelling is the one that is replaced. */
  async alterSourceOffsets(connector: string, changes: Changes): Promise<void> {
    const spelling = new Map((await this.sourceOffsets(connector)).map(({ partition }) => [partitionKey(partition), partition]));
    await this.topic.put(changes.map(({ partition, offset }) => encodeOffsetRecord({ connector, partition: spelling.get(partitionKey(partition)) ?? partition, offset })), never);
  }

  async epoch(group: string): Promise<number> {
    const [stored] = await this.sourceOffsets(group);
    return Number(stored?.offset['epoch'] ?? 0);
  }
  async raiseEpoch(group: string): Promise<void> { await this.topic.put([encodeOffsetRecord({ connector: group, partition: EPOCH, offset: { epoch: await this.epoch(group) + 1 } })], never); }

  async writer(): Promise<OffsetWriter> {
    const records = ({ connector, offsets }: OffsetAppend): KeyValue[] => offsets.map(({ partition, offset }) => encodeOffsetRecord({ connector, partition, offset }));
    return {
      appends: offsets => (this.transactional ? this.topic.appends(records(offsets)) : []),
      store: async (offsets, signal) => { if (!this.transactional) await this.topic.put(records(offsets), signal); },
      [Symbol.asyncDispose]: async () => { /* the topic is the log's */ },
    };
  }

  state(name: string): StateStore {
    const owner = `tributary.state.${name}`;
    const entries = async (): Promise<(readonly [string, string])[]> => {
      const found: (readonly [string, string])[] = [];
      for (const [key, value] of await this.topic.current()) {
        const [connector, partition] = parseExact(key) as readonly [string, { readonly key: string }];
        if (connector === owner) found.push([partition.key, (JSON.parse(value) as { readonly value: string }).value]);
      }
      return found.sort(([a], [b]) => (a < b ? -1 : 1));
    };
    return {
      get: async key => (await entries()).find(([known]) => known === key)?.[1],
      entries: async (prefix = '') => (await entries()).filter(([key]) => key.startsWith(prefix)),
      put: changes => this.topic.put(changes.map(([key, value]) => encodeOffsetRecord({ connector: owner, partition: { key }, offset: value === null ? null : { value } })), never),
    };
  }
}
