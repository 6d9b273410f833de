/**
 * Values of records → physical values of columns: one table, used for rows, keys and nested values alike.
 * Physical: boolean; number (int, date in days, float, double); bigint (long, time and timestamps in micro- or nanoseconds,
 * unscaled decimals, UUIDs as 128 bits); string; Uint8Array; DuckDB objects for nested types.
 */
import { DuckDBBlobValue, DuckDBDateValue, DuckDBDecimalValue, DuckDBTimestampNanosecondsValue, DuckDBTimestampTZValue, DuckDBTimestampValue, DuckDBTimeValue, DuckDBUUIDValue, type DuckDBValue, listValue, mapValue, structValue } from '@duckdb/node-api';
import { decimalText, parseDecimal, rescale, unscaledFrom } from '../../../envelopes/decimal.ts';
import type { Schema, Struct, Value, ValueMap } from '../../../envelopes/schema.ts';
import { DataError } from '../../../runtime/api/errors.ts';
import type { ColumnBuffer } from './column-buffer.ts';
import type { Column, ColumnType } from './table.ts';
import { clockText, dateDays, parseZoned, timestampMicros, timestampNanos } from './time-text.ts';

type Physical = boolean | number | bigint | string | Uint8Array | DuckDBValue;
type Convert = (value: Value) => Physical;

/** Writes values of `schema` into a column; `placeholder` is the text that stands for one that the source did not send. Throws DataError when one does not fit. */
export function cellWriter(schema: Schema, column: Column, placeholder: string): (cell: ColumnBuffer, row: number, value: Value) => void {
  const convert = converter(schema, column.type, column.name);
  const store = storer(column.type);
  const unavailable = placeholderTest(schema, placeholder);
  return (cell, row, value) => {
    if (value === null) cell.setNull(row);
    else if (unavailable(value)) cell.setUnavailable(row);
    else store(cell, row, convert(value));
  };
}

/** Debezium writes the placeholder in the form of the column: text, its bytes, or an array or map of one such element. */
function placeholderTest(schema: Schema, placeholder: string): (value: Value) => boolean {
  const bytes = Buffer.from(placeholder);
  if (schema.type === 'string') return value => value === placeholder;
  if (schema.type === 'bytes') return value => value instanceof Uint8Array && value.length === bytes.length && bytes.equals(value);
  if (schema.type === 'array') {
    const item = placeholderTest(schema.items, placeholder);
    return value => Array.isArray(value) && value.length === 1 && item((value as readonly Value[])[0] ?? null);
  }
  if (schema.type === 'map') return value => { const { entries } = value as ValueMap; return entries.length === 1 && entries[0]?.[0] === placeholder; };
  return () => false;
}

function storer(type: ColumnType): (cell: ColumnBuffer, row: number, value: Physical) => void {
  switch (type.kind) {
    case 'boolean': return (cell, row, value) => { cell.setBoolean(row, value as boolean); };
    case 'int': case 'date': return (cell, row, value) => { cell.setInt(row, value as number); };
    case 'float': return (cell, row, value) => { cell.setFloat(row, value as number); };
    case 'double': return (cell, row, value) => { cell.setDouble(row, value as number); };
    case 'decimal': return (cell, row, value) => { cell.setUnscaled(row, value as bigint); };
    case 'uuid': return (cell, row, value) => { const bits = value as bigint; cell.setUuid(row, Number(bits >> 96n), Number((bits >> 64n) & 0xffffffffn), Number((bits >> 32n) & 0xffffffffn), Number(bits & 0xffffffffn)); };
    case 'string': return (cell, row, value) => { cell.setText(row, value as string); };
    case 'binary': return (cell, row, value) => { cell.setBytes(row, value as Uint8Array); };
    case 'list': case 'map': case 'struct': return (cell, row, value) => { cell.setNested(row, value as DuckDBValue); };
    default: return (cell, row, value) => { cell.setLong(row, value as bigint); };
  }
}

/** Physical value → DuckDB object, for members of nested values. */
function wrapper(type: ColumnType): (value: Physical) => DuckDBValue {
  switch (type.kind) {
    case 'date': return value => new DuckDBDateValue(value as number);
    case 'time': return value => new DuckDBTimeValue(value as bigint);
    case 'timestamp': return value => new DuckDBTimestampValue(value as bigint);
    case 'timestamptz': case 'timestamptz_ns': return value => new DuckDBTimestampTZValue(value as bigint);
    case 'timestamp_ns': return value => new DuckDBTimestampNanosecondsValue(value as bigint);
    case 'uuid': return value => DuckDBUUIDValue.fromUint128(value as bigint);
    case 'binary': return value => new DuckDBBlobValue(value as Uint8Array);
    case 'decimal': return value => new DuckDBDecimalValue(value as bigint, type.precision, type.scale);
    default: return value => value as DuckDBValue;
  }
}

