/** A herder without a log, threads or connectors' work: REST is tested over it. Follows the contract in runtime/worker/herder.ts. */
import { parseConfig } from '../../runtime/api/config-parse.ts';
import { ConfigError, ConflictError, NotFoundError } from '../../runtime/api/errors.ts';
import type { Plugin } from '../../runtime/api/plugin.ts';
import { sinkConnectorConfig, sourceConnectorConfig } from '../../runtime/worker/connector-config.ts';
import type * as herder from '../../runtime/worker/herder.ts';
import { progressOf, type TaskProgress } from '../../runtime/worker/progress.ts';

interface Held { readonly name: string; config: herder.ConnectorConfig; target: herder.TargetState; readonly plugin: Plugin; restarting: boolean; offsets: herder.ConnectorOffset[]; topics: string[]; unassigned: boolean }

export class MemoryHerder implements herder.Herder {
  readonly held = new Map<string, Held>();
  samples: herder.MetricSample[] = [];
  state: herder.Health = { state: 'healthy', message: 'Worker has completed startup and is ready to handle requests.' };
  private readonly known: readonly Plugin[];
  private readonly workerId: string;
  constructor(plugins: readonly Plugin[], workerId = '127.0.0.1:8083') { this.known = plugins; this.workerId = workerId; }

