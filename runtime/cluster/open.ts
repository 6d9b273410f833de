/** Puts a distributed worker together: clients, internal topics, stores, the group; and takes it apart again. */
import { ConfigError, FatalError } from '../api/errors.ts';
import type { Logger } from '../api/logger.ts';
import type { TopicPartition } from '../api/plugin.ts';
import { clientConfig, clientProperties } from '../log/kafka/client-config.ts';
import { check, type KafkaClient, openKafkaClient } from '../log/kafka/client.ts';
import { Fetcher } from '../log/kafka/fetcher.ts';
import { openKafkaLog } from '../log/kafka/kafka-log.ts';
import { Producer } from '../log/kafka/producer.ts';
import { LATEST, listOffsets } from '../log/kafka/protocol/fetch-api.ts';
import { Topics } from '../log/kafka/topics.ts';
import type { Log } from '../log/log.ts';
import { configProviders, resolveProviders } from '../config-providers.ts';
import type { ConnectorConfig } from '../worker/herder.ts';
import { type LogLevel, type LogLevels, parseLevel } from '../worker/log-levels.ts';
import { clientOverrides } from '../worker/client-overrides.ts';
import { openTaskLog } from '../worker/open-log.ts';
import { loadPlugins } from '../worker/plugins.ts';
import type { TaskOrder } from '../worker/task-messages.ts';
import { topicDefaults } from '../worker/worker-config.ts';
import type { Advertised } from './advertised.ts';
import type { ConfigChange, ConfigState } from './config-state.ts';
import { ConfigStore } from './config-store.ts';
import { GroupCoordinator } from './coordinator.ts';
import type { DistributedConfig } from './distributed-config.ts';
import { DistributedHerder } from './distributed.ts';
import { Fencing, transactionalId } from './fencing.ts';
import type { TopicSource } from './internal-topic.ts';
import { ensureInternalTopic, internalTopicSettings } from './internal-topics.ts';
import { LocalWork, type TaskFacts } from './local-work.ts';
import { ClusterNode } from './node.ts';
import { StatusStore } from './status-store.ts';

/** How long the first reading of an internal topic may take. */
const FIRST_READ_MS = 120_000;
const WRITE_MS = 30_000;
const FETCH = { isolation: 'read_committed', maxWaitMs: 500, minBytes: 1, maxBytes: 8 * 1024 * 1024, partitionBytes: 1024 * 1024, rack: '' } as const;

export interface DistributedOptions {
  readonly config: DistributedConfig;
  /** The worker file's raw text. */
  readonly properties: Readonly<Record<string, string>>;
  readonly pluginsUrl: string;
  readonly logger: Logger;
  readonly levels: LogLevels;
  readonly commit: string;
}
export interface DistributedWorker extends AsyncDisposable {
  readonly herder: DistributedHerder;
  /** Joins the group. Resolves when the worker was closed; rejects when it cannot go on, which its herder's health says too. */
  start(): Promise<void>;
}

/**
 * Reads the internal topics, made where they are missing; does not join the group yet. Throws ConfigError
 * INTERNAL_TOPIC_…, OTHER_CLUSTER and what clients say of wrong options, FatalError and RetriableError where Kafka cannot be used.
 */
export async function openDistributed(options: DistributedOptions, advertised: Advertised): Promise<DistributedWorker> {
  const stack = new AsyncDisposableStackLike();
  try { return await assemble(options, advertised, stack); } catch (error) {
    await stack.close();
    throw error;
  }
}

/** Closes what was opened, last first. (AsyncDisposableStack is not in Node 20.) */
class AsyncDisposableStackLike {
  private readonly closers: (() => unknown)[] = [];
  defer(close: () => unknown): void { this.closers.push(close); }
  async close(): Promise<void> { for (const close of this.closers.splice(0).reverse()) await close(); }
}

interface Kafka { readonly client: KafkaClient; readonly source: TopicSource; readonly producer: (transactional?: string, client?: KafkaClient) => Producer }

