/** How far a task's snapshots have come, out of the numbers that it reports: what `status?progress=true` adds for each task. */
import type { MetricSample } from './herder.ts';

/** `rows` are estimates of the planner; a time left is null as long as there is no pace to tell it from. */
export interface TableProgress { readonly table: string; readonly rows_total: number; readonly rows_done: number; readonly seconds_left: number | null }
export interface SnapshotProgress {
  readonly beside_stream: boolean;
  readonly held: boolean;
  readonly tables_total: number;
  readonly tables_remaining: number;
  readonly bytes_total: number;
  readonly bytes_done: number;
  readonly seconds_left: number | null;
  /** Large tables that are being read. */
  readonly tables: readonly TableProgress[];
}
export interface IncrementalProgress { readonly paused: boolean; readonly held: boolean; readonly tables_remaining: number; readonly rows_total: number; readonly rows_done: number; readonly seconds_left: number | null }
/** Null where none is under way. `next_attempt`: when a task in state RESTARTING starts again, as ISO 8601 says it. */
export interface TaskProgress { readonly id: number; readonly next_attempt: string | null; readonly snapshot: SnapshotProgress | null; readonly incremental_snapshot: IncrementalProgress | null }

/** Of all tasks of a connector that report here, by their numbers. */
export function progressOf(samples: readonly MetricSample[], connector: string): readonly TaskProgress[] {
  const own = samples.filter(({ labels }) => labels['connector'] === connector);
  const ids = [...new Set(own.map(({ labels }) => Number(labels['task'] ?? -1)))].filter(id => id >= 0).sort((a, b) => a - b);
  return ids.map(id => taskProgress(id, own.filter(({ labels }) => labels['task'] === String(id))));
}

function taskProgress(id: number, samples: readonly MetricSample[]): TaskProgress {
  const value = (name: string, table?: string): number | undefined => samples.find(sample => sample.name === name && sample.labels['table'] === table)?.value;
  const left = (name: string, table?: string): number | null => { const seconds = value(name, table); return seconds === undefined ? null : Math.round(seconds); };
  const next = value('task_next_attempt_timestamp_seconds') ?? 0;
  const held = value('snapshot_held') === 1;
  const tables = samples.filter(({ name }) => name === 'snapshot_rows_estimated').map(({ labels: { table = '' } }): TableProgress => ({ table, rows_total: value('snapshot_rows_estimated', table) ?? 0, rows_done: value('snapshot_rows_done', table) ?? 0, seconds_left: left('snapshot_table_seconds_left', table) }));
  return {
    id, next_attempt: next === 0 ? null : new Date(next * 1000).toISOString(),
    snapshot: value('snapshot_running') !== 1 ? null : {
      beside_stream: value('snapshot_beside_stream') === 1, held, tables_total: value('snapshot_tables_total') ?? 0, tables_remaining: value('snapshot_tables_remaining') ?? 0,
      bytes_total: value('snapshot_bytes_total') ?? 0, bytes_done: value('snapshot_bytes_done') ?? 0, seconds_left: left('snapshot_seconds_left'), tables: tables.filter(({ rows_done: done, seconds_left: seconds }) => done === 0 || seconds !== 0),
    },
    incremental_snapshot: value('incremental_snapshot_running') !== 1 ? null : {
      paused: value('incremental_snapshot_paused') === 1, held, tables_remaining: value('incremental_snapshot_tables_remaining') ?? 0,
      rows_total: value('incremental_snapshot_rows_estimated') ?? 0, rows_done: value('incremental_snapshot_rows_done') ?? 0, seconds_left: left('incremental_snapshot_seconds_left'),
    },
  };
}
