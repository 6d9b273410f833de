/** What each metric means: the help lines of `/metrics` and the reference page. Names without `tributary_` and `_total`. */
export interface MetricText {
  readonly kind: 'gauge' | 'counter';
  readonly text: string;
  /** Labels beside `connector` and `task`. */
  readonly labels: readonly string[];
}

const gauge = (text: string, ...labels: readonly string[]): MetricText => ({ kind: 'gauge', text, labels });
const counter = (text: string, ...labels: readonly string[]): MetricText => ({ kind: 'counter', text, labels });

export const metricTexts: Readonly<Record<string, MetricText>> = {
  connector_state: gauge('State of a connector: 1 on the line of its present state.', 'state'),
  task_state: gauge('State of a task: 1 on the line of its present state.', 'state'),
  task_running: gauge('1 while the task runs.'),
  task_next_attempt_timestamp_seconds: gauge('When a task in state RESTARTING starts again, in seconds since 1970; 0 in any other state.'),
  task_restarts: counter('Times that the task was started again after passing trouble.'),

  source_records: counter('Records that the source has handed over.'),
  events_skipped: counter('Events that could not be read and were left out (event.processing.failure.handling.mode).'),
  slot_retained_bytes: gauge('Bytes of WAL that the server keeps for the replication slot.', 'slot'),
  slot_behind_bytes: gauge('Bytes of WAL between the end of the log and what the slot has confirmed.', 'slot'),
  slot_wal_status: gauge('1 on the line of the slot\'s present wal_status: reserved, extended, unreserved or lost.', 'slot', 'status'),
  slot_safe_wal_bytes: gauge('Bytes of WAL that may still be written before the slot is lost; only with max_slot_wal_keep_size.', 'slot'),
  slot_seconds_to_full: gauge('Seconds until the slot is lost at the present pace; only with max_slot_wal_keep_size and growing.', 'slot'),
  streamed_transactions_spilled_bytes: gauge('Bytes of open transactions that lie in spill files (protocol 2).'),
  snapshot_running: gauge('1 while a snapshot runs.'),
  snapshot_beside_stream: gauge('1 while the stream goes on beside the snapshot.'),
  snapshot_held: gauge('1 while snapshots wait because the slot holds back too much WAL (slot.guard.action=pause).'),
  incremental_snapshot_running: gauge('1 while an incremental snapshot is under way.'),
  incremental_snapshot_paused: gauge('1 while it is paused by a signal.'),
  incremental_snapshot_tables_remaining: gauge('Tables of it that are not finished.'),
  incremental_snapshot_rows_estimated: gauge('Rows of its tables, as the planner estimated them when they were asked for.'),
  incremental_snapshot_rows_done: gauge('Rows of them that are read.'),
  incremental_snapshot_seconds_left: gauge('Seconds until it ends at the present pace.'),
  snapshot_rows: counter('Rows that snapshots have read.'),
  snapshot_tables_total: gauge('Tables of the snapshot.'),
  snapshot_tables_remaining: gauge('Tables of the snapshot that are not finished.'),
  snapshot_bytes_total: gauge('Bytes of the tables of the snapshot.'),
  snapshot_bytes_done: gauge('Bytes of those that are read.'),
  snapshot_seconds_left: gauge('Seconds until the snapshot ends at the present pace.'),
  snapshot_rows_estimated: gauge('Rows of a large table, as the planner estimates them.', 'table'),
  snapshot_rows_done: gauge('Rows of it that are read.', 'table'),
  snapshot_table_seconds_left: gauge('Seconds until it is read at the present pace.', 'table'),

  sink_records: counter('Records that the sink was handed.'),
  sink_commits: counter('Flushes that the target has taken: table commits, of all tables at a time.'),
  table_commits: counter('Commits of a table.', 'table'),
  sink_batch_seconds: gauge('Time that the last batch took in the sink, in seconds.'),
  sink_commit_seconds: gauge('Time that the last flush took, in seconds.'),
  sink_commit_latency_seconds: gauge('Age of the oldest record of the last flush when it was durable in the target, in seconds.'),
  sink_last_commit_timestamp_seconds: gauge('When the last flush was durable, in seconds since 1970.'),
  sink_lag_records: gauge('Records of a partition that the sink was not handed yet.', 'topic', 'partition'),
  sink_pending_bytes: gauge('Bytes that the sink has accepted and not yet made durable.'),
  sink_queue_bytes: gauge('Bytes that are read from the log and wait for the sink.'),
  key_index_bytes: gauge('Bytes of the key indexes of all tables of the sink.'),

  record_errors: counter('Failures of records, by stage, before errors.tolerance was asked.', 'stage'),
  records_skipped: counter('Records that errors.tolerance let pass unhandled.'),
  dead_letters: counter('Records that were written to the dead letter queue.'),
};
