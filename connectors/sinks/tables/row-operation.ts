/** What a record means for a table: Debezium's envelope (c u d r t m), a flattened record of ExtractNewRecordState, or a tombstone. */
import { fieldIndex, type Struct, type StructSchema } from '../../../envelopes/schema.ts';
import { DataError } from '../../../runtime/api/errors.ts';
import type { SinkRecord } from '../../../runtime/api/plugin.ts';
import type { NameFacts } from './table-name.ts';

export type RowOperation =
  | { readonly kind: 'upsert'; readonly facts: NameFacts; readonly row: Struct; readonly key: Struct | undefined; readonly oldKey: Struct | undefined }
  | { readonly kind: 'delete'; readonly facts: NameFacts; readonly rowSchema: StructSchema; readonly key: Struct | undefined }
  | { readonly kind: 'truncate'; readonly facts: NameFacts }
  /** A tombstone says only its key; its table is the one that the topic's other records went to. */
  | { readonly kind: 'tombstone'; readonly key: Struct | undefined }
  | { readonly kind: 'ignore' };

interface EnvelopeShape { readonly kind: 'envelope'; readonly before: number; readonly after: number; readonly op: number; readonly source: number; readonly db: number; readonly schema: number; readonly table: number; readonly row: StructSchema }
interface FlatShape { readonly kind: 'flat'; readonly deleted: number; readonly op: number; readonly table: number }
/** Events beside the rows: heartbeats, transaction marks, schema changes, logical messages. */
interface OtherShape { readonly kind: 'other' }
type Shape = EnvelopeShape | FlatShape | OtherShape;
const OTHER = /^io\.debezium\.connector\.(common\.(Heartbeat|TransactionMetadata\w*)|[a-z0-9]+\.(SchemaChange\w*|MessageValue))$/;
const shapes = new WeakMap<StructSchema, Shape>();

/** How a value's schema is to be read; compiled once per schema. */
export function shapeOf(schema: StructSchema): Shape {
  let shape = shapes.get(schema);
  if (shape === undefined) { shape = compile(schema); shapes.set(schema, shape); }
  return shape;
}

function compile(schema: StructSchema): Shape {
  const at = (name: string): number => fieldIndex(schema, name);
  const op = at('op'), source = at('source'), after = at('after'), before = at('before');
  const sourceSchema = schema.fields[source]?.schema, row = schema.fields[after]?.schema ?? schema.fields[before]?.schema;
  if (op >= 0 && sourceSchema?.type === 'struct' && row?.type === 'struct') {
    const inner = (name: string): number => fieldIndex(sourceSchema, name);
    return { kind: 'envelope', before, after, op, source, db: inner('db'), schema: inner('schema'), table: inner('table') >= 0 ? inner('table') : inner('collection'), row };
  }
  if ((op >= 0 && source >= 0 && at('message') >= 0) || OTHER.test(schema.name ?? '')) return { kind: 'other' };
  return { kind: 'flat', deleted: at('__deleted'), op: at('__op'), table: at('__table') };
}

/** For records with schemas. Throws DataError for a value that is no row. */
export function operationOf(record: SinkRecord): RowOperation {
  const key = keyOf(record);
  if (record.value.value === null) return { kind: 'tombstone', key };
  const { schema } = record.value;
  if (schema === null) throw new TypeError('a record without a schema is for bare-operation.ts');
  if (schema.type !== 'struct') throw new DataError(`A record of topic ${record.topic} is a ${schema.type}, not a row`, { code: 'NOT_A_ROW', hint: 'Leave this topic out of topics, or drop such records with a transform.' });
  const value = record.value.value as Struct;
  const shape = shapeOf(schema);
  if (shape.kind === 'other') return { kind: 'ignore' };
  return shape.kind === 'envelope' ? fromEnvelope(record, value, shape, key) : fromFlat(record, value, shape, key);
}

function fromEnvelope(record: SinkRecord, value: Struct, shape: EnvelopeShape, key: Struct | undefined): RowOperation {
  const source = value.values[shape.source] as Struct | null;
  const text = (position: number): string | undefined => { const found = source?.values[position]; return typeof found === 'string' ? found : undefined; };
  const facts: NameFacts = { topic: record.topic, db: text(shape.db), schema: text(shape.schema), table: text(shape.table) };
  const op = value.values[shape.op];
  const after = (value.values[shape.after] ?? null) as Struct | null;
  switch (op) {
    case 'c': case 'u': case 'r':
      if (after === null) throw new DataError(`An envelope of topic ${record.topic} with op ${op} has no row after`, { code: 'NO_AFTER' });
      return { kind: 'upsert', facts, row: after, key, oldKey: oldKeyOf(record) };
    case 'd': return { kind: 'delete', facts, rowSchema: shape.row, key };
    case 't': return { kind: 'truncate', facts };
    case 'm': return { kind: 'ignore' };
    default: throw new DataError(`An envelope of topic ${record.topic} has an unknown op`, { code: 'UNKNOWN_OP' });
  }
}

function fromFlat(record: SinkRecord, value: Struct, shape: FlatShape, key: Struct | undefined): RowOperation {
  const facts: NameFacts = { topic: record.topic, db: undefined, schema: undefined, table: undefined };
  const op = shape.op < 0 ? undefined : value.values[shape.op];
  const deleted = shape.deleted < 0 ? undefined : value.values[shape.deleted];
  if (deleted === 'true' || deleted === true || op === 'd') return { kind: 'delete', facts, rowSchema: value.schema, key };
  if (op === 't') return { kind: 'truncate', facts };
  return { kind: 'upsert', facts, row: value, key, oldKey: oldKeyOf(record) };
}

/** The record's key, when it is a struct. */
export function keyOf(record: SinkRecord): Struct | undefined {
  return record.key.schema?.type === 'struct' ? record.key.value as Struct | null ?? undefined : undefined;
}

/** Debezium tells the former key of a moved row in a header: its unchanged large values lie under that key. */
function oldKeyOf(record: SinkRecord): Struct | undefined {
  const header = record.headers.find(({ name }) => name === '__debezium.oldkey');
  if (header === undefined) return undefined;
  if (header.schema?.type === 'struct') return header.value as Struct;
  const schema = record.key.schema;
  const plain = header.value as unknown;
  if (schema?.type !== 'struct' || plain === null || typeof plain !== 'object') return undefined;
  const members = plain as Readonly<Record<string, unknown>>;
  return { schema, values: schema.fields.map(field => { const member = members[field.name] as Struct['values'][number] | undefined; return field.schema.type === 'int64' && typeof member === 'number' ? BigInt(member) : member ?? null; }) };
}
