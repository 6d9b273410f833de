/**
 * A column's default expression → the default in its schema, by Debezium's rules: the text between the first two quotes,
 * or the expression as it stands, is read as a value of the type; a call stands as a fixed value of it; types that are not
 * listed, domains and arrays have none.
 */
import { decimalText, parseDecimal, rescale } from '../../../envelopes/decimal.ts';
import type { Schema, Value } from '../../../envelopes/schema.ts';
import type { ColumnCodec, TypeInfo } from './values.ts';

type Parse = (text: string, codec: ColumnCodec) => Value | undefined;
/** `call` is what stands for the result of a function. */
interface Rule { readonly call: string; readonly parse: Parse }

const decoded: Parse = (text, codec) => codec.decode(text);
const whole: Parse = (text, codec) => (/^[+-]?\d+$/.test(text) ? codec.decode(text) : undefined);
const floating: Parse = (text, codec) => (/^([+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?Infinity|NaN)$/.test(text) ? codec.decode(text) : undefined);
const exact: Parse = (text, codec) => {
  const parsed = parseDecimal(text);
  if (parsed === undefined) return undefined;
  // As text it has the column's scale, which the zero of such a column shows.
  const scale = codec.schema.type === 'string' && typeof codec.zero === 'string' ? codec.zero.split('.')[1]?.length ?? 0 : 0;
  return codec.decode(codec.schema.type === 'string' && scale > parsed.scale ? decimalText(rescale(parsed.unscaled, parsed.scale, scale), scale) : text);
};
const date: Parse = (text, codec) => (/infinity$/.test(text) ? infiniteDate(text, codec.schema) : codec.decode(text));
const timestamp: Parse = (text, codec) => (/infinity$/.test(text) ? infiniteTimestamp(text, codec.schema) : codec.decode(text));
/** The server writes literals in the session's zone, which is UTC. */
const zoned: Parse = (text, codec) => (/infinity$/.test(text) ? undefined : codec.decode(/[+-]\d\d(:?\d\d)?( BC)?$/.test(text) ? text : `${text}+00`));

const RULES: Readonly<Record<string, Rule>> = {
  bit: { call: '00', parse: decoded }, varbit: { call: '0', parse: decoded },
  bool: { call: 'false', parse: (text, codec) => codec.decode(text.toLowerCase() === 'true' ? 't' : 'f') },
  text: { call: '', parse: decoded }, varchar: { call: '', parse: decoded }, bpchar: { call: '', parse: decoded },
  numeric: { call: '0.0', parse: exact }, float4: { call: '0.0', parse: floating }, float8: { call: '0.0', parse: floating },
  int2: { call: '0', parse: whole }, int4: { call: '0', parse: whole }, int8: { call: '0', parse: whole },
  json: { call: '{}', parse: decoded }, jsonb: { call: '{}', parse: decoded }, xml: { call: '', parse: decoded },
  uuid: { call: '00000000-0000-0000-0000-000000000000', parse: decoded },
  date: { call: '1970-01-01', parse: date }, time: { call: '00:00:00', parse: (text, codec) => codec.decode(text.startsWith('24:') ? '23:59:59.999999' : text) }, timestamp: { call: '1970-01-01 00:00:00', parse: timestamp },
  timestamptz: { call: '1970-01-01 00:00:00', parse: zoned }, interval: { call: '00:00:00', parse: decoded },
};

const CALL = /^\(?[A-Za-z0-9_.]+\((?:.+(?:, ?.+)*)?\)/;
const CURRENT = new Set(['current_timestamp', 'current_time', 'current_date', 'localtime', 'localtimestamp']);

/** Undefined: no default in the schema. `expression` is pg_get_expr's text. */
export function defaultValue(expression: string | null, type: TypeInfo, codec: ColumnCodec): Value | undefined {
  if (expression === null || type.base !== undefined || type.element !== undefined || codec.schema.type === 'struct') return undefined;
  if (type.kind === 'e') return enumLabel(expression, type.name);
  const rule = RULES[type.name];
  if (rule === undefined) return undefined;
  const text = CALL.test(expression) || CURRENT.has(expression.toLowerCase()) ? rule.call : literalText(expression);
  if (text === undefined) return undefined;
  try { return rule.parse(text, codec) ?? undefined; } catch { return undefined; }
}

function literalText(expression: string): string | undefined {
  if (!expression.includes("'")) return expression.startsWith('NULL::') ? undefined : expression.trim();
  return /'(.*?)'/.exec(expression)?.[1];
}

/** Between the outermost quotes, inner ones as they are written. */
function enumLabel(expression: string, type: string): string | undefined {
  const quoted = expression.endsWith(`::${type}`) ? expression.slice(0, -type.length - 2) : '';
  return quoted.length > 1 && quoted.startsWith("'") && quoted.endsWith("'") ? quoted.slice(1, -1) : undefined;
}

/** The ends of Java's calendar, in 32 bits where they are a number of days. */
function infiniteDate(text: string, { type }: Schema): Value {
  const late = !text.startsWith('-');
  if (type === 'string') return late ? '+999999999-12-31Z' : '-999999999-01-01Z';
  return late ? 169_560_311 : -170_999_002;
}

function infiniteTimestamp(text: string, { type, name }: Schema): Value | undefined {
  const late = !text.startsWith('-');
  if (type === 'string') return late ? '+999999999-12-31T23:59:59.999999999Z' : '-999999999-01-01T00:00:00Z';
  return name !== 'io.debezium.time.MicroTimestamp' ? undefined : late ? -9_223_372_036_853_775_810n : -9_223_372_036_854_775_808n;
}

const TEXT_ZEROS: Readonly<Record<string, string>> = {
  'io.debezium.time.ZonedTimestamp': '1970-01-01T00:00:00Z', 'io.debezium.time.ZonedTime': '00:00:00Z', 'io.debezium.time.IsoDate': '1970-01-01Z', 'io.debezium.time.IsoTime': '00:00:00Z',
  'io.debezium.time.IsoTimestamp': '1970-01-01T00:00:00Z', 'io.debezium.time.Interval': 'P0Y0M0DT0H0M0S',
};

/** What stands for a missing value of a required column. */
export function zeroOf(schema: Schema): Value {
  switch (schema.type) {
    case 'int8': case 'int16': case 'int32': case 'float': case 'double': return 0;
    case 'int64': return 0n;
    case 'boolean': return false;
    case 'string': return TEXT_ZEROS[schema.name ?? ''] ?? '';
    case 'bytes': return schema.name === 'org.apache.kafka.connect.data.Decimal' ? Uint8Array.of(0) : new Uint8Array(0);
    case 'array': return [];
    case 'map': return { entries: [] };
    case 'struct': return { schema, values: schema.fields.map(field => (field.schema.optional ? null : zeroOf(field.schema))) };
  }
}
