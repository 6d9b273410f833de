/** Values → JSON text as `org.apache.kafka.connect.json.JsonConverter` under its default options writes them. */
import { javaDouble, javaFloat } from './java-number.ts';
import type { Schema, Struct, StructSchema, Value, ValueMap } from './schema.ts';

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

const texts = new WeakMap<Schema, string>();

/** The schema as JSON text, built once per schema; members in Connect's order: type, children, optional, name, version, doc, parameters, default, field. */
export function schemaJson(schema: Schema, field?: string): string {
  if (field !== undefined) return `${schemaJson(schema).slice(0, -1)},"field":${JSON.stringify(field)}}`;
  const known = texts.get(schema);
  if (known !== undefined) return known;
  const parts = [`"type":"${schema.type}"`];
  if (schema.type === 'array') parts.push(`"items":${schemaJson(schema.items)}`);
  if (schema.type === 'map') parts.push(`"keys":${schemaJson(schema.keys)}`, `"values":${schemaJson(schema.values)}`);
  if (schema.type === 'struct') parts.push(`"fields":[${schema.fields.map(({ name, schema: child }) => schemaJson(child, name)).join(',')}]`);
  parts.push(`"optional":${schema.optional}`);
  if (schema.name !== undefined) parts.push(`"name":${JSON.stringify(schema.name)}`);
  if (schema.version !== undefined) parts.push(`"version":${schema.version}`);
  if (schema.doc !== undefined) parts.push(`"doc":${JSON.stringify(schema.doc)}`);
  if (schema.parameters !== undefined) parts.push(`"parameters":${JSON.stringify(schema.parameters)}`);
  if (schema.default !== undefined) parts.push(`"default":${valueJson(schema, schema.default)}`);
  const text = `{${parts.join(',')}}`;
  texts.set(schema, text);
  return text;
}

const prefixes = new WeakMap<Schema, Uint8Array>();

/** `{"schema":…,"payload":` of a schema as UTF-8, built once. */
export function schemaPrefix(schema: Schema): Uint8Array {
  let prefix = prefixes.get(schema);
  if (prefix === undefined) { prefix = Buffer.from(`{"schema":${schemaJson(schema)},"payload":`); prefixes.set(schema, prefix); }
  return prefix;
}
