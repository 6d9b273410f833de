/** The wire decoder against truncated and random bytes: a message or a typed error, never a crash or an endless loop. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { copyRow } from '../../../../connectors/sources/postgres/wire/copy-text.ts';
import { decodeMessage } from '../../../../connectors/sources/postgres/wire/pgoutput.ts';
import { DataError } from '../../../../runtime/api/errors.ts';

const text = (value: string): Buffer => Buffer.from(`${value}\0`);
const int16 = (value: number): Buffer => { const bytes = Buffer.alloc(2); bytes.writeInt16BE(value); return bytes; };
const int32 = (value: number): Buffer => { const bytes = Buffer.alloc(4); bytes.writeInt32BE(value); return bytes; };
const int64 = (value: bigint): Buffer => { const bytes = Buffer.alloc(8); bytes.writeBigInt64BE(value); return bytes; };
const value = (content: string | null | undefined): Buffer => (content === undefined ? Buffer.from('u') : content === null ? Buffer.from('n') : Buffer.concat([Buffer.from('t'), int32(Buffer.byteLength(content)), Buffer.from(content)]));
const row = (...values: (string | null | undefined)[]): Buffer => Buffer.concat([int16(values.length), ...values.map(value)]);

const messages: Readonly<Record<string, Buffer>> = {
  begin: Buffer.concat([Buffer.from('B'), int64(7n), int64(8n), int32(9)]),
  commit: Buffer.concat([Buffer.from('C\0'), int64(7n), int64(8n), int64(9n)]),
  relation: Buffer.concat([Buffer.from('R'), int32(5), text('public'), text('t'), Buffer.from('d'), int16(1), Buffer.from([1]), text('id'), int32(23), int32(-1)]),
  insert: Buffer.concat([Buffer.from('I'), int32(5), Buffer.from('N'), row('1', null, 'é')]),
  update: Buffer.concat([Buffer.from('U'), int32(5), Buffer.from('O'), row('1', 'a', null), Buffer.from('N'), row('1', undefined, 'b')]),
  delete: Buffer.concat([Buffer.from('D'), int32(5), Buffer.from('K'), row('1', null, null)]),
  truncate: Buffer.concat([Buffer.from('T'), int32(2), Buffer.from([0]), int32(5), int32(6)]),
  message: Buffer.concat([Buffer.from('M'), Buffer.from([1]), int64(7n), text('prefix'), int32(3), Buffer.from('abc')]),
  origin: Buffer.concat([Buffer.from('O'), int64(7n), text('origin')]),
};

describe('pgoutput', () => {
  it.each(Object.keys(messages))('decodes %s whole and refuses it cut at each offset', kind => {
    const bytes = messages[kind] ?? Buffer.alloc(0);
    expect(decodeMessage(bytes, 0, bytes.length)?.kind).toBe(kind);
    for (let end = 0; end < bytes.length; end++) expect(() => decodeMessage(Buffer.concat([bytes.subarray(0, end), Buffer.from('more bytes that belong to something else')]), 0, end)).toThrow(DataError);
  });

  it('keeps values as slices', () => {
    const bytes = messages['insert'] ?? Buffer.alloc(0);
    const message = decodeMessage(bytes, 0, bytes.length);
    if (message?.kind !== 'insert') throw new Error('no insert');
    expect(message.after.start.map((at, i) => (at < 0 ? null : bytes.toString('utf8', at, message.after.end[i])))).toEqual(['1', null, 'é']);
  });

  it('answers any bytes with a message or a DataError', () => {
    fc.assert(fc.property(fc.constantFrom(...'BCRIUDTMOY', 'Z'), fc.uint8Array({ maxLength: 80 }), (kind, rest) => {
      const bytes = Buffer.concat([Buffer.from(kind), rest]);
      try { decodeMessage(bytes, 0, bytes.length); } catch (error) { expect(error).toBeInstanceOf(DataError); }
    }), { numRuns: 2000 });
  });
});

describe('COPY text', () => {
  const escape = (content: string): string => content.replace(/[\\\b\f\n\r\t\v]/g, char => `\\${{ '\\': '\\', '\b': 'b', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't', '\v': 'v' }[char] ?? ''}`);
  it('gives back what was written', () => {
    fc.assert(fc.property(fc.array(fc.option(fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: fc.constantFrom('\\', 'N', '\t', '\n', 'a') }))), { minLength: 1, maxLength: 6 }), columns => {
      const line = Buffer.from(`${columns.map(column => (column === null ? '\\N' : escape(column))).join('\t')}\n`);
      const image = copyRow(line, 0, line.length);
      expect(image.start.map((at, i) => (at < 0 ? null : image.buffer.toString('utf8', at, image.end[i])))).toEqual(columns);
    }));
  });
});
