/**
 * The worker of a cluster, as REST sees it. Reads come from what this worker has read of the internal topics; writes are
 * the leader's, wherever they are asked for. Implements {@link Herder}.
 */
import type { Problem } from '../api/config.ts';
import { ConfigError, ConflictError, NotFoundError, RetriableError } from '../api/errors.ts';
import { stringifyExact } from '../api/exact-json.ts';
import type { Plugin } from '../api/plugin.ts';
import type { Log } from '../log/log.ts';
import { configProviders, resolveProviders } from '../config-providers.ts';
import { checkConnector, CONNECT_VERSION, connectorProblems, pluginEntries, type ValidationScope } from '../worker/connector-validation.ts';
import type * as herder from '../worker/herder.ts';
import type { LogLevel } from '../worker/log-levels.ts';
import { findPlugin, namesOf } from '../worker/plugins.ts';
import { progressOf, type TaskProgress } from '../worker/progress.ts';
import type { Advertised } from './advertised.ts';
import type { ConfigRecord, StoredTarget } from './config-records.ts';
import type { ConfigState } from './config-state.ts';
import type { ConfigStore } from './config-store.ts';
import type { DistributedConfig } from './distributed-config.ts';
import type { Fencing } from './fencing.ts';
import { refusalOf } from './internal-requests.ts';
import { type LeaderRequest, LeaderRequests } from './leader-requests.ts';
import type { LocalWork } from './local-work.ts';
import type { ClusterNode } from './node.ts';
import type { StatusStore } from './status-store.ts';
import { CONNECTOR_ITSELF, type Work, workOf } from './work.ts';

const STORED: Readonly<Record<herder.TargetState, StoredTarget>> = { RUNNING: 'STARTED', PAUSED: 'PAUSED', STOPPED: 'STOPPED' };
const READ_MS = 30_000;
/** How long a restart waits for a task that is just being given to someone. */
const TASK_ROUNDS = 10, TASK_WAIT_MS = 1_000;

export interface DistributedParts {
  readonly config: DistributedConfig;
  readonly scope: ValidationScope;
  readonly plugins: readonly Plugin[];
  readonly commit: string;
  readonly log: Log;
  readonly store: ConfigStore;
  readonly statuses: StatusStore;
  readonly node: ClusterNode;
  readonly local: LocalWork;
  readonly fencing: Fencing;
  readonly advertised: Advertised;
  /** Writes a record that any worker may. */
  readonly writeShared: (records: readonly ConfigRecord[]) => Promise<void>;
  /** Set when the worker failed for good. */
  readonly failure: () => Error | undefined;
  /** The log that a source's offsets are read from, or with `change` changed by; undefined: the worker's. Whoever asked closes it. */
  readonly offsetsLog: (connector: string, config: herder.ConnectorConfig, change: boolean) => Promise<Log | undefined>;
}

export class DistributedHerder implements herder.Herder {
  private readonly parts: DistributedParts;
  private readonly leader: LeaderRequests;
  private readonly reconfiguring = new Map<string, Promise<void>>();

  constructor(parts: DistributedParts) {
    this.parts = parts;
    this.leader = new LeaderRequests(parts.node, parts.advertised);
  }
  private get state(): ConfigState { return this.parts.store.state; }

  readonly cluster: herder.ClusterRequests = {
    putTaskConfigs: (name, configs, request) => this.asked(request, () => this.leader.here(() => this.writeTasks(name, configs))),
    fence: (name, request) => this.asked(request, () => this.leader.here(() => this.parts.fencing.fence(name))),
  };
  private async asked(request: herder.InternalRequest, work: () => Promise<void>): Promise<herder.RefusedRequest | undefined> {
    const refused = this.refused(request);
    if (refused === undefined) await work();
    return refused;
  }
  private refused(request: herder.InternalRequest): herder.RefusedRequest | undefined {
    const { node, config } = this.parts;
    return node.round?.protocol === 'sessioned' ? refusalOf(request, this.state.sessionKey, config['inter.worker.verification.algorithms']) : undefined;
  }

