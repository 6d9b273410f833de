/** One field of a row, JSON bytes → column: compiled from the field's schema and the column's type. */
import type { Schema, Value } from '../../../envelopes/schema.ts';
import { type Json, parseExact } from '../../../runtime/api/exact-json.ts';
import type { ColumnBuffer } from './column-buffer.ts';
import { isNull, skipString, skipValue } from './json-bytes.ts';
import type { Column } from './table.ts';
import { cellWriter } from './values.ts';
import { daysOf, timestampMicros } from './time-text.ts';

/** Reads the value at `at` into a row of a column; answers the position after it, or -1: then the general way decides. */
export type FieldParser = (b: Buffer, at: number, cell: ColumnBuffer, row: number) => number;

/** Set by {@link number}: what it read. A module variable, since a second result would cost an object for each value. */
let whole = 0;
/** Days below this are Debezium's infinities and what DuckDB has no date for. */
const LEAST_DAY = -2_147_000_000;
const MINUS = 0x2d, POINT = 0x2e, COMMA = 0x2c, CLOSE = 0x7d, ZERO = 0x30, NINE = 0x39, QUOTE = 0x22, BACKSLASH = 0x5c;

/** `placeholder` stands for a value that the source did not send. */
export function fieldParser(schema: Schema, column: Column, placeholder: string): FieldParser {
  const parse = valueParser(schema, column, placeholder);
  const general = schema.default !== undefined || !schema.optional;
  return (b, at, cell, row) => {
    if (!isNull(b, at)) return parse(b, at, cell, row);
    if (general) return -1;
    cell.setNull(row);
    return at + 4;
  };
}

function valueParser(schema: Schema, column: Column, placeholder: string): FieldParser {
  const general = slow(schema, column, placeholder);
  const semantic = (schema.name ?? '').slice((schema.name ?? '').lastIndexOf('.') + 1);
  const integer = schema.type === 'int8' || schema.type === 'int16' || schema.type === 'int32' || schema.type === 'int64';
  switch (column.type.kind) {
    case 'int': case 'date': return integer && schema.type !== 'int64' ? column.type.kind === 'date' ? intoDate : intoInt : general;
    case 'long': return integer ? scaledLong(1, false) : general;
    case 'time': case 'timestamp': {
      if (!integer || semantic.startsWith('Nano')) return general;
      return scaledLong(semantic === 'Time' || semantic === 'Timestamp' ? 1000 : 1, column.type.kind === 'timestamp');
    }
    case 'boolean': return schema.type === 'boolean' ? intoBoolean : general;
    case 'double': case 'float': return schema.type === 'double' || schema.type === 'float' ? intoDouble(column.type.kind === 'float') : general;
    case 'string': return schema.type === 'string' ? textParser(Buffer.from(placeholder)) : general;
    case 'uuid': return schema.type === 'string' ? intoUuid : general;
    case 'timestamptz': return schema.type === 'string' ? intoZoned : general;
    case 'binary': return schema.type === 'bytes' ? binaryParser(Buffer.from(placeholder)) : general;
    case 'decimal': return semantic === 'Decimal' && schema.type === 'bytes' && Number(schema.parameters?.['scale']) === column.type.scale ? intoDecimal(column.type.precision, column.type.scale) : general;
    default: return general;
  }
}

/** A whole number within ±2^53 into `whole`; position after it, or -1. */
function number(b: Buffer, at: number): number {
  let i = at, value = 0;
  const negative = b[i] === MINUS;
  if (negative) i++;
  const first = i;
  for (; i < b.length; i++) {
    const digit = b[i] ?? 0;
    if (digit < ZERO || digit > NINE) break;
    value = value * 10 + (digit - ZERO);
  }
  const next = b[i];
  if (i === first || i - first > 16 || value > Number.MAX_SAFE_INTEGER || next === 0x2e || next === 0x65 || next === 0x45) return -1;
  whole = negative ? -value : value;
  return i;
}

