/** The written table: which column each Debezium and Connect type becomes, as shared by all formats and as Delta keeps it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { encodeSchema as deltaSchema } from '../../../../connectors/sinks/delta/format/schema.ts';
import { encodeSchema as icebergSchema } from '../../../../connectors/sinks/iceberg/format/metadata.ts';
import * as types from '../../../../envelopes/logical/schemas.ts';
import type { Schema } from '../../../../envelopes/schema.ts';
import { nearestType } from '../../../../connectors/sinks/delta/format/schema.ts';
import { columnsOf, columnType, duckType, widened } from '../../../../connectors/sinks/tables/column-types.ts';
import type { ColumnType } from '../../../../connectors/sinks/tables/table.ts';

const table: readonly (readonly [name: string, schema: Schema, column: string, delta?: string])[] = [
  ['int8', types.INT8, 'INTEGER'], ['int16', types.INT16, 'INTEGER'], ['int32', types.INT32, 'INTEGER'], ['int64', types.INT64, 'BIGINT'],
  ['float', types.FLOAT, 'FLOAT'], ['double', types.DOUBLE, 'DOUBLE'], ['boolean', types.BOOLEAN, 'BOOLEAN'], ['string', types.STRING, 'VARCHAR'], ['bytes', types.BYTES, 'BLOB'],
  ['Decimal(10,2)', types.decimal(2, 10), 'DECIMAL(10,2)'], ['Decimal, precision unknown', types.decimal(4), 'DECIMAL(38,4)'], ['Decimal(60,2)', types.decimal(2, 60), 'VARCHAR'], ['VariableScaleDecimal', types.variableScaleDecimal, 'VARCHAR'],
  ['Date', types.date, 'DATE'], ['Time', types.time, 'TIME', 'VARCHAR'], ['MicroTime', types.microTime, 'TIME', 'VARCHAR'], ['NanoTime', types.nanoTime, 'TIME', 'VARCHAR'],
  ['Timestamp', types.timestamp, 'TIMESTAMP'], ['MicroTimestamp', types.microTimestamp, 'TIMESTAMP'], ['NanoTimestamp', types.nanoTimestamp, 'TIMESTAMP_NS', 'TIMESTAMP'],
  ['ZonedTimestamp', types.zonedTimestamp, 'TIMESTAMPTZ'], ['ZonedTime', types.zonedTime, 'VARCHAR'],
  ['Connect Date', types.connectDate, 'DATE'], ['Connect Time', types.connectTime, 'TIME', 'VARCHAR'], ['Connect Timestamp', types.connectTimestamp, 'TIMESTAMP'],
  ['IsoDate', types.isoDate, 'VARCHAR'], ['IsoTime', types.isoTime, 'VARCHAR'], ['IsoTimestamp', types.isoTimestamp, 'VARCHAR'],
  ['MicroDuration', types.microDuration, 'BIGINT'], ['Interval', types.interval, 'VARCHAR'],
  ['Uuid', types.uuid, 'UUID', 'VARCHAR'], ['Json', types.json, 'VARCHAR'], ['Xml', types.xml, 'VARCHAR'], ['Ltree', types.ltree, 'VARCHAR'], ['Tsvector', types.tsvector, 'VARCHAR'],
  ['Enum', types.enumeration(['a', 'b']), 'VARCHAR'], ['Bits', types.bits(5), 'BLOB'],
  ['array', types.array(types.uuid), 'UUID[]', 'VARCHAR[]'], ['map', types.map(types.STRING, types.optional(types.STRING)), 'MAP(VARCHAR, VARCHAR)'],
  ['Point', types.point, 'STRUCT("x" DOUBLE, "y" DOUBLE, "wkb" BLOB, "srid" INTEGER)'], ['Geometry', types.geometry, 'STRUCT("wkb" BLOB, "srid" INTEGER)'],
];
for (const [name, schema, column, delta = column] of table) {
  test(`${name} → ${column}${delta === column ? '' : `, in Delta ${delta}`}`, () => {
    expect(duckType(columnType(schema))).toBe(column);
    expect(duckType(nearestType(columnType(types.optional(schema))))).toBe(delta);
  });
}

type Named = string | { readonly [key: string]: Named | readonly Named[] | boolean | number };
/** A JSON type of either format in one line. */
function typeName(type: Named): string {
  if (typeof type === 'string') return type.replace(', ', ',');
  const of = (key: string): string => typeName(type[key] as Named);
  switch (type['type']) {
    case 'list': return `list<${of('element')}>`;
    case 'array': return `array<${of('elementType')}>`;
    case 'map': return 'keyType' in type ? `map<${of('keyType')}, ${of('valueType')}>` : `map<${of('key')}, ${of('value')}>`;
    default: return `struct<${(type['fields'] as readonly { readonly name: string; readonly type: Named }[]).map(field => `${field.name} ${typeName(field.type)}`).join(', ')}>`;
  }
}

test('docs/sinks.md has this table', () => {
  const rows = table.map(([name, schema]) => {
    const column = { name: 'c', type: columnType(schema), required: false };
    const [iceberg] = icebergSchema([column], [], 0).fields, [delta] = (JSON.parse(deltaSchema([column])) as { readonly fields: readonly { readonly type: Named }[] }).fields;
    return `| ${name} | ${typeName(iceberg?.type as Named)} | ${typeName(delta?.type ?? '')} |`;
  });
  const page = readFileSync(join(import.meta.dirname, '../../../../docs/sinks.md'), 'utf8');
  expect(page).toContain(`| record | Iceberg | Delta |\n|---|---|---|\n${rows.join('\n')}\n`);
});

test('only key columns are required', () => {
  expect(columnsOf(types.struct({ id: types.INT32, name: types.STRING }), ['id'], type => type)).toEqual([{ name: 'id', type: { kind: 'int' }, required: true }, { name: 'name', type: { kind: 'string' }, required: false }]);
});

test('what a column can hold stays, what is wider widens, the rest is refused', () => {
  const of = (kind: 'int' | 'long' | 'float' | 'double' | 'string' | 'uuid'): ColumnType => ({ kind });
  const decimal = (precision: number, scale: number): ColumnType => ({ kind: 'decimal', precision, scale });
  expect(widened(of('int'), of('long'))).toEqual(of('long'));
  expect(widened(of('long'), of('int'))).toEqual(of('long'));
  expect(widened(of('float'), of('double'))).toEqual(of('double'));
  expect(widened(decimal(6, 2), decimal(12, 2))).toEqual(decimal(12, 2));
  expect(widened(decimal(12, 2), decimal(6, 2))).toEqual(decimal(12, 2));
  expect(widened(decimal(12, 2), decimal(12, 3))).toBeUndefined();
  expect(widened(of('string'), of('long'))).toEqual(of('string'));
  expect(widened(of('long'), of('string'))).toBeUndefined();
});
