/** Values → JSON text as `org.apache.kafka.connect.json.JsonConverter` writes them, its other options at their defaults. */
import { unscaledFrom } from './decimal.ts';
import { javaBigDecimal, javaDouble, javaFloat } from './java-number.ts';
import type { Schema, Struct, StructSchema, Value, ValueMap } from './schema.ts';

type Writer = (value: Value) => string;
/** How Connect's decimals are written (`decimal.format`): as the base64 of their bytes, or as numbers. */
export type Decimals = 'base64' | 'numeric';
const DECIMAL = 'org.apache.kafka.connect.data.Decimal';
interface Cache { readonly writers: WeakMap<Schema, Writer>; readonly texts: WeakMap<Schema, string>; readonly prefixes: WeakMap<Schema, Uint8Array> }
const empty = (): Cache => ({ writers: new WeakMap(), texts: new WeakMap(), prefixes: new WeakMap() });
const caches: Readonly<Record<Decimals, Cache>> = { base64: empty(), numeric: empty() };

/** JSON text of a value; a null under a schema with a default reads as the default (replace.null.with.default). */
export function valueJson(schema: Schema, value: Value): string { return writerFor(schema)(value); }

/** Compiled once per schema. */
export function writerFor(schema: Schema, decimals: Decimals = 'base64'): Writer {
  const { writers } = caches[decimals], known = writers.get(schema);
  if (known !== undefined) return known;
  const write = compile(schema, decimals);
  const fallback = schema.default === undefined || schema.default === null ? 'null' : write(schema.default);
  const writer: Writer = value => (value === null ? fallback : write(value));
  writers.set(schema, writer);
  return writer;
}

function compile(schema: Schema, decimals: Decimals): Writer {
  if (decimals === 'numeric' && schema.type === 'bytes' && schema.name === DECIMAL) {
    const scale = Number(schema.parameters?.['scale'] ?? '0');
    return value => javaBigDecimal(unscaledFrom(value as Uint8Array), scale);
  }
  switch (schema.type) {
    case 'int8': case 'int16': case 'int32': case 'int64': case 'boolean': return value => String(value);
    case 'float': return value => quotedUnlessFinite(value as number, javaFloat);
    case 'double': return value => quotedUnlessFinite(value as number, javaDouble);
    case 'string': return value => JSON.stringify(value);
    case 'bytes': return value => { const bytes = value as Uint8Array; return `"${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')}"`; };
    case 'array': { const item = writerFor(schema.items, decimals); return value => `[${(value as readonly Value[]).map(item).join(',')}]`; }
    case 'map': return compileMap(writerFor(schema.keys, decimals), writerFor(schema.values, decimals), schema.keys.type === 'string' && !schema.keys.optional);
    case 'struct': return compileStruct(schema, decimals);
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

function compileStruct(schema: StructSchema, decimals: Decimals): Writer {
  const fields = schema.fields.map(({ name, schema: child }, i) => ({ prefix: `${i === 0 ? '{' : ','}${JSON.stringify(name)}:`, write: writerFor(child, decimals) }));
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

/** The schema as JSON text, built once per schema; members in Connect's order: type, children, optional, name, version, doc, parameters, default, field. */
export function schemaJson(schema: Schema, decimals: Decimals = 'base64', field?: string): string {
  if (field !== undefined) return `${schemaJson(schema, decimals).slice(0, -1)},"field":${JSON.stringify(field)}}`;
  const { texts } = caches[decimals], known = texts.get(schema);
  if (known !== undefined) return known;
  const parts = [`"type":"${schema.type}"`];
  if (schema.type === 'array') parts.push(`"items":${schemaJson(schema.items, decimals)}`);
  if (schema.type === 'map') parts.push(`"keys":${schemaJson(schema.keys, decimals)}`, `"values":${schemaJson(schema.values, decimals)}`);
  if (schema.type === 'struct') parts.push(`"fields":[${schema.fields.map(({ name, schema: child }) => schemaJson(child, decimals, name)).join(',')}]`);
  parts.push(`"optional":${schema.optional}`);
  if (schema.name !== undefined) parts.push(`"name":${JSON.stringify(schema.name)}`);
  if (schema.version !== undefined) parts.push(`"version":${schema.version}`);
  if (schema.doc !== undefined) parts.push(`"doc":${JSON.stringify(schema.doc)}`);
  if (schema.parameters !== undefined) parts.push(`"parameters":${JSON.stringify(schema.parameters)}`);
  if (schema.default !== undefined) parts.push(`"default":${writerFor(schema, decimals)(schema.default)}`);
  const text = `{${parts.join(',')}}`;
  texts.set(schema, text);
  return text;
}

/** `{"schema":…,"payload":` of a schema as UTF-8, built once. */
export function schemaPrefix(schema: Schema, decimals: Decimals = 'base64'): Uint8Array {
  const { prefixes } = caches[decimals];
  let prefix = prefixes.get(schema);
  if (prefix === undefined) { prefix = Buffer.from(`{"schema":${schemaJson(schema, decimals)},"payload":`); prefixes.set(schema, prefix); }
  return prefix;
}
