/** JSON text → a schema of its own and the value under it, as Debezium's outbox and message transforms make them. Source: Debezium documentation, "Expand escaped JSON String as JSON". */
import type { SchemaAndValue } from '../../../envelopes/record.ts';
import type { Field, Schema, StructSchema, Value } from '../../../envelopes/schema.ts';
import { type Json, parseExact } from '../../api/exact-json.ts';
import { isObject } from '../fields.ts';
import { schemaIdentity } from './envelope.ts';

export interface JsonSchemaOptions {
  /** What a JSON null becomes: left out, or optional bytes. */
  readonly nulls: 'ignore' | 'optional_bytes';
  readonly fieldName: (name: string) => string;
}

const optional = (type: 'string' | 'boolean' | 'int32' | 'int64' | 'double' | 'bytes'): Schema => ({ type, optional: true });
const STRING = optional('string'), BOOLEAN = optional('boolean'), INT32 = optional('int32'), INT64 = optional('int64'), DOUBLE = optional('double'), BYTES = optional('bytes');

/** Keeps its schemas, so that equal documents have one schema object. */
export class JsonSchemaData {
  private readonly options: JsonSchemaOptions;
  private readonly interned = new Map<string, Schema>();

  constructor(options: JsonSchemaOptions) { this.options = options; }

  /** `name` becomes that of the outermost struct. Undefined for text that does not begin as an object or array, or that has no such schema. */
  expand(text: string, name: string | undefined): SchemaAndValue | undefined {
    if (!/^[{[]/.test(text)) return undefined;
    try {
      const json = parseExact(text, number);
      const schema = this.schemaOf(name, json);
      return schema?.type !== 'struct' ? undefined : { schema: this.intern(schema), value: this.valueOf(json, this.intern(schema)) };
    } catch (error) {
      if (error instanceof SyntaxError || error instanceof Unmappable) return undefined;
      throw error;
    }
  }

  private intern(schema: Schema): Schema {
    const key = schemaIdentity(schema);
    const known = this.interned.get(key);
    if (known !== undefined) return known;
    if (this.interned.size >= 10_000) this.interned.clear();
    this.interned.set(key, schema);
    return schema;
  }

  private schemaOf(name: string | undefined, json: Json): Schema | undefined {
    if (json === null) return this.options.nulls === 'optional_bytes' ? BYTES : undefined;
    const token = tokenOf(json);
    if (token !== undefined) return numberSchema(token);
    if (typeof json === 'string') return STRING;
    if (typeof json === 'boolean') return BOOLEAN;
    if (Array.isArray(json)) return json.length === 0 ? undefined : { type: 'array', optional: true, items: this.itemSchema(name, json as readonly Json[]) };
    const fields: Field[] = [];
    for (const [key, member] of Object.entries(json as Readonly<Record<string, Json>>)) {
      const field = this.options.fieldName(key);
      const schema = this.schemaOf(name === undefined || name.trim() === '' ? field : `${name}.${field}`, member);
      if (schema !== undefined && !fields.some(known => known.name === field)) fields.push({ name: field, schema });
    }
    return { type: 'struct', optional: true, fields, ...(name !== undefined && { name }) };
  }

  /** Elements must be of one kind; objects share the fields of all. */
  private itemSchema(name: string | undefined, array: readonly Json[]): Schema {
    const present = array.filter(item => item !== null);
    const sample = present[0] ?? null;
    const numbers = present.flatMap(item => { const token = tokenOf(item); return token === undefined ? [] : [numberSchema(token)]; });
    if (present.some(item => kind(item) !== kind(sample)) || new Set(numbers).size > 1) throw new Unmappable();
    if (kind(sample) !== 'object') {
      const schema = this.schemaOf(undefined, sample);
      if (schema === undefined) throw new Unmappable();
      return schema;
    }
    return present.map(item => this.schemaOf(name, item) as StructSchema).reduce((left, right) => {
      const fields = [...left.fields];
      for (const field of right.fields) {
        const at = fields.findIndex(known => known.name === field.name);
        if (at < 0) fields.push(field);
        else if (fields[at]?.schema.type === 'bytes' && field.schema.type !== 'bytes') fields[at] = field;
      }
      // Merged structs are required, a single one is optional, as Debezium has it.
      return schemaIdentity(left) === schemaIdentity(right) ? left : { ...left, optional: false, fields };
    });
  }

  private valueOf(json: Json | undefined, schema: Schema): Value {
    if (json === null || json === undefined) return null;
    const token = tokenOf(json);
    if (token !== undefined) return schema.type === 'int64' ? BigInt(token.text) : Number(token.text);
    if (Array.isArray(json) && schema.type === 'array') return (json as readonly Json[]).map(item => this.valueOf(item, schema.items));
    if (isObject(json) && schema.type === 'struct') return { schema, values: schema.fields.map(({ name, schema: child }) => this.valueOf((json as Readonly<Record<string, Json>>)[name], child)) };
    return json as Value;
  }
}

class Unmappable extends Error {}

/** A number with its spelling, which says whether it is a whole one. */
class NumberToken { readonly text: string; constructor(text: string) { this.text = text; } }
const number = (token: string): Json => new NumberToken(token) as unknown as Json;
const tokenOf = (json: Json | undefined): NumberToken | undefined => ((json as unknown) instanceof NumberToken ? json as unknown as NumberToken : undefined);
const kind = (json: Json): string => (Array.isArray(json) ? 'array' : tokenOf(json) !== undefined ? 'number' : json === null ? 'null' : typeof json);

function numberSchema({ text }: NumberToken): Schema {
  if (!/^-?\d+$/.test(text)) return DOUBLE;
  const value = BigInt(text);
  if (value === BigInt.asIntN(32, value)) return INT32;
  if (value === BigInt.asIntN(64, value)) return INT64;
  throw new Unmappable();
}
