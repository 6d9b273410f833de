/**
 * `io.debezium.transforms.ByLogicalTableRouter`: several tables into one topic, with a key that still tells them apart.
 * Source: Debezium documentation, "Topic Routing".
 */
import type { ConnectRecord, SchemaAndValue } from '../../envelopes/record.ts';
import type { Field, Schema, Struct, StructSchema } from '../../envelopes/schema.ts';
import { bool, type ConfigOf, defineConfig, int, oneOf, string } from '../api/config.ts';
import type { Transform } from '../api/converter.ts';
import { isStruct } from './fields.ts';

const group = 'Transformation';
export const byLogicalTableRouterConfig = defineConfig({
  'topic.regex': string({ required: true, group, doc: 'Expression over the whole topic name; other topics are left alone.' }),
  'topic.replacement': string({ required: true, group, doc: 'The new topic name, with $1 and so on for groups.' }),
  'key.enforce.uniqueness': bool({ default: true, group, doc: 'Adds a field that names the source table to each key.' }),
  'key.field.name': string({ default: '__dbz__physicalTableIdentifier', group, doc: 'Name of that field.' }),
  'key.field.regex': string({ group, doc: 'Expression over the old topic name, for the value of that field.' }),
  'key.field.replacement': string({ group, doc: 'Replacement that goes with it; the old topic name itself without one.' }),
  'logical.table.cache.size': int({ default: 16, group, doc: 'Accepted; schemas are kept as long as they are in use.' }),
  'schema.name.adjustment.mode': oneOf(['none', 'avro', 'avro_unicode'], { default: 'none', group, doc: 'Replaces what Avro does not allow in the names of schemas.' }),
});

const braces = (text: string): string => text.replace(/\$\{(\w+)\}/g, (_, name: string) => (/^\d+$/.test(name) ? `$${name}` : `$<${name}>`));

export function byLogicalTableRouter(config: ConfigOf<typeof byLogicalTableRouterConfig>): Transform {
  const regex = new RegExp(`^(?:${config['topic.regex']})$`);
  const keyRegex = config['key.field.regex'] === undefined ? undefined : new RegExp(config['key.field.regex']);
  const adjusted = (name: string): string => (config['schema.name.adjustment.mode'] === 'none' ? name : name.replace(/[^A-Za-z0-9_.]/g, '_'));
  const renamer = schemaRenamer(adjusted, config['key.enforce.uniqueness'] ? config['key.field.name'] : undefined);
  return {
    apply: record => {
      if (!regex.test(record.topic)) return record;
      const topic = record.topic.replace(regex, braces(config['topic.replacement']));
      if (topic === '') return record;
      const table = keyRegex === undefined ? record.topic : record.topic.replace(keyRegex, braces(config['key.field.replacement'] ?? ''));
      return { ...record, topic, key: renamer.key(record.key, topic, table), value: renamer.value(record.value, topic) } as ConnectRecord;
    },
  };
}

function schemaRenamer(adjusted: (name: string) => string, keyField: string | undefined): { key(key: SchemaAndValue, topic: string, table: string): SchemaAndValue; value(value: SchemaAndValue, topic: string): SchemaAndValue } {
  const keys = new WeakMap<Schema, Map<string, StructSchema>>(), values = new WeakMap<Schema, Map<string, StructSchema>>();
  const once = (cache: WeakMap<Schema, Map<string, StructSchema>>, schema: StructSchema, topic: string, make: () => StructSchema): StructSchema => {
    let known = cache.get(schema);
    if (known === undefined) { known = new Map(); cache.set(schema, known); }
    let made = known.get(topic);
    if (made === undefined) { made = make(); known.set(topic, made); }
    return made;
  };
  const rows = (field: Field, topic: string): Field => (field.name === 'before' || field.name === 'after' ? { name: field.name, schema: { ...field.schema, name: adjusted(`${topic}.Value`) } } : field);
  return {
    key: (key, topic, table) => {
      if (!isStruct(key.value)) return key;
      const { schema: old, values: parts } = key.value;
      const schema = once(keys, old, topic, () => ({ ...old, name: adjusted(`${topic}.Key`), fields: keyField === undefined ? old.fields : [...old.fields, { name: keyField, schema: { type: 'string', optional: false } }] }));
      return { schema, value: { schema, values: keyField === undefined ? parts : [...parts, table] } };
    },
    value: (value, topic) => {
      if (!isStruct(value.value)) return value;
      const { schema: old, values: parts } = value.value;
      const enveloped = old.name?.endsWith('.Envelope') === true;
      const schema = once(values, old, topic, () => ({ ...old, name: adjusted(`${topic}.${enveloped ? 'Envelope' : 'Value'}`), fields: enveloped ? old.fields.map(field => rows(field, topic)) : old.fields }));
      const renamed = parts.map((part, i) => { const field = schema.fields[i]; return enveloped && field !== undefined && isStruct(part) && (field.name === 'before' || field.name === 'after') ? { schema: field.schema as StructSchema, values: part.values } satisfies Struct : part; });
      return { schema, value: { schema, values: renamed } };
    },
  };
}
