import { valueJson } from '../../../../envelopes/json.ts';
import type { Schema, Value } from '../../../../envelopes/schema.ts';
import type { JsonWriter } from './write-json.ts';

const NULL = Buffer.from('null');

/** The general way in the shape of the fast one: text → value → JSON. */
export function slowWriter(schema: Schema, decode: (text: string) => Value): JsonWriter {
  return (source, start, end, out) => {
    const value = decode(source.toString('utf8', start, end));
    if (value === null) out.write(NULL);
    else out.writeText(valueJson(schema, value));
  };
}
