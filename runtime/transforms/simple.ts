/** The small transforms of Kafka Connect: routing, filtering, headers and single fields. */
import type { ConnectRecord, SchemaAndValue } from '../../envelopes/record.ts';
import type { Schema, Struct } from '../../envelopes/schema.ts';
import { defineConfig, list, oneOf, string, type ConfigOf } from '../api/config.ts';
import type { Transform } from '../api/converter.ts';
import { ConfigError, DataError } from '../api/errors.ts';
import { derivedSchema, isObject, isStruct, memberOf, replaceNull, type Side, valueAt, withMembers, withSide } from './fields.ts';

const group = 'Transformation';

export const regexRouterConfig = defineConfig({
  regex: string({ required: true, group, importance: 'HIGH', doc: 'Java regular expression that the whole topic name must match.' }),
  replacement: string({ required: true, group, importance: 'HIGH', doc: 'The new name; $1 stands for a group.' }),
});
export function regexRouter(config: ConfigOf<typeof regexRouterConfig>): Transform {
  const whole = wholeMatch(config.regex, 'regex');
  const replacement = javaReplacement(config.replacement);
  return { apply: record => (whole.test(record.topic) ? { ...record, topic: record.topic.replace(whole, replacement) } : record) };
}

/** A Java replacement in JavaScript's spelling: `${name}` is `$<name>` there, a backslash takes the meaning from what follows. */
export function javaReplacement(text: string): string {
  return text.replace(/\\(.)|\$\{(\w+)\}|\$(?=\d)/gs, (found, escaped?: string, name?: string) => (escaped !== undefined ? escaped.replaceAll('$', '$$$$') : name === undefined ? found : /^\d+$/.test(name) ? `$${name}` : `$<${name}>`));
}

/** A Java pattern that must match from end to end. */
export function wholeMatch(pattern: string, option: string): RegExp {
  try { return new RegExp(`^(?:${pattern})$`, 'u'); } catch (error) {
    throw new ConfigError(`Invalid value ${pattern} for configuration ${option}: ${(error as Error).message}`, { code: 'REGEX_INVALID' });
  }
}

export const noConfig = defineConfig({});
/** Drops every record; used with a predicate. */
export function filter(): Transform { return { apply: () => null }; }

export const dropHeadersConfig = defineConfig({ headers: list({ required: true, group, doc: 'Names of the headers to leave out.' }) });
export function dropHeaders(config: ConfigOf<typeof dropHeadersConfig>): Transform {
  return { apply: record => ({ ...record, headers: record.headers.filter(({ name }) => !config.headers.includes(name)) }) };
}

export const insertHeaderConfig = defineConfig({
  header: string({ required: true, group, doc: 'Name of the header.' }),
  'value.literal': string({ required: true, group, doc: 'Its value.' }),
});
export function insertHeader(config: ConfigOf<typeof insertHeaderConfig>): Transform {
  return { apply: record => ({ ...record, headers: [...record.headers, { name: config.header, schema: { type: 'string', optional: false }, value: config['value.literal'] }] }) };
}

export const extractFieldConfig = defineConfig({
  field: string({ required: true, group, doc: 'The member that takes the place of the whole.' }),
  'field.syntax.version': oneOf(['V1', 'V2'], { default: 'V1', group, importance: 'HIGH', doc: 'V2 reads dots in field as steps into nested members; backticks around a name keep its dots.' }),
  'replace.null.with.default': replaceNull,
});
export function extractField(side: Side) {
  return (config: ConfigOf<typeof extractFieldConfig>): Transform => {
    const path = config['field.syntax.version'] === 'V1' ? [config.field] : fieldPath(config.field);
    return {
      apply: record => {
        const part = record[side];
        if (part.value === null) return record;
        const member = path.reduce<SchemaAndValue | undefined>((at, name) => at && (at.value === null ? { schema: null, value: null } : memberOf(at, name, config['replace.null.with.default'])), part);
        if (member === undefined && isStruct(part.value)) throw new DataError(`Unknown field: ${config.field}`, { code: 'FIELD_UNKNOWN', hint: `ExtractField finds no field ${config.field} in the ${side} of topic ${record.topic}.` });
        return withSide(record, side, member ?? { schema: null, value: null });
      },
    };
  };
}

/** `a.b`, with `` `b.c` `` for a name that has dots; a doubled backtick stands for one. */
function fieldPath(text: string): string[] { return [...text.matchAll(/`((?:[^`]|``)*)`(?:\.|$)|([^.]*)(?:\.|$)/g)].map(([, quoted, plain]) => quoted?.replaceAll('``', '`') ?? plain ?? '').filter((step, i, all) => i < all.length - 1 || step !== ''); }

export const hoistFieldConfig = defineConfig({ field: string({ required: true, group, doc: 'Name of the only field that holds what was there.' }) });
export function hoistField(side: Side) {
  return (config: ConfigOf<typeof hoistFieldConfig>): Transform => ({
    apply: record => {
      const { schema, value } = record[side];
      if (schema === null) return withSide(record, side, { schema: null, value: { [config.field]: value } as unknown as null });
      const outer = derivedSchema({ type: 'struct', optional: false, fields: [] }, [{ name: config.field, schema }], undefined);
      return withSide(record, side, { schema: outer, value: { schema: outer, values: [value] } });
    },
  });
}