  info(): herder.WorkerInfo { return { version: CONNECT_VERSION, commit: this.parts.commit, kafka_cluster_id: this.parts.log.id }; }
  health(): herder.Health {
    const { node, failure } = this.parts;
    const failed = failure();
    if (failed !== undefined) return { state: 'unhealthy', message: `Worker has failed: ${failed.message}` };
    if (node.generation < 0) return { state: 'starting', message: 'Worker is still starting up.' };
    return { state: 'healthy', message: 'Worker has completed startup and is ready to handle requests.' };
  }

  connectors(): readonly string[] { return this.state.connectors(); }
  private known(name: string, message = `Connector ${name} not found`): herder.ConnectorConfig {
    const config = this.state.config(name);
    if (config === undefined) throw new NotFoundError(message, { code: 'CONNECTOR_UNKNOWN' });
    return config;
  }
  private pluginOf(config: herder.ConnectorConfig | undefined): Plugin | undefined { return this.parts.plugins.find(plugin => namesOf(plugin).includes(config?.['connector.class'] ?? '')); }
  connector(name: string): herder.ConnectorInfo { return this.infoOf(name, this.known(name)); }
  private infoOf(name: string, config: herder.ConnectorConfig, tasks = this.state.tasks(name)): herder.ConnectorInfo {
    return { name, config, tasks: tasks.map(task => ({ connector: name, task })), type: this.pluginOf(config)?.kind ?? 'unknown' };
  }

  status(name: string): herder.ConnectorStatus {
    const status = this.parts.statuses.get(workOf(name, CONNECTOR_ITSELF));
    if (status === undefined) throw new NotFoundError(`No status found for connector ${name}`, { code: 'CONNECTOR_UNKNOWN' });
    return { name, connector: shown(status), tasks: this.parts.statuses.tasks(name).map(([id, one]) => ({ id, ...shown(one) })), type: this.pluginOf(this.state.config(name))?.kind ?? 'unknown' };
  }
  taskStatus(name: string, task: number): herder.TaskStatus {
    const status = this.parts.statuses.get(workOf(name, task));
    if (status === undefined) throw new NotFoundError(`No status found for task ${name}-${task}`, { code: 'TASK_UNKNOWN' });
    return { id: task, ...shown(status) };
  }
  tasks(name: string): readonly herder.TaskInfo[] {
    this.known(name);
    return this.state.tasks(name).map(task => ({ id: { connector: name, task }, config: this.state.taskConfig(name, task) ?? {} }));
  }

  create(name: string, config: herder.ConnectorConfig, initial: herder.TargetState): Promise<herder.ConnectorInfo> {
    const body = JSON.stringify({ name, config, initial_state: initial });
    return this.leader.run({ method: 'POST', path: '/connectors', body, repeatable: false, before: () => this.checked(name, config) }, async () => {
      if (this.state.has(name)) throw new ConflictError(`Connector ${name} already exists`, { code: 'CONNECTOR_EXISTS' });
      await this.put(name, { ...config, name }, initial);
      return this.infoOf(name, { ...config, name }, []);
    }, ({ body: info }) => info as herder.ConnectorInfo);
  }
  putConfig(name: string, config: herder.ConnectorConfig): Promise<{ readonly created: boolean; readonly info: herder.ConnectorInfo }> {
    return this.leader.run({ method: 'PUT', path: `${pathOf(name)}/config`, body: JSON.stringify(config), repeatable: true, before: () => this.checked(name, config) }, () => this.replace(name, config), ({ status, body }) => ({ created: status === 201, info: body as herder.ConnectorInfo }));
  }
  private async replace(name: string, config: herder.ConnectorConfig): Promise<{ readonly created: boolean; readonly info: herder.ConnectorInfo }> {
    const created = !this.state.has(name);
    const tasks = this.state.tasks(name);
    await this.put(name, { ...config, name }, undefined);
    return { created, info: this.infoOf(name, { ...config, name }, tasks) };
  }
  patchConfig(name: string, patch: Readonly<Record<string, string | null>>): Promise<herder.ConnectorInfo> {
    return this.leader.run({ method: 'PATCH', path: `${pathOf(name)}/config`, body: JSON.stringify(patch), repeatable: true, before: () => this.checked(name, patched(this.known(name), patch)) }, async () => (await this.replace(name, patched(this.known(name), patch))).info, ({ body }) => body as herder.ConnectorInfo);
  }
  private checked(name: string, config: herder.ConnectorConfig): Promise<void> { return checkConnector({ ...config, name }, this.parts.scope, true); }

