/**
 * One client of a cluster: brokers, leaders and coordinators, each found anew when it moved. Requests go over
 * {@link BrokerConnection}s; a `lane` is a connection of its own, for requests that wait at the broker (fetch, join).
 */
import { FatalError, NotFoundError, RetriableError, TributaryError } from '../../api/errors.ts';
import type { TopicPartition } from '../../api/plugin.ts';
import type { ClientConfig, Endpoint } from './client-config.ts';
import { backoff, BrokerConnection, type SendOptions } from './connection.ts';
import { BrokerError, errorName, remedyOf } from './protocol/error-codes.ts';
import { type ClusterMetadata, type CoordinatorKind, findCoordinator, metadata, type TopicMetadata } from './protocol/metadata-api.ts';
import type { Api } from './protocol/wire.ts';

/** Where a request goes: a node id, any broker, the controller, or the coordinator of a group or transactional id. */
export type Target = number | 'any' | 'controller' | { readonly coordinator: CoordinatorKind; readonly key: string };
export interface RequestOptions extends SendOptions {
  /** Name of the connection to use; default `''`. Requests of one lane are answered one after the other. */
  readonly lane?: string;
}
export interface RetryOptions extends RequestOptions {
  /** How long attempts go on, in milliseconds; default 60,000. */
  readonly forMs?: number;
}

/** For so long a broker that did not answer is asked last: one that is paused would cost each question a whole request.timeout.ms. */
const SUSPECT_MS = 30_000;

export class KafkaClient implements AsyncDisposable {
  readonly config: ClientConfig;
  private readonly connections = new Map<string, BrokerConnection>();
  private nodes = new Map<number, Endpoint>();
  private readonly topics = new Map<string, { readonly at: number; readonly topic: TopicMetadata }>();
  private readonly coordinators = new Map<string, number>();
  /** Endpoints that did not answer, and until when others are asked first. */
  private readonly suspects = new Map<string, number>();
  private controller = -1;
  private rotation = Math.floor(Math.random() * 1000);
  private cluster: string | undefined;

  constructor(config: ClientConfig) { this.config = config; }

  /** Id of the cluster; known after the first metadata. */
  get clusterId(): string | undefined { return this.cluster; }

  /** Opens a first connection and learns the brokers. Throws FatalError KAFKA_HOST_UNKNOWN when no bootstrap name resolves, what the connection says otherwise. */
  async connect(signal?: AbortSignal): Promise<void> {
    await this.retrying('connect', async () => { await this.refresh([], false, signal); }, { signal, forMs: Math.max(this.config.requestTimeoutMs, 2 * this.config.connectTimeoutMs) });
  }

  /** Sends one request, once. Errors inside the answer are the caller's. */
  async request<I, O>(target: Target, api: Api<I, O>, input: I, options: RequestOptions = {}): Promise<O> {
    if (target === 'any') return this.requestAny(api, input, options);
    const node = typeof target === 'number' ? target : target === 'controller' ? await this.controllerNode(options) : await this.coordinator(target.coordinator, target.key, options);
    return this.ask(await this.endpointOf(node, options), api, input, options);
  }

  private async ask<I, O>(endpoint: Endpoint, api: Api<I, O>, input: I, options: RequestOptions): Promise<O> {
    const name = laneOf(endpoint, '');
    try {
      const answer = await this.connection(endpoint, options.lane).send(api, input, options);
      this.suspects.delete(name);
      return answer;
    } catch (error) {
      if (error instanceof RetriableError && error.code.startsWith('KAFKA_') && options.signal?.aborted !== true) this.suspects.set(name, performance.now() + SUSPECT_MS);
      throw error;
    }
  }

