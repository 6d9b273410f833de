/**
 * What the shared part of the table sinks needs of a table format. Iceberg and Delta each implement {@link TableFormat};
 * change → row operation, key index, Parquet, buffering and flushing are shared and know only this file.
 */
import type { RoaringBitmap } from './roaring.ts';

/** Column types both formats can hold. Precision of times and timestamps is microseconds unless it says nanos. */
export type ColumnType =
  | { readonly kind: 'boolean' | 'int' | 'long' | 'float' | 'double' | 'date' | 'time' | 'timestamp' | 'timestamptz' | 'timestamp_ns' | 'timestamptz_ns' | 'string' | 'uuid' | 'binary' }
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  | { readonly kind: 'list'; readonly element: ColumnType }
  | { readonly kind: 'map'; readonly key: ColumnType; readonly value: ColumnType }
  | { readonly kind: 'struct'; readonly fields: readonly Column[] };

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  readonly required: boolean;
  /** Iceberg field id (Parquet field_id), given by the format; nested ids are in `ids`, in pre-order of the type tree. */
  readonly id?: number;
  readonly ids?: readonly number[];
}

export interface TableDefinition {
  /** Namespace parts and table name: `['public', 'orders']`. */
  readonly name: readonly string[];
  readonly columns: readonly Column[];
  /** Names of the key columns, in order; empty in append mode. */
  readonly key: readonly string[];
}

/** How far a table has taken a partition in (rulings: {connector, topic id, partition, offset, offset epoch}). `offset` is the next to read. */
export interface Token { readonly connector: string; readonly topic: string; readonly topicId: string; readonly partition: number; readonly epoch: number; readonly offset: number }

/** Min, max, nulls of a leaf column in the written file; values as DuckDB's text rendering in the column's type, undefined where unknown. */
export interface ColumnStats { readonly column: string; readonly nullCount: number; readonly min: string | undefined; readonly max: string | undefined; readonly bytes: number }

/** A Parquet file already written under a path given by {@link LakeTable.newDataFile}. */
export interface WrittenFile { readonly path: string; readonly rows: number; readonly bytes: number; readonly stats: readonly ColumnStats[] }

/** A live data file and the positions deleted in it. `path` is what Parquet readers open and what `deletes` is keyed by. */
export interface LiveFile { readonly path: string; readonly rows: number; readonly deleted: RoaringBitmap | undefined }

export interface TableChange {
  readonly added: readonly WrittenFile[];
  /** Complete deletion set of each touched file (what it had and the new positions). A file all of whose rows are deleted may be dropped by the format. */
  readonly deletes: ReadonlyMap<string, RoaringBitmap>;
  /** Number of rows newly deleted, for summaries. */
  readonly deletedRows: number;
  /** True: every file live before this commit goes away first (a truncate). `deletes` then names none of them. */
  readonly replaceAll: boolean;
  /** Tokens after this change. The commit and the tokens are one atomic step. */
  readonly tokens: readonly Token[];
  /** Unique per attempt series; found again after an outcome `unknown`. */
  readonly commitId: string;
}

export type CommitOutcome = 'committed' | 'conflict' | 'unknown';

export interface LakeTable extends AsyncDisposable {
  readonly name: readonly string[];
  readonly location: string;
  readonly columns: readonly Column[];
  readonly key: readonly string[];
  /** Newest snapshot id / version as text, and when it was committed. */
  readonly version: string;
  /** Re-reads the newest metadata. Columns, files and tokens follow it. */
  refresh(signal: AbortSignal): Promise<void>;
  files(): Promise<readonly LiveFile[]>;
  tokens(): readonly Token[];
  /** Path for a new data file; its folder exists. */
  newDataFile(): Promise<string>;
  /** Adds nullable columns and widens types (int→long, float→double, decimal precision), in one metadata commit. Throws FatalError for anything else. */
  evolve(columns: readonly Column[], signal: AbortSignal): Promise<void>;
  /** One attempt. `conflict`: refresh, check tokens, plan again. `unknown`: refresh and look with {@link LakeTable.hasCommit}. */
  commit(change: TableChange, signal: AbortSignal): Promise<CommitOutcome>;
  hasCommit(commitId: string): Promise<boolean>;
}

export interface TableFormat {
  readonly name: 'iceberg' | 'delta';
  /** The nearest type that the format can hold, for types that it lacks (Delta: time and uuid become string). Absent: it holds all. Values are rendered by the shared part. */
  fit?(type: ColumnType): ColumnType;
  /** Opens the table or makes it (idempotent when two make it at once). Existing tables keep their columns; the caller evolves. */
  openOrCreate(definition: TableDefinition, signal: AbortSignal): Promise<LakeTable>;
  /** Undefined when there is no such table. */
  open(name: readonly string[], signal: AbortSignal): Promise<LakeTable | undefined>;
}
