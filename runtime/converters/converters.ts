/** Class names of converters → converters, as `key.converter`, `value.converter` and `header.converter` name them. */
import { parseConfig } from '../api/config-parse.ts';
import type { Converter } from '../api/converter.ts';
import { ConfigError } from '../api/errors.ts';
import { simpleHeaderConverter } from './header.ts';
import { jsonConverter } from './json.ts';
import { jsonConverterConfig } from './options.ts';
import { booleanConverter, byteArrayConverter, numberConverter, stringConverter } from './primitive.ts';

type Settings = Readonly<Record<string, string>>;
type Maker = (settings: Settings) => Converter;

const makers: Readonly<Record<string, Maker>> = {
  'org.apache.kafka.connect.json.JsonConverter': json,
  'org.apache.kafka.connect.storage.StringConverter': () => stringConverter(),
  'org.apache.kafka.connect.converters.ByteArrayConverter': () => byteArrayConverter(),
  'org.apache.kafka.connect.converters.BooleanConverter': () => booleanConverter(),
  'org.apache.kafka.connect.converters.ShortConverter': () => numberConverter('int16'),
  'org.apache.kafka.connect.converters.IntegerConverter': () => numberConverter('int32'),
  'org.apache.kafka.connect.converters.LongConverter': () => numberConverter('int64'),
  'org.apache.kafka.connect.converters.FloatConverter': () => numberConverter('float'),
  'org.apache.kafka.connect.converters.DoubleConverter': () => numberConverter('double'),
};
export const DEFAULT_CONVERTER = 'org.apache.kafka.connect.json.JsonConverter';
export const DEFAULT_HEADER_CONVERTER = 'org.apache.kafka.connect.storage.SimpleHeaderConverter';
/** Full class names of all record converters. */
export const converterNames: readonly string[] = Object.keys(makers);

function json(settings: Settings): Converter {
  const { config, problems } = parseConfig(jsonConverterConfig, settings);
  if (config === undefined) throw new ConfigError(problems.map(({ message }) => message).join('\n'), { code: 'CONVERTER_OPTION' });
  const refuse = (option: string, hint: string): never => { throw new ConfigError(`${option} is not there yet`, { code: 'CONVERTER_OPTION', hint }); };
  if ((config['schema.content'] ?? '') !== '') refuse('schema.content', 'Leave it out; records carry their schemas with schemas.enable=true.');
  return jsonConverter({ schemas: config['schemas.enable'], decimals: config['decimal.format'] === 'NUMERIC' ? 'numeric' : 'base64', defaultsForNull: config['replace.null.with.default'] });
}

function found<T>(role: string, name: string, table: Readonly<Record<string, T>>): T {
  const maker = table[name] ?? Object.entries(table).find(([full]) => full.endsWith(`.${name}`))?.[1];
  if (maker === undefined) throw new ConfigError(`Invalid value ${name} for configuration ${role}: Class ${name} could not be found.`, { code: 'CONVERTER_UNKNOWN', hint: `Known here: ${Object.keys(table).join(', ')}.` });
  return maker;
}

/** `settings` are the properties under the role's prefix, without it. Throws ConfigError CONVERTER_UNKNOWN, CONVERTER_OPTION. */
export function createConverter(role: 'key.converter' | 'value.converter', name: string, settings: Settings): Converter {
  return found(role, name, makers)(settings);
}

/** Header converters: SimpleHeaderConverter, and each record converter but the number ones, as in Connect. */
export function createHeaderConverter(name: string, settings: Settings): Converter {
  return found<Maker>('header.converter', name, { [DEFAULT_HEADER_CONVERTER]: () => simpleHeaderConverter(), ...makers })(settings);
}
