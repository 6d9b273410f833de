/** Values ↔ JSON as `org.apache.kafka.connect.json.JsonConverter` under its default options writes and reads them. */
import { DataError } from '../api/errors.ts';
import type { Json } from '../api/exact-json.ts';
import { javaDouble, javaFloat } from '../../envelopes/java-number.ts';
import type { Schema, Struct, StructSchema, Value, ValueMap } from '../../envelopes/schema.ts';

type Writer = (value: Value) => string;
const writers = new WeakMap<Schema, Writer>();

/** JSON text of a value; a null under a schema with a default reads as the default (replace.null.with.default). */
export function valueJson(schema: Schema, value: Value): string { return writerFor(schema)(value); }

/** Compiled once per schema. */
export function writerFor(schema: Schema): Writer {
  const known = writers.get(schema);
  if (known !== undefined) return known;
  const write = compile(schema);
  const fallback = schema.default === undefined || schema.default === null ? 'null' : write(schema.default);
  const writer: Writer = value => (value === null ? fallback : write(value));
  writers.set(schema, writer);
  return writer;
}

function compile(schema: Schema): Writer {
  switch (schema.type) {
    case 'int8': case 'int16': case 'int32': case 'int64': case 'boolean': return value => String(value);
    case 'float': return value => quotedUnlessFinite(value as number, javaFloat);
    case 'double': return value => quotedUnlessFinite(value as number, javaDouble);
    case 'string': return value => JSON.stringify(value);
    case 'bytes': return value => { const bytes = value as Uint8Array; return `"${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')}"`; };
    case 'array': { const item = writerFor(schema.items); return value => `[${(value as readonly Value[]).map(item).join(',')}]`; }
    case 'map': return compileMap(writerFor(schema.keys), writerFor(schema.values), schema.keys.type === 'string' && !schema.keys.optional);
    case 'struct': return compileStruct(schema);
  }
}

function quotedUnlessFinite(value: number, spell: (value: number) => string): string {
  return Number.isFinite(value) ? spell(value) : `"${spell(value)}"`;
}

function compileMap(key: Writer, item: Writer, asObject: boolean): Writer {
  return value => {
    const { entries } = value as ValueMap;
    return asObject ? `{${entries.map(([k, v]) => `${key(k)}:${item(v)}`).join(',')}}` : `[${entries.map(([k, v]) => `[${key(k)},${item(v)}]`).join(',')}]`;
  };
}

function compileStruct(schema: StructSchema): Writer {
  const fields = schema.fields.map(({ name, schema: child }, i) => ({ prefix: `${i === 0 ? '{' : ','}${JSON.stringify(name)}:`, write: writerFor(child) }));
  return value => {
    const { values } = value as Struct;
    let text = fields.length === 0 ? '{' : '';
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i];
      if (field !== undefined) text += field.prefix + field.write(values[i] ?? null);
    }
    return `${text}}`;
  };
}

/** Parsed JSON → value under a schema. Throws DataError JSON_VALUE. */
export function fromJson(schema: Schema, json: Json): Value {
  if (json === null) {
    if (schema.default !== undefined) return schema.default;
    if (schema.optional) return null;
    throw mismatch(schema, 'null for a required field');
  }
  switch (schema.type) {
    case 'int8': case 'int16': case 'int32': if (typeof json === 'number') return json; break;
    case 'int64': if (typeof json === 'number' || typeof json === 'bigint') return BigInt(json); break;
    case 'float': case 'double':
      if (typeof json === 'number') return json;
      if (typeof json === 'bigint' || typeof json === 'string') return Number(json);
      break;
    case 'boolean': if (typeof json === 'boolean') return json; break;
    case 'string': if (typeof json === 'string') return json; break;
    case 'bytes': if (typeof json === 'string') return Uint8Array.from(Buffer.from(json, 'base64')); break;
    case 'array': if (Array.isArray(json)) return (json as readonly Json[]).map(item => fromJson(schema.items, item)); break;
    case 'map': return { entries: (Array.isArray(json) ? json as readonly (readonly [Json, Json])[] : Object.entries(json as object)).map(([k, v]) => [fromJson(schema.keys, k as Json), fromJson(schema.values, v as Json)] as const) };
    case 'struct':
      if (typeof json === 'object' && !Array.isArray(json)) return { schema, values: schema.fields.map(({ name, schema: child }) => fromJson(child, (json as Record<string, Json>)[name] ?? null)) };
  }
  throw mismatch(schema, `a JSON ${Array.isArray(json) ? 'array' : typeof json}`);
}

function mismatch(schema: Schema, got: string): DataError { return new DataError(`JSON does not fit its schema: ${schema.type} expected, ${got} found`, { code: 'JSON_VALUE' }); }
