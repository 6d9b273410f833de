/**
 * The records of the status topic, as Kafka Connect writes them (KafkaStatusBackingStore; JsonConverter without schemas).
 *
 *   status-connector-<name>                {"state", "trace", "worker_id", "generation", "version"}   null = gone
 *   status-task-<name>-<n>                 the same
 *   status-topic-<topic>:connector-<name>  {"topic": {"name", "connector", "task", "discoverTimestamp"}}
 *
 * Readers skip what they do not understand.
 */
import type { State } from '../worker/herder.ts';
import type { KeyValue } from './config-records.ts';

export interface WorkStatus {
  readonly state: State;
  readonly trace: string | undefined;
  readonly workerId: string;
  /** Of the group when the worker was given the work: an older worker's word does not count against a newer one's. */
  readonly generation: number;
  readonly version: string | undefined;
}
/** `task` -1 is the connector itself. */
export type StatusRecord =
  | { readonly kind: 'status'; readonly connector: string; readonly task: number; readonly status: WorkStatus | null }
  | { readonly kind: 'topic'; readonly connector: string; readonly topic: string; readonly seen: { readonly task: number; readonly atMs: number } | null };

const STATES: ReadonlySet<unknown> = new Set<State>(['UNASSIGNED', 'RUNNING', 'PAUSED', 'FAILED', 'RESTARTING', 'STOPPED']);
const isMap = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** A record for the status topic. */
export function encodeStatusRecord(record: StatusRecord): KeyValue {
  if (record.kind === 'topic') {
    const { connector, topic, seen } = record;
    return { key: `status-topic-${topic}:connector-${connector}`, value: seen === null ? null : JSON.stringify({ topic: { name: topic, connector, task: seen.task, discoverTimestamp: seen.atMs } }) };
  }
  const { connector, task, status } = record;
  const key = task < 0 ? `status-connector-${connector}` : `status-task-${connector}-${task}`;
  if (status === null) return { key, value: null };
  return { key, value: JSON.stringify({ state: status.state, trace: status.trace ?? null, worker_id: status.workerId, generation: status.generation, version: status.version ?? null }) };
}

/** A record of the status topic; undefined = nothing that this version understands. Never throws. */
export function decodeStatusRecord({ key, value }: KeyValue): StatusRecord | undefined {
  let json: unknown = null;
  if (value !== null) try { json = JSON.parse(value); } catch { return undefined; }
  if (key.startsWith('status-topic-')) return topicRecord(key.slice('status-topic-'.length), json);
  const connector = key.startsWith('status-connector-') ? key.slice('status-connector-'.length) : undefined;
  const [, name, number] = /^status-task-([\s\S]*)-(\d{1,9})$/.exec(key) ?? [];
  const of = connector === undefined ? name : connector;
  if (of === undefined) return undefined;
  const task = connector === undefined ? Number(number) : -1;
  if (json === null) return { kind: 'status', connector: of, task, status: null };
  const status = statusOf(json);
  return status && { kind: 'status', connector: of, task, status };
}

function statusOf(json: unknown): WorkStatus | undefined {
  if (!isMap(json)) return undefined;
  const { state, trace, worker_id: workerId, generation, version } = json;
  if (!STATES.has(state) || typeof workerId !== 'string' || typeof generation !== 'number') return undefined;
  const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
  return { state: state as State, trace: text(trace), workerId, generation, version: text(version) };
}

function topicRecord(rest: string, json: unknown): StatusRecord | undefined {
  // Topic names have no colon, connector names may.
  const colon = rest.indexOf(':connector-');
  if (colon < 0) return undefined;
  const topic = rest.slice(0, colon), connector = rest.slice(colon + ':connector-'.length);
  if (json === null) return { kind: 'topic', connector, topic, seen: null };
  const inner = isMap(json) ? json['topic'] : undefined;
  if (!isMap(inner)) return undefined;
  const { task, discoverTimestamp: atMs } = inner;
  return typeof task === 'number' && typeof atMs === 'number' ? { kind: 'topic', connector, topic, seen: { task, atMs } } : undefined;
}
