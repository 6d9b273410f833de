/** The `source` block of PostgreSQL events (Debezium reference for PostgreSQL, "Change event values"). */
import { enumeration, INT64, optional, STRING, struct } from '../../../envelopes/logical/schemas.ts';
import type { Struct, StructSchema } from '../../../envelopes/schema.ts';
import type { EventSource } from './change.ts';
import type { EncodingOptions } from './encoding-options.ts';

/** The release whose records these are (a contract, not our version). */
export const DEBEZIUM_VERSION = '3.6.1.Final';

export const sourceSchema: StructSchema = struct({
  version: STRING, connector: STRING, name: STRING, ts_ms: INT64,
  snapshot: { ...enumeration(['true', 'first', 'first_in_data_collection', 'last_in_data_collection', 'last', 'false', 'incremental']), optional: true, default: 'false' },
  db: STRING, sequence: optional(STRING), ts_us: optional(INT64), ts_ns: optional(INT64), schema: STRING, table: STRING,
  txId: optional(INT64), lsn: optional(INT64), xmin: optional(INT64), origin: optional(STRING), origin_lsn: optional(INT64),
}, { name: 'io.debezium.connector.postgresql.Source', version: 1 });

/** `[lastCommitLsn, lsn]` as JSON text of strings. */
function sequence(event: EventSource): string {
  const [lastCommitLsn, lsn] = event.sequence ?? [event.lastCommitLsn, event.lsn];
  return `[${lastCommitLsn === null ? 'null' : `"${lastCommitLsn}"`},${lsn === null ? 'null' : `"${lsn}"`}]`;
}

/** `snapshot` is left out of a streamed event: its schema's default says false. */
export function sourceStruct(options: EncodingOptions, schema: string, table: string, event: EventSource): Struct {
  const { commitUs } = event;
  return {
    schema: sourceSchema,
    values: [
      DEBEZIUM_VERSION, 'postgresql', options.topicPrefix, commitUs / 1000n, event.snapshot === 'false' ? null : event.snapshot, options.databaseName, sequence(event), commitUs, commitUs * 1000n,
      schema, table, event.txId, event.lsn, event.xmin, event.origin, event.originLsn,
    ],
  };
}

/** Composed once per table: event → the block's JSON text, equal to what the converter writes for {@link sourceStruct}. */
export function sourceWriter(options: EncodingOptions, schema: string, table: string): (event: EventSource) => string {
  const head = `{"version":"${DEBEZIUM_VERSION}","connector":"postgresql","name":${JSON.stringify(options.topicPrefix)},"ts_ms":`;
  const database = `","db":${JSON.stringify(options.databaseName)},"sequence":`;
  const place = `,"schema":${JSON.stringify(schema)},"table":${JSON.stringify(table)},"txId":`;
  return event => {
    const { commitUs, lsn } = event;
    const [lastCommitLsn, last] = event.sequence ?? [event.lastCommitLsn, lsn];
    const micros = commitUs.toString();
    const sequenceText = `"[${lastCommitLsn === null ? 'null' : `\\"${lastCommitLsn}\\"`},${last === null ? 'null' : `\\"${last}\\"`}]"`;
    return `${head}${micros.slice(0, -3)},"snapshot":"${event.snapshot}${database}${sequenceText},"ts_us":${micros},"ts_ns":${micros}000${place}${event.txId},"lsn":${lsn},"xmin":${event.xmin},"origin":${event.origin === null ? 'null' : JSON.stringify(event.origin)},"origin_lsn":${event.originLsn}}`;
  };
}