  /**
   * Runs `attempt` again after a pause while it throws RetriableError, until `forMs` is over. Stale knowledge named by a
   * {@link BrokerError} is dropped before each new attempt.
   */
  async retrying<T>(what: string, attempt: () => Promise<T>, { signal, forMs = 60_000 }: RetryOptions = {}): Promise<T> {
    const deadline = performance.now() + forMs;
    for (let n = 1; ; n++) {
      try { return await attempt(); } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof RetriableError)) throw error;
        if (error instanceof BrokerError && error.remedy === 'stop') throw error;
        if (performance.now() >= deadline) throw error.code === 'KAFKA_HOST_UNKNOWN' && this.nodes.size === 0 ? new FatalError(error.message, { code: error.code, hint: error.hint ?? '', cause: error }) : new RetriableError(`${error.message} (tried to ${what} for ${Math.round(forMs / 1000)} s)`, { code: error.code, ...(error.hint === undefined ? {} : { hint: error.hint }), cause: error });
        this.forget(error);
        await backoff(this.config, n, signal);
      }
    }
  }

  /** Drops what the error says is stale: the controller, all coordinators, the age of topics. */
  private forget(error: RetriableError): void {
    if (error instanceof BrokerError && error.remedy === 'retry') return;
    this.controller = -1;
    this.coordinators.clear();
    for (const [name, { topic }] of this.topics) this.topics.set(name, { at: Number.NEGATIVE_INFINITY, topic });
  }

  private async requestAny<I, O>(api: Api<I, O>, input: I, options: RequestOptions): Promise<O> {
    const known = [...this.nodes.values()];
    const connected = known.filter(endpoint => this.connections.get(laneOf(endpoint, options.lane))?.connected === true);
    const start = this.rotation++;
    const turn = (list: readonly Endpoint[]): Endpoint[] => list.map((_, i) => list[(i + start) % list.length] as Endpoint);
    let failure: unknown;
    const tried = new Set<string>();
    const candidates = [...turn(connected), ...turn(known), ...turn(this.config.bootstrap)];
    const suspect = (endpoint: Endpoint): boolean => (this.suspects.get(laneOf(endpoint, '')) ?? 0) > performance.now();
    for (const endpoint of [...candidates.filter(one => !suspect(one)), ...candidates.filter(suspect)]) {
      const name = laneOf(endpoint, options.lane);
      if (tried.has(name)) continue;
      tried.add(name);
      try { return await this.ask(endpoint, api, input, options); } catch (error) {
        options.signal?.throwIfAborted();
        failure = error;
        if (!(error instanceof RetriableError)) break;
      }
    }
    throw failure instanceof TributaryError ? failure : new RetriableError('There is no broker to ask', { code: 'KAFKA_UNREACHABLE', hint: 'Check bootstrap.servers.' });
  }

  private connection(endpoint: Endpoint, lane: string | undefined): BrokerConnection {
    const name = laneOf(endpoint, lane);
    let connection = this.connections.get(name);
    if (connection === undefined) this.connections.set(name, connection = new BrokerConnection(this.config, endpoint));
    return connection;
  }

  private async endpointOf(node: number, options: RequestOptions): Promise<Endpoint> {
    if (!this.nodes.has(node)) await this.refresh([], false, options.signal);
    const endpoint = this.nodes.get(node);
    if (endpoint === undefined) throw new RetriableError(`Broker ${node} is not among the brokers of the cluster now`, { code: 'KAFKA_UNREACHABLE', hint: 'It may be down; the cluster chooses another one in a while.' });
    return endpoint;
  }

  /** Asks for topics (none: only brokers; null: all) and keeps what is learnt. */
  async refresh(topics: readonly string[] | null, autoCreate = false, signal?: AbortSignal): Promise<ClusterMetadata> {
    const found = await this.request('any', metadata, { topics, autoCreate }, { signal });
    if (found.brokers.length > 0) {
      this.nodes = new Map(found.brokers.map(({ id, host, port }) => [id, { host, port }]));
      this.dropUnknown();
    }
    this.controller = found.controller;
    this.cluster = found.clusterId ?? this.cluster;
    const at = performance.now();
    if (topics === null) this.topics.clear();
    for (const topic of found.topics) if (topic.error === 0) this.topics.set(topic.name, { at, topic }); else this.topics.delete(topic.name);
    return found;
  }

  /** Connections to brokers that are gone are closed. */
  private dropUnknown(): void {
    const live = new Set([...this.nodes.values(), ...this.config.bootstrap].map(endpoint => laneOf(endpoint, '')));
    for (const [name, connection] of this.connections) if (!live.has(laneOf(connection.endpoint, ''))) { this.connections.delete(name); connection.close(); }
  }

  private async controllerNode(options: RequestOptions): Promise<number> {
    if (this.controller < 0) await this.refresh([], false, options.signal);
    if (this.controller < 0) throw new BrokerError(41, 'the search for the controller');
    return this.controller;
  }

  /** Node of a group's or transactional id's coordinator. Throws BrokerError, FatalError KAFKA_DENIED. */
  async coordinator(kind: CoordinatorKind, key: string, options: RequestOptions = {}): Promise<number> {
    const name = `${kind}/${key}`;
    const known = this.coordinators.get(name);
    if (known !== undefined) return known;
    const { error, message, broker } = await this.request('any', findCoordinator, { key, kind }, { signal: options.signal });
    check(error, `the search for the coordinator of ${kind} ${key}`, message);
    this.nodes.set(broker.id, { host: broker.host, port: broker.port });
    this.coordinators.set(name, broker.id);
    return broker.id;
  }

  /** A topic's description, from memory while it is fresh; undefined when there is none. Throws FatalError KAFKA_DENIED. */
  async topic(name: string, { maxAgeMs = this.config.metadataMaxAgeMs, autoCreate = false, signal }: { readonly maxAgeMs?: number; readonly autoCreate?: boolean; readonly signal?: AbortSignal | undefined } = {}): Promise<TopicMetadata | undefined> {
    const known = this.topics.get(name);
    if (known !== undefined && performance.now() - known.at <= maxAgeMs) return known.topic;
    const { topics: [found] } = await this.refresh([name], autoCreate, signal);
    if (found === undefined || found.error === 3) return undefined;
    check(found.error, `the description of topic ${name}`);
    return found;
  }

  /** Forgets how old a topic's description is: the next look asks the cluster. */
  stale(name: string): void {
    const known = this.topics.get(name);
    if (known !== undefined) this.topics.set(name, { at: Number.NEGATIVE_INFINITY, topic: known.topic });
  }

  /** Leader of a partition. Throws NotFoundError TOPIC_UNKNOWN or PARTITION_UNKNOWN, BrokerError when it has none now. */
  async leader({ topic: name, partition }: TopicPartition, signal?: AbortSignal): Promise<number> {
    const topic = await this.topic(name, { signal });
    if (topic === undefined) throw new NotFoundError(`There is no topic ${name}`, { code: 'TOPIC_UNKNOWN', hint: 'Create it, or check its name and whether this user may see it.' });
    const found = topic.partitions.find(one => one.partition === partition);
    if (found === undefined) throw new NotFoundError(`Topic ${name} has no partition ${partition}`, { code: 'PARTITION_UNKNOWN', hint: `It has ${topic.partitions.length}.` });
    if (found.leader < 0) { this.stale(name); throw new BrokerError(5, `the search for the leader of ${name}-${partition}`); }
    return found.leader;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.connections.values()) connection.close();
    this.connections.clear();
  }
}

