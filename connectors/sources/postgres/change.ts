/**
 * One decoded replication or snapshot row, still in the server's text bytes: the seam between those who read the
 * database (wire/, stream.ts, snapshot.ts) and those who say what it means (values.ts, schema.ts, encoder.ts).
 */
import type { EncodedHeader, SourceRecord } from '../../../runtime/api/plugin.ts';
import type { ByteWriter } from '../../../runtime/api/byte-writer.ts';
import type { TableSchema } from './schema.ts';

/** `start` values that are no position. */
export const NULL_VALUE = -1;
/** TOAST column that the UPDATE left alone: the server sent no value ('u' in pgoutput). */
export const UNCHANGED_TOAST = -2;
/** Column that this image does not carry (a key-only old image, a column filtered away). */
export const ABSENT = -3;

/** Column values as slices of one received buffer, text format, in the table's column order. */
export interface RowImage {
  readonly buffer: Buffer;
  readonly start: readonly number[];
  readonly end: readonly number[];
}

export type Operation = 'c' | 'u' | 'd' | 'r' | 't';

/** What the `source` block needs to know of one event. LSNs are bigint positions; `commitUs` microseconds since the epoch. */
export interface EventSource {
  /** Commit time of the transaction; for snapshot rows the time the snapshot began. */
  readonly commitUs: bigint;
  /** "true" | "first" | "first_in_data_collection" | "last_in_data_collection" | "last" | "false" | "incremental", as Debezium spells it. */
  readonly snapshot: string;
  readonly txId: bigint | null;
  readonly lsn: bigint | null;
  /** LSN of the last commit before this transaction, first element of `sequence`; null when there is none yet. */
  readonly lastCommitLsn: bigint | null;
  readonly xmin: bigint | null;
  readonly origin: string | null;
  readonly originLsn: bigint | null;
  /** Stands for [lastCommitLsn, lsn] in `sequence`, where `lsn` itself is not shown. */
  readonly sequence?: readonly [bigint | null, bigint | null];
}

/** Transaction block of the envelope, with provide.transaction.metadata. */
export interface TransactionInfo { readonly id: string; readonly totalOrder: bigint; readonly dataCollectionOrder: bigint }

export interface Change {
  readonly table: TableSchema;
  readonly op: Operation;
  readonly before: RowImage | undefined;
  readonly after: RowImage | undefined;
  readonly source: EventSource;
  readonly transaction: TransactionInfo | undefined;
  /** When the connector processed it: envelope ts_ms/ts_us/ts_ns, nanoseconds since the epoch. */
  readonly processedNs: bigint;
}

/**
 * Record kinds that one Change can become: an UPDATE that changes the key is a delete under the old key (with header
 * `__debezium.newkey`), a tombstone for the old key, and a create under the new key (header `__debezium.oldkey`);
 * a DELETE is a delete and (tombstones.on.delete) a tombstone.
 */
export type RecordKind = 'change' | 'tombstone' | 'key-delete' | 'key-tombstone' | 'key-create';

/** Compiled for one TableSchema and one configuration; both ways give the same bytes under the default JSON converter. */
export interface TableEncoder {
  /** Kinds of records this change becomes, in order. Shared arrays, compare by identity. */
  kinds(change: Change): readonly RecordKind[];
  /** True when an update becomes a delete and a create. */
  keyChanged(op: Operation, before: RowImage | undefined, after: RowImage | undefined): boolean;
  /** True when no carried column differs; false where the old row is not known. */
  unchanged(before: RowImage | undefined, after: RowImage | undefined): boolean;
  decode(change: Change, kind: RecordKind): SourceRecord;
  writeKey(change: Change, kind: RecordKind, schemas: boolean, out: ByteWriter): boolean;
  writeValue(change: Change, kind: RecordKind, schemas: boolean, out: ByteWriter): boolean;
  /** The same array for the same headers. */
  headers(change: Change, kind: RecordKind): readonly EncodedHeader[];
}
