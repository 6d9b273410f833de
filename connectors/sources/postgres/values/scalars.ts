/** Decoders of single types that are neither numbers as they stand nor times. */
import { createHash } from 'node:crypto';
import { decimalText, parseDecimal, rescale, unscaledBytes } from '../../../../envelopes/decimal.ts';
import * as types from '../../../../envelopes/logical/schemas.ts';
import type { Schema, Value } from '../../../../envelopes/schema.ts';
import { decimalWriter, type JsonWriter, writeString } from './write-json.ts';
import { slowWriter } from './slow-writer.ts';

export interface DecimalCodec { readonly schema: Schema; decode(text: string): Value; readonly writeJson?: JsonWriter; readonly zero?: Value }

/** numeric in its three modes. Typmod: ((precision << 16) | scale) + 4, scale in 11 signed bits (PostgreSQL numeric.c). */
export function decimalCodec(typmod: number, mode: 'precise' | 'string' | 'double'): DecimalCodec {
  if (mode === 'double') return { schema: types.DOUBLE, decode: text => (text === 'Infinity' || text === '-Infinity' || text === 'NaN' ? Number(text) : Number.parseFloat(text)) };
  if (mode === 'string') return { schema: types.STRING, decode: specialText, writeJson: numberText, zero: decimalText(0n, typmod === -1 ? 0 : scaleOf(typmod)) };
  if (typmod === -1) return { schema: types.variableScaleDecimal, decode: variableScale, zero: variableScale('0') };
  const precision = ((typmod - 4) >> 16) & 0xffff;
  const scale = scaleOf(typmod);
  const schema = types.decimal(scale, precision);
  const decode = (text: string): Value => {
    const parsed = parseDecimal(text);
    return parsed === undefined ? null : unscaledBytes(rescale(parsed.unscaled, parsed.scale, scale));
  };
  return { schema, decode, writeJson: scale < 0 ? slowWriter(schema, decode) : decimalWriter(scale, slowWriter(schema, decode)) };
}

/** As text, NaN and the infinities have Debezium's own names. */
const SPECIAL: Readonly<Record<string, string>> = { NaN: 'NAN', Infinity: 'POSITIVE_INFINITY', '-Infinity': 'NEGATIVE_INFINITY' };
const specialText = (text: string): string => SPECIAL[text] ?? text;
const slowText = slowWriter(types.STRING, specialText);
/** Numbers end with a digit, the special values with a letter. */
const numberText: JsonWriter = (source, start, end, out) => { if ((source[end - 1] ?? 0) > 0x39) slowText(source, start, end, out); else writeString(source, start, end, out); };

function scaleOf(typmod: number): number { return (((typmod - 4) & 0x7ff) << 21) >> 21; }

/** Zeros at the end are not carried, but the scale is never below 0. */
function variableScale(text: string): Value {
  const parsed = parseDecimal(text);
  if (parsed === undefined) return null;
  let { unscaled, scale } = parsed;
  if (scale < 0) { unscaled = rescale(unscaled, scale, 0); scale = 0; }
  while (scale > 0 && unscaled % 10n === 0n) { unscaled /= 10n; scale--; }
  return { schema: types.variableScaleDecimal, values: [scale, unscaledBytes(unscaled)] };
}

/** Bytes as binary.handling.mode has them. */
export function binaryText(bytes: Uint8Array, mode: 'bytes' | 'base64' | 'base64-url-safe' | 'hex'): Value {
  if (mode === 'bytes') return Uint8Array.from(bytes);
  const text = Buffer.from(bytes).toString(mode === 'hex' ? 'hex' : 'base64');
  return mode === 'base64-url-safe' ? text.replaceAll('+', '-').replaceAll('/', '_') : text;
}

/** `\x…` → bytes. */
export function hexBytes(text: string): Uint8Array { return Buffer.from(text.slice(2), 'hex'); }

/** `1010` → little-endian bytes without leading zeros, as a java.util.BitSet gives them. */
export function bitBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(text.length / 8));
  for (let i = 0; i < text.length; i++) {
    const position = text.length - 1 - i;
    if (text[i] === '1') bytes[position >> 3] = (bytes[position >> 3] ?? 0) | (1 << (position & 7));
  }
  let size = bytes.length;
  while (size > 0 && bytes[size - 1] === 0) size--;
  return bytes.subarray(0, size);
}

/** `$1,234.56`, `-$1.00`, `($1.00)` under lc_monetary C → unscaled at `digits`. */
export function moneyUnscaled(text: string, digits: number): bigint {
  const negative = text.includes('-') || text.startsWith('(');
  const parsed = parseDecimal(text.replace(/[^0-9.]/g, '')) ?? { unscaled: 0n, scale: 0 };
  const unscaled = halfEven(parsed.unscaled, parsed.scale, digits);
  return negative ? -unscaled : unscaled;
}

function halfEven(unscaled: bigint, from: number, to: number): bigint {
  if (to >= from) return rescale(unscaled, from, to);
  const divisor = 10n ** BigInt(from - to);
  const quotient = unscaled / divisor;
  return (unscaled % divisor) * 2n >= divisor ? quotient + 1n : quotient;
}

/** A UUID of version 3 made of bytes alone (java.util.UUID.nameUUIDFromBytes). */
export function nameUuid(bytes: Uint8Array): string {
  const digest = createHash('md5').update(bytes).digest();
  digest[6] = ((digest[6] ?? 0) & 0x0f) | 0x30;
  digest[8] = ((digest[8] ?? 0) & 0x3f) | 0x80;
  return digest.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** Well-known binary of a point, little-endian. */
export function pointWkb(x: number, y: number): Uint8Array {
  const wkb = Buffer.alloc(21);
  wkb.writeUInt8(1, 0);
  wkb.writeUInt32LE(1, 1);
  wkb.writeDoubleLE(x, 5);
  wkb.writeDoubleLE(y, 13);
  return wkb;
}

/** `"a"=>"1", "b"=>NULL` → pairs in the server's order. */
export function hstorePairs(text: string): (readonly [string, string | null])[] {
  const unescape = (quoted: string): string => quoted.replace(/\\(.)/gs, '$1');
  return [...text.matchAll(/"((?:[^"\\]|\\.)*)"=>(?:"((?:[^"\\]|\\.)*)"|NULL)/gs)].map(([, key = '', value]) => [unescape(key), value === undefined ? null : unescape(value)] as const);
}