function converter(schema: Schema, type: ColumnType, name: string): Convert {
  const semantic = schema.name ?? '';
  switch (type.kind) {
    case 'boolean': return value => value as boolean;
    case 'int': return value => value as number;
    case 'date': return value => dateDays(value as number);
    case 'float': return value => value as number;
    case 'double': return value => Number(value);
    case 'long': return within64(integer(name), name);
    case 'time': return within64(scaled(semantic, { Time: 1000n, MicroTime: 1n, NanoTime: -1000n }, name), name);
    case 'timestamp': { const micros = scaled(semantic, { Timestamp: 1000n, MicroTimestamp: 1n, NanoTimestamp: -1000n }, name); return value => timestampMicros(micros(value)); }
    case 'timestamp_ns': { const nanos = scaled(semantic, { Timestamp: 1_000_000n, MicroTimestamp: 1000n, NanoTimestamp: 1n }, name); return value => timestampNanos(nanos(value)); }
    case 'timestamptz': case 'timestamptz_ns': return value => parseZoned(value as string) ?? misfit(name, 'a timestamp with zone');
    case 'decimal': return decimalOf(schema, type.precision, type.scale, name);
    case 'uuid': return value => uuidBits(value as string) ?? misfit(name, 'a UUID');
    case 'binary': return value => (value instanceof Uint8Array ? value : Buffer.from(value as string));
    case 'string': return textOf(schema);
    case 'list': return listOf(schema, type.element, name);
    case 'map': return mapOf(schema, type, name);
    case 'struct': return structOf(schema, type.fields, name);
  }
}

function misfit(column: string, what: string): never {
  throw new DataError(`A value of column ${column} is not ${what}`, { code: 'VALUE_MISFIT', hint: 'Look at the record with "tributary read"; errors.tolerance=all skips such records.' });
}

function integer(name: string): (value: Value) => bigint {
  return value => (typeof value === 'bigint' ? value : typeof value === 'number' ? BigInt(value) : misfit(name, 'a whole number'));
}
/** Never cut silently to 64 bits. */
function within64(whole: (value: Value) => bigint, name: string): Convert {
  return value => { const found = whole(value); return BigInt.asIntN(64, found) === found ? found : misfit(name, 'within 64 bits'); };
}

/** Times of `io.debezium.time.*` and Connect; a negative factor divides, rounding down. */
function scaled(semantic: string, factors: Readonly<Record<string, bigint>>, name: string): (value: Value) => bigint {
  const factor = factors[semantic.slice(semantic.lastIndexOf('.') + 1)] ?? 1n;
  const whole = integer(name);
  if (factor === 1n) return whole;
  return factor > 0n ? value => whole(value) * factor : value => floorDivide(whole(value), -factor);
}
function floorDivide(value: bigint, by: bigint): bigint { const quotient = value / by; return value < 0n && quotient * by !== value ? quotient - 1n : quotient; }

function decimalOf(schema: Schema, precision: number, scale: number, name: string): Convert {
  const from = Number(schema.parameters?.['scale'] ?? '0');
  const limit = 10n ** BigInt(precision);
  return value => {
    let unscaled: bigint;
    if (value instanceof Uint8Array) unscaled = rescale(unscaledFrom(value), from, scale);
    else { const parsed = parseDecimal(String(value)); if (parsed === undefined) return misfit(name, 'a decimal'); unscaled = rescale(parsed.unscaled, parsed.scale, scale); }
    if (unscaled >= limit || unscaled <= -limit) misfit(name, `within decimal(${precision},${scale})`);
    return unscaled;
  };
}

/** 32 hexadecimal digits with dashes anywhere → 128 bits; undefined for anything else. */
export function uuidBits(text: string): bigint | undefined {
  const digits = text.replaceAll('-', '');
  return /^[0-9a-fA-F]{32}$/.test(digits) ? BigInt(`0x${digits}`) : undefined;
}

function textOf(schema: Schema): Convert {
  const semantic = (schema.name ?? '').slice((schema.name ?? '').lastIndexOf('.') + 1);
  if (semantic === 'Decimal') { const scale = Number(schema.parameters?.['scale'] ?? '0'); return value => (value instanceof Uint8Array ? decimalText(unscaledFrom(value), scale) : String(value)); }
  if (semantic === 'VariableScaleDecimal') return value => { const [scale, bytes] = (value as Struct).values; return decimalText(unscaledFrom(bytes as Uint8Array), scale as number); };
  if (semantic === 'Time') return value => clockText(BigInt(value as number) * 1000n);
  if (semantic === 'MicroTime') return value => clockText(value as bigint);
  if (semantic === 'NanoTime') return value => clockText((value as bigint) / 1000n);
  return value => (typeof value === 'string' ? value : value instanceof Uint8Array ? Buffer.from(value).toString('base64') : typeof value === 'object' ? '{}' : String(value));
}

function nullable(convert: Convert, type: ColumnType): (value: Value) => DuckDBValue {
  const wrap = wrapper(type);
  return value => (value === null ? null : wrap(convert(value)));
}

function listOf(schema: Schema, element: ColumnType, name: string): Convert {
  if (schema.type !== 'array') return () => misfit(name, 'an array');
  const item = nullable(converter(schema.items, element, name), element);
  return value => listValue((value as readonly Value[]).map(item));
}
function mapOf(schema: Schema, type: { readonly key: ColumnType; readonly value: ColumnType }, name: string): Convert {
  if (schema.type !== 'map') return () => misfit(name, 'a map');
  const key = nullable(converter(schema.keys, type.key, name), type.key), member = nullable(converter(schema.values, type.value, name), type.value);
  return value => mapValue((value as ValueMap).entries.map(([k, v]) => ({ key: key(k), value: member(v) })));
}
function structOf(schema: Schema, fields: readonly Column[], name: string): Convert {
  if (schema.type !== 'struct') return () => misfit(name, 'a struct');
  const members = fields.map(field => {
    const position = schema.fields.findIndex(one => one.name === field.name);
    const child = schema.fields[position]?.schema;
    return { name: field.name, position, write: child === undefined ? () => null : nullable(converter(child, field.type, name), field.type) };
  });
  return value => structValue(Object.fromEntries(members.map(member => [member.name, member.write((value as Struct).values[member.position] ?? null)])));
}
