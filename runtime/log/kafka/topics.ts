/** Topics of a cluster as the log's contract sees them. */
import { setTimeout as pause } from 'node:timers/promises';
import { ConfigError, FatalError, NotFoundError, RetriableError } from '../../api/errors.ts';
import type { TopicPartition } from '../../api/plugin.ts';
import type { Compression, PartitionRange, TopicDescription, TopicOptions } from '../log.ts';
import { check, type KafkaClient } from './client.ts';
import { createTopics, deleteTopics, describeTopicConfigs, type NewTopic, type TopicConfigs } from './protocol/admin-api.ts';
import { errorName } from './protocol/error-codes.ts';
import { EARLIEST, LATEST, listOffsets } from './protocol/fetch-api.ts';
import type { TopicMetadata } from './protocol/metadata-api.ts';

const NAME = /^[a-zA-Z0-9._-]{1,249}$/;
const EXISTS = 36, UNKNOWN_TOPIC = 3;
/** How long a topic that the brokers should make by themselves may take to appear. */
const AUTO_CREATE_MS = 10_000;
const VISIBLE_MS = 30_000;
/** How often a cluster is asked whether topics came or went. */
const WATCH_MS = 5_000;
const CONFIG_KEYS = ['cleanup.policy', 'retention.bytes', 'retention.ms', 'compression.type'];
const CONFIG_AGE_MS = 60_000, CONFIG_WAIT_MS = 5_000;

export interface TopicsOptions {
  /** Rules of `topic.creation.*`; undefined: brokers make topics by themselves where they are allowed to. */
  readonly creation: ((name: string) => NewTopic) | undefined;
  readonly compression: Compression;
}

export class Topics {
  private readonly client: KafkaClient;
  private readonly options: TopicsOptions;
  private readonly configs = new Map<string, { readonly at: number; readonly found: TopicConfigs | undefined }>();
  /** Rises with each topic that was deleted here. */
  deletions = 0;
  /** Settled and replaced whenever this client itself makes or deletes a topic. */
  private changed = signalled();

  constructor(client: KafkaClient, options: TopicsOptions) { this.client = client; this.options = options; }

  async all(): Promise<readonly TopicDescription[]> {
    const found = await this.client.retrying('list the topics', () => this.client.refresh(null));
    return this.described(found.topics.filter(({ error, internal }) => error === 0 && !internal));
  }

  /** As of at most `maxAgeMs` ago. */
  async one(name: string, maxAgeMs = 0): Promise<TopicDescription | undefined> {
    const found = await this.client.retrying(`describe topic ${name}`, () => this.client.topic(name, { maxAgeMs }));
    return found === undefined ? undefined : (await this.described([found]))[0];
  }

  private async described(topics: readonly TopicMetadata[]): Promise<TopicDescription[]> {
    const now = performance.now();
    const missing = topics.filter(({ id }) => now - (this.configs.get(id)?.at ?? Number.NEGATIVE_INFINITY) > CONFIG_AGE_MS);
    if (missing.length > 0) await this.describe(missing);
    return topics.map(({ name, id, partitions }) => {
      const values = this.configs.get(id)?.found?.values ?? {};
      const number = (key: string): number => Number(values[key] ?? '-1');
      const codec = values['compression.type'] ?? 'producer';
      return {
        name, id, partitions: partitions.length, compact: (values['cleanup.policy'] ?? 'delete').includes('compact'), retentionBytes: number('retention.bytes'), retentionMs: number('retention.ms'),
        // Kafka knows nothing of groups that must not lose records.
        deleteUncommitted: true, compression: codec === 'producer' ? this.options.compression : codec === 'uncompressed' ? 'none' : codec as Compression,
      };
    });
  }

  /** A broker may not know a new topic yet that another one has told of; one that is deleted meanwhile stays without configs. */
  private async describe(topics: readonly TopicMetadata[]): Promise<void> {
    const deadline = performance.now() + CONFIG_WAIT_MS;
    for (let left = topics; left.length > 0;) {
      const found = await this.client.retrying('describe topics', () => this.client.request('any', describeTopicConfigs, { names: left.map(({ name }) => name), keys: CONFIG_KEYS }));
      const of = (name: string): TopicConfigs | undefined => found.find(one => one.name === name);
      const at = performance.now();
      for (const { name, id } of left) if (of(name)?.error !== UNKNOWN_TOPIC) this.configs.set(id, { at, found: of(name)?.error === 0 ? of(name) : undefined });
      left = at > deadline ? [] : left.filter(({ name }) => of(name)?.error === UNKNOWN_TOPIC);
      if (left.length > 0) await pause(50);
    }
  }

  /** See the log's contract. Throws ConfigError TOPIC_NAME, TOPIC_SETTINGS; FatalError TOPIC_MISSING, KAFKA_DENIED. */
  create(name: string, options: TopicOptions | undefined): Promise<TopicDescription> { return this.made(name, () => (options === undefined ? this.options.creation?.(name) : newTopic(name, options))); }
  /** As `create`, with the settings that the topic gets where it is missing. */
  createAs(topic: NewTopic): Promise<TopicDescription> { return this.made(topic.name, () => topic); }

