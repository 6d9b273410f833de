/** How far a snapshot has come, in the metrics: tables and bytes of the whole, rows of the large tables, and the time left at the present pace. */
import type { Metrics } from '../../../../runtime/api/metrics.ts';

/** Tables below this many rows have no line of their own: thousands of them would drown the page. */
const LINE_ROWS = 10_000;

export class SnapshotGauges {
  private readonly metrics: Metrics;
  private began = performance.now();
  private pages = 0;
  private donePages = 0;
  /** Pages that were done when this run began: they took none of its time. */
  private before = 0;

  constructor(metrics: Metrics) { this.metrics = metrics; }

  begin(tables: number, left: number, pages: number, donePages: number, blockBytes: number): void {
    this.began = performance.now();
    this.pages = pages; this.donePages = donePages; this.before = donePages;
    this.metrics.set('snapshot_running', 1);
    this.metrics.set('snapshot_tables_total', tables);
    this.metrics.set('snapshot_tables_remaining', left);
    this.metrics.set('snapshot_bytes_total', pages * blockBytes);
    this.pass(0, blockBytes);
  }
  tablesLeft(left: number): void { this.metrics.set('snapshot_tables_remaining', left); }
  pass(pages: number, blockBytes: number): void {
    this.donePages = Math.min(this.pages, this.donePages + pages);
    this.metrics.set('snapshot_bytes_done', this.donePages * blockBytes);
    const done = this.donePages - this.before;
    if (done > 0) this.metrics.set('snapshot_seconds_left', (this.pages - this.donePages) * ((performance.now() - this.began) / 1000 / done));
  }
  /** 1 while the stream goes on beside the snapshot. */
  beside(on: boolean): void { this.metrics.set('snapshot_beside_stream', on ? 1 : 0); }
  end(): void {
    this.metrics.set('snapshot_running', 0);
    this.metrics.set('snapshot_tables_remaining', 0);
    this.metrics.set('snapshot_seconds_left', 0);
    this.beside(false);
  }
  table(name: string, estimate: number, rows: number): TableGauge { return new TableGauge(this.metrics, name, estimate, rows); }
}

export class TableGauge {
  private readonly metrics: Metrics | undefined;
  private readonly labels: Readonly<Record<string, string>>;
  private readonly estimate: number;
  private readonly began = performance.now();
  private readonly before: number;
  private rows: number;

  /** `estimate` is the planner's, `rows` what earlier runs have read. */
  constructor(metrics: Metrics, table: string, estimate: number, rows: number) {
    this.metrics = estimate < LINE_ROWS ? undefined : metrics;
    this.labels = { table };
    this.estimate = estimate; this.rows = rows; this.before = rows;
    this.metrics?.set('snapshot_rows_estimated', estimate, this.labels);
    this.add(0);
  }
  add(rows: number): void {
    if (this.metrics === undefined) return;
    this.rows += rows;
    this.metrics.set('snapshot_rows_done', this.rows, this.labels);
    const read = this.rows - this.before;
    if (read > 0) this.metrics.set('snapshot_table_seconds_left', Math.max(0, this.estimate - this.rows) * ((performance.now() - this.began) / 1000 / read), this.labels);
  }
}

/** The same of an incremental snapshot: its rows are counted against the planner's estimate of all its tables. */
export class IncrementalGauges {
  private readonly metrics: Metrics;
  private began = 0;
  private total = 0;
  private done = 0;
  running = false;

  constructor(metrics: Metrics) { this.metrics = metrics; }

  /** `rows` are those of the tables that are left. */
  begin(rows: number, tables: number): void {
    if (!this.running) this.began = performance.now();
    if (!this.running) this.done = 0;
    this.running = true;
    this.total = this.done + rows;
    this.metrics.set('incremental_snapshot_running', 1);
    this.paused(false);
    this.left(tables);
    this.rows(0);
  }
  left(tables: number): void { this.metrics.set('incremental_snapshot_tables_remaining', tables); }
  paused(paused: boolean): void { this.metrics.set('incremental_snapshot_paused', paused ? 1 : 0); }
  rows(more: number): void {
    this.done += more;
    this.metrics.set('incremental_snapshot_rows_done', this.done);
    this.metrics.set('incremental_snapshot_rows_estimated', Math.max(this.total, this.done));
    if (this.done > 0) this.metrics.set('incremental_snapshot_seconds_left', Math.max(0, this.total - this.done) * ((performance.now() - this.began) / 1000 / this.done));
  }
  end(): void {
    this.running = false;
    this.metrics.set('incremental_snapshot_running', 0);
    this.metrics.set('incremental_snapshot_seconds_left', 0);
    this.paused(false);
    this.left(0);
  }
}