  /** Configuration and tasks in one write: no other worker has to make the tasks, and no death in between can leave half of it. */
  private put(name: string, config: herder.ConnectorConfig, initial: herder.TargetState | undefined): Promise<void> {
    const target = initial === undefined ? this.state.target(name) : STORED[initial];
    return this.parts.node.write([
      ...(initial === undefined || initial === 'RUNNING' ? [] : [{ kind: 'target-state', connector: name, state: target } as const]),
      { kind: 'connector', connector: name, config },
      ...(target === 'STARTED' ? this.taskRecords(name, this.tasksOf(config)) : []),
    ]);
  }
  private taskRecords(name: string, configs: readonly herder.ConnectorConfig[]): readonly ConfigRecord[] {
    return [...configs.map((config, task) => ({ kind: 'task', connector: name, task, config }) as const), { kind: 'commit', connector: name, tasks: configs.length }];
  }
  /** A source has one task, a sink `tasks.max` of them, though no more than there are topics where each takes whole ones. */
  private tasksOf(config: herder.ConnectorConfig): readonly herder.ConnectorConfig[] {
    const plugin = this.pluginOf(config);
    if (plugin === undefined) return [];
    const task = { ...config, 'task.class': plugin.taskClass ?? `${plugin.names[0]}Task` };
    return plugin.kind === 'source' ? [task] : Array.from({ length: sinkTasks(resolveProviders(config, configProviders(this.parts.scope.properties)), plugin.shares) }, () => task);
  }
  private async writeTasks(name: string, configs: readonly herder.ConnectorConfig[]): Promise<void> {
    this.known(name);
    if (configs.length > 0 && this.state.target(name) === 'STOPPED') throw new ConfigError(`Cannot submit non-empty set of task configs for stopped connector ${name}`, { code: 'CONNECTOR_STOPPED' });
    await this.parts.node.write(this.taskRecords(name, configs));
  }

  /** The connector is here: brings its task configurations to what its configuration says, through the leader, again until it works. */
  reconfigure(name: string): void {
    const before = this.reconfiguring.get(name) ?? Promise.resolve();
    const next: Promise<void> = before.then(() => this.reconfigured(name)).finally(() => { if (this.reconfiguring.get(name) === next) this.reconfiguring.delete(name); });
    this.reconfiguring.set(name, next);
  }
  private async reconfigured(name: string): Promise<void> {
    const { node, local } = this.parts;
    for (let attempt = 0; local.hasConnector(name); attempt++) {
      const config = this.state.config(name);
      if (config === undefined || this.state.target(name) !== 'STARTED') return;
      const wanted = this.tasksOf(config);
      const present = this.state.tasks(name).map(task => this.state.taskConfig(name, task));
      if (wanted.length === present.length && wanted.every((one, task) => sameConfig(one, present[task]))) return;
      const { sessionKey } = this.state;
      const signWith = node.round?.protocol === 'sessioned' && sessionKey !== undefined ? { signWith: { key: sessionKey, algorithm: this.parts.config['inter.worker.signature.algorithm'] } } : {};
      try {
        await this.leader.run({ method: 'POST', path: `${pathOf(name)}/tasks`, body: JSON.stringify(wanted), repeatable: true, ...signWith }, () => this.writeTasks(name, wanted), () => undefined);
        return;
      } catch { await node.nextRound(Math.min(250 * 2 ** attempt, 10_000)); }
    }
  }

  async remove(name: string): Promise<void> {
    await this.leader.run({ method: 'DELETE', path: pathOf(name), repeatable: false }, async () => {
      this.known(name);
      await this.parts.node.write([{ kind: 'connector', connector: name, config: null }, { kind: 'target-state', connector: name, state: null }]);
    }, () => undefined);
  }