  private async made(name: string, settings: () => NewTopic | undefined): Promise<TopicDescription> {
    if (!NAME.test(name) || name === '.' || name === '..') throw new ConfigError(`'${name}' is no valid topic name`, { code: 'TOPIC_NAME', hint: 'Letters, digits, dot, underscore and hyphen, at most 249.' });
    const known = await this.one(name);
    if (known !== undefined) return known;
    const wanted = settings();
    if (wanted === undefined) await this.byBrokers(name); else await this.byUs(wanted);
    this.announce();
    return this.visible(name);
  }

  private async byUs(topic: NewTopic): Promise<void> {
    await this.client.retrying(`create topic ${topic.name}`, async () => {
      const [outcome] = await this.client.request('controller', createTopics, { topics: [topic], timeoutMs: this.client.config.requestTimeoutMs });
      const error = outcome?.error ?? 0;
      if (error === EXISTS) return;
      if ([37, 38, 39, 40, 44].includes(error)) throw new ConfigError(`Topic ${topic.name} cannot be created: ${errorName(error)}${outcome?.message == null ? '' : `: ${outcome.message}`}`, { code: 'TOPIC_SETTINGS', hint: 'Correct topic.creation.* of the connector; there must be as many brokers as replication.factor asks for.' });
      check(error, `the creation of topic ${topic.name}`, outcome?.message);
    });
  }

  private async byBrokers(name: string): Promise<void> {
    const deadline = performance.now() + AUTO_CREATE_MS;
    while (await this.client.retrying(`find topic ${name}`, () => this.client.topic(name, { maxAgeMs: -1, autoCreate: true })) === undefined) {
      if (performance.now() > deadline) throw new FatalError(`There is no topic ${name}, and the brokers do not make topics by themselves`, { code: 'TOPIC_MISSING', hint: 'Set topic.creation.default.replication.factor and topic.creation.default.partitions in the connector, or create the topic.' });
      await pause(100);
    }
  }

  /** A new topic is known to each broker only after a moment. */
  private async visible(name: string): Promise<TopicDescription> {
    const deadline = performance.now() + VISIBLE_MS;
    for (;;) {
      const found = await this.one(name);
      if (found !== undefined && found.partitions > 0) return found;
      if (performance.now() > deadline) throw new RetriableError(`Topic ${name} was created but does not appear`, { code: 'TOPIC_MISSING' });
      await pause(50);
    }
  }

  async delete(name: string): Promise<void> {
    await this.client.retrying(`delete topic ${name}`, async () => {
      const [outcome] = await this.client.request('controller', deleteTopics, { names: [name], timeoutMs: this.client.config.requestTimeoutMs });
      if (outcome?.error === UNKNOWN_TOPIC) throw unknown(name);
      check(outcome?.error ?? 0, `the deletion of topic ${name}`);
    });
    this.deletions++;
    const deadline = performance.now() + VISIBLE_MS;
    while (await this.one(name) !== undefined && performance.now() < deadline) await pause(50);
    this.announce();
  }

  /** The end is that of all that is there, open transactions included: who reads up to it waits for them. */
  async range(at: TopicPartition): Promise<PartitionRange> {
    const offset = async (timestamp: number): Promise<number> => this.client.retrying(`find the ends of ${at.topic}-${at.partition}`, async () => {
      const leader = await this.client.leader(at);
      const [found] = await this.client.request(leader, listOffsets, { isolation: 'read_uncommitted', partitions: [{ topic: at.topic, partition: at.partition, timestamp }] });
      check(found?.error ?? 0, `the ends of ${at.topic}-${at.partition}`);
      return found?.offset ?? 0;
    });
    const [start, end] = await Promise.all([offset(EARLIEST), offset(LATEST)]);
    return { start, end, bytes: -1 };
  }

  /** Resolves when a topic came or went; also after an abort. */
  async watch(signal: AbortSignal): Promise<void> {
    const own = this.changed.promise;
    const names = async (): Promise<string> => (await this.client.refresh(null, false, signal)).topics.filter(({ error }) => error === 0).map(({ name, id }) => `${name}/${id}`).sort().join();
    let before: string | undefined;
    while (!signal.aborted) {
      let now: string | undefined;
      try { now = await names(); } catch { /* asked again in a while */ }
      if (before !== undefined && now !== undefined && now !== before) return;
      before ??= now;
      if (await Promise.race([own.then(() => true), pause(WATCH_MS, false, { signal }).catch(() => true)])) return;
    }
  }

  private announce(): void { this.changed.settle(); this.changed = signalled(); }
}

function newTopic(name: string, { partitions, compact, retentionBytes, retentionMs, compression }: TopicOptions): NewTopic {
  return {
    name, partitions: partitions ?? -1, replicationFactor: -1,
    configs: {
      ...(compact === true ? { 'cleanup.policy': 'compact' } : {}), ...(retentionBytes === undefined ? {} : { 'retention.bytes': String(retentionBytes) }),
      ...(retentionMs === undefined ? {} : { 'retention.ms': String(retentionMs) }), ...(compression === undefined ? {} : { 'compression.type': compression === 'none' ? 'uncompressed' : compression }),
    },
  };
}

function unknown(name: string): NotFoundError { return new NotFoundError(`There is no topic ${name}`, { code: 'TOPIC_UNKNOWN', hint: 'List the topics with kafka-topics --list.' }); }

function signalled(): { readonly promise: Promise<void>; readonly settle: () => void } {
  let settle = (): void => { /* set below */ };
  const promise = new Promise<void>(done => { settle = done; });
  return { promise, settle };
}
