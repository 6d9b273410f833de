/** `org.apache.kafka.connect.transforms.HeaderFrom`: fields of a key or value as headers, moved or copied. */
import type { Header, SchemaAndValue } from '../../../envelopes/record.ts';
import type { StructSchema, Value } from '../../../envelopes/schema.ts';
import { type ConfigOf, defineConfig, list, oneOf } from '../../api/config.ts';
import type { Transform } from '../../api/converter.ts';
import { DataError } from '../../api/errors.ts';
import { basics, isObject, isStruct, memberOf, perSchema, replaceNull, type Side, valueAt, withSide } from '../fields.ts';

const group = 'Transformation';
export const headerFromConfig = defineConfig({
  fields: list({ required: true, group, importance: 'HIGH', doc: 'Fields that become headers.' }),
  headers: list({ required: true, group, importance: 'HIGH', doc: 'Names of the headers, in the order of the fields.' }),
  operation: oneOf(['move', 'copy'], { required: true, group, importance: 'HIGH', doc: 'Whether the fields go away or stay.' }),
  'replace.null.with.default': replaceNull,
}, { check: ({ fields, headers }) => (fields.length === headers.length ? [] : [{ option: 'fields', message: "'fields' config must have the same number of elements as 'headers' config." }]) });

export function headerFrom(side: Side) {
  return (config: ConfigOf<typeof headerFromConfig>): Transform => {
    const defaults = config['replace.null.with.default'];
    const moved = new Set(config.operation === 'move' ? config.fields : []);
    const without = perSchema((schema: StructSchema): StructSchema => ({ type: 'struct', optional: false, ...basics(schema), fields: schema.fields.filter(({ name }) => !moved.has(name)) }));
    const rest = (part: SchemaAndValue): SchemaAndValue => {
      const { value } = part;
      if (moved.size === 0) return part;
      if (!isStruct(value)) return { schema: null, value: Object.fromEntries(Object.entries(value as object).filter(([name]) => !moved.has(name))) as unknown as Value };
      const schema = without(value.schema);
      return { schema, value: { schema, values: value.schema.fields.flatMap(({ name }, i) => (moved.has(name) ? [] : [valueAt(value, i, defaults)])) } };
    };
    return {
      apply: record => {
        const part = record[side];
        if (!isStruct(part.value) && !isObject(part.value)) throw new DataError(`Only Struct objects supported for [header from], found: ${part.value === null ? 'null' : typeof part.value}`, { code: 'HEADER_FROM', hint: 'Keep tombstones away from it with a predicate.' });
        const headers = config.fields.map((field, i): Header => {
          const member = memberOf(part, field, defaults);
          if (member === undefined && isStruct(part.value)) throw new DataError(`Field does not exist: ${field}`, { code: 'FIELD_UNKNOWN', hint: `HeaderFrom finds no field ${field} in the ${side} of topic ${record.topic}.` });
          return { name: config.headers[i] ?? field, ...(member ?? { schema: null, value: null }) };
        });
        return { ...withSide(record, side, rest(part)), headers: [...record.headers, ...headers] };
      },
    };
  };
}
