/**
 * `io.debezium.transforms.ByLogicalTableRouter`: several tables into one topic, with a key that still tells them apart.
 * Source: Debezium documentation, "Topic Routing".
 */
import type { ConnectRecord, SchemaAndValue } from '../../envelopes/record.ts';
import type { Field, Schema, Struct, StructSchema } from '../../envelopes/schema.ts';
import { schemaNameAdjuster } from '../../envelopes/name-adjustment.ts';
import { bool, type ConfigOf, defineConfig, int, oneOf, string } from '../api/config.ts';
import type { Transform } from '../api/converter.ts';
import { isEnvelope } from './debezium/envelope.ts';
import { isStruct } from './fields.ts';
import { javaReplacement, wholeMatch } from './simple.ts';

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

export function byLogicalTableRouter(config: ConfigOf<typeof byLogicalTableRouterConfig>): Transform {
  const regex = wholeMatch(config['topic.regex'], 'topic.regex'), replacement = javaReplacement(config['topic.replacement']);
  const keyRegex = (config['key.field.regex'] ?? '') === '' ? undefined : wholeMatch(config['key.field.regex'] ?? '', 'key.field.regex');
  const keyReplacement = javaReplacement(config['key.field.replacement'] ?? '');
  const renamer = schemaRenamer(schemaNameAdjuster(config['schema.name.adjustment.mode']), config['key.enforce.uniqueness'] ? config['key.field.name'] : undefined);
  return {
    apply: record => {
      if (!regex.test(record.topic)) return record;
      const topic = record.topic.replace(regex, replacement);
      if (topic === '') return record;
      const table = keyRegex?.test(record.topic) === true ? record.topic.replace(keyRegex, keyReplacement) : record.topic;
      return { ...record, topic, key: renamer.key(record.key, topic, table), value: isEnvelope(record) ? renamer.value(record.value, topic) : record.value } as ConnectRecord;
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
      const schema = once(values, old, topic, () => ({ ...old, name: adjusted(`${topic}.Envelope`), fields: old.fields.map(field => rows(field, topic)) }));
      const renamed = parts.map((part, i) => { const field = schema.fields[i]; return field !== undefined && isStruct(part) && (field.name === 'before' || field.name === 'after') ? { schema: field.schema as StructSchema, values: part.values } satisfies Struct : part; });
      return { schema, value: { schema, values: renamed } };
    },
  };
}
