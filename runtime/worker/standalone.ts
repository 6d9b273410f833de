/**
 * The worker of one machine: connectors, their configurations and target states in the embedded log, one thread per task.
 * Implements {@link Herder} for REST.
 */
import type { Log, StateStore } from '../log/log.ts';
import type { Problem } from '../api/config.ts';
import { ConfigError, ConflictError, DataError, NotFoundError } from '../api/errors.ts';
import type { Logger } from '../api/logger.ts';
import type { Plugin } from '../api/plugin.ts';
import { configProviders, resolveProviders } from '../config-providers.ts';
import { Connector } from './connector.ts';
import { checkConnector, CONNECT_VERSION, connectorProblems, pluginEntries } from './connector-validation.ts';
import type * as herder from './herder.ts';
import { type LogLevels, taskLogger } from './log-levels.ts';
import { openWorkerLog } from './open-log.ts';
import { findPlugin } from './plugins.ts';
import { progressOf, type TaskProgress } from './progress.ts';
import type { TaskThreads } from './task-threads.ts';
import { topicDefaults, type WorkerConfig } from './worker-config.ts';

/** How often topics without appends are looked at for what time alone made old. */
const HOUSEKEEPING_MS = 60_000;

export interface StandaloneOptions {
  readonly config: WorkerConfig;
  /** The worker file's raw text, for converters. */
  readonly properties: Readonly<Record<string, string>>;
  readonly pluginsUrl: string;
  readonly logger: Logger;
  /** Levels by logger name; those of tasks are passed on to their threads. */
  readonly levels: LogLevels;
  /** Our own version and build, for `commit`. */
  readonly commit: string;
  /** Forget connectors made by REST when the worker ends, as Connect's standalone mode does. */
  readonly ephemeral: boolean;
  /** Threads that wait for connectors which are sure to come. */
  readonly threads?: TaskThreads;
}
interface Stored { readonly config: herder.ConnectorConfig; readonly target: herder.TargetState }

export class StandaloneWorker implements herder.Herder, AsyncDisposable {
  readonly log: Log;
  private readonly options: StandaloneOptions;
  private readonly states: StateStore;
  private readonly topicStore: StateStore;
  private readonly all = new Map<string, Connector>();
  private readonly plugged = new Map<string, Plugin>();
  /** Takes a connector's logger out of the levels. */
  private readonly unused = new Map<string, () => void>();
  private workerId: string;
  private ready = false;

  private constructor(options: StandaloneOptions, log: Log) {
    this.options = options;
    this.log = log;
    this.states = log.state('connectors');
    this.topicStore = log.state('topics');
    this.workerId = this.idAt(portOf(options.config.listeners[0]));
  }

  /** Throws ConfigError LOG_IN_USE, LOG_UNREADABLE, KAFKA_CONFIG; what {@link openWorkerLog} throws of the brokers. */
  static async open(options: StandaloneOptions): Promise<StandaloneWorker> {
    const { config, properties, logger } = options;
    const log = await openWorkerLog({ directory: config['log.dir'], topics: topicDefaults(config), worker: properties, logger, housekeepingMs: HOUSEKEEPING_MS });
    return new StandaloneWorker(options, log);
  }

  /** Takes up the connectors of the log, then those of the files; a file's configuration replaces what was stored under its name. */
  async start(files: readonly herder.ConnectorConfig[]): Promise<void> {
    const named = new Set(files.map(config => config['name'] ?? ''));
    for (const [name, text] of await this.states.entries()) {
      if (named.has(name)) continue;
      if (this.options.ephemeral) { await this.states.put([[name, null]]); continue; }
      const { config, target } = JSON.parse(text) as Stored;
      try { await this.adopt(name, config, target); } catch (error) { this.options.logger.error({ connector: name, reason: (error as Error).message }, 'stored connector cannot be started'); }
    }
    for (const config of files) {
      const { name = '' } = config;
      const stored = await this.states.get(name);
      await this.checked(name, config, false);
      await this.store(name, config, stored === undefined || this.options.ephemeral ? 'RUNNING' : (JSON.parse(stored) as Stored).target);
    }
    this.ready = true;
  }
  /** The REST listener's real address, once it is known. */
  listening(port: number): void { this.workerId = this.idAt(String(port)); }
  private idAt(port: string): string {
    const { 'rest.advertised.host.name': host = '127.0.0.1', 'rest.advertised.port': advertised = port } = this.options.config;
    return `${host}:${advertised}`;
  }

