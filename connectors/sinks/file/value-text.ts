/** A Connect value as Java's `String.valueOf` writes it: that is what Kafka's file sink puts on a line. */
import { javaDouble, javaFloat } from '../../../envelopes/java-number.ts';
import type { Schema, Struct, Value, ValueMap } from '../../../envelopes/schema.ts';

export function valueText(value: Value, schema: Schema | null): string {
  if (value === null) return 'null';
  if (typeof value === 'number') return schema?.type === 'float' ? javaFloat(value) : schema?.type === 'double' || !Number.isInteger(value) ? javaDouble(value) : String(value);
  if (typeof value !== 'object') return String(value);
  // Java shows an identity here, which says nothing; the bytes are of more use.
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (isList(value)) return `[${value.map(item => valueText(item, schema?.type === 'array' ? schema.items : null)).join(', ')}]`;
  if ('entries' in value) return mapText(value, schema);
  return structText(value);
}

function isList(value: Value): value is readonly Value[] { return Array.isArray(value); }

function mapText({ entries }: ValueMap, schema: Schema | null): string {
  const [keys, values] = schema?.type === 'map' ? [schema.keys, schema.values] : [null, null];
  return `{${entries.map(([key, value]) => `${valueText(key, keys)}=${valueText(value, values)}`).join(', ')}}`;
}

/** `Struct{a=1,b=x}`; fields that are null are left out. */
function structText({ schema, values }: Struct): string {
  const shown = schema.fields.flatMap(({ name, schema: type }, i) => {
    const value = values[i] ?? null;
    return value === null ? [] : [`${name}=${valueText(value, type)}`];
  });
  return `Struct{${shown.join(',')}}`;
}
