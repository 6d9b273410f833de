/** The connectors and tasks that run in this worker, and what it says of them in the status topic. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from '../api/logger.ts';
import { ConflictError } from '../api/errors.ts';
import type { Plugin, SourceSignal } from '../api/plugin.ts';
import { Connector } from '../worker/connector.ts';
import type { ConnectorConfig, MetricSample, State, TargetState } from '../worker/herder.ts';
import { type LogLevel, type LogLevels, taskLogger } from '../worker/log-levels.ts';
import { findPlugin } from '../worker/plugins.ts';
import type { TaskOrder } from '../worker/task-messages.ts';
import type { StoredTarget } from './config-records.ts';
import type { ConfigState } from './config-state.ts';
import type { StatusStore } from './status-store.ts';
import { CONNECTOR_ITSELF, connectorOf, isTask, taskOf, type Work, workOf } from './work.ts';

export interface LocalWorkOptions {
  readonly state: ConfigState;
  readonly statuses: StatusStore;
  readonly pluginsUrl: string;
  readonly logger: Logger;
  readonly levels: LogLevels;
  readonly graceMs: number;
  readonly workerId: () => string;
  /** Of the group, at present. */
  readonly generation: () => number;
  readonly order: (task: TaskFacts, config: ConnectorConfig, level: LogLevel) => TaskOrder;
  /** Awaited before each start of a source task. */
  readonly beforeSource: (connector: string, task: number) => Promise<void>;
  /** Awaited when a source task has shut earlier writers out; throws when it may not go on. `generation`: of the task configurations that it started with. */
  readonly claimed: (connector: string, task: number, generation: number) => Promise<void>;
  /** The connector is here and started: its task configurations are to be what its configuration says. */
  readonly reconfigure: (connector: string) => void;
}

export interface TaskFacts { readonly connector: string; readonly task: number; readonly kind: Plugin['kind'] }

const RUNNING_BY: Readonly<Record<StoredTarget, TargetState>> = { STARTED: 'RUNNING', PAUSED: 'PAUSED', STOPPED: 'STOPPED' };
/** How long a task may take to end that this worker has no right to run any more, in milliseconds. */
const QUICK_MS = 1_000;

export class LocalWork {
  private readonly options: LocalWorkOptions;
  private readonly connectors = new Map<string, string | undefined>();
  private readonly tasks = new Map<Work, Connector>();
  /** Tasks that were told to stop and run still. */
  private readonly ending = new Map<Work, { readonly runner: Connector; readonly over: Promise<void> }>();
  /** Takes a task's logger out of the levels. */
  private readonly unused = new Map<Work, () => void>();

  constructor(options: LocalWorkOptions) { this.options = options; }

  /** Begins all of it; a task's own status tells how it goes on. */
  async start(work: Iterable<Work>): Promise<void> {
    await Promise.all([...work].map(one => (isTask(one) ? this.startTask(one) : this.startConnector(connectorOf(one)))));
  }

  private async startConnector(name: string): Promise<void> {
    const { state, pluginsUrl, reconfigure } = this.options;
    this.connectors.set(name, undefined);
    try {
      const plugin = await findPlugin(pluginsUrl, state.config(name)?.['connector.class'] ?? '');
      this.connectors.set(name, plugin.version);
    } catch (error) {
      this.say(workOf(name, CONNECTOR_ITSELF), 'FAILED', (error as Error).message);
      return;
    }
    this.steerConnector(name);
    reconfigure(name);
  }
  private steerConnector(name: string): void { this.say(workOf(name, CONNECTOR_ITSELF), RUNNING_BY[this.options.state.target(name)], undefined, this.connectors.get(name)); }

  private async startTask(work: Work): Promise<void> {
    const { state, pluginsUrl } = this.options;
    const connector = connectorOf(work), task = taskOf(work);
    await this.ending.get(work)?.over;
    const config = state.taskConfig(connector, task);
    let plugin: Plugin;
    try {
      if (config === undefined) throw new Error(`The config topic has no configuration of task ${connector}-${task}`);
      plugin = await findPlugin(pluginsUrl, config['connector.class'] ?? state.config(connector)?.['connector.class'] ?? '');
    } catch (error) {
      this.say(work, 'FAILED', (error as Error).message);
      return;
    }
    const runner = this.runner(work, plugin, config);
    this.tasks.set(work, runner);
    this.unused.get(work)?.();
    this.unused.set(work, this.options.levels.use(taskLogger(plugin.names[0], connector), level => { runner.setLogLevel(level); }));
    runner.apply().catch(() => { /* the task's own status tells */ });
  }

