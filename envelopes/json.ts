/** Values → JSON text as `org.apache.kafka.connect.json.JsonConverter` writes them, under its default options or others. */
import { unscaledFrom } from './decimal.ts';
import { javaBigDecimal, javaDouble, javaFloat } from './java-number.ts';
import type { Schema, Struct, StructSchema, Value, ValueMap } from './schema.ts';

type Writer = (value: Value) => string;

/** How Connect's decimals are written. */
export type Decimals = 'base64' | 'numeric';

/** The converter's options that change the text of a value. */
export interface JsonTextOptions {
  /** `decimal.format`: decimals as the base64 of their bytes, or as numbers. */
  readonly decimals: Decimals;
  /** `replace.null.with.default`: a null under a schema with a default reads as the default. */
  readonly defaultsForNull: boolean;
}

/** Writers, compiled once per schema, of one set of options. */
export class JsonText {
  private readonly options: JsonTextOptions;
  private readonly writers = new WeakMap<Schema, Writer>();
  private readonly texts = new WeakMap<Schema, string>();
  private readonly prefixes = new WeakMap<Schema, Uint8Array>();

  constructor(options: JsonTextOptions) { this.options = options; }

  writerFor(schema: Schema): Writer {
    const known = this.writers.get(schema);
    if (known !== undefined) return known;
    const write = this.compile(schema);
    const fallback = schema.default === undefined || schema.default === null || !this.options.defaultsForNull ? 'null' : write(schema.default);
    const writer: Writer = value => (value === null ? fallback : write(value));
    this.writers.set(schema, writer);
    return writer;
  }

  private compile(schema: Schema): Writer {
    switch (schema.type) {
      case 'int8': case 'int16': case 'int32': case 'int64': case 'boolean': return value => String(value);
      case 'float': return value => quotedUnlessFinite(value as number, javaFloat);
      case 'double': return value => quotedUnlessFinite(value as number, javaDouble);
      case 'string': return value => JSON.stringify(value);
      case 'bytes': return this.options.decimals === 'numeric' && schema.name === DECIMAL ? numericDecimal(Number(schema.parameters?.['scale'] ?? 0)) : base64;
      case 'array': { const item = this.writerFor(schema.items); return value => `[${(value as readonly Value[]).map(item).join(',')}]`; }
      case 'map': return compileMap(this.writerFor(schema.keys), this.writerFor(schema.values), schema.keys.type === 'string' && !schema.keys.optional);
      case 'struct': return this.compileStruct(schema);
    }
  }

  private compileStruct(schema: StructSchema): Writer {
    const fields = schema.fields.map(({ name, schema: child }, i) => ({ prefix: `${i === 0 ? '{' : ','}${JSON.stringify(name)}:`, write: this.writerFor(child) }));
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
  schemaJson(schema: Schema, field?: string): string {
    if (field !== undefined) return `${this.schemaJson(schema).slice(0, -1)},"field":${JSON.stringify(field)}}`;
    const known = this.texts.get(schema);
    if (known !== undefined) return known;
    const parts = [`"type":"${schema.type}"`];
    if (schema.type === 'array') parts.push(`"items":${this.schemaJson(schema.items)}`);
    if (schema.type === 'map') parts.push(`"keys":${this.schemaJson(schema.keys)}`, `"values":${this.schemaJson(schema.values)}`);
    if (schema.type === 'struct') parts.push(`"fields":[${schema.fields.map(({ name, schema: child }) => this.schemaJson(child, name)).join(',')}]`);
    parts.push(`"optional":${schema.optional}`);
    if (schema.name !== undefined) parts.push(`"name":${JSON.stringify(schema.name)}`);
    if (schema.version !== undefined) parts.push(`"version":${schema.version}`);
    if (schema.doc !== undefined) parts.push(`"doc":${JSON.stringify(schema.doc)}`);
    if (schema.parameters !== undefined) parts.push(`"parameters":${JSON.stringify(schema.parameters)}`);
    if (schema.default !== undefined) parts.push(`"default":${this.writerFor(schema)(schema.default)}`);
    const text = `{${parts.join(',')}}`;
    this.texts.set(schema, text);
    return text;
  }

  /** `{"schema":…,"payload":` of a schema as UTF-8, built once. */
  schemaPrefix(schema: Schema): Uint8Array {
    let prefix = this.prefixes.get(schema);
    if (prefix === undefined) { prefix = Buffer.from(`{"schema":${this.schemaJson(schema)},"payload":`); this.prefixes.set(schema, prefix); }
    return prefix;
  }
}

const DECIMAL = 'org.apache.kafka.connect.data.Decimal';
const base64: Writer = value => { const bytes = value as Uint8Array; return `"${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')}"`; };
const numericDecimal = (scale: number): Writer => value => javaBigDecimal(unscaledFrom(value as Uint8Array), scale);

function quotedUnlessFinite(value: number, spell: (value: number) => string): string {
  return Number.isFinite(value) ? spell(value) : `"${spell(value)}"`;
}

function compileMap(key: Writer, item: Writer, asObject: boolean): Writer {
  return value => {
    const { entries } = value as ValueMap;
    return asObject ? `{${entries.map(([k, v]) => `${key(k)}:${item(v)}`).join(',')}}` : `[${entries.map(([k, v]) => `[${key(k)},${item(v)}]`).join(',')}]`;
  };
}

const plain = new JsonText({ decimals: 'base64', defaultsForNull: true });

/** JSON text of a value under the default options. */
export function valueJson(schema: Schema, value: Value): string { return plain.writerFor(schema)(value); }

/** Compiled once per schema, for the default options. */
export function writerFor(schema: Schema): Writer { return plain.writerFor(schema); }

/** `{"schema":…,"payload":` under the default options. */
export function schemaPrefix(schema: Schema): Uint8Array { return plain.schemaPrefix(schema); }
