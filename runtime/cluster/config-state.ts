/**
 * What the config topic says, record by record. The rules are Connect's (KafkaConfigBackingStore, ClusterConfigState):
 * task configurations count only once a commit record names as many as there are; a commit that does not find all of
 * them leaves the connector *inconsistent*, without tasks, until its configurations are written again. So a leader that
 * dies between two records leaves nothing half done.
 */
import type { ConnectorConfig } from '../worker/herder.ts';
import { decodeConfigRecord, type ConfigRecord, type KeyValue, type SessionKey, type StoredTarget } from './config-records.ts';
import { CONNECTOR_ITSELF, type Work, workOf } from './work.ts';

/** What a record changed, for whoever runs connectors by it. */
export type ConfigChange =
  /** A connector came or went: the group must share out work anew. */
  | { readonly kind: 'connector-added' | 'connector-removed' | 'connector-changed' | 'target-state'; readonly connector: string }
  /** Task configurations were committed. `resized`: there are more or fewer tasks than before, or several that may divide what they read in another way: all of them begin anew, together. */
  | { readonly kind: 'tasks'; readonly connector: string; readonly updated: readonly number[]; readonly resized: boolean }
  | { readonly kind: 'session-key' }
  | { readonly kind: 'fencing'; readonly connector: string }
  | Extract<ConfigRecord, { readonly kind: 'restart' | 'logger' }>;

interface Entry {
  config: ConnectorConfig;
  /** Of the last commit record, and what it named. */
  taskCount: number;
  readonly tasks: Map<number, ConnectorConfig>;
  /** Written since, not committed. */
  deferred: Map<number, ConnectorConfig>;
  inconsistent: boolean;
  /** How often a new set of task configurations was committed; -1 before the first. */
  generation: number;
  /** The offset behind the record that last changed how the tasks divide their work, once there were some; 0 = never. */
  resizedAt: number;
  hadTasks: boolean;
}

export class ConfigState {
  private readonly entries = new Map<string, Entry>();
  private readonly targets = new Map<string, StoredTarget>();
  private readonly loose = new Map<string, Map<number, ConnectorConfig>>();
  private readonly fencing = new Map<string, number>();
  private readonly pending = new Set<string>();
  private position = 0;
  private workPosition = 0;
  private key: SessionKey | undefined;

  /** The offset behind the last record applied. */
  get offset(): number { return this.position; }
  /** The offset behind the last record that changed what there is to run. */
  get workOffset(): number { return this.workPosition; }
  get sessionKey(): SessionKey | undefined { return this.key; }

  /** Applies the record at `offset`; undefined when it changed nothing that anyone must know. */
  apply(offset: number, record: KeyValue): ConfigChange | undefined {
    this.position = offset + 1;
    const decoded = decodeConfigRecord(record);
    const change = decoded && this.applied(decoded);
    if (change?.kind === 'connector-added' || change?.kind === 'connector-removed' || (change?.kind === 'tasks' && change.resized)) this.workPosition = offset + 1;
    return change;
  }

  private applied(record: ConfigRecord): ConfigChange | undefined {
    switch (record.kind) {
      case 'session-key': this.key = record.value; return { kind: 'session-key' };
      case 'connector': return record.config === null ? this.removed(record.connector) : this.configured(record.connector, record.config);
      case 'task': this.deferredOf(record.connector).set(record.task, record.config); return undefined;
      case 'commit': return this.committed(record.connector, record.tasks);
      case 'target-state': return this.steered(record.connector, record.state);
      case 'fencing': this.fencing.set(record.connector, record.tasks); this.pending.delete(record.connector); return { kind: 'fencing', connector: record.connector };
      case 'restart':
      case 'logger': return record;
    }
  }

  private configured(connector: string, config: ConnectorConfig): ConfigChange {
    const entry = this.entries.get(connector);
    if (entry !== undefined) { entry.config = config; return { kind: 'connector-changed', connector }; }
    this.entries.set(connector, { config, taskCount: 0, tasks: new Map(), deferred: this.loose.get(connector) ?? new Map<number, ConnectorConfig>(), inconsistent: false, generation: -1, resizedAt: 0, hadTasks: false });
    this.loose.delete(connector);
    if (!this.targets.has(connector)) this.targets.set(connector, 'STARTED');
    return { kind: 'connector-added', connector };
  }

