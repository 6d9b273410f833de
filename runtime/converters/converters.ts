/** Class names of converters → converters, as `key.converter`, `value.converter` and `header.converter` name them. */
import type { Converter } from '../api/converter.ts';
import { ConfigError } from '../api/errors.ts';
import { simpleHeaderConverter } from './header.ts';
import { jsonConverter } from './json.ts';
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
  const schemas = settings['schemas.enable'] ?? 'true';
  if (!/^(true|false)$/i.test(schemas)) throw new ConfigError(`Invalid value ${schemas} for configuration schemas.enable: Expected value to be either true or false`, { code: 'CONVERTER_OPTION' });
  const decimals = settings['decimal.format'] ?? 'BASE64';
  if (!/^(base64|numeric)$/i.test(decimals)) throw new ConfigError(`Invalid value ${decimals} for configuration decimal.format: it must be BASE64 or NUMERIC`, { code: 'CONVERTER_OPTION' });
  if (/^numeric$/i.test(decimals)) throw new ConfigError('decimal.format=NUMERIC is not there yet', { code: 'CONVERTER_OPTION', hint: 'Leave decimal.format at BASE64, or let the source write decimals as text: decimal.handling.mode=string.' });
  return jsonConverter({ schemas: schemas.toLowerCase() === 'true' });
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