  info(): herder.WorkerInfo { return { version: '4.3.1', commit: 'test', kafka_cluster_id: 'memory' }; }
  health(): herder.Health { return this.state; }
  connectors(): readonly string[] { return [...this.held.keys()]; }
  get(name: string): Held {
    const one = this.held.get(name);
    if (one === undefined) throw new NotFoundError(`Connector ${name} not found`, { code: 'CONNECTOR_UNKNOWN' });
    return one;
  }
  connector(name: string): herder.ConnectorInfo {
    const { config, plugin } = this.get(name);
    return { name, config, tasks: this.tasks(name).map(({ id }) => id), type: plugin.kind };
  }
  status(name: string): herder.ConnectorStatus {
    if (!this.held.has(name)) throw new NotFoundError(`No status found for connector ${name}`, { code: 'CONNECTOR_UNKNOWN' });
    const { target, plugin, restarting } = this.get(name);
    const one = { state: restarting ? 'RESTARTING' : target, worker_id: this.workerId, version: plugin.version } as const;
    return { name, connector: one, tasks: this.tasks(name).map(({ id }) => ({ id: id.task, ...one })), type: plugin.kind };
  }
  taskStatus(name: string, task: number): herder.TaskStatus {
    const found = this.held.has(name) ? this.status(name).tasks.find(({ id }) => id === task) : undefined;
    if (found === undefined) throw new NotFoundError(`No status found for task ${name}-${task}`, { code: 'TASK_UNKNOWN' });
    return found;
  }
  tasks(name: string): readonly herder.TaskInfo[] {
    const { config, target, plugin, unassigned } = this.get(name);
    if (target === 'STOPPED' || unassigned) return [];
    return [{ id: { connector: name, task: 0 }, config: { ...config, 'task.class': plugin.taskClass ?? `${plugin.names[0]}Task` } }];
  }
  async create(name: string, config: herder.ConnectorConfig, initial: herder.TargetState): Promise<herder.ConnectorInfo> {
    await this.check({ ...config, name });
    if (this.held.has(name)) throw new ConflictError(`Connector ${name} already exists`, { code: 'CONNECTOR_EXISTS' });
    this.held.set(name, { name, config: { ...config, name }, target: initial, plugin: await this.plugin(config['connector.class'] ?? ''), restarting: false, offsets: [], topics: [], unassigned: initial === 'PAUSED' });
    return this.connector(name);
  }
  async putConfig(name: string, config: herder.ConnectorConfig): Promise<{ readonly created: boolean; readonly info: herder.ConnectorInfo }> {
    const present = this.held.get(name);
    if (present === undefined) return { created: true, info: await this.create(name, config, 'RUNNING') };
    await this.check({ ...config, name });
    present.config = { ...config, name };
    return { created: false, info: this.connector(name) };
  }
  async patchConfig(name: string, patch: Readonly<Record<string, string | null>>): Promise<herder.ConnectorInfo> {
    const merged = Object.entries({ ...this.get(name).config, ...patch }).filter((entry): entry is [string, string] => entry[1] !== null);
    return (await this.putConfig(name, Object.fromEntries(merged))).info;
  }
  async remove(name: string): Promise<void> { this.get(name); this.held.delete(name); }
  async restart(name: string, { includeTasks, onlyFailed }: { readonly includeTasks: boolean; readonly onlyFailed: boolean }): Promise<herder.ConnectorStatus> {
    const one = this.get(name);
    one.restarting = includeTasks && !onlyFailed;
    const status = this.status(name);
    one.restarting = false;
    return status;
  }
  async restartTask(name: string): Promise<void> { this.get(name); }
  async setTarget(name: string, state: herder.TargetState): Promise<void> {
    const one = this.get(name);
    if (state === 'RUNNING') one.unassigned = false;
    one.target = state;
  }
  async offsets(name: string): Promise<readonly herder.ConnectorOffset[]> { return this.get(name).offsets; }
  async alterOffsets(name: string, changes: readonly herder.OffsetChange[] | null): Promise<void> {
    const one = this.get(name);
    if (one.target !== 'STOPPED') throw new ConfigError(`Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the specified connector by issuing a 'PUT' request to the '/connectors/${name}/stop' endpoint`, { code: 'CONNECTOR_NOT_STOPPED' });
    if (changes !== null && one.plugin.kind === 'source') one.plugin.checkOffsets?.(one.config, changes);
    const byPartition = new Map(changes === null ? [] : one.offsets.map(entry => [JSON.stringify(entry.partition), entry]));
    for (const { partition, offset } of changes ?? []) {
      if (offset === null) byPartition.delete(JSON.stringify(partition)); else byPartition.set(JSON.stringify(partition), { partition, offset });
    }
    one.offsets = [...byPartition.values()];
  }
  readonly signals: herder.SourceSignal[] = [];
  async signal(name: string, signal: herder.SourceSignal): Promise<void> {
    if (this.get(name).target !== 'RUNNING') throw new ConflictError(`The task of connector ${name} does not run, so it cannot take a signal`, { code: 'TASK_NOT_RUNNING' });
    this.signals.push(signal);
  }
  async progress(name: string): Promise<readonly TaskProgress[]> { return progressOf(this.samples, name); }
  async topics(name: string): Promise<readonly string[]> { return this.get(name).topics; }
  async resetTopics(name: string): Promise<void> { this.get(name).topics = []; }
  async plugins(): Promise<readonly herder.PluginEntry[]> { return this.known.map(plugin => ({ class: plugin.names[0], type: plugin.kind, version: plugin.version })); }
  async plugin(name: string): Promise<Plugin> {
    const found = this.known.find(plugin => plugin.names.some(full => [full, full.slice(full.lastIndexOf('.') + 1), full.slice(full.lastIndexOf('.') + 1).replace(/Connector$/, '')].includes(name)));
    if (found === undefined) throw new NotFoundError(`Failed to find any class that implements Connector and which name matches ${name}, available connectors are: ${this.known.map(plugin => plugin.names[0]).join(', ')}`, { code: 'PLUGIN_UNKNOWN' });
    return found;
  }
  async problems(config: herder.ConnectorConfig): Promise<readonly { readonly option: string; readonly message: string }[]> {
    const plugin = await this.plugin(config['connector.class'] ?? '');
    const preflight = config['database.password'] === 'wrong' ? [{ option: 'database.hostname', message: 'Error while validating connector config: FATAL: password authentication failed for user "dbz"' }] : [];
    return [...preflight, ...parseConfig(plugin.kind === 'source' ? sourceConnectorConfig : sinkConnectorConfig, config).problems, ...parseConfig(plugin.config, config).problems];
  }
  metrics(): readonly herder.MetricSample[] { return this.samples; }

  private async check(config: herder.ConnectorConfig): Promise<void> {
    const found = await this.problems(config);
    if (found.length > 0) throw new ConfigError(`Connector configuration is invalid and contains the following ${found.length} error(s):\n${found.map(({ message }) => message).join('\n')}\nYou can also find the above list of errors at the endpoint \`/connector-plugins/{connectorType}/config/validate\``, { code: 'CONFIG_INVALID' });
  }
}
