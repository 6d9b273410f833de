/** `io.debezium.transforms.HeaderToValue`: headers as fields of the value, moved or copied. Source: Debezium documentation, "HeaderToValue". */
import type { Header } from '../../../envelopes/record.ts';
import type { Field, Schema, Struct, StructSchema, Value } from '../../../envelopes/schema.ts';
import { type ConfigOf, defineConfig, list, oneOf } from '../../api/config.ts';
import type { Transform } from '../../api/converter.ts';
import { DataError } from '../../api/errors.ts';
import { derivedSchema, isStruct, valueAt } from '../fields.ts';

const group = 'Transformation';
export const headerToValueConfig = defineConfig({
  headers: list({ required: true, group, importance: 'HIGH', doc: 'Names of the headers.' }),
  fields: list({ required: true, group, importance: 'HIGH', doc: 'Names of the fields, in the order of the headers; a dot goes into a struct.' }),
  operation: oneOf(['move', 'copy'], { required: true, group, importance: 'HIGH', doc: 'Whether the headers go away or stay.' }),
}, { check: ({ fields, headers }) => (fields.length === headers.length ? [] : [{ option: 'fields', message: "'fields' config must have the same number of elements as 'headers' config." }]) });

interface Entry { readonly path: readonly string[]; readonly schema: Schema; readonly value: Value }
const TEXT: Schema = { type: 'string', optional: true };

export function headerToValue(config: ConfigOf<typeof headerToValueConfig>): Transform {
  const paths = new Map(config.headers.map((name, i) => [name, (config.fields[i] ?? name).split('.')] as const));
  const entry = ({ name, schema, value }: Header): Entry[] => { const path = paths.get(name); return path === undefined ? [] : [{ path, schema: schema ?? TEXT, value }]; };
  return {
    apply: record => {
      const { value } = record.value;
      if (value === null) return record;
      if (!isStruct(value)) throw new DataError('Only Struct objects supported for [Header field insertion]', { code: 'HEADER_TO_VALUE', hint: 'Give its records a schema.' });
      const entries = record.headers.flatMap(entry);
      if (entries.length === 0) return record;
      const made = withEntries(value, entries);
      return { ...record, value: { schema: made.schema, value: made }, headers: config.operation === 'move' ? record.headers.filter(({ name }) => !paths.has(name)) : record.headers };
    },
  };
}

function withEntries(from: Struct, entries: readonly Entry[]): Struct {
  const fields: Field[] = [], values: Value[] = [];
  from.schema.fields.forEach(({ name, schema }, i) => {
    const inside = entries.filter(({ path }) => path.length > 1 && path[0] === name).map(({ path, ...rest }) => ({ ...rest, path: path.slice(1) }));
    const value = valueAt(from, i, true);
    if (inside.length === 0 || schema.type !== 'struct') { fields.push({ name, schema }); values.push(value); return; }
    const nested = withEntries(isStruct(value) ? value : { schema, values: schema.fields.map(() => null) }, inside);
    fields.push({ name, schema: nested.schema });
    values.push(isStruct(value) ? nested : null);
  });
  for (const { path, schema, value } of entries) if (path.length === 1) { fields.push({ name: path[0] ?? '', schema }); values.push(value); }
  const schema: StructSchema = derivedSchema(from.schema, fields);
  return { schema, values };
}