const intoInt: FieldParser = (b, at, cell, row) => {
  const end = number(b, at);
  if (end < 0 || whole > 2_147_483_647 || whole < -2_147_483_648) return -1;
  cell.setInt(row, whole);
  return end;
};

const intoDate: FieldParser = (b, at, cell, row) => {
  const end = intoInt(b, at, cell, row);
  // The two ends of the calendar have meanings of their own.
  return end >= 0 && whole > LEAST_DAY ? end : -1;
};

function scaledLong(factor: number, calendar: boolean): FieldParser {
  return (b, at, cell, row) => {
    const end = number(b, at);
    if (end >= 0) {
      const value = whole * factor;
      if (Number.isSafeInteger(value)) { cell.setSafeLong(row, value); return end; }
    }
    if (factor !== 1) return -1;
    const stop = skipValue(b, at), text = b.toString('latin1', at, stop);
    if (!/^-?\d+$/.test(text)) return -1;
    const value = calendar ? timestampMicros(BigInt(text)) : BigInt(text);
    if (BigInt.asIntN(64, value) !== value) return -1;
    cell.setLong(row, value);
    return stop;
  };
}

const intoBoolean: FieldParser = (b, at, cell, row) => {
  if (b[at] === 0x74) { cell.setBoolean(row, true); return at + 4; }
  if (b[at] === 0x66) { cell.setBoolean(row, false); return at + 5; }
  return -1;
};

/** Powers of ten that a double holds exactly. */
const TENS = Float64Array.from({ length: 23 }, (_, power) => 10 ** power);
let plain = 0, fraction = 0;
/** Decimal text of up to 15 digits without an exponent: its digits, with the sign, into `plain` and how many of them follow the point into `fraction`; position after it, or -1. */
function digits(b: Buffer, at: number): number {
  const negative = b[at] === MINUS, first = negative ? at + 1 : at;
  let i = first, value = 0, point = -1;
  for (;; i++) {
    const byte = b[i] ?? 0;
    if (byte >= ZERO && byte <= NINE) value = value * 10 + (byte - ZERO);
    else if (byte === POINT && point < 0) point = i;
    else break;
  }
  const next = b[i];
  if (i - first > 15 || i === first || (next !== COMMA && next !== CLOSE)) return -1;
  plain = negative ? -value : value;
  fraction = point < 0 ? 0 : i - point - 1;
  return i;
}

/**
 * Into `plain`; position after it, or -1. Digits and power are exact, so their quotient is the double that is nearest to the
 * text (Clinger, "How to Read Floating Point Numbers Accurately").
 */
function shortDecimal(b: Buffer, at: number): number {
  const end = digits(b, at);
  if (end >= 0) plain /= TENS[fraction] ?? 1;
  return end;
}

/** As {@link shortDecimal}, but times ten to the power of `scale`: a whole number, or -1. */
function scaledNumber(b: Buffer, at: number, scale: number): number {
  const end = digits(b, at), missing = scale - fraction;
  if (end < 0 || missing < 0) return -1;
  plain *= TENS[missing] ?? Number.NaN;
  return Number.isSafeInteger(plain) ? end : -1;
}

function intoDouble(single: boolean): FieldParser {
  return (b, at, cell, row) => {
    let end = shortDecimal(b, at);
    if (end < 0) {
      end = skipValue(b, at);
      if (end < 0 || b[at] === QUOTE) return -1;
      plain = Number(b.toString('latin1', at, end));
      if (Number.isNaN(plain)) return -1;
    }
    if (single) cell.setFloat(row, plain); else cell.setDouble(row, plain);
    return end;
  };
}

