/**
 * Rows without schemas (`schemas.enable=false`): JSON → struct. A column that the table has says how its values are to be
 * read; of a new one the first value that is not null does: whole number → long, other number → double, true and false →
 * boolean, text → string, object or array → its JSON text. What JSON does not tell (the unit of a time, the scale of a
 * decimal in base64) is refused and never guessed.
 */
import * as types from '../../../envelopes/logical/schemas.ts';
import type { Field, Schema, Struct, StructSchema, Value } from '../../../envelopes/schema.ts';
import { FatalError } from '../../../runtime/api/errors.ts';
import { type Json, stringifyExact } from '../../../runtime/api/exact-json.ts';
import { parseDecimal, rescale, unscaledBytes } from '../../../envelopes/decimal.ts';
import type { Column, ColumnType } from './table.ts';
import { parseClock, parseDay, parseZoned } from './time-text.ts';

export type JsonRow = Readonly<Record<string, Json>>;

/** A field that has been null so far and has no column: it gets one with its first value. */
export const UNKNOWN: Schema = { type: 'string', optional: true, name: 'tributary.unknown' };
export function isUnknown(schema: Schema): boolean { return schema.name === UNKNOWN.name; }

interface Reading { readonly schema: Schema; readonly value: Value }
type Reader = (json: Json) => Reading;

const REMEMBERED = 1000;

/** Structs of one table's rows or keys. Rows of the same shape get the same schema object. */
export class Inference {
  private readonly schemas = new Map<string, StructSchema>();
  private readonly readers = new Map<string, Reader>();
  private columns: readonly Column[] = [];
  private readonly placeholder: string;
  private readonly optional: boolean;

  /** `placeholder` stands for a value that the source did not send, in a list or map alone as Debezium has it. `optional`: whether members may be null; those of a key may not. */
  constructor(placeholder: string, optional: boolean) { this.placeholder = placeholder; this.optional = optional; }

  /** `row`: whole numbers as bigint, others as number. `columns`: those of the table; empty when there is no table yet. Throws FatalError SCHEMALESS_TYPE. */
  struct(row: JsonRow, columns: readonly Column[]): Struct {
    if (columns !== this.columns) {
      this.columns = columns;
      this.readers.clear();
      for (const column of columns) this.readers.set(column.name, readerOf(column.type, column.name));
    }
    const fields: Field[] = [], values: Value[] = [];
    let shape = '';
    for (const name in row) {
      const read = this.readers.get(name) ?? newColumn;
      const { schema, value } = read(this.unwrapped(row[name] ?? null));
      fields.push({ name, schema: this.optional ? schema : { ...schema, optional: false } });
      values.push(value);
      shape += `${name}\u0000${shapeOf(schema)}\u0001`;
    }
    let schema = this.schemas.get(shape);
    if (schema === undefined) {
      if (this.schemas.size >= REMEMBERED) this.schemas.clear();
      schema = { type: 'struct', optional: true, fields };
      this.schemas.set(shape, schema);
    }
    return { schema, values };
  }

  /** The placeholder itself where it stands in brackets. */
  private unwrapped(json: Json): Json {
    if (json === null || typeof json !== 'object') return json;
    const members = Array.isArray(json) ? json as readonly Json[] : Object.keys(json);
    return members.length === 1 && members[0] === this.placeholder ? this.placeholder : json;
  }
}

function shapeOf(schema: Schema): string {
  switch (schema.type) {
    case 'array': return `[${shapeOf(schema.items)}]`;
    case 'map': return `{${shapeOf(schema.values)}}`;
    case 'struct': return `(${schema.fields.map(field => `${field.name}:${shapeOf(field.schema)}`).join()})`;
    default: return `${schema.type}${schema.name ?? ''}`;
  }
}

const LONG = types.optional(types.INT64), DOUBLE = types.optional(types.DOUBLE), BOOLEAN = types.optional(types.BOOLEAN), STRING = types.optional(types.STRING);

/** A column of whole numbers takes 1.0 too. */
function whole(json: Json): bigint | undefined { return typeof json === 'bigint' ? json : typeof json === 'number' && Number.isSafeInteger(json) ? BigInt(json) : undefined; }
function within(value: bigint, bits: number): boolean { return BigInt.asIntN(bits, value) === value; }

const newColumn: Reader = json => {
  if (json === null) return { schema: UNKNOWN, value: null };
  if (typeof json === 'boolean') return { schema: BOOLEAN, value: json };
  if (typeof json === 'string') return { schema: STRING, value: json };
  if (typeof json === 'object') return { schema: STRING, value: stringifyExact(json) };
  // Written with a point or an exponent, a number is a double whatever its value.
  const value = typeof json === 'bigint' ? json : undefined;
  // A whole number of more than 64 bits is kept to the last digit as text.
  return value === undefined ? { schema: DOUBLE, value: Number(json) } : within(value, 64) ? { schema: LONG, value } : { schema: STRING, value: value.toString() };
};

