/**
 * The log on Apache Kafka (2.8 and newer): records in its topics, sinks' positions in its consumer groups. Retention is the
 * cluster's own: unlike the embedded log, Kafka deletes by time and size whether a sink has read or not.
 */
import type { Logger } from '../../api/logger.ts';
import type { PartitionOffset, PartitionPosition, SourceOffset, SourcePartition, TopicPartition } from '../../api/plugin.ts';
import type { Log, LogReader, LogWriter, PartitionRange, StateStore, TopicDescription, TopicOptions } from '../log.ts';
import { clientConfig, clientProperties, type Properties } from './client-config.ts';
import { KafkaClient, openKafkaClient } from './client.ts';
import { CompactTopic } from './compact-topic.ts';
import { Fetcher } from './fetcher.ts';
import { GroupOffsets } from './group-offsets.ts';
import { consumerConfig, parsedClient, producerConfig } from './log-config.ts';
import { LocalOffsets, type OffsetStore, TopicOffsets } from './offset-store.ts';
import { Producer } from './producer.ts';
import { topicCreation } from './topic-creation.ts';
import { Topics } from './topics.ts';
import { KafkaWriter } from './writer.ts';

export interface KafkaLogOptions {
  /** The worker file: `bootstrap.servers`, security, `producer.`, `consumer.`, `admin.`. */
  readonly worker: Properties;
  /** A connector's overrides, stripped of their prefix and allowed by the policy. */
  readonly overrides?: { readonly producer?: Properties; readonly consumer?: Properties; readonly admin?: Properties };
  /** Keys of the connector, for `topic.creation.*`; left out (or `topic.creation.enable=false`): the brokers decide. */
  readonly connector?: Properties;
  /** Where source offsets and state lie: a log of this machine, or a topic of Connect's format. */
  readonly offsets: { readonly log: Log } | OffsetTopics;
  /** Makes a writer's transactional id: with it each append is one transaction, with the offsets where they lie in a topic. Exactly once. */
  readonly transactionalId?: (writer: string) => string;
  /** Names of the three clients for the brokers, unless `client.id` says otherwise. */
  readonly clientIds: Readonly<Record<'admin' | 'producer' | 'consumer', string>>;
  readonly logger: Logger;
}

/** Topics of Connect's format that source offsets lie in; missing ones are made with these settings. */
export interface OffsetTopics {
  readonly topic: string;
  /** -1 = the brokers' default, as for the copies. */
  readonly partitions: number;
  readonly replicationFactor?: number;
  readonly settings?: Properties;
  /** The topic is the worker's: the connector's overrides do not hold for its clients. */
  readonly ofWorker?: boolean;
  /** The worker's own topic, where that is another (or the same in another cluster). */
  readonly shared?: string;
}

/** Opens it: a connection is made and the cluster's id is known. Throws ConfigError for wrong options, FatalError and RetriableError as {@link openKafkaClient}. */
export async function openKafkaLog(options: KafkaLogOptions): Promise<Log> {
  const producing = clientProperties(options.worker, 'producer', options.overrides?.producer), consuming = clientProperties(options.worker, 'consumer', options.overrides?.consumer);
  const producer = parsedClient(producerConfig, producing), consumer = parsedClient(consumerConfig, consuming);
  const creation = options.connector === undefined || options.worker['topic.creation.enable']?.trim().toLowerCase() === 'false' ? undefined : topicCreation(options.connector);
  const { clientIds } = options;
  const admin = await openKafkaClient(clientConfig(clientProperties(options.worker, 'admin', options.overrides?.admin), clientIds.admin));
  const clients: KafkaClient[] = [admin];
  // These two connect when they are first needed: a source reads nothing, a sink may write nothing.
  const lazy = (properties: Properties, clientId: string): KafkaClient => { const client = new KafkaClient(clientConfig(properties, clientId)); clients.push(client); return client; };
  try {
    const reading = lazy(consuming, clientIds.consumer), writing = lazy(producing, clientIds.producer);
    const isolation = consumer['isolation.level'];
    const topics = new Topics(admin, { creation, compression: producer['compression.type'] });
    const retry = (what: string) => (error: Error, attempt: number): void => { if (attempt === 1 || attempt % 30 === 0) options.logger.warn({ reason: error.message, attempt }, what); };
    const newProducer = (transactionalId: string | undefined, client = writing): Producer => new Producer(client, {
      transactionalId, transactionTimeoutMs: producer['transaction.timeout.ms'], compression: producer['compression.type'], maxRequestBytes: producer['max.request.size'],
      deliveryTimeoutMs: producer['delivery.timeout.ms'], idempotent: producer['enable.idempotence'] || transactionalId !== undefined, acks: producer.acks === '1' && transactionalId === undefined ? 1 : -1, onRetry: retry('append is tried again'),
    });
    const fetch = { isolation, maxWaitMs: consumer['fetch.max.wait.ms'], minBytes: consumer['fetch.min.bytes'], maxBytes: consumer['fetch.max.bytes'], partitionBytes: consumer['max.partition.fetch.bytes'], rack: consumer['client.rack'], onRetry: retry('fetch is tried again') };
    const fetcher = new Fetcher(reading, fetch);
    const overridden = Object.values(options.overrides ?? {}).some(keys => Object.keys(keys).length > 0);
    const ofWorker = (): KafkaClient => (overridden ? lazy(clientProperties(options.worker, 'worker'), `${clientIds.admin}-offsets`) : writing);
    // Offsets in a topic are always read committed: those of an aborted transaction never were.
    const fetchers: Fetcher[] = [];
    const openTopic = (offsets: OffsetTopics, topic: string, by: 'worker' | 'connector'): Promise<CompactTopic> => {
      const client = by === 'worker' ? ofWorker() : undefined;
      const own = new Fetcher(client ?? reading, { ...fetch, isolation: 'read_committed' });
      fetchers.push(own);
      return CompactTopic.open({ ...offsets, topic, topics: new Topics(client ?? admin, { creation: undefined, compression: 'none' }), fetcher: own, producer: newProducer(undefined, client) });
    };
    const log = new KafkaLog({ admin, topics, fetcher, newProducer, options, close: async () => { for (const one of fetchers) one.close(); await closeAll(clients); } });
    await log.openOffsets(openTopic);
    return log;
  } catch (error) {
    await closeAll(clients);
    throw error;
  }
}

