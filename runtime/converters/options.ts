/** Options of converters, as Kafka Connect names them; a connector writes them behind `key.converter.`, `value.converter.` or `header.converter.`. */
import { bool, type ConfigDef, type ConfigOf, defineConfig, int, oneOf, string } from '../api/config.ts';

const converterType = string({ required: true, group: '', importance: 'LOW', doc: 'Whether keys, values or headers are converted; the worker fills it in.' });
const schemas = 'Schemas', serialization = 'Serialization', width = 'MEDIUM';

export const jsonConverterConfig = defineConfig({
  'schemas.enable': bool({ default: true, group: schemas, importance: 'HIGH', width, displayName: 'Enable Schemas', doc: 'Whether each value carries its schema: {"schema": …, "payload": …}.' }),
  'schemas.cache.size': int({ default: 1000, group: schemas, importance: 'HIGH', width, displayName: 'Schema Cache Size', doc: 'Accepted; a schema is encoded once and kept with its table here.' }),
  'schema.content': string({ group: schemas, importance: 'HIGH', width, displayName: 'Schema Content', doc: 'One schema for all records; not known here, refused unless empty.' }),
  'decimal.format': oneOf(['BASE64', 'NUMERIC'], { default: 'BASE64', group: serialization, importance: 'LOW', width, displayName: 'Decimal Format', doc: 'How decimals are written: as the base64 text of their bytes, or (NUMERIC) as JSON numbers. Both are read, whichever is set.' }),
  'replace.null.with.default': bool({ default: true, group: serialization, importance: 'LOW', width, displayName: 'Replace null with default', doc: 'A null of a field with a default is written as the default.' }),
});
export type JsonConverterConfig = ConfigOf<typeof jsonConverterConfig>;

const stringConverterConfig = defineConfig({
  'converter.encoding': string({ default: 'UTF8', group: '', importance: 'HIGH', doc: 'Character encoding of the text; UTF-8 is the one that is known.' }),
});
const plainConfig = defineConfig({});

/** The declaration of a converter by its full class name; `converter.type` comes first, as in Connect. */
export function converterConfig(name: string): ConfigDef {
  const own: ConfigDef = name.endsWith('.JsonConverter') ? jsonConverterConfig : name.endsWith('.StringConverter') ? stringConverterConfig : plainConfig;
  return defineConfig({ 'converter.type': converterType, ...own.options });
}