  private async adopt(name: string, config: herder.ConnectorConfig, target: herder.TargetState): Promise<Connector> {
    const plugin = await findPlugin(this.options.pluginsUrl, config['connector.class'] ?? '');
    this.plugged.set(name, plugin);
    const worker = this.options;
    const logger = taskLogger(plugin.names[0], name);
    const connector = new Connector({
      name, type: plugin.kind, version: plugin.version, workerId: this.workerId, logger: worker.logger, graceMs: worker.config['task.shutdown.graceful.timeout.ms'],
      order: current => ({ connector: name, task: 0, pluginsUrl: worker.pluginsUrl, config: resolveProviders(current, configProviders(worker.properties)), worker: worker.properties, logDirectory: worker.config['log.dir'], topics: topicDefaults(worker.config), logLevel: worker.levels.effective(logger).level }),
      ...(worker.threads === undefined ? {} : { threads: worker.threads }),
      topicSeen: topic => { void this.topicStore.put([[`${name}\u0000${topic}`, '1']]).catch(() => { /* shown again with the next record */ }); },
    }, config, target);
    this.all.set(name, connector);
    this.unused.get(name)?.();
    this.unused.set(name, worker.levels.use(logger, level => { connector.setLogLevel(level); }));
    await connector.apply();
    return connector;
  }

  private get(name: string): Connector {
    const connector = this.all.get(name);
    if (connector === undefined) throw new NotFoundError(`Connector ${name} not found`, { code: 'CONNECTOR_UNKNOWN' });
    return connector;
  }

  private checked(name: string, config: herder.ConnectorConfig, live: boolean): Promise<void> { return checkConnector({ ...config, name }, this.options, live); }
  problems(config: herder.ConnectorConfig, signal: AbortSignal): Promise<readonly Problem[]> { return connectorProblems(config, this.options, signal, true); }

  private keep(name: string, stored: Stored): Promise<void> { return this.states.put([[name, JSON.stringify(stored)]]); }
  private async store(name: string, config: herder.ConnectorConfig, target: herder.TargetState): Promise<Connector> {
    const present = this.all.get(name);
    await this.keep(name, { config, target });
    if (present === undefined) return this.adopt(name, config, target);
    if (present.config['connector.class'] !== config['connector.class']) { await present.close(); return this.adopt(name, config, target); }
    present.config = config;
    present.target = target;
    await present.restart();
    return present;
  }

  info(): herder.WorkerInfo { return { version: CONNECT_VERSION, commit: this.options.commit, kafka_cluster_id: this.log.id }; }
  health(): herder.Health {
    return this.ready ? { state: 'healthy', message: 'Worker has completed startup and is ready to handle requests.' } : { state: 'starting', message: 'Worker is still starting up.' };
  }
  connectors(): readonly string[] { return [...this.all.keys()].sort(); }
  connector(name: string): herder.ConnectorInfo {
    const connector = this.get(name);
    return { name, config: connector.config, tasks: Array.from({ length: connector.tasks }, (_, task) => ({ connector: name, task })), type: connector.facts.type };
  }
  status(name: string): herder.ConnectorStatus {
    if (!this.all.has(name)) throw new NotFoundError(`No status found for connector ${name}`, { code: 'CONNECTOR_UNKNOWN' });
    return this.get(name).status();
  }
  taskStatus(name: string, task: number): herder.TaskStatus {
    const connector = this.all.get(name);
    if (connector === undefined || task >= connector.tasks) throw new NotFoundError(`No status found for task ${name}-${task}`, { code: 'TASK_UNKNOWN' });
    return connector.taskStatus();
  }
  tasks(name: string): readonly herder.TaskInfo[] {
    const connector = this.get(name);
    const plugin = this.plugged.get(name);
    const taskClass = plugin?.taskClass ?? `${plugin?.names[0] ?? ''}Task`;
    return Array.from({ length: connector.tasks }, (_, task) => ({ id: { connector: name, task }, config: { ...connector.config, 'task.class': taskClass } }));
  }

  async create(name: string, config: herder.ConnectorConfig, initial: herder.TargetState): Promise<herder.ConnectorInfo> {
    await this.checked(name, config, true);
    if (this.all.has(name)) throw new ConflictError(`Connector ${name} already exists`, { code: 'CONNECTOR_EXISTS' });
    const connector = await this.store(name, { ...config, name }, initial);
    if (initial === 'PAUSED') connector.unassigned = true;
    return this.connector(name);
  }
  async putConfig(name: string, config: herder.ConnectorConfig): Promise<{ readonly created: boolean; readonly info: herder.ConnectorInfo }> {
    await this.checked(name, config, true);
    const present = this.all.get(name);
    await this.store(name, { ...config, name }, present?.target ?? 'RUNNING');
    return { created: present === undefined, info: this.connector(name) };
  }
  async patchConfig(name: string, patch: Readonly<Record<string, string | null>>): Promise<herder.ConnectorInfo> {
    const merged: Record<string, string> = { ...this.get(name).config };
    for (const [key, value] of Object.entries(patch)) if (value === null) Reflect.deleteProperty(merged, key); else merged[key] = value;
    return (await this.putConfig(name, merged)).info;
  }
  async remove(name: string): Promise<void> {
    const connector = this.get(name);
    await connector.close();
    this.all.delete(name);
    this.unused.get(name)?.();
    this.unused.delete(name);
    await this.states.put([[name, null]]);
    await this.forgetTopics(name);
    if (connector.facts.type === 'sink') await this.log.removeGroup(`connect-${name}`);
    else if (connector.config['slot.drop.on.stop'] !== 'true' && connector.config['database.hostname'] !== undefined) {
      this.options.logger.warn({ connector: name, slot: connector.config['slot.name'] ?? 'debezium' }, 'the replication slot stays and retains WAL until it is dropped');
    }
  }
  async restart(name: string, { includeTasks, onlyFailed }: { readonly includeTasks: boolean; readonly onlyFailed: boolean }): Promise<herder.ConnectorStatus> {
    const connector = this.get(name);
    const affected = includeTasks && (!onlyFailed || connector.failed);
    // The connector itself never fails here, so `onlyFailed` leaves it alone.
    const status = connector.statusWhileRestarting({ connector: !onlyFailed, task: affected });
    if (affected) void connector.restart();
    return status;
  }
  async restartTask(name: string, task: number): Promise<void> {
    const connector = this.get(name);
    if (task >= connector.tasks) throw new NotFoundError(`Unknown task: ${name}-${task}`, { code: 'TASK_UNKNOWN' });
    await connector.restart();
  }
  async setTarget(name: string, state: herder.TargetState): Promise<void> {
    const connector = this.get(name);
    connector.target = state;
    await this.keep(name, { config: connector.config, target: state });
    const applied = connector.apply();
    if (state === 'STOPPED') await applied;
    else applied.catch(() => { /* the task's own status tells */ });
  }