  restart(name: string, { includeTasks, onlyFailed }: { readonly includeTasks: boolean; readonly onlyFailed: boolean }): Promise<herder.ConnectorStatus> {
    const query = { includeTasks: String(includeTasks), onlyFailed: String(onlyFailed) };
    return this.leader.run({ method: 'POST', path: `${pathOf(name)}/restart`, query, repeatable: true }, async () => {
      this.known(name, `Unknown connector: ${name}`);
      const { node } = this.parts;
      const status = this.status(name);
      const mark = <S extends herder.StateInfo>(work: Work, info: S): S => (node.restarts(work, includeTasks, onlyFailed) ? { ...info, state: 'RESTARTING' as const } : info);
      const answer = { ...status, connector: mark(workOf(name, CONNECTOR_ITSELF), status.connector), tasks: status.tasks.map(task => mark(workOf(name, task.id), task)) };
      await node.write([{ kind: 'restart', connector: name, includeTasks, onlyFailed }]);
      return answer;
    }, ({ body }) => (body ?? this.status(name)) as herder.ConnectorStatus);
  }
  async restartTask(name: string, task: number): Promise<void> {
    const { node } = this.parts;
    this.known(name, `Unknown connector: ${name}`);
    if (this.state.taskConfig(name, task) === undefined) throw new NotFoundError(`Unknown task: ${name}-${task}`, { code: 'TASK_UNKNOWN' });
    const work = workOf(name, task);
    const request = { method: 'POST', path: `${pathOf(name)}/tasks/${task}/restart`, repeatable: true } as const;
    for (let i = 0; i < TASK_ROUNDS && node.isLeader && !node.runs(work) && this.elsewhere(work) === undefined && this.state.work().has(work); i++) await node.nextRound(TASK_WAIT_MS);
    await this.atOwner<Promise<void> | undefined>(work, request, () => node.restartWhere(name, one => one === work), () => undefined);
  }
  /** Where it runs, if not here. Given to this worker, but ended here and not begun again, is nowhere until the next round. */
  private elsewhere(work: Work): string | undefined {
    const { node } = this.parts;
    const url = node.ownerUrl(work);
    return url === node.options.url ? undefined : url;
  }

  async setTarget(name: string, target: herder.TargetState): Promise<void> {
    // It may have been made through another worker a moment ago.
    if (!this.state.has(name)) await this.parts.store.readToEnd(READ_MS);
    this.known(name, `Unknown connector ${name}`);
    if (target !== 'STOPPED') { await this.parts.writeShared([{ kind: 'target-state', connector: name, state: STORED[target] }]); return; }
    await this.leader.run({ method: 'PUT', path: `${pathOf(name)}/stop`, repeatable: true }, async () => {
      this.known(name, `Unknown connector ${name}`);
      await this.parts.node.write([...this.taskRecords(name, []), { kind: 'target-state', connector: name, state: 'STOPPED' }]);
    }, () => undefined);
  }