async function closeAll(clients: readonly KafkaClient[]): Promise<void> { for (const client of clients) await client[Symbol.asyncDispose](); }

interface Parts {
  readonly admin: KafkaClient;
  readonly topics: Topics;
  readonly fetcher: Fetcher;
  readonly newProducer: (transactionalId: string | undefined) => Producer;
  readonly options: KafkaLogOptions;
  readonly close: () => Promise<void>;
}

class KafkaLog implements Log {
  readonly id: string;
  private readonly parts: Parts;
  private offsets!: OffsetStore;
  private groups!: GroupOffsets;

  constructor(parts: Parts) { this.parts = parts; this.id = parts.admin.clusterId ?? ''; }

  async openOffsets(openTopic: (offsets: OffsetTopics, topic: string, by: 'worker' | 'connector') => Promise<CompactTopic>): Promise<void> {
    const { options: { offsets, transactionalId, logger }, admin, newProducer } = this.parts;
    if ('log' in offsets) this.offsets = new LocalOffsets(offsets.log);
    else {
      const topic = await openTopic(offsets, offsets.topic, offsets.ofWorker === true ? 'worker' : 'connector');
      const shared = offsets.shared === undefined ? undefined : await openTopic(offsets, offsets.shared, 'worker');
      this.offsets = new TopicOffsets({ topic, shared, transactional: transactionalId === undefined ? undefined : () => newProducer(transactionalId('offsets')), logger });
    }
    this.groups = new GroupOffsets(admin, this.offsets);
  }

  topics(): Promise<readonly TopicDescription[]> { return this.parts.topics.all(); }
  topic(name: string): Promise<TopicDescription | undefined> { return this.parts.topics.one(name, 1_000); }
  createTopic(name: string, options?: TopicOptions): Promise<TopicDescription> { return this.parts.topics.create(name, options); }
  deleteTopic(name: string): Promise<void> { return this.parts.topics.delete(name); }
  /** Of a partition that is being read, as of at most a second ago: sinks of many topics ask for each of them every second. */
  async range(partition: TopicPartition): Promise<PartitionRange> {
    const known = this.parts.fetcher.ends(partition);
    return known === undefined ? this.parts.topics.range(partition) : { start: known.start, end: known.end, bytes: -1 };
  }
  topicsChanged(signal: AbortSignal): Promise<void> { return this.parts.topics.watch(signal); }

  async writer(id: string): Promise<LogWriter> {
    const { newProducer, topics, options } = this.parts;
    const producer = newProducer(options.transactionalId?.(id));
    await producer.open();
    return new KafkaWriter({ producer, topics, offsets: await this.offsets.writer(id) });
  }
  async reader(partition: TopicPartition, from: number): Promise<LogReader> { return this.parts.fetcher.reader(partition, from); }

  commitPositions(group: string, positions: readonly PartitionPosition[]): Promise<void> { return this.groups.commit(group, positions); }
  positions(group: string): Promise<readonly PartitionPosition[]> { return this.groups.positions(group); }
  /** Nothing to do: Kafka's retention asks no group. */
  async registerGroup(): Promise<void> { /* see above */ }
  /** The group's offsets stay, as they do when a connector of Kafka Connect is deleted. */
  async removeGroup(): Promise<void> { /* see above */ }
  epoch(group: string): Promise<number> { return this.offsets.epoch(group); }
  resetPositions(group: string, positions: readonly (TopicPartition & { readonly offset: number | null })[]): Promise<void> { return this.groups.reset(group, positions); }

  sourceOffsets(connector: string): Promise<readonly PartitionOffset[]> { return this.offsets.sourceOffsets(connector); }
  alterSourceOffsets(connector: string, changes: readonly { readonly partition: SourcePartition; readonly offset: SourceOffset | null }[]): Promise<void> { return this.offsets.alterSourceOffsets(connector, changes); }
  state(name: string): StateStore { return this.offsets.state(name); }

  /** A log of this machine that was handed in is closed too. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.parts.fetcher.close();
    await this.parts.close();
    if ('log' in this.parts.options.offsets) await this.parts.options.offsets.log[Symbol.asyncDispose]();
  }
}