  async offsets(name: string): Promise<readonly herder.ConnectorOffset[]> {
    const connector = this.get(name);
    if (connector.facts.type === 'source') return this.log.sourceOffsets(name);
    return (await this.log.positions(`connect-${name}`)).map(({ topic, partition, offset }) => ({ partition: { kafka_topic: topic, kafka_partition: partition }, offset: { kafka_offset: offset } }));
  }
  async alterOffsets(name: string, changes: readonly herder.OffsetChange[] | null): Promise<void> {
    const connector = this.get(name);
    if (connector.target !== 'STOPPED') {
      throw new ConfigError(`Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the specified connector by issuing a 'PUT' request to the '/connectors/${name}/stop' endpoint`, { code: 'CONNECTOR_NOT_STOPPED' });
    }
    const present = await this.offsets(name);
    const wanted = changes ?? present.map(({ partition }) => ({ partition, offset: null }));
    if (connector.facts.type === 'source') {
      const plugin = this.plugged.get(name);
      if (changes !== null && plugin?.kind === 'source') plugin.checkOffsets?.(resolveProviders(connector.config, configProviders(this.options.properties)), changes);
      await this.log.alterSourceOffsets(name, wanted);
      return;
    }
    for (const { partition, offset } of wanted) await this.checkTopic(name, String(partition['kafka_topic']), Number(partition['kafka_partition']), offset !== null);
    await this.log.resetPositions(`connect-${name}`, wanted.map(({ partition, offset }) => ({
      topic: String(partition['kafka_topic']), partition: Number(partition['kafka_partition']), offset: offset === null ? null : Number(offset['kafka_offset']),
    })));
  }
  /** A position in a topic that is not there would be forgotten at once. */
  private async checkTopic(name: string, topic: string, partition: number, needed: boolean): Promise<void> {
    const known = await this.log.topic(topic);
    if (needed && (known === undefined || partition >= known.partitions)) throw new DataError(`Failed to alter consumer group offsets for connector ${name}`, { code: 'OFFSET_TOPIC', cause: new Error(`there is no partition ${topic}-${partition}`) });
  }
  async signal(name: string, signal: herder.SourceSignal): Promise<void> { this.get(name).signal(signal); }
  async progress(name: string): Promise<readonly TaskProgress[]> { return progressOf(this.get(name).metrics(), name); }
  async topics(name: string): Promise<readonly string[]> {
    this.get(name);
    return (await this.topicStore.entries(`${name}\u0000`)).map(([key]) => key.slice(name.length + 1)).sort();
  }
  private async forgetTopics(name: string): Promise<void> { await this.topicStore.put((await this.topicStore.entries(`${name}\u0000`)).map(([key]): [string, null] => [key, null])); }
  async resetTopics(name: string): Promise<void> {
    this.get(name);
    await this.forgetTopics(name);
  }

  plugins(connectorsOnly: boolean): Promise<readonly herder.PluginEntry[]> { return pluginEntries(this.options.pluginsUrl, connectorsOnly); }
  plugin(name: string): Promise<Plugin> { return findPlugin(this.options.pluginsUrl, name); }
  metrics(): readonly herder.MetricSample[] { return [...this.all.values()].flatMap(connector => connector.metrics()); }

  /** Tasks drain and commit, then the log is closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.all.values()].map(connector => connector.close()));
    await this.log[Symbol.asyncDispose]();
  }
}

function portOf(listener: string | undefined): string { return listener === undefined ? '8083' : new URL(listener.replace(/:\/\/:/, '://127.0.0.1:')).port || '8083'; }
