/**
 * One connection to one broker: kafkajs's own, with its TLS, SASL, timeouts and throttling; the requests are ours.
 * See docs/decisions/0031-kafkajs-connection.md for why its internals are reached, and what is corrected here.
 */
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { FatalError, RetriableError } from '../../api/errors.ts';
import type { ClientConfig, Endpoint } from './client-config.ts';
import { apiVersions, type VersionRange } from './protocol/metadata-api.ts';
import { type Api, WireReader, WireWriter } from './protocol/wire.ts';
import { connectionError } from './connection-errors.ts';
import type { SaslSettings } from './security/sasl.ts';

/** What we use of kafkajs/src/network/connection.js, version 2.2.4. */
interface KafkajsConnection {
  connect(): Promise<true>;
  disconnect(): Promise<true>;
  authenticate(): Promise<void>;
  isConnected(): boolean;
  /** A session is authenticated again before the first request that comes so many milliseconds before its end. */
  reauthenticationThreshold: number;
  /** A Long: what the broker lets a session live (connections.max.reauth.ms, KIP-368); 0 = without end. */
  readonly sessionLifetime: { toString(): string };
  setVersions(versions: Record<number, { readonly minVersion: number; readonly maxVersion: number }>): void;
  setSupportAuthenticationProtocol(supported: boolean): void;
  send<T>(request: {
    readonly request: { readonly apiKey: number; readonly apiVersion: number; readonly apiName: string; encode(): Promise<{ readonly buf: Buffer; readonly buffer: Buffer }> };
    readonly response: { decode(payload: Buffer): Promise<T & { readonly clientSideThrottleTime?: number }>; parse(decoded: T): Promise<T> };
    readonly requestTimeout?: number; readonly logResponseError?: boolean;
  }): Promise<T>;
  readonly socket?: Socket;
  readonly requestQueue: { readonly pending: readonly unknown[]; scheduleCheckPendingRequests(): void; rejectAll(error: Error): void };
}
type ConnectionClass = new (options: {
  readonly host: string; readonly port: number; readonly clientId: string; readonly logger: KafkajsLogger; readonly socketFactory: unknown;
  readonly requestTimeout: number; readonly connectionTimeout: number; readonly ssl: object | null; readonly sasl: SaslSettings | null;
}) => KafkajsConnection;
interface KafkajsLogger { namespace(): KafkajsLogger; debug(): void; info(): void; warn(): void; error(): void }

