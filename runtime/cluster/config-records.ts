/**
 * The records of the config topic, as Kafka Connect writes them (KafkaConfigBackingStore; JsonConverter without schemas).
 *
 *   session-key                 {"key": base64, "algorithm", "creation-timestamp": ms}
 *   connector-<name>            {"properties": {…}}           null = deleted
 *   task-<name>-<n>             {"properties": {…}}           counts only once a commit record follows
 *   commit-<name>               {"tasks": n}                  null never
 *   target-state-<name>         {"state", "state.v2"}         null = back to STARTED
 *   tasks-fencing-<name>        {"task-count": n}
 *   restart-connector-<name>    {"include-tasks", "only-failed"}
 *   logger-cluster-<namespace>  {"level"}
 *
 * A key of another kind, or a value of another shape, is from a newer worker or a damaged record: it is skipped.
 */
import type { ConnectorConfig } from '../worker/herder.ts';

export type StoredTarget = 'STARTED' | 'PAUSED' | 'STOPPED';

/** A session key: what internal requests between workers are signed with. */
export interface SessionKey { readonly key: Buffer; readonly algorithm: string; readonly createdMs: number }

export type ConfigRecord =
  | { readonly kind: 'session-key'; readonly value: SessionKey }
  | { readonly kind: 'connector'; readonly connector: string; readonly config: ConnectorConfig | null }
  | { readonly kind: 'task'; readonly connector: string; readonly task: number; readonly config: ConnectorConfig }
  | { readonly kind: 'commit'; readonly connector: string; readonly tasks: number }
  | { readonly kind: 'target-state'; readonly connector: string; readonly state: StoredTarget | null }
  | { readonly kind: 'fencing'; readonly connector: string; readonly tasks: number }
  | { readonly kind: 'restart'; readonly connector: string; readonly includeTasks: boolean; readonly onlyFailed: boolean }
  | { readonly kind: 'logger'; readonly namespace: string; readonly level: string };

/** Key and value of a record, ready for a topic; a null value is a tombstone. */
export interface KeyValue { readonly key: string; readonly value: string | null }

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);
const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isInteger(value) && value >= 0;
const TARGETS: ReadonlySet<unknown> = new Set<StoredTarget>(['STARTED', 'PAUSED', 'STOPPED']);

/** A record for the config topic. */
export function encodeConfigRecord(record: ConfigRecord): KeyValue {
  const json = (key: string, value: unknown): KeyValue => ({ key, value: value === null ? null : JSON.stringify(value) });
  switch (record.kind) {
    case 'session-key': return json('session-key', { key: record.value.key.toString('base64'), algorithm: record.value.algorithm, 'creation-timestamp': record.value.createdMs });
    case 'connector': return json(`connector-${record.connector}`, record.config === null ? null : { properties: record.config });
    case 'task': return json(`task-${record.connector}-${record.task}`, { properties: record.config });
    case 'commit': return json(`commit-${record.connector}`, { tasks: record.tasks });
    // Workers before 3.5 know no STOPPED: they read PAUSED.
    case 'target-state': return json(`target-state-${record.connector}`, record.state === null ? null : { state: record.state === 'STOPPED' ? 'PAUSED' : record.state, 'state.v2': record.state });
    case 'fencing': return json(`tasks-fencing-${record.connector}`, { 'task-count': record.tasks });
    case 'restart': return json(`restart-connector-${record.connector}`, { 'include-tasks': record.includeTasks, 'only-failed': record.onlyFailed });
    case 'logger': return json(`logger-cluster-${record.namespace}`, { level: record.level });
  }
}

/** A record of the config topic; undefined = nothing that this version understands. Never throws. */
export function decodeConfigRecord({ key, value }: KeyValue): ConfigRecord | undefined {
  let json: unknown = null;
  if (value !== null) try { json = JSON.parse(value); } catch { return undefined; }
  const map = isMap(json) ? json : undefined;
  const after = (prefix: string): string | undefined => (key.startsWith(prefix) ? key.slice(prefix.length) : undefined);
  if (key === 'session-key') return map && sessionKey(map);
  const connector = after('connector-');
  if (connector !== undefined) return json === null ? { kind: 'connector', connector, config: null } : withConfig(map, config => ({ kind: 'connector', connector, config }));
  if (key.startsWith('task-')) return taskRecord(key, map);
  const target = after('target-state-');
  if (target !== undefined) return json === null ? { kind: 'target-state', connector: target, state: null } : map && targetState(target, map);
  return map && otherRecord(after, map);
}

function otherRecord(after: (prefix: string) => string | undefined, map: Readonly<Record<string, unknown>>): ConfigRecord | undefined {
  const commit = after('commit-'), fencing = after('tasks-fencing-'), restart = after('restart-connector-'), namespace = after('logger-cluster-');
  const { tasks, 'task-count': count, level } = map;
  if (commit !== undefined) return isCount(tasks) ? { kind: 'commit', connector: commit, tasks } : undefined;
  if (fencing !== undefined) return isCount(count) ? { kind: 'fencing', connector: fencing, tasks: count } : undefined;
  if (restart !== undefined) return { kind: 'restart', connector: restart, includeTasks: map['include-tasks'] === true, onlyFailed: map['only-failed'] === true };
  if (namespace !== undefined) return typeof level === 'string' ? { kind: 'logger', namespace, level } : undefined;
  return undefined;
}

function withConfig(map: Readonly<Record<string, unknown>> | undefined, make: (config: ConnectorConfig) => ConfigRecord): ConfigRecord | undefined {
  const properties = map?.['properties'];
  if (!isMap(properties)) return undefined;
  // Connect's map may hold nulls; a key without a value is a key that is not set.
  return make(Object.fromEntries(Object.entries(properties).filter(([, text]) => text !== null).map(([name, text]) => [name, String(text)])));
}

function taskRecord(key: string, map: Readonly<Record<string, unknown>> | undefined): ConfigRecord | undefined {
  const dash = key.lastIndexOf('-');
  const number = key.slice(dash + 1);
  if (dash < 'task-'.length || !/^\d{1,9}$/.test(number)) return undefined;
  const connector = key.slice('task-'.length, dash);
  return withConfig(map, config => ({ kind: 'task', connector, task: Number(number), config }));
}

function targetState(connector: string, map: Readonly<Record<string, unknown>>): ConfigRecord | undefined {
  const state = typeof map['state.v2'] === 'string' ? map['state.v2'] : map['state'];
  return TARGETS.has(state) ? { kind: 'target-state', connector, state: state as StoredTarget } : undefined;
}

function sessionKey(map: Readonly<Record<string, unknown>>): ConfigRecord | undefined {
  const { key, algorithm, 'creation-timestamp': createdMs } = map;
  if (typeof key !== 'string' || typeof algorithm !== 'string' || typeof createdMs !== 'number') return undefined;
  return { kind: 'session-key', value: { key: Buffer.from(key, 'base64'), algorithm, createdMs } };
}
