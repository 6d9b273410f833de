/** Schemas of Debezium's change event envelope (Debezium reference, "Change events"; envelope schema version 2). */
import { INT64, optional, STRING, struct } from './logical/schemas.ts';
import type { StructSchema } from './schema.ts';

/** `transaction` block of every envelope. */
export const transactionBlock: StructSchema = struct({ id: STRING, total_order: INT64, data_collection_order: INT64 }, { name: 'event.block', version: 1 });

/** Envelope of a row change. `row` is the table's row schema without optionality, `source` that of the connector. */
export function envelopeSchema(name: string, row: StructSchema, source: StructSchema): StructSchema {
  return struct({
    before: optional(row), after: optional(row), source, transaction: optional(transactionBlock), op: STRING,
    ts_ms: optional(INT64), ts_us: optional(INT64), ts_ns: optional(INT64),
  }, { name, version: 2 });
}

/** Characters that a Kafka topic name may not have become `_`, as Debezium's topic naming strategies do it. */
export function topicName(...parts: readonly string[]): string { return parts.join('.').replace(/[^a-zA-Z0-9._-]/g, '_'); }
