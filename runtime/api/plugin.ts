/**
 * All that a connector plugin and the runtime know of each other.
 *
 * A record's way in: source task → {@link SourceBatch} → source pipeline → log.
 * A record's way out: log → sink pipeline → {@link SinkBatch} → sink task.
 */
import type { ConnectRecord, Header, SchemaAndValue } from '../../envelopes/record.ts';
import type { ByteWriter } from './byte-writer.ts';
import type { ConfigDef, ConfigOf, Problem } from './config.ts';
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';

/** JSON object that names what is captured (`{"server":"cdc"}`): Connect's source partition. */
export type SourcePartition = Readonly<Record<string, unknown>>;
/** JSON object that says how far (`{"lsn":…}`): Connect's source offset. Values: string, number, bigint, boolean, null. */
export type SourceOffset = Readonly<Record<string, unknown>>;
export interface PartitionOffset { readonly partition: SourcePartition; readonly offset: SourceOffset }
/** A change that a person asks for; a null offset forgets the partition. */
export interface OffsetChange { readonly partition: SourcePartition; readonly offset: SourceOffset | null }

export interface SourceRecord extends ConnectRecord { readonly key: SchemaAndValue; readonly value: SchemaAndValue; readonly headers: readonly Header[] }

/** A header whose value is already the bytes that go to the log. */
export interface EncodedHeader { readonly name: string; readonly value: Uint8Array | null }

/** What a JSON converter that can be bypassed was configured with. */
export interface JsonOptions { readonly keySchemas: boolean; readonly valueSchemas: boolean }

/** Bytes → bytes: writes record `i` of its batch as the default JsonConverter would, byte for byte. */
export interface JsonRecords {
  /** Appends the key's JSON; false (and nothing written) when the key is null. */
  writeKey(i: number, out: ByteWriter): boolean;
  /** Appends the value's JSON; false (and nothing written) for a tombstone. */
  writeValue(i: number, out: ByteWriter): boolean;
  /** The same array for the same headers, so that callers may cache by identity. */
  headers(i: number): readonly EncodedHeader[];
}

/**
 * Records in source order, still in the source's own bytes where it can. Everything in it is valid only until the
 * iterator that yielded it is advanced: the pipeline encodes before it pulls again, the source may reuse its buffers.
 */
export interface SourceBatch {
  readonly length: number;
  /** Bytes of source data that this batch holds on to. */
  readonly bytes: number;
  /** True when the source has more at hand already: the pipeline may go on collecting before it appends. */
  readonly more: boolean;
  /** Position after the last record, stored atomically with the records. Undefined = these records move no offset. A batch may be empty and only move the offset. */
  readonly offset: PartitionOffset | undefined;
  /**
   * Where the source itself says where transactions end ({@link SourceContext.definesTransactions}): after this batch the open
   * one is committed, or its records are given up and only the offset is kept. Left out: it goes on. Without meaning elsewhere.
   */
  readonly end?: 'commit' | 'abort';
  /** Destination; one interned string per topic. */
  topic(i: number): string;
  /** General path. */
  decode(i: number): SourceRecord;
  /** Fast path, composed for `options`; undefined when the source has none. Called once per batch. */
  json?(options: JsonOptions): JsonRecords | undefined;
}

