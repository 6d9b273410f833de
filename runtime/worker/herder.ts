/**
 * What the REST routes need of a worker; the standalone worker and the distributed one implement it.
 * Names and shapes are those of Kafka Connect's REST API, so that a route only says which status code an answer has.
 * Errors: ConfigError → 400, NotFoundError → 404, ConflictError → 409, all else → 500.
 */
import type { OffsetChange, PartitionOffset, Plugin, SourceSignal } from '../api/plugin.ts';
import type { LogLevel } from './log-levels.ts';
import type { TaskProgress } from './progress.ts';

export type { OffsetChange, SourceSignal } from '../api/plugin.ts';
export type ConnectorType = 'source' | 'sink' | 'unknown';
export type TargetState = 'RUNNING' | 'PAUSED' | 'STOPPED';
export type State = 'UNASSIGNED' | 'RUNNING' | 'PAUSED' | 'FAILED' | 'RESTARTING' | 'STOPPED';
export type ConnectorConfig = Readonly<Record<string, string>>;

export interface TaskId { readonly connector: string; readonly task: number }
export interface ConnectorInfo { readonly name: string; readonly config: ConnectorConfig; readonly tasks: readonly TaskId[]; readonly type: ConnectorType }
export interface TaskInfo { readonly id: TaskId; readonly config: ConnectorConfig }
export interface StateInfo { readonly state: State; readonly worker_id: string; readonly version?: string; readonly trace?: string }
export interface TaskStatus extends StateInfo { readonly id: number }
export interface ConnectorStatus { readonly name: string; readonly connector: StateInfo; readonly tasks: readonly TaskStatus[]; readonly type: ConnectorType }
/** A sink's partition is `{"kafka_topic", "kafka_partition"}`, its offset `{"kafka_offset"}`. */
export type ConnectorOffset = PartitionOffset;
export interface Health { readonly state: 'healthy' | 'starting' | 'unhealthy'; readonly message: string }
export interface WorkerInfo { readonly version: string; readonly commit: string; readonly kafka_cluster_id: string }
/** A class that REST lists beside the connectors. */
export interface PluginEntry { readonly class: string; readonly type: 'source' | 'sink' | 'converter' | 'header_converter' | 'transformation' | 'predicate'; readonly version: string }

/** A request of another worker that users must not make: its body, and what it is signed with. */
export interface InternalRequest { readonly body: string; readonly signature: string | undefined; readonly algorithm: string | undefined }
/** Requests that the workers of a cluster make to each other. The answer says why a request may not pass, if so. */
export interface ClusterRequests {
  putTaskConfigs(name: string, configs: readonly ConnectorConfig[], request: InternalRequest): Promise<RefusedRequest | undefined>;
  fence(name: string, request: InternalRequest): Promise<RefusedRequest | undefined>;
}
export interface RefusedRequest { readonly status: 400 | 403 | 503; readonly message: string }

export interface Herder {
  /** Only a distributed worker has it; it also words its own answers for connectors that are unknown. */
  readonly cluster?: ClusterRequests;
  info(): WorkerInfo;
  health(): Health;
  /** In order of their names. */
  connectors(): readonly string[];
  connector(name: string): ConnectorInfo;
  status(name: string): ConnectorStatus;
  taskStatus(name: string, task: number): TaskStatus;
  tasks(name: string): readonly TaskInfo[];
  /** Throws ConflictError when it exists, ConfigError when the configuration is invalid. */
  create(name: string, config: ConnectorConfig, initial: TargetState): Promise<ConnectorInfo>;
  /** Makes it or replaces its configuration. */
  putConfig(name: string, config: ConnectorConfig): Promise<{ readonly created: boolean; readonly info: ConnectorInfo }>;
  /** Null removes a key. */
  patchConfig(name: string, patch: Readonly<Record<string, string | null>>): Promise<ConnectorInfo>;
  remove(name: string): Promise<void>;
  /** Resolves when the restart has begun; the status as it stands then (RESTARTING). */
  restart(name: string, options: { readonly includeTasks: boolean; readonly onlyFailed: boolean }): Promise<ConnectorStatus>;
  restartTask(name: string, task: number): Promise<void>;
  setTarget(name: string, state: TargetState): Promise<void>;
  offsets(name: string): Promise<readonly ConnectorOffset[]>;
  /** Only for a stopped connector. Null forgets all of them. */
  alterOffsets(name: string, changes: readonly OffsetChange[] | null): Promise<void>;
  /** Hands a signal to the connector's running task. Throws ConflictError when none runs. */
  signal(name: string, signal: SourceSignal): Promise<void>;
  /** Of tasks that can be asked at present. */
  progress(name: string): Promise<readonly TaskProgress[]>;
  topics(name: string): Promise<readonly string[]>;
  resetTopics(name: string): Promise<void>;
  /** Connectors only, or everything that has a class name. */
  plugins(connectorsOnly: boolean): Promise<readonly PluginEntry[]>;
  /** A connector plugin by class name or alias. Throws NotFoundError. */
  plugin(name: string): Promise<Plugin>;
  /** Problems of a configuration beyond what its declaration says: preflight on the live system, transforms, converters. */
  problems(config: ConnectorConfig, signal: AbortSignal): Promise<readonly { readonly option: string; readonly message: string }[]>;
  /** Sets a level on all workers (`scope=cluster`); only where there can be others. */
  setClusterLogLevel?(name: string, level: LogLevel): Promise<void>;
  /** Prometheus text is made from these; values as the tasks last reported them. */
  metrics(): readonly MetricSample[];
}

export interface MetricSample { readonly name: string; readonly kind: 'gauge' | 'counter'; readonly value: number; readonly labels: Readonly<Record<string, string>> }
