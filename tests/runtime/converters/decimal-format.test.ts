/** `decimal.format=NUMERIC`: written as Java's BigDecimal is, and read back without losing a digit, in whichever format it comes. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { unscaledBytes, unscaledFrom } from '../../../envelopes/decimal.ts';
import { javaBigDecimal } from '../../../envelopes/java-number.ts';
import * as types from '../../../envelopes/logical/schemas.ts';
import type { Struct } from '../../../envelopes/schema.ts';
import { createConverter } from '../../../runtime/converters/converters.ts';

const converter = (format: string, schemas: boolean) => createConverter('value.converter', 'org.apache.kafka.connect.json.JsonConverter', { 'decimal.format': format, 'schemas.enable': String(schemas) });

test('decimals are spelled as BigDecimal.toString does', () => {
  // What Java's `new BigDecimal(new BigInteger(unscaled), scale).toString()` gives.
  const spelled: readonly (readonly [bigint, number, string])[] = [
    [0n, 0, '0'], [0n, 2, '0.00'], [0n, 7, '0E-7'], [0n, -3, '0E+3'], [1n, 7, '1E-7'], [1n, 6, '0.000001'], [123n, 2, '1.23'], [-123n, 5, '-0.00123'], [123n, 9, '1.23E-7'], [-5n, -2, '-5E+2'], [123n, -1, '1.23E+3'], [123_456_789_012_345_678_901_234_567_890n, 10, '12345678901234567890.1234567890'],
  ];
  for (const [unscaled, scale, text] of spelled) expect(javaBigDecimal(unscaled, scale)).toBe(text);
});

test('what is written as a number or as base64 is read back the same, by converters of either format', () => {
  const row = (scale: number) => types.struct({ price: types.decimal(scale, 38), note: types.optional(types.decimal(scale, 38)), ratio: types.DOUBLE, many: types.array(types.decimal(scale, 38)) }, { name: 'row' });
  fc.assert(fc.property(fc.bigInt({ min: -(10n ** 37n), max: 10n ** 37n }), fc.integer({ min: 0, max: 30 }), fc.double({ noNaN: true, noDefaultInfinity: true }), (unscaled, scale, ratio) => {
    const schema = row(scale), bytes = unscaledBytes(unscaled);
    for (const written of ['NUMERIC', 'BASE64']) {
      const text = converter(written, true).encode('t', schema, { schema, values: [bytes, null, ratio, [bytes, unscaledBytes(0n)]] });
      for (const read of ['NUMERIC', 'BASE64']) {
        const { values } = converter(read, true).decode('t', text).value as Struct;
        expect([values[0], ...values[3] as readonly Uint8Array[]].map(one => unscaledFrom(one as Uint8Array))).toEqual([unscaled, unscaled, 0n]);
        expect([values[1], values[2]]).toEqual([null, Object.is(ratio, -0) ? -0 : ratio]);
      }
    }
  }));
});

test('numbers stand in the text, in defaults of the schema too', () => {
  const price = { ...types.decimal(2, 10), default: unscaledBytes(1050n) }, schema = types.struct({ price }, { name: 'row' });
  const text = (format: string, schemas: boolean): string => Buffer.from(converter(format, schemas).encode('t', schema, { schema, values: [unscaledBytes(-7n)] }) ?? []).toString();
  expect(text('NUMERIC', false)).toBe('{"price":-0.07}');
  expect(text('BASE64', false)).toBe('{"price":"+Q=="}');
  expect(text('NUMERIC', true)).toContain('"default":10.50');
  expect(text('NUMERIC', true)).toContain('"payload":{"price":-0.07}');
});

test('a number that does not fit the scale is refused, and so is one for bytes that are no decimal', () => {
  const decode = (schema: string, payload: string): unknown => converter('NUMERIC', true).decode('t', Buffer.from(`{"schema":${schema},"payload":${payload}}`)).value;
  const decimal = '{"type":"bytes","optional":false,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}}';
  expect(unscaledFrom(decode(decimal, '12.3') as Uint8Array)).toBe(1230n);
  expect(unscaledFrom(decode(decimal, '123456789012345678901.5E1') as Uint8Array)).toBe(123_456_789_012_345_678_901_500n);
  expect(() => decode(decimal, '1.234')).toThrow(expect.objectContaining({ code: 'JSON_VALUE' }) as Error);
  expect(() => decode('{"type":"bytes","optional":false}', '12')).toThrow(expect.objectContaining({ code: 'JSON_VALUE' }) as Error);
  expect(() => decode('{"type":"int32","optional":false}', '12.00000000000000001')).toThrow(expect.objectContaining({ code: 'JSON_VALUE' }) as Error);
});