/** Values of a column that the table has. What is plainly of another type is read as new, and the table decides whether it can widen. */
function readerOf(type: ColumnType, name: string): Reader {
  switch (type.kind) {
    case 'boolean': return plain(BOOLEAN, json => (typeof json === 'boolean' ? json : undefined));
    case 'int': return plain(types.optional(types.INT32), json => { const value = whole(json); return value !== undefined && within(value, 32) ? Number(value) : undefined; });
    case 'long': return plain(LONG, json => { const value = whole(json); return value !== undefined && within(value, 64) ? value : undefined; });
    case 'float': return plain(types.optional(types.FLOAT), floating);
    case 'double': return plain(DOUBLE, floating);
    case 'string': return plain(STRING, json => (typeof json === 'string' ? json : stringifyExact(json)));
    case 'uuid': return plain(types.optional(types.uuid), text);
    case 'binary': return plain(types.optional(types.BYTES), json => (typeof json === 'string' ? Uint8Array.from(Buffer.from(json, 'base64')) : undefined));
    case 'date': return plain(types.optional(types.date), json => { const value = whole(json); return typeof json === 'string' ? parseDay(json) : value !== undefined && within(value, 32) ? Number(value) : undefined; });
    case 'time': return plain(types.optional(types.microTime), json => (typeof json === 'string' ? parseClock(json) : unitless(name, ISO)));
    case 'timestamp': return plain(types.optional(types.microTimestamp), json => (typeof json === 'string' ? parseZoned(json) : unitless(name, ISO)));
    case 'timestamp_ns': return plain(types.optional(types.microTimestamp), json => (typeof json === 'string' ? parseZoned(json) : unitless(name, ISO)));
    case 'timestamptz': case 'timestamptz_ns': return plain(types.optional(types.zonedTimestamp), text);
    case 'decimal': return plain(types.optional(types.decimal(type.scale, type.precision)), json => decimal(json, type.scale, name));
    case 'list': return listReader(type.element, name);
    case 'map': return mapReader(type.value, name);
    case 'struct': return structReader(type.fields, name);
  }
}

function plain(schema: Schema, convert: (json: Json) => Value | undefined): Reader {
  return json => {
    if (json === null) return { schema, value: null };
    const value = convert(json);
    return value === undefined ? newColumn(json) : { schema, value };
  };
}
function text(json: Json): string | undefined { return typeof json === 'string' ? json : undefined; }
/** JSON has no names for what is not a finite number; Jackson and this source write them as text. */
function floating(json: Json): number | undefined {
  if (typeof json === 'string') return ['NaN', 'Infinity', '-Infinity'].includes(json) ? Number(json) : undefined;
  return typeof json === 'number' || typeof json === 'bigint' ? Number(json) : undefined;
}

/** Text with a point in it is a number; other text may as well be base64 that happens to be digits. */
function decimal(json: Json, scale: number, name: string): Uint8Array | undefined {
  if (typeof json === 'object' || typeof json === 'boolean') return undefined;
  if (typeof json === 'string' && (scale === 0 || !/^-?\d+\.\d+$/.test(json))) return unitless(name, 'decimal.handling.mode=double');
  const found = parseDecimal(String(json));
  if (found === undefined) return undefined;
  const unscaled = rescale(found.unscaled, found.scale, scale);
  return rescale(unscaled, scale, found.scale) === found.unscaled || found.scale < scale ? unscaledBytes(unscaled) : undefined;
}
const ISO = 'time.precision.mode=isostring';

function unitless(name: string, option: string): never {
  throw new FatalError(`Records without schemas do not tell how the values of column ${name} are meant`, { code: 'SCHEMALESS_TYPE', hint: `Set key.converter.schemas.enable=true and value.converter.schemas.enable=true at the source and at this sink, or ${option} at the source.` });
}

function listReader(element: ColumnType, name: string): Reader {
  const read = readerOf(element, name), absent = types.optional(types.array(read(null).schema));
  return plain(absent, json => (Array.isArray(json) ? (json as readonly Json[]).map(item => member(read(item), read, name)) : undefined));
}
function mapReader(value: ColumnType, name: string): Reader {
  const read = readerOf(value, name), schema = types.optional(types.map(types.STRING, read(null).schema));
  return plain(schema, json => (isObject(json) ? { entries: Object.entries(json).map(([key, item]) => [key, member(read(item), read, name)] as const) } : undefined));
}
function structReader(fields: readonly Column[], name: string): Reader {
  const readers = fields.map(field => ({ name: field.name, read: readerOf(field.type, `${name}.${field.name}`) }));
  const schema: StructSchema = { type: 'struct', optional: true, fields: readers.map(field => ({ name: field.name, schema: field.read(null).schema })) };
  return plain(schema, json => (isObject(json) ? { schema, values: readers.map(field => member(field.read(json[field.name] ?? null), field.read, name)) } : undefined));
}
/** A member has the type of its list, map or struct, or none that can be told. */
function member({ schema, value }: Reading, read: Reader, name: string): Value {
  return shapeOf(schema) === shapeOf(read(null).schema) ? value : unitless(name, 'a flat structure');
}
function isObject(json: Json): json is JsonRow { return json !== null && typeof json === 'object' && !Array.isArray(json); }