function textParser(placeholder: Buffer): FieldParser {
  return (b, at, cell, row) => {
    if (b[at] !== QUOTE) return -1;
    let i = at + 1;
    for (let byte = b[i]; byte !== QUOTE; byte = b[++i]) {
      if (byte === BACKSLASH) return escapedText(b, at, cell, row, placeholder);
      if (byte === undefined) return -1;
    }
    const length = i - at - 1;
    if (length === placeholder.length && b[at + 1] === placeholder[0] && b.compare(placeholder, 0, length, at + 1, i) === 0) { cell.setUnavailable(row); return i + 1; }
    const start = cell.place(row, length), { arena } = cell;
    if (length < 48) for (let j = 0, from = at + 1; j < length; j++) arena[start + j] = b[from + j] ?? 0;
    else b.copy(arena, start, at + 1, i);
    return i + 1;
  };
}

function escapedText(b: Buffer, at: number, cell: ColumnBuffer, row: number, placeholder: Buffer): number {
  const end = skipString(b, at);
  if (end < 0) return -1;
  const text = JSON.parse(b.toString('utf8', at, end)) as string;
  if (placeholder.equals(Buffer.from(text))) cell.setUnavailable(row); else cell.setText(row, text);
  return end;
}

function hexDigit(byte: number): number {
  if (byte >= ZERO && byte <= NINE) return byte - ZERO;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
const uuidWords = new Int32Array(4);
const intoUuid: FieldParser = (b, at, cell, row) => {
  if (b[at] !== QUOTE || b[at + 37] !== QUOTE) return -1;
  let digits = 0;
  for (let i = at + 1; i < at + 37; i++) {
    const byte = b[i] ?? 0;
    if (byte === MINUS) continue;
    const digit = hexDigit(byte);
    if (digit < 0 || digits >= 32) return -1;
    const word = digits >> 3;
    uuidWords[word] = ((uuidWords[word] ?? 0) << 4) | digit;
    digits++;
  }
  if (digits !== 32) return -1;
  cell.setUuid(row, uuidWords[0] ?? 0, uuidWords[1] ?? 0, uuidWords[2] ?? 0, uuidWords[3] ?? 0);
  return at + 38;
};

/** `"YYYY-MM-DDTHH:MM:SS[.ffffff…]Z"`: Debezium renders zoned timestamps in UTC. */
const intoZoned: FieldParser = (b, at, cell, row) => {
  const two = (i: number): number => ((b[i] ?? 0) - ZERO) * 10 + ((b[i + 1] ?? 0) - ZERO);
  if (b[at] !== QUOTE || b[at + 5] !== MINUS || b[at + 8] !== MINUS || b[at + 11] !== 0x54 || b[at + 14] !== 0x3a || b[at + 17] !== 0x3a) return -1;
  for (let i = at + 1; i < at + 20; i++) if (i !== at + 5 && i !== at + 8 && i !== at + 11 && i !== at + 14 && i !== at + 17 && ((b[i] ?? 0) < ZERO || (b[i] ?? 0) > NINE)) return -1;
  let i = at + 20, fraction = 0, digits = 0;
  if (b[i] === 0x2e) for (i++; (b[i] ?? 0) >= ZERO && (b[i] ?? 0) <= NINE; i++) if (digits < 6) { fraction = fraction * 10 + ((b[i] ?? 0) - ZERO); digits++; }
  if (b[i] !== 0x5a || b[i + 1] !== QUOTE) return -1;
  for (; digits < 6; digits++) fraction *= 10;
  const days = daysOf(two(at + 1) * 100 + two(at + 3), two(at + 6), two(at + 9));
  const seconds = days * 86_400 + two(at + 12) * 3600 + two(at + 15) * 60 + two(at + 18), micros = seconds * 1_000_000 + fraction;
  if (Number.isSafeInteger(micros)) cell.setSafeLong(row, micros);
  else cell.setLong(row, timestampMicros(BigInt(seconds) * 1_000_000n + BigInt(fraction)));
  return i + 2;
};

function binaryParser(placeholder: Buffer): FieldParser {
  return (b, at, cell, row) => {
    const end = skipString(b, at);
    if (end < 0) return -1;
    const bytes = Buffer.from(b.toString('latin1', at + 1, end - 1), 'base64');
    if (bytes.equals(placeholder)) cell.setUnavailable(row); else cell.setBytes(row, bytes);
    return end;
  };
}

const SIXTY_FOUR = new Int8Array(128).fill(-1);
Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/').forEach((byte, value) => { SIXTY_FOUR[byte] = value; });

/** Base64 of two's-complement bytes, up to six of them; or a plain number (decimal.format=NUMERIC). */
function intoDecimal(precision: number, scale: number): FieldParser {
  const limit = 10 ** Math.min(precision, 15);
  return (b, at, cell, row) => {
    if (b[at] !== QUOTE) {
      const end = scaledNumber(b, at, scale);
      if (end < 0 || plain >= limit || plain <= -limit) return -1;
      cell.setUnscaledSafe(row, plain);
      return end;
    }
    let i = at + 1, value = 0, characters = 0;
    for (; i < at + 9; i++) {
      const byte = b[i] ?? 0, digit = byte < 128 ? SIXTY_FOUR[byte] ?? -1 : -1;
      if (digit < 0) break;
      value = value * 64 + digit;
      characters++;
    }
    const bytes = (characters * 6) >> 3;
    const spare = characters * 6 - bytes * 8;
    while (b[i] === 0x3d) i++;
    if (b[i] !== QUOTE || bytes === 0) return -1;
    value = Math.floor(value / 2 ** spare);
    if (value >= 2 ** (bytes * 8 - 1)) value -= 2 ** (bytes * 8);
    if (value >= limit || value <= -limit) return -1;
    cell.setUnscaledSafe(row, value);
    return i + 1;
  };
}

/** Values that are rare or nested: parsed as JSON and written the general way. */
function slow(schema: Schema, column: Column, placeholder: string): FieldParser {
  const write = cellWriter(schema, column, placeholder);
  return (b, at, cell, row) => {
    const end = skipValue(b, at);
    if (end < 0) return -1;
    const value = valueOf(schema, parseExact(b.toString('utf8', at, end)));
    if (value === undefined) return -1;
    write(cell, row, value);
    return end;
  };
}

/** JSON → value for what the JSON converter writes; undefined where it would complain or put a default. */
function valueOf(schema: Schema, json: Json): Value | undefined {
  if (json === null) return schema.optional && schema.default === undefined ? null : undefined;
  switch (schema.type) {
    case 'int64': return typeof json === 'number' || typeof json === 'bigint' ? BigInt(json) : undefined;
    case 'float': case 'double': return typeof json === 'number' ? json : undefined;
    case 'bytes': return typeof json === 'string' ? Uint8Array.from(Buffer.from(json, 'base64')) : undefined;
    case 'string': return typeof json === 'string' ? json : undefined;
    case 'boolean': return typeof json === 'boolean' ? json : undefined;
    case 'array': return Array.isArray(json) ? complete((json as readonly Json[]).map(item => valueOf(schema.items, item))) : undefined;
    case 'map': {
      if (Array.isArray(json) || typeof json !== 'object' || schema.keys.type !== 'string') return undefined;
      const values = complete(Object.values(json).map(member => valueOf(schema.values, member)));
      return values === undefined ? undefined : { entries: Object.keys(json).map((key, i) => [key, values[i] ?? null] as const) };
    }
    case 'struct': {
      if (typeof json !== 'object' || Array.isArray(json)) return undefined;
      const values = complete(schema.fields.map(field => valueOf(field.schema, (json as Readonly<Record<string, Json>>)[field.name] ?? null)));
      return values === undefined ? undefined : { schema, values };
    }
    default: return typeof json === 'number' ? json : undefined;
  }
}
function complete(values: readonly (Value | undefined)[]): readonly Value[] | undefined { return values.includes(undefined) ? undefined : values as readonly Value[]; }