  async offsets(name: string): Promise<readonly herder.ConnectorOffset[]> {
    const config = this.known(name);
    if (this.pluginOf(config)?.kind !== 'sink') return this.sourceOffsets(name, config);
    return (await this.parts.log.positions(`connect-${name}`)).map(({ topic, partition, offset }) => ({ partition: { kafka_topic: topic, kafka_partition: partition }, offset: { kafka_offset: offset } }));
  }
  private async sourceOffsets(name: string, config: herder.ConnectorConfig): Promise<readonly herder.ConnectorOffset[]> {
    await using own = await this.parts.offsetsLog(name, config, false);
    return await (own ?? this.parts.log).sourceOffsets(name);
  }
  private async alterSourceOffsets(name: string, config: herder.ConnectorConfig, changes: readonly herder.OffsetChange[]): Promise<void> {
    await using own = await this.parts.offsetsLog(name, config, true);
    await (own ?? this.parts.log).alterSourceOffsets(name, changes);
  }
  async alterOffsets(name: string, changes: readonly herder.OffsetChange[] | null): Promise<void> {
    const request: Omit<LeaderRequest, 'path'> = changes === null ? { method: 'DELETE', repeatable: true } : { method: 'PATCH', body: stringifyExact({ offsets: changes }), repeatable: true };
    await this.leader.run({ ...request, path: `${pathOf(name)}/offsets` }, () => this.alterHere(name, changes), () => undefined);
  }
  private async alterHere(name: string, changes: readonly herder.OffsetChange[] | null): Promise<void> {
    const { store, config, fencing, log } = this.parts;
    const check = async (): Promise<herder.ConnectorConfig> => {
      await store.readToEnd(READ_MS);
      const own = this.known(name);
      if (this.state.target(name) === 'STOPPED' && this.state.tasks(name).length === 0) return own;
      throw new ConfigError(`Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the specified connector by issuing a 'PUT' request to the '/connectors/${name}/stop' endpoint`, { code: 'CONNECTOR_NOT_STOPPED' });
    };
    const own = await check();
    const plugin = this.pluginOf(own);
    const source = plugin?.kind !== 'sink';
    if (changes !== null && plugin?.kind === 'source') plugin.checkOffsets?.(resolveProviders(own, configProviders(this.parts.scope.properties)), changes);
    if (changes !== null && !source) await this.checkTopics(name, changes);
    if (source && config['exactly.once.source.support'] === 'enabled') { await fencing.fence(name); await check(); }
    const wanted = changes ?? (await this.offsets(name)).map(({ partition }) => ({ partition, offset: null }));
    if (source) { await this.alterSourceOffsets(name, own, wanted); return; }
    await log.resetPositions(`connect-${name}`, wanted.map(({ partition, offset }) => ({ topic: String(partition['kafka_topic']), partition: Number(partition['kafka_partition']), offset: offset === null ? null : Number(offset['kafka_offset']) })));
  }

  private async checkTopics(name: string, changes: readonly herder.OffsetChange[]): Promise<void> {
    for (const topic of new Set(changes.filter(({ offset }) => offset !== null).map(({ partition }) => String(partition['kafka_topic'])))) {
      if (await this.parts.log.topic(topic) === undefined) throw new RetriableError(`Failed to alter consumer group offsets for connector ${name}`, { code: 'OFFSETS_TOPIC' });
    }
  }

  /** What only the worker that runs the task can do: here, or by asking that one. Throws ConflictError TASK_UNASSIGNED. */
  private async atOwner<T>(work: Work, request: LeaderRequest, here: () => T, parse: (body: unknown) => T): Promise<T> {
    const { node } = this.parts;
    if (node.runs(work)) return here();
    const found = await this.leader.run<{ readonly owner: string | undefined } | { readonly answer: unknown }>(request, async () => ({ owner: node.runs(work) ? 'here' : this.elsewhere(work) }), ({ body }) => ({ answer: body }));
    if ('answer' in found) return parse(found.answer);
    if (found.owner === 'here') return here();
    if (found.owner === undefined) throw new ConflictError('Cannot complete request momentarily due to no known leader URL, likely because a rebalance was underway.', { code: 'TASK_UNASSIGNED' });
    // Outside of the leader's turn: a worker that hangs must not hold up the others' requests.
    return parse((await this.leader.ask(found.owner, request)).body);
  }
  async signal(name: string, signal: herder.SourceSignal): Promise<void> {
    this.known(name);
    const work = workOf(name, 0);
    await this.atOwner(work, { method: 'POST', path: `${pathOf(name)}/signals`, body: JSON.stringify(signal), repeatable: false }, () => { this.parts.local.signal(work, signal); }, () => undefined);
  }
  async progress(name: string): Promise<readonly TaskProgress[]> {
    if (this.state.tasks(name).length === 0) return [];
    const request: LeaderRequest = { method: 'GET', path: `${pathOf(name)}/status`, query: { progress: 'true' }, repeatable: true };
    return this.atOwner(workOf(name, 0), request, () => progressOf(this.parts.local.metrics(), name), body => ((body as { readonly tasks?: readonly { readonly progress?: TaskProgress }[] }).tasks ?? []).flatMap(({ progress }) => progress ?? []));
  }
  async topics(name: string): Promise<readonly string[]> { this.known(name); return this.parts.statuses.topics(name); }
  async resetTopics(name: string): Promise<void> { this.known(name); await this.parts.statuses.resetTopics(name); }

