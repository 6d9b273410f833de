/** JSON → values, the reading half of `org.apache.kafka.connect.json.JsonConverter` under its default options. */
import type { Schema, Value } from '../../envelopes/schema.ts';
import { DataError } from '../api/errors.ts';
import type { Json } from '../api/exact-json.ts';

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