  private removed(connector: string): ConfigChange | undefined {
    this.loose.delete(connector);
    return this.entries.delete(connector) ? { kind: 'connector-removed', connector } : undefined;
  }

  private deferredOf(connector: string): Map<number, ConnectorConfig> {
    const entry = this.entries.get(connector);
    if (entry !== undefined) return entry.deferred;
    let loose = this.loose.get(connector);
    if (loose === undefined) { loose = new Map(); this.loose.set(connector, loose); }
    return loose;
  }

  private committed(connector: string, count: number): ConfigChange | undefined {
    const entry = this.entries.get(connector);
    // The connector was deleted, and compaction took the record that said so.
    if (entry === undefined) { this.loose.delete(connector); return undefined; }
    const { deferred } = entry;
    const before = this.tasks(connector).length;
    const complete = Array.from({ length: count }, (_, task) => deferred.has(task)).every(Boolean);
    entry.inconsistent = !complete;
    if (complete) {
      for (const [task, config] of deferred) entry.tasks.set(task, config);
      if (deferred.size > 0) entry.generation++;
    }
    entry.taskCount = count;
    entry.deferred = new Map();
    this.pending.add(connector);
    const now = this.tasks(connector).length;
    const resized = now !== before || (now > 1 && deferred.size > 0);
    if (resized && entry.hadTasks) entry.resizedAt = this.position;
    if (now > 0) entry.hadTasks = true;
    return { kind: 'tasks', connector, updated: complete ? [...deferred.keys()].sort((a, b) => a - b) : [], resized };
  }

  private steered(connector: string, state: StoredTarget | null): ConfigChange | undefined {
    const before = this.targets.get(connector);
    if (state === null) {
      if (this.entries.has(connector)) this.targets.set(connector, 'STARTED'); else this.targets.delete(connector);
      return undefined;
    }
    this.targets.set(connector, state);
    return before === state || !this.entries.has(connector) ? undefined : { kind: 'target-state', connector };
  }

  has(connector: string): boolean { return this.entries.has(connector); }
  /** In order of their names. */
  connectors(): readonly string[] { return [...this.entries.keys()].sort(); }
  config(connector: string): ConnectorConfig | undefined { return this.entries.get(connector)?.config; }
  target(connector: string): StoredTarget { return this.targets.get(connector) ?? 'STARTED'; }
  /** Numbers of the committed tasks; none while the connector is inconsistent. */
  tasks(connector: string): readonly number[] {
    const entry = this.entries.get(connector);
    return entry === undefined || entry.inconsistent ? [] : Array.from({ length: entry.taskCount }, (_, task) => task);
  }
  taskConfig(connector: string, task: number): ConnectorConfig | undefined { return this.entries.get(connector)?.tasks.get(task); }
  /** Offset from which on the connector's tasks divide their work as they do now; 0 where they never did otherwise. */
  resizedAt(connector: string): number { return this.entries.get(connector)?.resizedAt ?? 0; }
  inconsistent(connector: string): boolean { return this.entries.get(connector)?.inconsistent ?? false; }
  taskGeneration(connector: string): number { return this.entries.get(connector)?.generation ?? -1; }
  /** How many tasks of the generation before may still write; undefined = never recorded. */
  fencingCount(connector: string): number | undefined { return this.fencing.get(connector); }
  /** Task configurations were committed after the last fencing record. */
  fencingPending(connector: string): boolean { return this.pending.has(connector); }

  /** All that there is to run. */
  work(): ReadonlySet<Work> {
    const all = new Set<Work>();
    for (const connector of this.entries.keys()) {
      all.add(workOf(connector, CONNECTOR_ITSELF));
      for (const task of this.tasks(connector)) all.add(workOf(connector, task));
    }
    return all;
  }
}
