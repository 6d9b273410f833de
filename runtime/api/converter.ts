import type { ConnectRecord, SchemaAndValue } from '../../envelopes/record.ts';
import type { Schema, Value } from '../../envelopes/schema.ts';

/** Bytes in the log ↔ schema and value. One instance per use (key or value) and connector; compiled writers are cached per schema identity. */
export interface Converter {
  /** Null value with null schema → null bytes (a tombstone). Throws DataError. */
  encode(topic: string, schema: Schema | null, value: Value): Uint8Array | null;
  decode(topic: string, bytes: Uint8Array | null): SchemaAndValue;
  /** Set when the bytes are JsonConverter's own under default options, so that a source may write them itself. */
  readonly plainJson?: { readonly schemas: boolean };
  /** Set when the bytes are JsonConverter's, decimals in either format, so that a sink may read them itself. */
  readonly readableJson?: { readonly schemas: boolean };
}

/** A single message transform. Null drops the record. Throws DataError. */
export interface Transform<R extends ConnectRecord = ConnectRecord> { apply(record: R): R | null }