function laneOf({ host, port }: Endpoint, lane: string | undefined): string { return `${host}:${port}/${lane ?? ''}`; }

const DENIED: Readonly<Record<number, string>> = {
  29: 'Allow this user Read, Write, Describe (and Create) on the topic: kafka-acls --add --allow-principal User:… --operation … --topic …',
  30: 'Allow this user Read on the group: kafka-acls --add --allow-principal User:… --operation Read --group …',
  31: 'Allow this user the operation on the cluster: kafka-acls --add --allow-principal User:… --operation IdempotentWrite --cluster',
  53: 'Allow this user Describe and Write on the transactional id: kafka-acls --add --allow-principal User:… --operation Write --transactional-id …',
};
/** Throws for an error code: FatalError KAFKA_DENIED for a missing right, BrokerError when another attempt may help, FatalError otherwise. */
export function check(code: number, where: string, detail?: string | null): void {
  if (code === 0) return;
  const denied = DENIED[code];
  if (denied !== undefined) throw new FatalError(`Kafka does not allow ${where}: ${errorName(code)}`, { code: 'KAFKA_DENIED', hint: denied });
  if (remedyOf(code) !== 'stop') throw new BrokerError(code, where, detail);
  throw new FatalError(`Kafka answered ${errorName(code)} to ${where}${detail === undefined || detail === null || detail === '' ? '' : `: ${detail}`}`, { code: `KAFKA_${errorName(code)}`, hint: 'See the broker\'s log for the reason.' });
}

/** Opens a client. See {@link KafkaClient.connect} for what it throws. */
export async function openKafkaClient(config: ClientConfig, signal?: AbortSignal): Promise<KafkaClient> {
  const client = new KafkaClient(config);
  try { await client.connect(signal); } catch (error) { await client[Symbol.asyncDispose](); throw error; }
  return client;
}
