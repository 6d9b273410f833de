/** What a record without schemas means for a table: as row-operation.ts, told by the members that the JSON has. */
import { DataError } from '../../../runtime/api/errors.ts';
import { type Json, parseExact } from '../../../runtime/api/exact-json.ts';
import type { SinkBatch, SinkRecord } from '../../../runtime/api/plugin.ts';
import type { JsonRow } from './inference.ts';
import type { NameFacts } from './table-name.ts';

export type BareOperation =
  | { readonly kind: 'upsert'; readonly facts: NameFacts; readonly row: JsonRow; readonly key: JsonRow | undefined; readonly oldKey: JsonRow | undefined }
  | { readonly kind: 'delete'; readonly facts: NameFacts; readonly key: JsonRow | undefined }
  | { readonly kind: 'truncate'; readonly facts: NameFacts }
  | { readonly kind: 'ignore' };

/** Members by which events beside the rows are known: transaction marks, schema changes. */
const OTHER: readonly (readonly string[])[] = [['status', 'id', 'event_count', 'data_collections'], ['source', 'ddl', 'tableChanges']];

/** Throws DataError for a value that is no row. */
export function bareOperation(record: SinkRecord, value: JsonRow, key: JsonRow | undefined): BareOperation {
  const { topic } = record, op = value['op'], source = value['source'];
  if (isObject(source) && typeof op === 'string' && ('after' in value || 'before' in value || op === 't')) return fromEnvelope(topic, value, op, source, key, oldKeyOf(record));
  const heartbeat = key !== undefined && 'serverName' in key && Object.keys(value).join() === 'ts_ms';
  if (heartbeat || (op === 'm' && 'message' in value) || OTHER.some(names => names.every(name => name in value))) return { kind: 'ignore' };
  const facts: NameFacts = { topic, db: undefined, schema: undefined, table: undefined };
  const deleted = value['__deleted'];
  if (deleted === 'true' || deleted === true || value['__op'] === 'd') return { kind: 'delete', facts, key };
  return value['__op'] === 't' ? { kind: 'truncate', facts } : { kind: 'upsert', facts, row: value, key, oldKey: oldKeyOf(record) };
}

function fromEnvelope(topic: string, { after = null }: JsonRow, op: string, source: JsonRow, key: JsonRow | undefined, oldKey: JsonRow | undefined): BareOperation {
  const text = (name: string): string | undefined => { const found = source[name]; return typeof found === 'string' ? found : undefined; };
  const facts: NameFacts = { topic, db: text('db'), schema: text('schema'), table: text('table') ?? text('collection') };
  switch (op) {
    case 'c': case 'u': case 'r':
      if (!isObject(after)) throw new DataError(`An envelope of topic ${topic} with op ${op} has no row after`, { code: 'NO_AFTER' });
      return { kind: 'upsert', facts, row: after, key, oldKey };
    case 'd': return { kind: 'delete', facts, key };
    case 't': return { kind: 'truncate', facts };
    case 'm': return { kind: 'ignore' };
    default: throw new DataError(`An envelope of topic ${topic} has an unknown op`, { code: 'UNKNOWN_OP' });
  }
}

/** The JSON of a record's value, whole numbers as bigint. 1.0 is told from 1 where the text is at hand, with no transform in between. */
export function bareValue(batch: SinkBatch, i: number, record: SinkRecord): JsonRow {
  const { json } = batch, start = json?.valueStart[i] ?? -1;
  const value = json === undefined || json.valueSchemas || start < 0 ? wholeAsBigint(record.value.value as unknown as Json) : parseExact(json.buffer.toString('utf8', start, json.valueEnd[i]), (token, whole) => (whole ? BigInt(token) : Number(token)));
  if (!isObject(value)) throw new DataError(`A record of topic ${record.topic} is no JSON object, so it is no row`, { code: 'NOT_A_ROW', hint: 'Leave this topic out of topics, or drop such records with a transform.' });
  return value;
}
/** The key's JSON when it is an object without a schema. */
export function bareKey(record: SinkRecord): JsonRow | undefined {
  const json = record.key.value as unknown as Json;
  return record.key.schema === null && isObject(json) ? wholeAsBigint(json) as JsonRow : undefined;
}

function oldKeyOf({ headers }: SinkRecord): JsonRow | undefined {
  const json = headers.find(({ name }) => name === '__debezium.oldkey')?.value as unknown as Json | undefined;
  return json !== undefined && isObject(json) && !('schema' in json && 'fields' in json) ? wholeAsBigint(json) as JsonRow : undefined;
}
function wholeAsBigint(json: Json): Json {
  if (typeof json === 'number') return Number.isSafeInteger(json) ? BigInt(json) : json;
  if (Array.isArray(json)) return (json as readonly Json[]).map(wholeAsBigint);
  return isObject(json) ? Object.fromEntries(Object.entries(json).map(([name, member]) => [name, wholeAsBigint(member)])) : json;
}
function isObject(json: Json | undefined): json is JsonRow { return json !== undefined && json !== null && typeof json === 'object' && !Array.isArray(json); }
