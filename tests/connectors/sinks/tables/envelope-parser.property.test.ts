/** The compiled parser and the general way put the same bytes into the same columns. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as types from '../../../../envelopes/logical/schemas.ts';
import type { Schema, Value } from '../../../../envelopes/schema.ts';
import { unscaledBytes } from '../../../../envelopes/decimal.ts';
import { ColumnBuffer } from '../../../../connectors/sinks/tables/column-buffer.ts';
import { columnType } from '../../../../connectors/sinks/tables/column-types.ts';
import { nearestType } from '../../../../connectors/sinks/delta/format/schema.ts';
import { fieldParser } from '../../../../connectors/sinks/tables/field-parser.ts';
import type { ColumnType } from '../../../../connectors/sinks/tables/table.ts';
import { cellWriter } from '../../../../connectors/sinks/tables/values.ts';
import { JsonText } from '../../../../envelopes/json.ts';
import { DataError } from '../../../../runtime/api/errors.ts';

const PLACEHOLDER = '__debezium_unavailable_value';
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const moderate = fc.bigInt({ min: -8_000_000_000_000_000n, max: 8_000_000_000_000_000n });
const text = fc.string({ unit: 'binary', maxLength: 80 });
const bytes = fc.uint8Array({ maxLength: 70 });
const kinds: readonly { readonly schema: Schema; readonly values: fc.Arbitrary<Value> }[] = [
  { schema: types.INT16, values: fc.integer({ min: -32_768, max: 32_767 }) }, { schema: types.INT32, values: fc.integer() },
  { schema: types.INT64, values: fc.oneof(int64, moderate) }, { schema: types.BOOLEAN, values: fc.boolean() },
  { schema: types.DOUBLE, values: fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.tuple(fc.integer({ min: -999_999_999, max: 999_999_999 }), fc.nat({ max: 9 })).map(([digits, scale]): Value => Number(`${digits}e-${scale}`))) }, { schema: types.FLOAT, values: fc.float({ noNaN: true, noDefaultInfinity: true }) },
  { schema: types.STRING, values: fc.oneof(text, fc.constant('__debezium_unavailable_value')) }, { schema: types.BYTES, values: bytes },
  ...[2, 9, 15, 18, 30].map(precision => ({ schema: types.decimal(2, precision), values: fc.bigInt({ min: -(10n ** BigInt(precision)) - 2n, max: 10n ** BigInt(precision) + 2n }).map((value): Value => unscaledBytes(value)) })),
  { schema: types.variableScaleDecimal, values: fc.tuple(fc.integer({ min: 0, max: 20 }), int64).map(([scale, value]): Value => ({ schema: types.variableScaleDecimal, values: [scale, unscaledBytes(value)] })) },
  { schema: types.date, values: fc.integer({ min: -700_000, max: 3_000_000 }) }, { schema: types.time, values: fc.integer({ min: 0, max: 86_399_999 }) },
  { schema: types.microTime, values: fc.bigInt({ min: 0n, max: 86_399_999_999n }) }, { schema: types.nanoTime, values: fc.bigInt({ min: 0n, max: 86_399_999_999_999n }) },
  { schema: types.timestamp, values: moderate.map(value => value / 1000n) }, { schema: types.microTimestamp, values: fc.oneof(moderate, int64, fc.constantFrom(9_223_372_036_825_200_000n, -9_223_372_036_832_400_000n)) }, { schema: types.nanoTimestamp, values: int64 },
  { schema: types.zonedTimestamp, values: fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true }).chain(date => fc.constantFrom(date.toISOString(), `${date.toISOString().slice(0, 19)}Z`, `${date.toISOString().slice(0, 19)}.123456Z`, `${date.toISOString().slice(0, 19)}.123456789Z`, '+20000-01-01T00:00:00.000000Z')) },
  { schema: types.uuid, values: fc.uuid() }, { schema: types.json, values: fc.json() }, { schema: types.bits(12), values: bytes },
  { schema: types.array(types.optional(types.INT64)), values: fc.array(fc.option(int64), { maxLength: 5 }) },
  { schema: types.map(types.STRING, types.optional(types.STRING)), values: fc.uniqueArray(text.filter(key => key !== '__proto__' && !/^\d+$/.test(key)), { maxLength: 4 }).map((keys): Value => ({ entries: keys.map(key => [key, key.length % 2 === 0 ? null : key] as const) })) },
];

function content(cell: ColumnBuffer): unknown {
  if (cell.state[0] !== 1) return cell.state[0];
  if (cell.width < 0) return JSON.stringify(cell.nested[0], (_key, value: unknown) => (typeof value === 'bigint' ? `${value}` : value));
  return cell.width === 0 ? [...cell.slice(0)] : [...cell.bytes.subarray(0, cell.width)];
}

for (const { schema: required, values } of kinds) for (const decimals of (required.name ?? '').endsWith('.Decimal') ? ['base64', 'numeric'] as const : ['base64'] as const) {
  const schema = types.optional(required);
  for (const type of new Map([columnType(schema), nearestType(columnType(schema))].map((one): [string, ColumnType] => [JSON.stringify(one), one])).values()) {
    test(`${schema.name ?? schema.type} ${schema.type === 'bytes' ? `${decimals} ${JSON.stringify(schema.parameters ?? {})}` : ''} → ${type.kind}`, () => {
      const column = { name: 'c', type, required: false };
      const parse = fieldParser(schema, column, PLACEHOLDER), write = cellWriter(schema, column, PLACEHOLDER), json = new JsonText({ decimals, defaultsForNull: true }).writerFor(schema);
      fc.assert(fc.property(fc.option(values), value => {
        const fast = new ColumnBuffer(column), general = new ColumnBuffer(column);
        const bytesOf = Buffer.from(`${json(value)},`);
        let refused = false;
        try { write(general, 0, value); } catch (error) { if (!(error instanceof DataError)) throw error; refused = true; }
        let end = -1;
        try { end = parse(bytesOf, 0, fast, 0); } catch (error) { if (!(error instanceof DataError)) throw error; }
        if (refused) { expect(end).toBe(-1); return; }
        if (end < 0) return;
        expect(end).toBe(bytesOf.length - 1);
        expect(content(fast)).toEqual(content(general));
      }), { numRuns: 150 });
    });
  }
}

test('text cut at every byte is never taken for a value that goes on', () => {
  const column = { name: 'c', type: { kind: 'string' } as const, required: false };
  const parse = fieldParser(types.optional(types.STRING), column, PLACEHOLDER);
  const whole = Buffer.from('"a\\u00e9\\"b"');
  for (let cut = 1; cut < whole.length; cut++) expect(parse(whole.subarray(0, cut), 0, new ColumnBuffer(column), 0)).toBe(-1);
});