export const replaceFieldConfig = defineConfig({
  exclude: list({ default: [], group, doc: 'Fields to leave out.' }),
  include: list({ default: [], group, doc: 'Fields to keep; all when empty.' }),
  renames: list({ default: [], group, doc: 'old:new pairs.' }),
  'replace.null.with.default': replaceNull,
});
export function replaceField(side: Side) {
  return (config: ConfigOf<typeof replaceFieldConfig>): Transform => {
    const renames = new Map(config.renames.map(pair => pair.split(':') as [string, string]));
    const keeps = (name: string): boolean => !config.exclude.includes(name) && (config.include.length === 0 || config.include.includes(name));
    return {
      apply: record => {
        const { value } = record[side];
        if (isStruct(value)) {
          const kept = value.schema.fields.map((field, i) => ({ field, i })).filter(({ field }) => keeps(field.name));
          const schema = derivedSchema(value.schema, kept.map(({ field }) => ({ ...field, name: renames.get(field.name) ?? field.name })));
          const struct: Struct = { schema, values: kept.map(({ i }) => valueAt(value, i, config['replace.null.with.default'])) };
          return withSide(record, side, { schema, value: struct });
        }
        if (!isObject(value)) return record;
        const entries = Object.entries(value).filter(([name]) => keeps(name)).map(([name, member]) => [renames.get(name) ?? name, member]);
        return withSide(record, side, { schema: null, value: Object.fromEntries(entries) as unknown as null });
      },
    };
  };
}

export const insertFieldConfig = defineConfig({
  'topic.field': string({ group, doc: 'Field for the topic.' }),
  'partition.field': string({ group, doc: 'Field for the partition.' }),
  'offset.field': string({ group, doc: 'Field for the offset; sinks only.' }),
  'timestamp.field': string({ group, doc: 'Field for the record timestamp.' }),
  'static.field': string({ group, doc: 'Field for a fixed value.' }),
  'static.value': string({ group, doc: 'The fixed value.' }),
  'replace.null.with.default': replaceNull,
});
export function insertField(side: Side) {
  return (config: ConfigOf<typeof insertFieldConfig>): Transform => {
    const sources: readonly [option: `${string}.field`, read: (record: ConnectRecord) => SchemaAndValue][] = [
      ['topic.field', record => ({ schema: { type: 'string', optional: false }, value: record.topic })],
      ['partition.field', record => ({ schema: INT32, value: record.partition })],
      ['offset.field', record => ({ schema: INT64, value: BigInt((record as ConnectRecord & { readonly offset?: number }).offset ?? 0) })],
      ['timestamp.field', record => ({ schema: TIMESTAMP, value: record.timestamp === null ? null : BigInt(record.timestamp) })],
      ['static.field', () => ({ schema: STRING, value: config['static.value'] ?? null })],
    ];
    const inserts = sources.flatMap(([option, read]) => {
      const given = config[option as 'topic.field'];
      return given === undefined ? [] : [{ name: given.replace(/[!?]$/, ''), optional: !given.endsWith('!'), read }];
    });
    const defaulted = (part: SchemaAndValue): SchemaAndValue => (isStruct(part.value) && config['replace.null.with.default'] ? { schema: part.schema, value: { schema: part.value.schema, values: part.value.values.map((_, i) => valueAt(part.value as Struct, i, true)) } } : part);
    return {
      apply: record => {
        if (record[side].value === null) return record;
        const members = inserts.map(({ name, optional, read }): [string, SchemaAndValue] => {
          const { schema, value } = read(record);
          return [name, { schema: schema === null ? null : asOptional(schema, optional), value }];
        });
        return withSide(record, side, withMembers(defaulted(record[side]), members));
      },
    };
  };
}
const INT32: Schema = { type: 'int32', optional: true };
const INT64: Schema = { type: 'int64', optional: true };
const STRING: Schema = { type: 'string', optional: true };
const TIMESTAMP: Schema = { type: 'int64', optional: true, name: 'org.apache.kafka.connect.data.Timestamp', version: 1 };
const optionals = new WeakMap<Schema, Schema>();
function asOptional(schema: Schema, optional: boolean): Schema {
  if (schema.optional === optional) return schema;
  let made = optionals.get(schema);
  if (made === undefined) { made = { ...schema, optional }; optionals.set(schema, made); }
  return made;
}

export const valueToKeyConfig = defineConfig({ fields: list({ required: true, group, doc: 'Fields of the value that make the key.' }), 'replace.null.with.default': replaceNull });
export function valueToKey(config: ConfigOf<typeof valueToKeyConfig>): Transform {
  return {
    apply: record => {
      const members = config.fields.map(name => {
        const member = memberOf(record.value, name, config['replace.null.with.default']);
        if (member === undefined) throw new DataError(`Field does not exist: ${name}`, { code: 'FIELD_UNKNOWN', hint: `ValueToKey finds no field ${name} in the value of topic ${record.topic}.` });
        return { name, member };
      });
      if (record.value.schema === null) return { ...record, key: { schema: null, value: Object.fromEntries(members.map(({ name, member }) => [name, member.value])) as unknown as null } };
      const schema = derivedSchema({ type: 'struct', optional: false, fields: [] }, members.map(({ name, member }) => ({ name, schema: member.schema ?? STRING })), undefined);
      return { ...record, key: { schema, value: { schema, values: members.map(({ member }) => member.value) } } };
    },
  };
}