export interface TaskContext {
  readonly connector: string;
  readonly task: number;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** A text that a source keeps for itself, beside its offset; it outlives restarts and resets of the offset. Not atomic with records. */
export interface SourceMemory {
  get(): Promise<string | undefined>;
  /** Durable when it resolves. */
  put(text: string): Promise<void>;
}

/** One record of a topic, as text. */
export interface FeedRecord { readonly key: string | null; readonly value: string | null; readonly offset: number }
/** A topic of one partition that a source takes orders from. */
export interface TopicFeed extends AsyncDisposable {
  /** What is there behind the last answer; empty after `timeoutMs` or when `signal` aborts. Throws RetriableError. */
  next(timeoutMs: number, signal: AbortSignal): Promise<readonly FeedRecord[]>;
  /** What lies before `offset` is done with: a later feed of the same group begins there. Durable when it resolves. */
  commit(offset: number): Promise<void>;
}
/** `servers` are brokers of another cluster than the worker's, `client` properties for their consumer. */
export interface FeedRequest { readonly topic: string; readonly group: string; readonly servers: string | undefined; readonly client: Readonly<Record<string, string>> }

/** An order to a running source, as a person gave it: `type` says what, `data` is a JSON object. */
export interface SourceSignal { readonly id: string; readonly type: string; readonly data: Readonly<Record<string, unknown>> }

export interface SourceContext extends TaskContext {
  /** Absent where nothing can be kept. */
  readonly memory?: SourceMemory;
  /** Opens a topic to take orders from, at what its group has not done with, else at its beginning. Absent where there is no log. */
  feed?(request: FeedRequest): Promise<TopicFeed>;
  /** Stored offset of a partition, read before the first batch; undefined = never ran. */
  offset(partition: SourcePartition): Promise<SourceOffset | undefined>;
  /** The source's batches say where transactions end (`transaction.boundary=connector` in a worker that delivers exactly once). */
  readonly definesTransactions?: boolean;
}

/** One running unit of a source connector. */
export interface SourceTask extends AsyncDisposable {
  /**
   * Called once. Pulling is the back-pressure: nothing more is read from the database than one pull needs plus a bounded
   * read-ahead. Ends (returns) when `signal` aborts; throws RetriableError or FatalError otherwise.
   */
  batches(signal: AbortSignal): AsyncIterable<SourceBatch>;
  /** Records up to and with this offset are durable, and so is the offset. In order, one at a time, same thread. Confirm slots here, never earlier. */
  committed(offset: PartitionOffset): Promise<void>;
  /** A person asks something of the running task (`POST /connectors/NAME/signals`); it is acted on in its turn. Same thread. */
  signal?(signal: SourceSignal): void;
}

export interface TopicPartition { readonly topic: string; readonly partition: number }
/** `topicId` tells a topic from another of the same name made later. */
export interface AssignedPartition extends TopicPartition { readonly topicId: string; readonly epoch: number }
/** `offset` is that of the next record to read. */
export interface PartitionPosition extends AssignedPartition { readonly offset: number }

export interface SinkRecord extends ConnectRecord { readonly partition: number; readonly offset: number }

/** Key and value slices of a batch over one buffer; start = -1 for null. */
export interface RawJson extends JsonOptions {
  readonly buffer: Buffer;
  readonly keyStart: Int32Array; readonly keyEnd: Int32Array;
  readonly valueStart: Int32Array; readonly valueEnd: Int32Array;
}

/** Records of one topic partition in offset order. Valid until the promise of `put` settles. */
export interface SinkBatch extends TopicPartition {
  readonly length: number;
  readonly bytes: number;
  offset(i: number): number;
  timestamp(i: number): number;
  decode(i: number): SinkRecord;
  /** Present when keys and values are JsonConverter text as it lies in the log and no transform stands between. */
  readonly json?: RawJson;
}

/** One running unit of a sink connector. Calls never overlap. */
export interface SinkTask extends AsyncDisposable {
  /**
   * Called before the first `put` and whenever the assignment changes. The answer is where the target itself wants to
   * resume; partitions that it leaves out start from the group's position in the log.
   */
  assign(partitions: readonly AssignedPartition[], signal: AbortSignal): Promise<readonly PartitionPosition[]>;
  /** Accepts records; they need not be durable yet. DataError names the bad record by `batch` index in its message; nothing of the batch was accepted then. */
  put(batch: SinkBatch, signal: AbortSignal): Promise<void>;
  /** Makes all accepted records durable and returns the positions that the target now holds. */
  flush(signal: AbortSignal): Promise<readonly PartitionPosition[]>;
  /** Bytes accepted and not yet durable. The pipeline flushes when it reaches `flushBytes` or `flushIntervalMs` is over. */
  readonly pendingBytes: number;
  readonly flushBytes: number;
  readonly flushIntervalMs: number;
}

/** One thing that is wrong, or will hurt, in a live system or a configuration; what `tributary doctor` prints. */
export interface Finding {
  /** Stable upper-snake identifier. */
  readonly code: string;
  /** `error` = the connector cannot do its work. */
  readonly severity: 'error' | 'warning';
  /** The option that it is about. */
  readonly option: string;
  readonly message: string;
  /** A statement to run, or what to change. */
  readonly mend: string;
}

interface Manifest<D extends ConfigDef> {
  /** `connector.class` values that mean this plugin; the first is the full name that REST shows, the rest are aliases. */
  readonly names: readonly [string, ...string[]];
  /** What REST shows as the plugin's version. */
  readonly version: string;
  readonly config: D;
  /** Class that `GET /connectors/NAME/tasks` shows for the tasks; the connector's name with `Task` behind it when left out. */
  readonly taskClass?: string;
  /** Looks at the live system; its problems join those of the declaration in `config/validate` and on creation. */
  preflight?(config: ConfigOf<D>, signal: AbortSignal): Promise<readonly Problem[]>;
  /** As `preflight`, with the warnings too and one finding for each. Called by `tributary doctor`; never changes anything. */
  diagnose?(config: ConfigOf<D>, signal: AbortSignal): Promise<readonly Finding[]>;
}
/** `extra` holds the raw text of keys that matched one of the declaration's families. */
export interface SourcePlugin<D extends ConfigDef = ConfigDef> extends Manifest<D> {
  readonly kind: 'source';
  /**
   * Called before offsets are changed through REST, with the connector's raw configuration; throws DataError for one that
   * it cannot resume from. A plugin without it leaves offsets to the worker unseen, and the answer says so (as Debezium's do).
   */
  checkOffsets?(config: Readonly<Record<string, string>>, changes: readonly OffsetChange[]): void;
  /** Its tasks take signals. */
  readonly signals?: true;
  /** Whether delivery is exactly once with this raw configuration (Connect's `exactlyOnceSupport`); a plugin without it does not say. */
  exactlyOnce?(config: Readonly<Record<string, string>>): boolean;
  /** Whether its batches can say where transactions end (Connect's `canDefineTransactionBoundaries`); left out: they cannot. */
  definesTransactions?(config: Readonly<Record<string, string>>): boolean;
  open(config: ConfigOf<D>, context: SourceContext, extra: Readonly<Record<string, string>>): Promise<SourceTask>;
}
export interface SinkPlugin<D extends ConfigDef = ConfigDef> extends Manifest<D> {
  readonly kind: 'sink';
  /**
   * How the tasks of one connector divide what is read, in a worker that runs several (`tasks.max`): whole topics, for a
   * target that takes one writer well and two badly, or partitions. Partitions when left out.
   */
  readonly shares?: 'topics' | 'partitions';
  open(config: ConfigOf<D>, context: TaskContext, extra: Readonly<Record<string, string>>): Promise<SinkTask>;
}
export type Plugin = SourcePlugin | SinkPlugin;

export const definePlugin = {
  source: <const D extends ConfigDef>(plugin: Omit<SourcePlugin<D>, 'kind'>): SourcePlugin => ({ ...plugin, kind: 'source' }) as unknown as SourcePlugin,
  sink: <const D extends ConfigDef>(plugin: Omit<SinkPlugin<D>, 'kind'>): SinkPlugin => ({ ...plugin, kind: 'sink' }) as unknown as SinkPlugin,
};