const load = createRequire(import.meta.url);
const Connection = load('kafkajs/src/network/connection.js') as ConnectionClass;
const socketFactory = (load('kafkajs/src/network/socketFactory.js') as () => unknown)();
/** Errors come as values; kafkajs's own lines would only repeat them. */
const silent: KafkajsLogger = { namespace: () => silent, debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** kafkajs's own threshold, and the share of a session's life that it may be at most: otherwise short ones would be authenticated with every request, which brokers refuse. */
const REAUTHENTICATION_MS = 10_000, SESSION_SHARE = 0.15;

interface Decoded<O> { readonly value: O; readonly clientSideThrottleTime: number }
export interface SendOptions { readonly signal?: AbortSignal | undefined; readonly timeoutMs?: number }

/** Opens itself on the first request and again after a failure. Requests of one connection are answered in order by the broker. */
export class BrokerConnection {
  readonly endpoint: Endpoint;
  private readonly config: ClientConfig;
  private inner: KafkajsConnection | undefined;
  private opening: Promise<KafkajsConnection> | undefined;
  private versions: ReadonlyMap<number, VersionRange> = new Map();
  private closed = false;

  constructor(config: ClientConfig, endpoint: Endpoint) { this.config = config; this.endpoint = endpoint; }

  get connected(): boolean { return this.inner?.isConnected() === true; }
  private get name(): string { return `${this.endpoint.host}:${this.endpoint.port}`; }

  /**
   * Sends one request and answers its decoded response. Throws RetriableError KAFKA_UNREACHABLE or KAFKA_TIMEOUT (the
   * connection is given up then: whether the broker acted on the request is not known), FatalError for wrong
   * credentials, certificates or versions. An abort gives the connection up as well.
   */
  async send<I, O>(api: Api<I, O>, input: I, options: SendOptions = {}): Promise<O> {
    options.signal?.throwIfAborted();
    const inner = await untilAborted(this.open(), options.signal);
    const range = this.versions.get(api.key);
    if (range === undefined || api.version < range.min || api.version > range.max) {
      throw new FatalError(`Broker ${this.name} does not speak ${api.name} version ${api.version} (${range === undefined ? 'not at all' : `${range.min} to ${range.max}`})`, { code: 'KAFKA_VERSION', hint: 'Tributary needs Kafka 2.8 or newer, 3.x or 4.x recommended.' });
    }
    return this.exchange(inner, api, input, options);
  }

  private async exchange<I, O>(inner: KafkajsConnection, api: Api<I, O>, input: I, { signal, timeoutMs }: SendOptions): Promise<O> {
    const encode = async (): Promise<{ readonly buf: Buffer; readonly buffer: Buffer }> => {
      const out = new WireWriter();
      // Request header 2 ends with tagged fields; kafkajs writes header 1.
      if (api.flexible) out.tags();
      api.encode(out, input);
      const buffer = out.view();
      return { buf: buffer, buffer };
    };
    const decode = async (payload: Buffer): Promise<Decoded<O>> => {
      const reader = new WireReader(payload);
      if (api.flexible) reader.tags();
      const value = api.decode(reader);
      // KIP-219: kafkajs holds the next requests of this connection back for so long.
      const { throttleMs } = value as { readonly throttleMs?: unknown };
      return { value, clientSideThrottleTime: typeof throttleMs === 'number' ? throttleMs : 0 };
    };
    inner.reauthenticationThreshold = Math.min(REAUTHENTICATION_MS, Number(inner.sessionLifetime.toString()) * SESSION_SHARE);
    const abort = (): void => { this.drop(new Error('aborted')); };
    signal?.addEventListener('abort', abort, { once: true });
    try {
      const { value } = await inner.send<Decoded<O>>({
        request: { apiKey: api.key, apiVersion: api.version, apiName: api.name, encode }, response: { decode, parse: async decoded => decoded },
        ...(timeoutMs === undefined ? {} : { requestTimeout: timeoutMs }), logResponseError: false,
      });
      return value;
    } catch (error) {
      signal?.throwIfAborted();
      // A late answer must not be taken for another request's, and a dead peer must not be asked again.
      this.drop(error as Error);
      throw connectionError(error, this.name);
    } finally { signal?.removeEventListener('abort', abort); }
  }

  private open(): Promise<KafkajsConnection> {
    if (this.closed) return Promise.reject(new RetriableError(`The connection to ${this.name} is closed`, { code: 'KAFKA_CLOSED' }));
    // While it is being opened it is connected already, but not yet authenticated.
    if (this.opening === undefined && this.inner?.isConnected() === true) return Promise.resolve(this.inner);
    this.opening ??= this.connect().finally(() => { this.opening = undefined; });
    return this.opening;
  }

  private async connect(): Promise<KafkajsConnection> {
    const { clientId, tls, sasl, requestTimeoutMs, connectTimeoutMs } = this.config;
    const { host, port } = this.endpoint;
    const inner = new Connection({ host, port, clientId, logger: silent, socketFactory, requestTimeout: requestTimeoutMs, connectionTimeout: connectTimeoutMs, ssl: tls ?? null, sasl: sasl === undefined ? null : { ...sasl } });
    quietTimers(inner);
    this.inner = inner;
    try {
      await inner.connect();
      inner.setSupportAuthenticationProtocol(true);
      const { ranges } = await this.exchange(inner, apiVersions, undefined, { timeoutMs: connectTimeoutMs });
      this.versions = ranges;
      inner.setVersions(Object.fromEntries([...ranges].map(([key, { min, max }]) => [key, { minVersion: min, maxVersion: max }])));
      await inner.authenticate();
    } catch (error) {
      this.drop(error as Error);
      throw connectionError(error, this.name);
    }
    if (this.closed) { this.drop(new Error('closed')); throw new RetriableError(`The connection to ${this.name} is closed`, { code: 'KAFKA_CLOSED' }); }
    return inner;
  }

  /** Destroys the socket and rejects what waits for an answer; the next request opens a new one. */
  private drop(reason: Error): void {
    const { inner } = this;
    this.inner = undefined;
    if (inner === undefined) return;
    inner.requestQueue.rejectAll(reason);
    inner.disconnect().catch(() => { /* it is gone already */ });
    inner.socket?.destroy();
  }

  close(): void {
    this.closed = true;
    this.drop(new RetriableError(`The connection to ${this.name} is closed`, { code: 'KAFKA_CLOSED' }));
  }
}

/** kafkajs 2.2.4 sets a timer with a negative delay after every answer (a warning on Node 22, and work for nothing); it is needed only when requests wait. */
function quietTimers(inner: KafkajsConnection): void {
  const queue = inner.requestQueue;
  const schedule = queue.scheduleCheckPendingRequests.bind(queue);
  queue.scheduleCheckPendingRequests = () => { if (queue.pending.length > 0) schedule(); };
}

async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  let stop = (): void => { /* set below */ };
  const aborted = new Promise<never>((_, reject) => { stop = (): void => { reject(signal.reason instanceof Error ? signal.reason : new Error('aborted')); }; });
  signal.addEventListener('abort', stop, { once: true });
  try { return await Promise.race([promise, aborted]); } finally { signal.removeEventListener('abort', stop); promise.catch(() => { /* its next user sees it */ }); }
}

/** Pauses before attempt `attempt` (from 1): exponential from the first to the longest pause, ±20 % as Kafka's clients do. Throws when `signal` aborts. */
export async function backoff(config: Pick<ClientConfig, 'backoffMs' | 'backoffMaxMs'>, attempt: number, signal?: AbortSignal): Promise<void> {
  const base = Math.min(config.backoffMaxMs, config.backoffMs * 2 ** Math.min(attempt - 1, 20));
  await pause(base * (0.8 + Math.random() * 0.4), undefined, signal === undefined ? {} : { signal });
}

