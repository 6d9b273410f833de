/** Batches as the sink pipeline hands them over, made from envelopes. */
import { envelopeSchema } from '../../../../envelopes/change-event.ts';
import * as types from '../../../../envelopes/logical/schemas.ts';
import type { Header } from '../../../../envelopes/record.ts';
import type { Schema, Struct, StructSchema, Value } from '../../../../envelopes/schema.ts';
import type { Converter } from '../../../../runtime/api/converter.ts';
import type { Logger } from '../../../../runtime/api/logger.ts';
import type { SinkBatch, SinkTask, TaskContext } from '../../../../runtime/api/plugin.ts';
import { jsonConverter } from '../../../../runtime/converters/json.ts';

export interface Event { readonly op: 'c' | 'u' | 'd' | 'r' | 't' | 'tombstone'; readonly key?: Readonly<Record<string, Value>>; readonly row?: Readonly<Record<string, Value>>; readonly headers?: readonly Header[] }
/** A source table: its row and key schemas by field. */
export interface SourceTable { readonly schema: string; readonly table: string; readonly row: Readonly<Record<string, Schema>>; readonly key: Readonly<Record<string, Schema>> | undefined }

const sourceSchema = types.struct({ version: types.STRING, connector: types.STRING, name: types.STRING, ts_ms: types.INT64, snapshot: types.optional(types.STRING), db: types.STRING, schema: types.STRING, table: types.STRING, lsn: types.optional(types.INT64) }, { name: 'io.debezium.connector.postgresql.Source', version: 1 });
const withSchemas = jsonConverter({ schemas: true });
/** JSON without schemas: {@link batchOf}'s last argument. */
export const bare = jsonConverter({ schemas: false });

export function structOf(schema: StructSchema, values: Readonly<Record<string, Value>>): Struct { return { schema, values: schema.fields.map(field => values[field.name] ?? null) }; }

/** One batch; `raw` decides whether the bytes are offered to the fast path. */
export function batchOf(table: SourceTable, events: readonly Event[], firstOffset: number, raw: boolean, topic = `cdc.${table.schema}.${table.table}`, converter: Converter = withSchemas): SinkBatch {
  const name = `cdc.${table.schema}.${table.table}`;
  const row = types.struct(table.row, { name: `${name}.Value` }), keySchema = table.key === undefined ? null : types.struct(table.key, { name: `${name}.Key` });
  const envelope = envelopeSchema(`${name}.Envelope`, row, sourceSchema);
  const source = structOf(sourceSchema, { version: '3.6.1.Final', connector: 'postgresql', name: 'cdc', ts_ms: 1_700_000_000_000n, snapshot: 'false', db: 'shop', schema: table.schema, table: table.table, lsn: 77n });
  const encoded = events.map(event => {
    const key = keySchema === null || event.key === undefined ? null : converter.encode(topic, keySchema, structOf(keySchema, event.key));
    if (event.op === 'tombstone') return { key, value: null };
    const image = event.row === undefined ? null : structOf(row, event.row);
    const value = structOf(envelope, { before: event.op === 'd' ? image : null, after: event.op === 'd' ? null : image, source, op: event.op, ts_ms: 1_700_000_000_001n, ts_us: 1n, ts_ns: 1n });
    return { key, value: converter.encode(topic, envelope, value) };
  });
  return encodedBatch(topic, encoded, events.map(event => event.headers ?? []), firstOffset, raw, converter);
}

/** A batch of converter bytes. */
export function encodedBatch(topic: string, encoded: readonly { readonly key: Uint8Array | null; readonly value: Uint8Array | null }[], headers: readonly (readonly Header[])[], firstOffset: number, raw: boolean, converter: Converter = withSchemas): SinkBatch {
  const parts: Buffer[] = [];
  let at = 0;
  const slices = (pick: (one: (typeof encoded)[number]) => Uint8Array | null): { start: Int32Array; end: Int32Array } => {
    const start = new Int32Array(encoded.length).fill(-1), end = new Int32Array(encoded.length).fill(-1);
    encoded.forEach((one, i) => { const bytes = pick(one); if (bytes === null) return; start[i] = at; parts.push(Buffer.from(bytes)); at += bytes.length; end[i] = at; });
    return { start, end };
  };
  const keys = slices(one => one.key), values = slices(one => one.value);
  return {
    topic, partition: 0, length: encoded.length, bytes: at, offset: i => firstOffset + i, timestamp: () => 1_700_000_000_000,
    decode: i => ({ topic, partition: 0, offset: firstOffset + i, timestamp: 1_700_000_000_000, headers: headers[i] ?? [], key: converter.decode(topic, encoded[i]?.key ?? null), value: converter.decode(topic, encoded[i]?.value ?? null) }),
    ...(raw ? { json: { keySchemas: converter !== bare, valueSchemas: converter !== bare, buffer: Buffer.concat(parts), keyStart: keys.start, keyEnd: keys.end, valueStart: values.start, valueEnd: values.end } } : {}),
  };
}

export const quiet: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined, child: () => quiet };
export function contextOf(connector = 'lake'): TaskContext { return { connector, task: 0, logger: quiet, metrics: { set: () => undefined, add: () => undefined } }; }
export const never = new AbortController().signal;

/** Assigns one partition and returns where the task wants to start. */
export async function assign(task: SinkTask, topic: string, facts: { topicId?: string; epoch?: number } = {}): Promise<number | undefined> {
  const answers = await task.assign([{ topic, partition: 0, topicId: facts.topicId ?? 'topic-1', epoch: facts.epoch ?? 0 }], never);
  return answers.find(answer => answer.topic === topic)?.offset;
}
