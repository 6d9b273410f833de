/**
 * `org.apache.kafka.connect.json.JsonConverter`: with schemas a record is `{"schema":…,"payload":…}`, without it is the
 * payload alone. Byte for byte what Connect 4.3 writes, with decimals as `decimal.format` wants them and nulls as `replace.null.with.default` does.
 */
import { JsonText, type JsonTextOptions } from '../../envelopes/json.ts';
import type { SchemaAndValue } from '../../envelopes/record.ts';
import type { Schema, Value, ValueMap } from '../../envelopes/schema.ts';
import type { Converter } from '../api/converter.ts';
import { DataError } from '../api/errors.ts';
import { exactNumber, type Json, parseExact } from '../api/exact-json.ts';
import { schemaFromJson } from './json-schema.ts';
import { fromJson, keptNumber } from './json-value.ts';

/** `defaultsForNull` is replace.null.with.default. */
export function jsonConverter({ schemas, decimals = 'base64', defaultsForNull = true }: { readonly schemas: boolean } & Partial<JsonTextOptions>): Converter {
  const text = new JsonText({ decimals, defaultsForNull });
  const read = new Map<string, Schema | null>();
  return {
    readableJson: { schemas }, ...(decimals === 'base64' && defaultsForNull ? { plainJson: { schemas } } : {}),
    encode: (_topic, schema, value) => {
      if (value === null && schema === null) return null;
      const payload = schema === null ? schemaless(value) : text.writerFor(schema)(value);
      if (!schemas) return Buffer.from(payload);
      return schema === null ? Buffer.from(`{"schema":null,"payload":${payload}}`) : Buffer.concat([text.schemaPrefix(schema), Buffer.from(`${payload}}`)]);
    },
    decode: (topic, bytes) => {
      if (bytes === null) return { schema: null, value: null };
      return schemas ? decodeEnvelope(topic, bytes, read) : { schema: null, value: parse(topic, bytes) as unknown as Value };
    },
  };
}

function parse(topic: string, bytes: Uint8Array, number = exactNumber as typeof keptNumber): Json {
  try {
    return parseExact(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'), number);
  } catch (error) {
    throw new DataError(`Topic ${topic}: a record is no JSON: ${(error as Error).message}`, { code: 'JSON_SYNTAX', hint: 'Check the converter of this connector, or set errors.tolerance=all with a dead letter queue.', cause: error });
  }
}

function decodeEnvelope(topic: string, bytes: Uint8Array, cache: Map<string, Schema | null>): SchemaAndValue {
  const json = parse(topic, bytes, keptNumber);
  if (json === null) return { schema: null, value: null };
  const members = json as Readonly<Record<string, Json>>;
  if (typeof json !== 'object' || Array.isArray(json) || !('payload' in members) || !('schema' in members)) {
    throw new DataError(`Topic ${topic}: JsonConverter with schemas.enable needs "schema" and "payload" in each record`, { code: 'JSON_ENVELOPE', hint: 'Set schemas.enable=false on the converter if the records are plain JSON.' });
  }
  const text = JSON.stringify(members['schema'], (_key, member: unknown) => (typeof member === 'bigint' ? `${member}n` : member));
  let schema = cache.get(text);
  if (schema === undefined) {
    schema = schemaFromJson(members['schema'] ?? null);
    if (cache.size >= 1000) cache.clear();
    cache.set(text, schema);
  }
  // Without a schema nothing says what a long number means: it is read as any other then.
  return { schema, value: schema === null ? (parse(topic, bytes) as { readonly payload: unknown }).payload as Value : fromJson(schema, members['payload'] ?? null) };
}

/** Values without a schema: maps as objects, the rest by their JavaScript type. */
function schemaless(value: Value): string {
  if (value instanceof Uint8Array) return `"${Buffer.from(value).toString('base64')}"`;
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return `[${(value as readonly Value[]).map(schemaless).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const { entries: pairs } = value as Partial<ValueMap>;
    const entries: readonly (readonly [string, Value])[] = Array.isArray(pairs) ? (pairs as ValueMap['entries']).map(([k, v]) => [String(k), v] as const) : Object.entries(value as unknown as Record<string, Value>);
    return `{${entries.map(([k, v]) => `${JSON.stringify(k)}:${schemaless(v)}`).join(',')}}`;
  }
  return JSON.stringify(value);
}
