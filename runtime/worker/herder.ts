/**
 * What a worker lets people do with its connectors: the only face of the worker that `rest/` and the command line know.
 *
 * Names, states and JSON shapes are those of Kafka Connect's REST API, so that answers go out as they come from here.
 * Every call may run beside every other; the herder puts changes of one connector into order itself.
 * Calls that name a connector which does not exist throw NotFoundError(`Connector NAME not found`) unless they say otherwise.
 */
import type { ConfigInfos, ConfigKeyInfo } from '../api/config-infos.ts';
import type { PartitionOffset } from '../api/plugin.ts';

export type ConnectorKind = 'source' | 'sink';
/** What a user asked for. */
export type TargetState = 'RUNNING' | 'PAUSED' | 'STOPPED';
/** What is. RESTARTING also while a passing failure heals; the trace then says which. */
export type State = TargetState | 'FAILED' | 'UNASSIGNED' | 'RESTARTING';
/** Values as written by the user, `${file:…}` references unresolved. */
export type ConnectorConfig = Readonly<Record<string, string>>;

export interface TaskId { readonly connector: string; readonly task: number }
export interface ConnectorInfo {
  readonly name: string;
  readonly config: ConnectorConfig;
  /** Empty while the connector is stopped. */
  readonly tasks: readonly TaskId[];
  readonly type: ConnectorKind;
}
/** `trace` is the message with its hint, and only there for FAILED and RESTARTING. Never a secret, never a row. */
export interface StateInfo { readonly state: State; readonly worker_id: string; readonly version: string; readonly trace?: string }
export interface TaskState extends StateInfo { readonly id: number }
export interface ConnectorStatus {
  readonly name: string;
  readonly connector: StateInfo;
  readonly tasks: readonly TaskState[];
  readonly type: ConnectorKind;
}
export interface TaskInfo { readonly id: TaskId; readonly config: ConnectorConfig }
export interface PluginInfo { readonly class: string; readonly type: ConnectorKind | 'converter' | 'header_converter' | 'transformation' | 'predicate'; readonly version: string }
export interface RestartScope { readonly includeTasks: boolean; readonly onlyFailed: boolean }

/** One number at this moment; `name` without the prefix `tributary_`, unit last. */
export interface MetricSample {
  readonly name: string;
  readonly kind: 'gauge' | 'counter';
  readonly value: number;
  /** `connector` and `task` where there are such. */
  readonly labels: Readonly<Record<string, string>>;
  readonly help?: string;
}

/** `version`, `commit`, `kafka_cluster_id`: what `GET /` shows (Connect's version, our own, the log's id). */
export interface WorkerInfo { readonly version: string; readonly commit: string; readonly kafka_cluster_id: string; readonly workerId: string }
export interface Health { readonly status: 'healthy' | 'starting' | 'unhealthy'; readonly message: string }

export interface Herder {
  /** In order of creation. Synchronous, as are all plain reads of state in memory: `/health` must not wait behind work. */
  connectors(): readonly string[];
  info(name: string): ConnectorInfo;
  config(name: string): ConnectorConfig;
  /** NotFoundError(`No status found for connector NAME`). */
  status(name: string): ConnectorStatus;
  tasks(name: string): readonly TaskInfo[];
  /** NotFoundError(`No status found for task NAME-TASK`). */
  taskStatus(name: string, task: number): TaskState;

  /**
   * Validates, stores and starts (or not, after `initialState`). Resolves when the configuration is durable and the
   * tasks are named, not when they run. ConflictError(`Connector NAME already exists`); ConfigError from {@link invalidConfigMessage}.
   */
  create(name: string, config: ConnectorConfig, initialState: TargetState): Promise<ConnectorInfo>;
  /** Creates or replaces; a changed connector is restarted. ConfigError as for `create`. */
  putConfig(name: string, config: ConnectorConfig): Promise<{ readonly created: boolean; readonly info: ConnectorInfo }>;
  /** Merges; null removes a key. */
  patchConfig(name: string, patch: Readonly<Record<string, string | null>>): Promise<ConnectorInfo>;
  /** Stops and forgets; offsets stay, as in Connect. */
  remove(name: string): Promise<void>;

  /** Resolves with the status after the restart was planned: what restarts is RESTARTING in it. */
  restartConnector(name: string, scope: RestartScope): Promise<ConnectorStatus>;
  /** NotFoundError(`Task NAME-TASK not found`). */
  restartTask(name: string, task: number): Promise<void>;
  /** Resolve when the wish is stored; again is no error. NotFoundError(`Unknown connector NAME`) for these three. */
  pause(name: string): Promise<void>;
  resume(name: string): Promise<void>;
  stop(name: string): Promise<void>;

  /** Sources: stored source offsets. Sinks: `{kafka_topic, kafka_partition}` and `{kafka_offset}`. */
  offsets(name: string): Promise<readonly PartitionOffset[]>;
  /** Topics written or read since the last reset; empty for an unknown connector. */
  topics(name: string): readonly string[];
  resetTopics(name: string): void;

  /** Sinks, then sources, then (unless `connectorsOnly`) the rest. */
  plugins(connectorsOnly: boolean): readonly PluginInfo[];
  /** By full name or alias; undefined = unknown. */
  pluginConfig(name: string): Promise<readonly ConfigKeyInfo[] | undefined>;
  /** All problems of a configuration, the plugin's preflight included; ConfigError when the class is missing or unknown. */
  validate(config: ConnectorConfig): Promise<ConfigInfos>;
  /** Names of the options whose values must not be shown, for this connector class; empty when it is unknown. */
  secretOptions(config: ConnectorConfig): Promise<readonly string[]>;

  metrics(): readonly MetricSample[];
  workerInfo(): WorkerInfo;
  health(): Health;
}
