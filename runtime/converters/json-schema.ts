/** The schema half of JsonConverter's envelope → Connect schema. */
import { DataError } from '../api/errors.ts';
import type { Json } from '../api/exact-json.ts';
import type { Field, Schema, SchemaType, StructSchema } from '../../envelopes/schema.ts';
import { fromJson } from './json-value.ts';

const TYPES: ReadonlySet<string> = new Set<SchemaType>(['int8', 'int16', 'int32', 'int64', 'float', 'double', 'boolean', 'string', 'bytes', 'array', 'map', 'struct']);

type Members = Readonly<Record<string, Json>>;

/** Parsed schema JSON → schema. Throws DataError JSON_SCHEMA. */
export function schemaFromJson(json: Json): Schema | null {
  if (json === null) return null;
  if (typeof json !== 'object' || Array.isArray(json)) throw bad('a schema must be an object');
  const members = json as Members;
  const type = members['type'];
  if (typeof type !== 'string' || !TYPES.has(type)) throw bad(`unknown type ${JSON.stringify(type)}`);
  const facts = {
    optional: members['optional'] === true,
    ...(typeof members['name'] === 'string' && { name: members['name'] }),
    ...(typeof members['version'] === 'number' && { version: members['version'] }),
    ...(typeof members['doc'] === 'string' && { doc: members['doc'] }),
    ...(members['parameters'] !== null && typeof members['parameters'] === 'object' && { parameters: members['parameters'] as Record<string, string> }),
  };
  const schema = withChildren(type as SchemaType, facts, members);
  return members['default'] === undefined || members['default'] === null ? schema : { ...schema, default: fromJson(schema, members['default']) };
}

function withChildren(type: SchemaType, facts: { readonly optional: boolean }, members: Members): Schema {
  if (type === 'array') return { ...facts, type, items: child(members['items']) };
  if (type === 'map') return { ...facts, type, keys: child(members['keys']), values: child(members['values']) };
  if (type !== 'struct') return { ...facts, type };
  const fields = members['fields'];
  if (!Array.isArray(fields)) throw bad('a struct needs fields');
  return { ...facts, type, fields: (fields as readonly Members[]).map((field): Field => ({ name: String(field['field']), schema: child(field) })) } satisfies StructSchema;
}

function child(json: Json | undefined): Schema {
  const schema = schemaFromJson(json ?? null);
  if (schema === null) throw bad('a child schema is missing');
  return schema;
}

function bad(what: string): DataError { return new DataError(`Not a Connect JSON schema: ${what}`, { code: 'JSON_SCHEMA' }); }
