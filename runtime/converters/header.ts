/** `SimpleHeaderConverter`: strings as they are, other values as JSON-like text; on the way back everything is text. */
import { writerFor } from '../../envelopes/json.ts';
import type { Schema } from '../../envelopes/schema.ts';
import type { Converter } from '../api/converter.ts';

const TEXT: Schema = { type: 'string', optional: true };

export function simpleHeaderConverter(): Converter {
  return {
    encode: (_topic, schema, value) => {
      if (value === null) return null;
      if (typeof value === 'string') return Buffer.from(value, 'utf8');
      if (value instanceof Uint8Array) return Buffer.from(Buffer.from(value).toString('base64'), 'utf8');
      if (schema === null) return Buffer.from(String(value), 'utf8');
      return Buffer.from(writerFor(schema)(value), 'utf8');
    },
    decode: (_topic, bytes) => ({ schema: TEXT, value: bytes === null ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8') }),
  };
}
