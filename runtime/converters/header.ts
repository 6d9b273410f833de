/** `SimpleHeaderConverter`: strings as they are, other values as JSON-like text; on the way back everything is text. */
import { connectText } from '../../envelopes/java-values.ts';
import type { Schema } from '../../envelopes/schema.ts';
import type { Converter } from '../api/converter.ts';

const TEXT: Schema = { type: 'string', optional: true };

export function simpleHeaderConverter(): Converter {
  return {
    encode: (_topic, schema, value) => { const text = connectText(schema, value); return text === null ? null : Buffer.from(text, 'utf8'); },
    decode: (_topic, bytes) => ({ schema: TEXT, value: bytes === null ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8') }),
  };
}
