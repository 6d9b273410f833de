/** What transforms share: reading and replacing parts of a record, whether it has schemas or not. */
import type { ConnectRecord, SchemaAndValue } from '../../envelopes/record.ts';
import { bool } from '../api/config.ts';
import { fieldIndex, type Field, type Schema, type Struct, type StructSchema, type Value } from '../../envelopes/schema.ts';

/** A schemaless record's object. */
export type PlainObject = Readonly<Record<string, Value>>;

export function isStruct(value: Value): value is Struct {
  return typeof value === 'object' && value !== null && 'schema' in value && 'values' in value && Array.isArray((value as Struct).values);
}
export function isObject(value: unknown): value is PlainObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

/** A member by name, whichever form the value has; undefined when there is none. With `defaults` a null reads as the field's default. */
export function memberOf({ schema, value }: SchemaAndValue, name: string, defaults = false): SchemaAndValue | undefined {
  if (isStruct(value)) {
    const at = fieldIndex(value.schema, name);
    const field = value.schema.fields[at];
    return field === undefined ? undefined : { schema: field.schema, value: valueAt(value, at, defaults) };
  }
  if (schema === null && isObject(value) && name in value) return { schema: null, value: value[name] ?? null };
  return undefined;
}

/** The same value with members appended (or replaced, when the name is there). */
export function withMembers(from: SchemaAndValue, members: readonly (readonly [name: string, member: SchemaAndValue])[]): SchemaAndValue {
  const { value } = from;
  if (isStruct(value)) {
    const fields: Field[] = [...value.schema.fields], values: Value[] = [...value.values];
    for (const [name, member] of members) {
      const at = fields.findIndex(field => field.name === name);
      const field: Field = { name, schema: member.schema ?? { type: 'string', optional: true } };
      if (at < 0) { fields.push(field); values.push(member.value); } else { fields[at] = field; values[at] = member.value; }
    }
    const schema = derivedSchema(value.schema, fields);
    return { schema, value: { schema, values } };
  }
  if (isObject(value)) return { schema: null, value: { ...(value as PlainObject), ...Object.fromEntries(members.map(([name, member]) => [name, member.value])) } as unknown as Value };
  return from;
}

const derived = new WeakMap<StructSchema, Map<string, StructSchema>>();

/** A required struct with the base's name and so on. Interned by the base schema and the fields' names and identities, so that converters keep their compiled writers. */
export function derivedSchema(base: StructSchema, fields: readonly Field[], name: string | undefined = base.name): StructSchema {
  let known = derived.get(base);
  if (known === undefined) { known = new Map(); derived.set(base, known); }
  const key = `${name ?? ''}|${fields.map(field => `${field.name}:${identity(field.schema)}`).join(',')}`;
  const found = known.get(key);
  if (found !== undefined) return found;
  const { name: _old, ...rest } = basics(base);
  const schema: StructSchema = { type: 'struct', optional: false, ...rest, ...(name === undefined ? {} : { name }), fields };
  if (known.size > 1000) known.clear();
  known.set(key, schema);
  return schema;
}

const identities = new WeakMap<Schema, number>();
let nextIdentity = 1;
function identity(schema: Schema): number {
  let number = identities.get(schema);
  if (number === undefined) { number = nextIdentity++; identities.set(schema, number); }
  return number;
}

/** `$Key` or `$Value` of a record, read and replaced. */
export type Side = 'key' | 'value';
export function withSide<R extends ConnectRecord>(record: R, side: Side, part: SchemaAndValue): R {
  return { ...record, [side]: part };
}

/** Name, version, doc and parameters alone, as a transform takes them over into the struct schema that it derives. */
export function basics({ name, version, doc, parameters }: Schema): Pick<Schema, 'name' | 'version' | 'doc' | 'parameters'> {
  return { ...(name !== undefined && { name }), ...(version !== undefined && { version }), ...(doc !== undefined && { doc }), ...(parameters !== undefined && { parameters }) };
}

/** A field's value; with `defaults` a null reads as the field's default (`replace.null.with.default`). */
export function valueAt({ schema, values }: Struct, at: number, defaults: boolean): Value {
  const value = values[at] ?? null;
  return value === null && defaults ? schema.fields[at]?.schema.default ?? null : value;
}

/** One derived thing per schema, made when it is first asked for: converters compile a writer for each schema's identity. */
export function perSchema<S extends Schema, T>(make: (schema: S) => T): (schema: S) => T {
  const known = new WeakMap<S, T>();
  return schema => {
    let made = known.get(schema);
    if (made === undefined) { made = make(schema); known.set(schema, made); }
    return made;
  };
}

/** `replace.null.with.default` of transforms. */
export const replaceNull = bool({ default: true, group: 'Transformation', doc: 'A null in a field with a default is read as the default.' });
