/** `org.apache.kafka.connect.transforms.SetSchemaMetadata`: another name or version for the schema of a key or value. */
import type { Schema, StructSchema } from '../../../envelopes/schema.ts';
import { type ConfigOf, defineConfig, int, string } from '../../api/config.ts';
import type { Transform } from '../../api/converter.ts';
import { DataError } from '../../api/errors.ts';
import { isStruct, perSchema, replaceNull, type Side, valueAt, withSide } from '../fields.ts';

const group = 'Transformation';
export const setSchemaMetadataConfig = defineConfig({
  'schema.name': string({ group, importance: 'HIGH', doc: 'Name of the schema; as it is without it.' }),
  'schema.version': int({ group, importance: 'HIGH', doc: 'Version of the schema; as it is without it.' }),
  'replace.null.with.default': replaceNull,
});

export function setSchemaMetadata(side: Side) {
  return (config: ConfigOf<typeof setSchemaMetadataConfig>): Transform => {
    const { 'schema.name': name, 'schema.version': version, 'replace.null.with.default': defaults } = config;
    const renamed = perSchema((schema: Schema): Schema => ({ ...schema, ...(name !== undefined && { name }), ...(version !== undefined && { version }) }));
    return {
      apply: record => {
        const { schema, value } = record[side];
        if (schema === null && value === null) return record;
        if (schema === null) throw new DataError(`Schema required for [updating schema metadata]`, { code: 'SCHEMA_REQUIRED', hint: `The ${side} of topic ${record.topic} has no schema.` });
        const made = renamed(schema);
        if (!isStruct(value)) return withSide(record, side, { schema: made, value });
        return withSide(record, side, { schema: made, value: { schema: made as StructSchema, values: value.values.map((_, i) => valueAt(value, i, defaults)) } });
      },
    };
  };
}