async function connect({ properties, logger }: DistributedOptions, workerId: string, stack: AsyncDisposableStackLike): Promise<Kafka> {
  const client = await openKafkaClient(clientConfig(clientProperties(properties, 'worker'), `connect-${workerId}`));
  stack.defer(() => client[Symbol.asyncDispose]());
  const onRetry = (error: Error, attempt: number): void => { if (attempt === 1 || attempt % 30 === 0) logger.warn({ reason: error.message, attempt }, 'internal topics: request is tried again'); };
  const fetcher = new Fetcher(client, { ...FETCH, onRetry });
  stack.defer(() => { fetcher.close(); });
  const topics = new Topics(client, { creation: undefined, compression: 'none' });
  return {
    client,
    source: { range: async at => ({ ...await topics.range(at), end: await committedEnd(client, at) }), reader: async (at, from) => fetcher.reader(at, from) },
    producer: (transactional, other = client) => new Producer(other, { transactionalId: transactional, transactionTimeoutMs: WRITE_MS, compression: 'none', maxRequestBytes: 1024 * 1024, deliveryTimeoutMs: WRITE_MS, idempotent: true, acks: -1, onRetry }),
  };
}

/** A transaction that a dead leader left open must not keep the others from reading what is committed. */
function committedEnd(client: KafkaClient, { topic, partition }: TopicPartition): Promise<number> {
  return client.retrying(`find the end of ${topic}-${partition}`, async () => {
    const [found] = await client.request(await client.leader({ topic, partition }), listOffsets, { isolation: FETCH.isolation, partitions: [{ topic, partition, timestamp: LATEST }] });
    check(found?.error ?? 0, `the end of ${topic}-${partition}`);
    return found?.offset ?? 0;
  });
}

async function assemble(options: DistributedOptions, advertised: Advertised, stack: AsyncDisposableStackLike): Promise<DistributedWorker> {
  const { config, properties, logger } = options;
  const { url, workerId } = advertised;
  const kafka = await connect(options, workerId, stack);
  const { client, source } = kafka;
  const spec = (prefix: 'config.storage' | 'offset.storage' | 'status.storage', holds: string, partitions: number) =>
    ensureInternalTopic(client, { prefix, holds, partitions, name: config[`${prefix}.topic`], replicationFactor: config[`${prefix}.replication.factor`] }, properties);
  await spec('config.storage', 'connector configurations', 1);
  await spec('offset.storage', 'source connector offsets', config['offset.storage.partitions']);
  const statusPartitions = await spec('status.storage', 'connector and task statuses', config['status.storage.partitions']);
  const own = `connect-${workerId}-offsets`;
  const log = await openKafkaLog({ worker: properties, offsets: { topic: config['offset.storage.topic'], partitions: config['offset.storage.partitions'] }, clientIds: { admin: `${own}-admin`, producer: `${own}-producer`, consumer: `${own}-consumer` }, logger });
  stack.defer(() => log[Symbol.asyncDispose]());

  // Records of the leader alone go through a producer that shuts the leader before out, where that is asked for (KIP-618).
  const fenced = config['exactly.once.source.support'] !== 'disabled';
  const leaderId = `connect-cluster-${config['group.id']}`;
  let leading = kafka.producer(fenced ? leaderId : undefined);
  const shared = kafka.producer();
  let changed: (change: ConfigChange) => void = () => { /* nothing runs yet */ };
  const store = await ConfigStore.open({ source, topic: config['config.storage.topic'], logger, producer: { send: (entries, signal) => leading.send(entries, signal) }, changed: change => { changed(change); } }, FIRST_READ_MS);
  stack.defer(() => store[Symbol.asyncDispose]());
  const statuses = await StatusStore.open({ source, topic: config['status.storage.topic'], partitions: statusPartitions, producer: shared, logger }, FIRST_READ_MS);
  stack.defer(() => statuses[Symbol.asyncDispose]());

  // They know of each other: what a connector's owner finds goes to the leader, what the topic says comes to the owner.
  const after: { herder?: DistributedHerder; node?: ClusterNode } = {};
  const local = new LocalWork({
    state: store.state, statuses, pluginsUrl: options.pluginsUrl, logger, levels: options.levels, graceMs: config['task.shutdown.graceful.timeout.ms'], workerId: () => workerId, generation: () => after.node?.generation ?? -1,
    order: (...task) => orderOf(options, store.state, ...task), beforeSource: async name => { await after.herder?.beforeSource(name); }, claimed: async (...task) => { await after.herder?.stillOwned(...task); },
    reconfigure: name => { after.herder?.reconfigure(name); },
  });
  const claim = async (): Promise<void> => {
    if (!fenced) return;
    leading = kafka.producer(leaderId);
    await leading.open(AbortSignal.timeout(WRITE_MS));
  };
  const setLevel = (name: string, text: string): void => { const level = parseLevel(text); if (level !== undefined) options.levels.change(name, level); };
  const node = new ClusterNode({ config, logger, store, statuses, local, coordinator: new GroupCoordinator(client, config['group.id']), url, claim, setLevel });
  after.node = node;
  changed = change => { node.changed(change); };
  return worker(options, { node, store, statuses, local, log, advertised, stack, kafka, shared, after });
}