  private runner(work: Work, plugin: Plugin, config: ConnectorConfig): Connector {
    const { options } = this;
    const name = connectorOf(work), task = taskOf(work);
    let generation = -1;
    return new Connector({
      name, task, type: plugin.kind, version: plugin.version, workerId: options.workerId(), logger: options.logger, graceMs: options.graceMs,
      order: current => options.order({ connector: name, task, kind: plugin.kind }, current, options.levels.effective(taskLogger(plugin.names[0], name)).level),
      topicSeen: topic => { options.statuses.topicUsed(name, topic, task); },
      changed: ({ state, trace }) => { if (this.tasks.has(work)) this.say(work, state, trace, plugin.version); },
      ...(plugin.kind === 'source' ? { before: () => { generation = options.state.taskGeneration(name); return options.beforeSource(name, task); }, claimed: () => options.claimed(name, task, generation) } : {}),
    }, config, RUNNING_BY[options.state.target(name)]);
  }

  /** Before its plugin is open again, work has the version that was told of it last. */
  private say(work: Work, state: State, trace?: string, version = this.options.statuses.get(work)?.version): void {
    const { statuses, workerId, generation } = this.options;
    statuses.put(work, { state, trace, workerId: workerId(), generation: generation(), version }, state === 'UNASSIGNED');
  }

  /** Resolves when none of it runs any more. `quick`: others may have it already, so there is no time to drain. */
  async stop(work: Iterable<Work>, quick = false): Promise<void> {
    await Promise.all([...work].map(async one => {
      if (!isTask(one)) { if (this.connectors.delete(connectorOf(one))) this.say(one, 'UNASSIGNED'); return; }
      const ending = this.end(one);
      if (ending === undefined) return;
      const over = new AbortController();
      const closed = ending.over.finally(() => { over.abort(); });
      if (quick) { await pause(QUICK_MS, undefined, { signal: over.signal }).catch(() => { /* ended in time */ }); ending.runner.terminate(); }
      await closed;
    }));
  }
  /** The end of a task that runs, or that was told to stop before. */
  private end(work: Work): { readonly runner: Connector; readonly over: Promise<void> } | undefined {
    const runner = this.tasks.get(work);
    if (runner === undefined) return this.ending.get(work);
    this.tasks.delete(work);
    this.unused.get(work)?.();
    this.unused.delete(work);
    const ending = { runner, over: runner.close().finally(() => {
      this.ending.delete(work);
      this.options.logger.info({ connector: connectorOf(work), task: taskOf(work) }, 'task ended');
      this.say(work, 'UNASSIGNED');
    }) };
    this.ending.set(work, ending);
    return ending;
  }
  /** Resolves when nothing runs any more that was told to stop. */
  async settled(): Promise<void> { await Promise.allSettled([...this.ending.values()].map(({ over }) => over)); }

  /** New task configurations: those that run here begin again with them. */
  retask(connector: string, updated: readonly number[]): void {
    for (const task of updated) {
      const runner = this.tasks.get(workOf(connector, task));
      const config = this.options.state.taskConfig(connector, task);
      if (runner === undefined || config === undefined) continue;
      runner.config = config;
      runner.target = RUNNING_BY[this.options.state.target(connector)];
      runner.restart().catch(() => { /* the task's own status tells */ });
    }
  }

  /** The target state changed. */
  steer(connector: string): void {
    for (const [work, runner] of this.tasks) {
      if (connectorOf(work) !== connector) continue;
      runner.target = RUNNING_BY[this.options.state.target(connector)];
      runner.apply().catch(() => { /* the task's own status tells */ });
    }
    if (!this.connectors.has(connector)) return;
    this.steerConnector(connector);
    this.options.reconfigure(connector);
  }

  hasConnector(connector: string): boolean { return this.connectors.has(connector); }

  /** Restarts what of the connector is here and wanted. */
  async restart(connector: string, wanted: (work: Work) => boolean, owned: ReadonlySet<Work>): Promise<void> {
    for (const work of owned) {
      if (connectorOf(work) !== connector || !wanted(work)) continue;
      this.say(work, 'RESTARTING');
      if (!isTask(work) && this.connectors.get(connector) !== undefined) {
        this.steerConnector(connector);
        this.options.reconfigure(connector);
        continue;
      }
      const runner = this.tasks.get(work);
      if (runner !== undefined) runner.restart().catch(() => { /* the task's own status tells */ });
      else await this.start([work]);
    }
  }

  /** Throws ConflictError TASK_NOT_RUNNING. */
  signal(work: Work, signal: SourceSignal): void {
    const runner = this.tasks.get(work);
    if (runner === undefined) throw new ConflictError(`The task of connector ${connectorOf(work)} does not run, so it cannot take a signal`, { code: 'TASK_NOT_RUNNING' });
    runner.signal(signal);
  }

  metrics(): readonly MetricSample[] { return [...this.tasks.values()].flatMap(runner => runner.metrics()); }
}
