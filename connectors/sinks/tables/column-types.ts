/**
 * Which column a field becomes: every Debezium and Connect semantic type in one table. The table in
 * tests/connectors/sinks/tables/column-types.test.ts is the written form of it.
 *
 * Rulings: a decimal of unknown precision with a known scale gets 38 digits; one with neither (VariableScaleDecimal) or
 * with more than 38 digits becomes text, which loses nothing. Debezium uses Connect's Timestamp for columns without a
 * zone, so it becomes a timestamp without one. Only key columns are required, and only those that are in the key's schema:
 * a source may drop NOT NULL at any time.
 */
import type { Schema, StructSchema } from '../../../envelopes/schema.ts';
import { isUnknown } from './inference.ts';
import type { Column, ColumnType } from './table.ts';

const SEMANTIC: Readonly<Record<string, ColumnType['kind']>> = {
  'io.debezium.time.Date': 'date', 'org.apache.kafka.connect.data.Date': 'date',
  'io.debezium.time.Time': 'time', 'io.debezium.time.MicroTime': 'time', 'io.debezium.time.NanoTime': 'time', 'org.apache.kafka.connect.data.Time': 'time',
  'io.debezium.time.Timestamp': 'timestamp', 'io.debezium.time.MicroTimestamp': 'timestamp', 'org.apache.kafka.connect.data.Timestamp': 'timestamp',
  'io.debezium.time.NanoTimestamp': 'timestamp_ns', 'io.debezium.time.ZonedTimestamp': 'timestamptz',
  'io.debezium.data.Uuid': 'uuid', 'io.debezium.data.VariableScaleDecimal': 'string',
};
const PHYSICAL = { int8: 'int', int16: 'int', int32: 'int', int64: 'long', float: 'float', double: 'double', boolean: 'boolean', string: 'string', bytes: 'binary' } as const;
const MAX_PRECISION = 38;

/** Column type of a value under `schema`. */
export function columnType(schema: Schema): ColumnType {
  if (schema.name === 'org.apache.kafka.connect.data.Decimal') return decimalType(schema.parameters ?? {});
  const semantic = schema.name === undefined ? undefined : SEMANTIC[schema.name];
  if (semantic !== undefined) return { kind: semantic } as ColumnType;
  switch (schema.type) {
    case 'array': return { kind: 'list', element: columnType(schema.items) };
    case 'map': return { kind: 'map', key: columnType(schema.keys), value: columnType(schema.values) };
    case 'struct': return schema.fields.length === 0 ? { kind: 'string' } : { kind: 'struct', fields: schema.fields.map(field => ({ name: field.name, type: columnType(field.schema), required: false })) };
    default: return { kind: PHYSICAL[schema.type] };
  }
}

function decimalType(parameters: Readonly<Record<string, string>>): ColumnType {
  const scale = Number(parameters['scale'] ?? '0');
  const precision = Number(parameters['connect.decimal.precision'] ?? String(MAX_PRECISION));
  if (!(scale >= 0) || scale > MAX_PRECISION || precision > MAX_PRECISION || precision < 1) return { kind: 'string' };
  return { kind: 'decimal', precision: Math.max(precision, scale), scale };
}

/** Columns for rows of `row`; those named in `required` are never null. `nearest` turns a type into what the format can hold. */
export function columnsOf(row: StructSchema, required: readonly string[], nearest: (type: ColumnType) => ColumnType): readonly Column[] {
  return row.fields.filter(({ schema }) => !isUnknown(schema)).map(({ name, schema }) => ({ name, type: nearest(columnType(schema)), required: required.includes(name) }));
}

export function sameType(a: ColumnType, b: ColumnType): boolean {
  if (a.kind !== b.kind) return false;
  if (a.kind === 'decimal' && b.kind === 'decimal') return a.precision === b.precision && a.scale === b.scale;
  if (a.kind === 'list' && b.kind === 'list') return sameType(a.element, b.element);
  if (a.kind === 'map' && b.kind === 'map') return sameType(a.key, b.key) && sameType(a.value, b.value);
  if (a.kind === 'struct' && b.kind === 'struct') return a.fields.length === b.fields.length && a.fields.every((field, i) => field.name === b.fields[i]?.name && sameType(field.type, b.fields[i].type));
  return true;
}

/**
 * What a column of type `present` has to become so that it can also hold `incoming`: `present` itself where it can
 * already, a wider type, or undefined where there is none.
 */
export function widened(present: ColumnType, incoming: ColumnType): ColumnType | undefined {
  if (sameType(present, incoming)) return present;
  const pair = `${present.kind} ${incoming.kind}`;
  if (pair === 'int long' || pair === 'float double') return incoming;
  if (pair === 'long int' || pair === 'double float') return present;
  // Fractions of a microsecond are cut in a column that has none, and are zero in one that has them.
  if (['timestamp timestamp_ns', 'timestamp_ns timestamp', 'timestamptz timestamptz_ns', 'timestamptz_ns timestamptz'].includes(pair)) return present;
  // Text holds whatever the writer can render; a field that became wider than any number type stays readable.
  if (present.kind === 'string' && incoming.kind !== 'list' && incoming.kind !== 'map' && incoming.kind !== 'struct' && incoming.kind !== 'binary') return present;
  if (present.kind === 'decimal' && incoming.kind === 'decimal') {
    if (present.scale !== incoming.scale) return undefined;
    return incoming.precision > present.precision ? incoming : present;
  }
  return undefined;
}

/** The type as SQL of DuckDB. */
export function duckType(type: ColumnType): string {
  switch (type.kind) {
    case 'boolean': return 'BOOLEAN';
    case 'int': return 'INTEGER';
    case 'long': return 'BIGINT';
    case 'float': return 'FLOAT';
    case 'double': return 'DOUBLE';
    case 'date': return 'DATE';
    case 'time': return 'TIME';
    case 'timestamp': return 'TIMESTAMP';
    case 'timestamptz': case 'timestamptz_ns': return 'TIMESTAMPTZ';
    case 'timestamp_ns': return 'TIMESTAMP_NS';
    case 'string': return 'VARCHAR';
    case 'uuid': return 'UUID';
    case 'binary': return 'BLOB';
    case 'decimal': return `DECIMAL(${type.precision},${type.scale})`;
    case 'list': return `${duckType(type.element)}[]`;
    case 'map': return `MAP(${duckType(type.key)}, ${duckType(type.value)})`;
    case 'struct': return `STRUCT(${type.fields.map(field => `${identifier(field.name)} ${duckType(field.type)}`).join(', ')})`;
  }
}

/** A name as a quoted SQL identifier. */
export function identifier(name: string): string { return `"${name.replaceAll('"', '""')}"`; }
/** A text as a SQL literal. */
export function literal(text: string): string { return `'${text.replaceAll("'", "''")}'`; }
