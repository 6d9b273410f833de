/** `org.apache.kafka.connect.transforms.MaskField`: fields as the zero of their type, or as a value of your own. Source: Kafka Connect documentation, "Transformations". */
import { parseDecimal, rescale, unscaledBytes } from '../../../envelopes/decimal.ts';
import type { Schema, Struct, Value } from '../../../envelopes/schema.ts';
import { type ConfigOf, defineConfig, list, string } from '../../api/config.ts';
import type { Transform } from '../../api/converter.ts';
import { DataError } from '../../api/errors.ts';
import { isObject, isStruct, replaceNull, type Side, valueAt, withSide } from '../fields.ts';
import { DECIMAL, epochMillis } from '../../../envelopes/java-values.ts';
import { castValue } from './cast.ts';

const group = 'Transformation';
export const maskFieldConfig = defineConfig({
  fields: list({ required: true, group, importance: 'HIGH', doc: 'Fields to mask.' }),
  replacement: string({ group, importance: 'LOW', doc: 'What stands in their place, for numbers and text; the zero of the type without it.' }),
  'replace.null.with.default': replaceNull,
});

export function maskField(side: Side) {
  return (config: ConfigOf<typeof maskFieldConfig>): Transform => {
    const names = new Set(config.fields);
    const mask = (schema: Schema | null, value: Value): Value => (value === null ? null : config.replacement === undefined || config.replacement === '' ? zero(schema, value) : custom(schema, value, config.replacement));
    return {
      apply: record => {
        const { schema, value } = record[side];
        if (isStruct(value)) {
          const values = value.schema.fields.map(({ name, schema: child }, i) => { const member = valueAt(value, i, config['replace.null.with.default']); return names.has(name) ? mask(child, member) : member; });
          return withSide(record, side, { schema, value: { schema: value.schema, values } satisfies Struct });
        }
        if (!isObject(value)) return record;
        return withSide(record, side, { schema: null, value: Object.fromEntries(Object.entries(value).map(([name, member]) => [name, names.has(name) ? mask(null, member) : member])) as unknown as Value });
      },
    };
  };
}

function zero(schema: Schema | null, value: Value): Value {
  if (schema?.name === DECIMAL) return decimal(schema, '0');
  if (typeof value === 'number') return 0;
  if (typeof value === 'bigint') return 0n;
  if (typeof value === 'boolean') return false;
  if (typeof value === 'string') return '';
  if (Array.isArray(value)) return [];
  if (value !== null && typeof value === 'object' && 'entries' in value) return { entries: [] };
  throw unmaskable(schema, '');
}

function custom(schema: Schema | null, value: Value, replacement: string): Value {
  if (typeof value === 'string') return replacement;
  if (schema?.name === DECIMAL) return decimal(schema, replacement);
  if (schema !== null && epochMillis(schema, value) === undefined && /^(int|float|double)/.test(schema.type)) return castValue({ type: 'string', optional: false }, replacement, schema.type as 'int32');
  if (schema === null && typeof value === 'number') return Number(replacement);
  if (schema === null && typeof value === 'bigint') return BigInt(replacement);
  throw unmaskable(schema, ' with custom replacement');
}

/** A decimal keeps its column's scale; Connect's zero has scale 0, which its converter then refuses. */
function decimal(schema: Schema, text: string): Value {
  const parsed = parseDecimal(text.trim());
  if (parsed === undefined) throw new DataError(`Unable to convert ${text} (class java.lang.String) to number`, { code: 'MASK_VALUE', hint: 'Give a replacement that is a number.' });
  return unscaledBytes(rescale(parsed.unscaled, parsed.scale, Number(schema.parameters?.['scale'] ?? 0)));
}

function unmaskable(schema: Schema | null, how: string): DataError {
  return new DataError(`Cannot mask value of type ${schema?.type ?? 'unknown'}${how}.`, { code: 'MASK_TYPE', hint: 'Leave that field out, or drop it with ReplaceField.' });
}
