import { expect, it } from 'vitest';
import { valueText } from '../../../../connectors/sinks/file/value-text.ts';
import type { Schema, StructSchema, Value } from '../../../../envelopes/schema.ts';

const text: Schema = { type: 'string', optional: true }, float: Schema = { type: 'float', optional: false }, int: Schema = { type: 'int32', optional: false };
const row: StructSchema = { type: 'struct', optional: false, fields: [{ name: 'id', schema: int }, { name: 'name', schema: text }, { name: 'ratio', schema: float }] };

it.each<[Value, Schema | null, string]>([
  [null, null, 'null'], ['a', text, 'a'], [7, int, '7'], [9223372036854775807n, { type: 'int64', optional: false }, '9223372036854775807'], [1, { type: 'double', optional: false }, '1.0'], [Math.fround(0.1), float, '0.1'], [true, null, 'true'],
  [{ schema: row, values: [1, null, 2] }, row, 'Struct{id=1,ratio=2.0}'], [[1, 2], { type: 'array', optional: false, items: int }, '[1, 2]'], [{ entries: [['k', 1]] }, { type: 'map', optional: false, keys: text, values: float }, '{k=1.0}'],
])('a value is written as Java writes it (%#)', (value, schema, expected) => { expect(valueText(value, schema)).toBe(expected); });
