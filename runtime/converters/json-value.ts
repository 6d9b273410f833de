/** JSON → values, the reading half of `org.apache.kafka.connect.json.JsonConverter` under its default options. */
import { parseDecimal, rescale, unscaledBytes } from '../../envelopes/decimal.ts';
import type { Schema, Value } from '../../envelopes/schema.ts';
import { DataError } from '../api/errors.ts';
import { exactNumber, type Json } from '../api/exact-json.ts';

const DECIMAL = 'org.apache.kafka.connect.data.Decimal';

/** A number with more digits than a double tells apart, as it was written: what it means the schema says. */
class LongNumber {
  readonly text: string;
  constructor(text: string) { this.text = text; }
}
/** For `parseExact`: numbers of which no digit is lost. */
export function keptNumber(token: string, whole: boolean): Json {
  return whole || token.length <= 15 ? exactNumber(token, whole) : new LongNumber(token) as unknown as Json;
}

/** Parsed JSON → value under a schema. Throws DataError JSON_VALUE. */
export function fromJson(schema: Schema, json: Json): Value {
  if (json === null) {
    if (schema.default !== undefined) return schema.default;
    if (schema.optional) return null;
    throw mismatch(schema, 'null for a required field');
  }
  if ((json as unknown) instanceof LongNumber) return fromNumber(schema, (json as unknown as LongNumber).text);
  switch (schema.type) {
    case 'int8': case 'int16': case 'int32': if (typeof json === 'number') return json; break;
    case 'int64': if (typeof json === 'number' || typeof json === 'bigint') return BigInt(json); break;
    case 'float': case 'double':
      if (typeof json === 'number') return json;
      if (typeof json === 'bigint' || typeof json === 'string') return Number(json);
      break;
    case 'boolean': if (typeof json === 'boolean') return json; break;
    case 'string': if (typeof json === 'string') return json; break;
    case 'bytes':
      if (typeof json === 'string') return Uint8Array.from(Buffer.from(json, 'base64'));
      if (typeof json === 'number' || typeof json === 'bigint') return fromNumber(schema, String(json));
      break;
    case 'array': if (Array.isArray(json)) return (json as readonly Json[]).map(item => fromJson(schema.items, item)); break;
    case 'map': return { entries: (Array.isArray(json) ? json as readonly (readonly [Json, Json])[] : Object.entries(json as object)).map(([k, v]) => [fromJson(schema.keys, k as Json), fromJson(schema.values, v as Json)] as const) };
    case 'struct':
      if (typeof json === 'object' && !Array.isArray(json)) return { schema, values: schema.fields.map(({ name, schema: child }) => fromJson(child, (json as Record<string, Json>)[name] ?? null)) };
  }
  throw mismatch(schema, `a JSON ${Array.isArray(json) ? 'array' : typeof json}`);
}

/** A number as text: the value of a float, or of a decimal (`decimal.format` tells how they are written; both forms are always read). */
function fromNumber(schema: Schema, text: string): Value {
  if (schema.type === 'float' || schema.type === 'double') return Number(text);
  const parsed = schema.type === 'bytes' && schema.name === DECIMAL ? parseDecimal(text) : undefined;
  if (parsed === undefined) throw mismatch(schema, 'a JSON number');
  const scale = Number(schema.parameters?.['scale'] ?? '0'), unscaled = rescale(parsed.unscaled, parsed.scale, scale);
  if (rescale(unscaled, scale, parsed.scale) !== parsed.unscaled) throw mismatch(schema, `a number with more than ${scale} digits behind the point`);
  return unscaledBytes(unscaled);
}

function mismatch(schema: Schema, got: string): DataError { return new DataError(`JSON does not fit its schema: ${schema.type} expected, ${got} found`, { code: 'JSON_VALUE' }); }
