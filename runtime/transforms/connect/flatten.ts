/** `org.apache.kafka.connect.transforms.Flatten`: nested structs as one, names joined. Source: Kafka Connect documentation, "Transformations". */
import type { Field, Schema, Struct, StructSchema, Value } from '../../../envelopes/schema.ts';
import { type ConfigOf, defineConfig, string } from '../../api/config.ts';
import type { Transform } from '../../api/converter.ts';
import { basics, isObject, isStruct, perSchema, type PlainObject, type Side, valueAt, withSide } from '../fields.ts';

export const flattenConfig = defineConfig({ delimiter: string({ default: '.', group: 'Transformation', doc: 'Stands between the names of the levels.' }) });

export function flatten(side: Side) {
  return ({ delimiter }: ConfigOf<typeof flattenConfig>): Transform => {
    const flat = perSchema((schema: StructSchema): StructSchema => ({ type: 'struct', optional: false, ...basics(schema), fields: flatFields(schema, '', schema.optional, undefined, delimiter) }));
    return {
      apply: record => {
        const { schema, value } = record[side];
        if (schema !== null && schema.type === 'struct') {
          const made = flat(schema);
          return withSide(record, side, { schema: made, value: isStruct(value) ? { schema: made, values: flatValues(value, value.schema) } : null });
        }
        return schema === null && isObject(value) ? withSide(record, side, { schema: null, value: flatObject(value, '', delimiter) }) : record;
      },
    };
  };
}

/** A field below an optional struct is optional; one without a default has that which its struct's default holds. */
function flatFields(schema: StructSchema, prefix: string, optional: boolean, parent: Value | undefined, delimiter: string): Field[] {
  return schema.fields.flatMap(({ name, schema: child }, i): Field[] => {
    const path = prefix === '' ? name : prefix + delimiter + name;
    const isOptional = optional || child.optional;
    const fallback = child.default ?? (parent !== undefined && isStruct(parent) ? parent.values[i] ?? undefined : undefined);
    if (child.type === 'struct') return flatFields(child, path, isOptional, fallback, delimiter);
    const { default: _own, ...rest } = child;
    return [{ name: path, schema: { ...rest, optional: isOptional, ...(fallback !== undefined && fallback !== null && { default: fallback }) } as Schema }];
  });
}

function flatValues(struct: Struct | undefined, schema: StructSchema): Value[] {
  return schema.fields.flatMap(({ schema: child }, i): Value[] => {
    const value = struct === undefined ? null : valueAt(struct, i, true);
    return child.type === 'struct' ? flatValues(isStruct(value) ? value : undefined, child) : [value];
  });
}

function flatObject(value: PlainObject, prefix: string, delimiter: string): Value {
  const flat = (from: PlainObject, before: string): [string, Value][] => Object.entries(from).flatMap(([name, member]): [string, Value][] => {
    const path = before === '' ? name : before + delimiter + name;
    return isObject(member) ? flat(member as PlainObject, path) : [[path, member]];
  });
  return Object.fromEntries(flat(value, prefix)) as unknown as Value;
}