interface Assembled {
  readonly node: ClusterNode; readonly store: ConfigStore; readonly statuses: StatusStore; readonly local: LocalWork; readonly log: Log;
  readonly advertised: Advertised; readonly stack: AsyncDisposableStackLike; readonly kafka: Kafka; readonly shared: Producer;
  readonly after: { herder?: DistributedHerder };
}

async function worker(options: DistributedOptions, { stack, kafka, shared, after, ...parts }: Assembled): Promise<DistributedWorker> {
  const { config, logger } = options;
  const { node, store } = parts;
  const fencing = new Fencing({
    state: store.state, groupId: config['group.id'], readToEnd: () => store.readToEnd(WRITE_MS), write: records => node.write(records),
    shutOut: (connector, ids) => shutOut(options, kafka, connector, store.state.config(connector) ?? {}, ids),
  });
  let failure: Error | undefined;
  const herder = new DistributedHerder({
    ...parts, config, fencing, commit: options.commit, plugins: await loadPlugins(options.pluginsUrl), scope: { pluginsUrl: options.pluginsUrl, properties: options.properties, exactlyOnce: config['exactly.once.source.support'] === 'enabled' },
    writeShared: records => store.write(records, shared), failure: () => failure, offsetsLog: (...of) => offsetsLog(options, store.state, ...of),
  });
  after.herder = herder;
  const stop = new AbortController();
  let running: Promise<void> = Promise.resolve();
  return {
    herder,
    start: () => {
      running = node.run(stop.signal).catch((error: unknown) => {
        failure = error as Error;
        logger.error({ reason: failure.message, ...(error instanceof FatalError || error instanceof ConfigError ? { code: error.code, hint: error.hint } : {}) }, 'worker cannot go on');
        throw error;
      });
      return running;
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await running.catch(() => { /* told by start */ });
      await stack.close();
    },
  };
}

function orderOf({ config, properties, pluginsUrl }: DistributedOptions, state: ConfigState, { connector, task, kind }: TaskFacts, taskConfig: ConnectorConfig, level: LogLevel): TaskOrder {
  const exactlyOnce = kind === 'source' && config['exactly.once.source.support'] === 'enabled';
  return {
    connector, task, tasks: Math.max(1, state.tasks(connector).length), pluginsUrl, config: resolveProviders(taskConfig, configProviders(properties)), worker: properties, logDirectory: config['log.dir'], topics: topicDefaults(config), logLevel: level,
    cluster: {
      offsetTopic: config['offset.storage.topic'], offsetPartitions: config['offset.storage.partitions'], offsetReplicas: config['offset.storage.replication.factor'], offsetSettings: internalTopicSettings('offset.storage', properties),
      transactionalId: exactlyOnce ? transactionalId(config['group.id'], connector, task) : undefined,
    },
  };
}

/** Takes each id for a moment, by clients as the connector's tasks have them. */
async function shutOut({ properties }: DistributedOptions, { producer, client }: Kafka, connector: string, config: ConnectorConfig, ids: readonly string[]): Promise<void> {
  const { admin, producer: overrides } = clientOverrides(resolveProviders(config, configProviders(properties)));
  const elsewhere = { ...admin, ...overrides };
  await using own = Object.keys(elsewhere).length === 0 ? undefined : await openKafkaClient(clientConfig(clientProperties(properties, 'admin', elsewhere), `connect-fencing-${connector}`));
  await Promise.all(ids.map(id => producer(id, own ?? client).open(AbortSignal.timeout(WRITE_MS))));
}

/**
 * The log by which REST reads and changes a source's offsets, as its first task would: with a topic of its own, with clients
 * of its own, and where delivery is exactly once under the task's transactional id. Undefined: the worker's log will do.
 */
async function offsetsLog(options: DistributedOptions, state: ConfigState, connector: string, taskConfig: ConnectorConfig, change: boolean): Promise<Log | undefined> {
  const order = orderOf(options, state, { connector, task: 0, kind: 'source' }, taskConfig, 'INFO');
  const apart = (order.config['offsets.storage.topic'] ?? '') !== '' || Object.keys(order.config).some(key => /^(producer|admin|consumer)\.override\./.test(key));
  return apart || (change && order.cluster?.transactionalId !== undefined) ? openTaskLog(order, options.logger) : undefined;
}
