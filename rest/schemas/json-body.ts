/**
 * JSON request bodies, and Connect's words for what is wrong with them. Connect reads bodies with Jackson and answers 500
 * with Jackson's message; tools have learnt those, so they are kept (recorded from Connect 4.3.1).
 */
import { parseExact, type Json } from '../../runtime/api/exact-json.ts';
import { HttpError } from '../errors.ts';

const ENTITIES = 'org.apache.kafka.connect.runtime.rest.entities';
/** Java's names of what a body is read into: they are part of the messages. */
export const javaTypes = {
  create: `${ENTITIES}.CreateConnectorRequest`,
  initialState: `${ENTITIES}.CreateConnectorRequest$InitialState`,
  offsets: `${ENTITIES}.ConnectorOffsets`,
  config: 'java.util.LinkedHashMap<java.lang.String,java.lang.String>',
} as const;

/** A member of an object, with numbers as the text that the client wrote (`1.0` stays `1.0`). */
export type Body = { readonly [key: string]: Json };

export function badBody(message: string, text: string, index: number, chain = ''): HttpError {
  const before = text.slice(0, index);
  const line = before.split('\n').length;
  const column = index - before.lastIndexOf('\n');
  return new HttpError(500, `${message}\n at [Source: REDACTED (\`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION\` disabled); line: ${line}, column: ${column}]${chain}`);
}

/** Numbers become their text when `numbers` is `text`. Undefined = an empty body. */
export function readObject(text: string, type: string, numbers: 'text' | 'exact'): Body | undefined {
  if (text.trim() === '') return undefined;
  let value: Json;
  try { value = numbers === 'text' ? parseExact(text, token => token) : parseExact(text); } catch { throw malformed(text); }
  if (value === null) return undefined;
  if (typeof value !== 'object' || Array.isArray(value)) throw badBody(`Cannot deserialize value of type \`${type}\` from ${tokenOf(value)}`, text, text.search(/\S/));
  return value as Body;
}

function tokenOf(value: Json): string {
  if (Array.isArray(value)) return 'Array value (token `JsonToken.START_ARRAY`)';
  if (typeof value === 'string') return 'String value (token `JsonToken.VALUE_STRING`)';
  if (typeof value === 'boolean') return `Boolean value (token \`JsonToken.VALUE_${String(value).toUpperCase()}\`)`;
  return typeof value === 'object' ? 'Object value (token `JsonToken.START_OBJECT`)' : 'Integer value (token `JsonToken.VALUE_NUMBER_INT`)';
}

function malformed(text: string): HttpError {
  const at = failure(text);
  const found = text[at];
  if (found === undefined) return badBody('Unexpected end-of-input', text, text.length);
  const before = text.slice(0, at).trimEnd();
  const expected = before.endsWith('{') ? 'was expecting double-quote to start field name' : 'expected a valid value (JSON String, Number, Array, Object or token \'null\', \'true\' or \'false\')';
  return badBody(`Unexpected character ('${found}' (code ${found.codePointAt(0) ?? 0})): ${expected}`, text, at);
}

/** Index of the first character that no JSON text could have there: V8 names it. */
function failure(text: string): number {
  try { JSON.parse(text); } catch (error) {
    const named = /at position (\d+)/.exec((error as Error).message)?.[1];
    if (named !== undefined) return Number(named);
    // Short texts are quoted instead: the token is named, its first occurrence is near enough.
    const token = /^Unexpected token '(.)'/u.exec((error as Error).message)?.[1];
    if (token !== undefined) return Math.max(0, text.indexOf(token));
    return text.length;
  }
  return 0;
}

/** Property values: strings, or scalars as the text that stands in the body. Null only where `nulls` says so. */
export function readProperties(value: Json, text: string): Record<string, string | null> {
  const properties: Record<string, string | null> = {};
  for (const [key, member] of Object.entries(value as Body)) {
    if (member !== null && typeof member === 'object') {
      throw badBody(`Cannot deserialize value of type \`java.lang.String\` from ${tokenOf(member)}`, text, Math.max(0, text.indexOf(JSON.stringify(key))), ` (through reference chain: java.util.LinkedHashMap["${key}"])`);
    }
    properties[key] = member === null ? null : String(member);
  }
  return properties;
}