  plugins(connectorsOnly: boolean): Promise<readonly herder.PluginEntry[]> { return pluginEntries(this.parts.scope.pluginsUrl, connectorsOnly); }
  plugin(name: string): Promise<Plugin> { return findPlugin(this.parts.scope.pluginsUrl, name); }
  problems(config: herder.ConnectorConfig, signal: AbortSignal): Promise<readonly Problem[]> { return connectorProblems(config, this.parts.scope, signal, true); }
  setClusterLogLevel(namespace: string, level: LogLevel): Promise<void> { return this.parts.writeShared([{ kind: 'logger', namespace, level }]); }
  metrics(): readonly herder.MetricSample[] { return this.parts.local.metrics(); }

  /** Awaited before a source task starts where delivery is exactly once: earlier sets of its connector's tasks are shut out first. */
  async beforeSource(name: string): Promise<void> {
    const { config, fencing, node } = this.parts;
    if (config['exactly.once.source.support'] !== 'enabled') return;
    const { sessionKey } = this.state;
    const signWith = node.round?.protocol === 'sessioned' && sessionKey !== undefined ? { signWith: { key: sessionKey, algorithm: config['inter.worker.signature.algorithm'] } } : {};
    await this.leader.run({ method: 'PUT', path: `${pathOf(name)}/fence`, repeatable: true, ...signWith }, () => fencing.fence(name), () => undefined);
  }

  /**
   * Asked once a task has taken its transactional id, with the generation of task configurations that it started with: while
   * it did, others may have come to own it. In Connect's words. Throws RetriableError TASK_OUTDATED, TASK_REVOKED.
   */
  async stillOwned(name: string, task: number, generation: number): Promise<void> {
    const { store, node } = this.parts;
    await store.readToEnd(READ_MS);
    const hint = 'Nothing to do: the task runs where the group has put it, with its present configuration.';
    if (this.state.taskGeneration(name) !== generation) throw new RetriableError(`Cannot start source task ${name}-${task} with exactly-once support as the connector has already generated a new set of task configs`, { code: 'TASK_OUTDATED', hint });
    if (!node.runs(workOf(name, task))) throw new RetriableError(`Cannot start source task ${name}-${task} as it has already been revoked from this worker`, { code: 'TASK_REVOKED', hint });
  }
}

function sinkTasks(config: herder.ConnectorConfig, shares: 'topics' | 'partitions' | undefined): number {
  const most = Math.max(1, Math.trunc(Number(config['tasks.max'] ?? '1')) || 1);
  const topics = (config['topics'] ?? '').split(',').filter(topic => topic.trim() !== '').length;
  return shares === 'topics' && topics > 0 ? Math.min(most, topics) : most;
}
function patched(config: herder.ConnectorConfig, patch: Readonly<Record<string, string | null>>): herder.ConnectorConfig {
  return Object.fromEntries(Object.entries({ ...config, ...patch }).filter((entry): entry is [string, string] => entry[1] !== null));
}
function pathOf(name: string): string { return `/connectors/${encodeURIComponent(name)}`; }
function shown({ state, workerId, version, trace }: { readonly state: herder.State; readonly workerId: string; readonly version: string | undefined; readonly trace: string | undefined }): herder.StateInfo {
  return { state, worker_id: workerId, ...(version === undefined ? {} : { version }), ...(trace === undefined ? {} : { trace }) };
}
function sameConfig(a: herder.ConnectorConfig, b: herder.ConnectorConfig | undefined): boolean {
  const keys = Object.keys(a);
  return b !== undefined && keys.length === Object.keys(b).length && keys.every(key => a[key] === b[key]);
}
