import type { Schema, Value } from './schema.ts';

/** A schema and a value under it. A null value may have no schema (a tombstone). */
export interface SchemaAndValue { readonly schema: Schema | null; readonly value: Value }

/** One record header. Order counts; names may repeat. */
export interface Header { readonly name: string; readonly schema: Schema | null; readonly value: Value }

/** What every record has, on its way in or out: `org.apache.kafka.connect.connector.ConnectRecord`. */
export interface ConnectRecord {
  readonly topic: string;
  readonly partition: number | null;
  readonly key: SchemaAndValue;
  readonly value: SchemaAndValue;
  readonly headers: readonly Header[];
  /** Milliseconds since the epoch; null = the log's append time. */
  readonly timestamp: number | null;
}
