/**
 * Every PostgreSQL type that the source maps, its values from the plain to the extreme, and what the database itself says
 * a reader of the lake has to see. `docs/sinks.md` has the same table in words.
 */
import { type Canonical, floatText } from '../kit/lake-values.ts';

/** Debezium settings of one connector of the test. */
export type Mode = 'precise' | 'text' | 'nanos' | 'iso';
/** How a lake table has to show a column. `sql` is evaluated by the database over `c`; `read` takes its text further. */
export interface Rendering { readonly sql: string; readonly read?: (text: string) => Canonical }
export interface TypeColumn {
  readonly name: string;
  readonly type: string;
  /** SQL literals, the first plain. Rows beyond have NULL. */
  readonly values: readonly string[];
  readonly render: (mode: Mode, format: 'iceberg' | 'delta') => Rendering;
}

const always = (rendering: Rendering): TypeColumn['render'] => () => rendering;
const asText: Rendering = { sql: "format('%s', c)" };
const asFloat: Rendering = { sql: 'c::text', read: floatText };
const asHex: Rendering = { sql: "encode(c, 'hex')" };
const asBoolean: Rendering = { sql: 'c::text' };
/** Bits, least significant byte first; Debezium leaves zero bytes at the end out. */
const asBits: Rendering = { sql: 'c::text', read: text => { const bytes: number[] = []; for (let end = text.length; end > 0; end -= 8) bytes.push(Number.parseInt(text.slice(Math.max(0, end - 8), end), 2)); while (bytes.at(-1) === 0) bytes.pop(); return Buffer.from(bytes).toString('hex'); } };
/** `member`: SQL over the element `x`. */
const asList = (member: string, read?: (text: string) => Canonical): Rendering => ({
  sql: `(SELECT coalesce(json_agg(${member} ORDER BY n), '[]') FROM unnest(c) WITH ORDINALITY AS u(x, n))::text`,
  read: text => (JSON.parse(text) as readonly (string | null)[]).map(item => (item === null || read === undefined ? item : read(item))),
});
const decimal: TypeColumn['render'] = mode => (mode === 'nanos' ? { sql: 'c::float8::text', read: floatText } : { sql: 'c::text' });
const money: TypeColumn['render'] = mode => (mode === 'nanos' ? { sql: 'c::numeric::float8::text', read: floatText } : { sql: 'c::numeric(20,2)::text' });

/** What 64 bits hold in place of the infinities, and of the last 29 years of PostgreSQL's calendar. */
const INFINITE = "CASE WHEN c = 'infinity' THEN '9223372036854775807' WHEN c = '-infinity' THEN '-9223372036854775807'";
const micros = `${INFINITE} ELSE least((extract(epoch FROM c) * 1000000)::numeric(30,0), 9223372036854775807)::text END`;
const wholeMillis = `${INFINITE} ELSE least(floor(extract(epoch FROM c) * 1000)::numeric(30,0) * 1000, 9223372036854775807)::text END`;
/** PostgreSQL writes years before 1 with BC and those beyond 9999 with more digits; ISO 8601 has astronomical years with a sign. */
function isoDate(text: string): string {
  const found = /^(\d+)-(\d\d-\d\d)(.*?)( BC)?$/.exec(text);
  if (found === null) return text;
  const year = found[4] === undefined ? Number(found[1]) : 1 - Number(found[1]);
  const digits = String(Math.abs(year)).padStart(4, '0');
  return `${year < 0 ? '-' : year > 9999 ? '+' : ''}${digits}-${found[2] ?? ''}${found[3] ?? ''}`;
}
const date: TypeColumn['render'] = mode => (mode === 'iso' ? { sql: 'c::text', read: text => `${isoDate(text)}Z` } : { sql: "CASE WHEN c = 'infinity' THEN '2147483647' WHEN c = '-infinity' THEN '-2147483647' ELSE (c - date '1970-01-01')::text END" });
const timestamp = (digits: number): TypeColumn['render'] => (mode, format) => {
  if (mode === 'iso') return { sql: "c::text", read: text => `${isoDate(text).replace(' ', 'T')}Z` };
  if (mode === 'nanos') return format === 'iceberg' ? { sql: '((extract(epoch FROM c) * 1000000)::numeric(30,0) * 1000)::text' } : { sql: micros };
  return { sql: mode === 'text' || digits <= 3 ? wholeMillis : micros };
};
const time: TypeColumn['render'] = (mode, format) => {
  if (mode === 'iso') return { sql: 'c::text', read: text => `${text}Z` };
  const clock = mode === 'text' ? "date_trunc('milliseconds', c)" : 'c';
  return format === 'delta' ? { sql: `${clock}::time::text` } : { sql: `((extract(epoch FROM ${clock}) * 1000000)::bigint)::text` };
};
const uuid: TypeColumn['render'] = (_mode, format) => ({ sql: format === 'iceberg' ? "replace(c::text, '-', '')" : 'c::text' });
const bytes: TypeColumn['render'] = mode => (mode === 'text' ? { sql: "replace(encode(c, 'base64'), E'\\n', '')" } : mode === 'nanos' ? { sql: "encode(c, 'hex')" } : asHex);
const interval: TypeColumn['render'] = mode => (mode === 'text'
  ? { sql: "concat_ws(' ', extract(year FROM c), extract(month FROM c), extract(day FROM c), extract(hour FROM c), extract(minute FROM c), extract(microseconds FROM c)::bigint)", read: isoInterval }
  : { sql: '((extract(year FROM c) * 12 + extract(month FROM c))::bigint * 2629800000000 + extract(day FROM c)::bigint * 86400000000 + extract(hour FROM c)::bigint * 3600000000 + extract(minute FROM c)::bigint * 60000000 + extract(microseconds FROM c)::bigint)::text' });
function isoInterval(text: string): string {
  const [years = '0', months = '0', days = '0', hours = '0', minutes = '0', rest = '0'] = text.split(' ');
  const seconds = Number(rest) / 1_000_000;
  return `P${years}Y${months}M${days}DT${hours}H${minutes}M${seconds}S`;
}
const asPoint: Rendering = { sql: 'concat_ws(\' \', c[0], c[1])', read: text => {
  const [x = 0, y = 0] = text.split(' ').map(Number), wkb = Buffer.alloc(21);
  wkb.writeUInt8(1, 0); wkb.writeUInt32LE(1, 1); wkb.writeDoubleLE(x, 5); wkb.writeDoubleLE(y, 13);
  return { x: String(x), y: String(y), wkb: wkb.toString('hex'), srid: null };
} };
const hstore: TypeColumn['render'] = mode => (mode === 'text'
  ? { sql: "(SELECT coalesce(json_agg(json_build_object('key', key, 'value', value) ORDER BY key COLLATE \"C\"), '[]') FROM each(c))::text", read: text => JSON.parse(text) as Canonical }
  : { sql: 'hstore_to_json(c)::text', read: text => JSON.stringify(JSON.parse(text)) });

/** Types whose form depends on time.precision.mode only, with values that nanoseconds of 64 bits can hold. */
export const timeColumns: readonly TypeColumn[] = [
  { name: 'c_date', type: 'date', values: ["'2024-02-29'", "'1969-12-31'", "'9999-12-31'"], render: date },
  { name: 'c_time', type: 'time', values: ["'04:05:06.789012'", "'00:00:00'", "'23:59:59.999999'"], render: time },
  { name: 'c_time3', type: 'time(3)', values: ["'04:05:06.789'", "'00:00:00'", "'23:59:59.999'"], render: time },
  // Without a fraction: with one, Debezium's own number of a time beyond the range of a long runs over (temporal-codecs.ts), and the table shows that.
  { name: 'c_timestamp', type: 'timestamp', values: ["'2024-02-29 12:34:56.789012'", "'1700-01-01 00:00:00.000001'", "'2262-01-01 00:00:00'"], render: timestamp(6) },
  { name: 'c_timestamp3', type: 'timestamp(3)', values: ["'2024-02-29 12:34:56.789'", "'1969-12-31 23:59:59.999'"], render: timestamp(3) },
  { name: 'c_numeric', type: 'numeric(12,3)', values: ['123456.789', '-999999999.999', '0'], render: decimal },
  { name: 'c_money', type: 'money', values: ['12.34', '-92233720368547758.08'], render: money },
  { name: 'c_bytes', type: 'bytea', values: ["'\\x00ff10'", "''"], render: bytes },
];

export const typeColumns: readonly TypeColumn[] = [
  { name: 'c_boolean', type: 'boolean', values: ['true', 'false'], render: always(asBoolean) },
  { name: 'c_smallint', type: 'smallint', values: ['7', '-32768', '32767'], render: always(asText) },
  { name: 'c_int', type: 'integer', values: ['7', '-2147483648', '2147483647'], render: always(asText) },
  { name: 'c_bigint', type: 'bigint', values: ['7', '-9223372036854775808', '9223372036854775807'], render: always(asText) },
  { name: 'c_oid', type: 'oid', values: ['7', '0', '4294967295'], render: always(asText) },
  { name: 'c_real', type: 'real', values: ['1.5', '-3.4028235e38', '1e-45', "'NaN'", "'-Infinity'"], render: always({ sql: 'c::float8::text', read: floatText }) },
  { name: 'c_double', type: 'double precision', values: ['0.1', '-1.7976931348623157e308', '5e-324', "'NaN'", "'Infinity'"], render: always(asFloat) },
  { name: 'c_numeric', type: 'numeric(12,3)', values: ['123456.789', '-999999999.999', '999999999.999', '0'], render: decimal },
  { name: 'c_numeric0', type: 'numeric(38,0)', values: ['1', `-${'9'.repeat(38)}`, '9'.repeat(38)], render: decimal },
  { name: 'c_numeric_wide', type: 'numeric(60,20)', values: ['1.5', `-${'9'.repeat(40)}.${'9'.repeat(20)}`], render: always({ sql: 'c::text' }) },
  { name: 'c_numeric_free', type: 'numeric', values: ['1.50', `-${'9'.repeat(50)}.000000001`, '1e30', '0.00000000000000000001'], render: mode => ({ sql: mode === 'precise' ? 'trim_scale(c)::text' : 'c::text' }) },
  { name: 'c_money', type: 'money', values: ['12.34', '-92233720368547758.08', '92233720368547758.07'], render: money },
  { name: 'c_text', type: 'text', values: ["'plain'", "''", "E'tab\\t quote\" back\\\\ line\\n é 漢 😀'", "repeat('x', 20000)"], render: always(asText) },
  { name: 'c_varchar', type: 'varchar(20)', values: ["'plain'", "' '"], render: always(asText) },
  { name: 'c_char', type: 'char(5)', values: ["'ab'", "'abcde'"], render: always({ sql: 'rpad(c::text, 5)' }) },
  { name: 'c_citext', type: 'citext', values: ["'MiXed'"], render: always(asText) },
  { name: 'c_bytes', type: 'bytea', values: ["'\\x00ff10'", "''", "decode(repeat('ab', 300), 'hex')"], render: bytes },
  { name: 'c_uuid', type: 'uuid', values: ["'123e4567-e89b-12d3-a456-426614174000'", "'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"], render: uuid },
  { name: 'c_json', type: 'json', values: [`'{"b": 1,  "a": [1, null, "x"]}'`, "'null'", "'12'"], render: always(asText) },
  { name: 'c_jsonb', type: 'jsonb', values: [`'{"b": 1, "a": [1, null, "é"]}'`, "'[]'"], render: always(asText) },
  { name: 'c_xml', type: 'xml', values: ["'<a b=\"1\">x</a>'"], render: always(asText) },
  { name: 'c_date', type: 'date', values: ["'2024-02-29'", "'4713-01-01 BC'", "'5874897-12-31'", "'infinity'", "'-infinity'", "'0044-03-15 BC'"], render: date },
  { name: 'c_time', type: 'time', values: ["'04:05:06.789012'", "'00:00:00'", "'23:59:59.999999'"], render: time },
  { name: 'c_time3', type: 'time(3)', values: ["'04:05:06.789'", "'00:00:00'"], render: time },
  { name: 'c_timetz', type: 'timetz', values: ["'04:05:06.789+02'", "'00:00:00+00'"], render: always({ sql: "(date '2000-01-01' + (c AT TIME ZONE 'UTC')::time)::time::text", read: text => `${text}Z` }) },
  { name: 'c_timestamp', type: 'timestamp', values: ["'2024-02-29 12:34:56.789012'", "'4713-01-01 00:00:00 BC'", "'294276-12-31 23:59:59'", "'infinity'", "'-infinity'", "'0044-03-15 12:00:00.000001 BC'"], render: timestamp(6) },
  { name: 'c_timestamp3', type: 'timestamp(3)', values: ["'2024-02-29 12:34:56.789'", "'1969-12-31 23:59:59.999'"], render: timestamp(3) },
  { name: 'c_timestamptz', type: 'timestamptz', values: ["'2024-02-29 12:34:56.789012+02'", "'4713-01-02 00:00:00+00 BC'", "'294276-12-31 23:59:59.999999+00'", "'infinity'", "'-infinity'", "'0044-03-15 12:00:00.000001+00 BC'", "'12024-01-01 00:00:00+00'"], render: always({ sql: micros }) },
  { name: 'c_interval', type: 'interval', values: ["'1 year 2 mons 3 days 04:05:06.789'", "'-1 days -00:00:01'", "'0'"], render: interval },
  { name: 'c_bit', type: 'bit(1)', values: ["B'1'", "B'0'"], render: always({ sql: "CASE c WHEN B'1' THEN 'true' ELSE 'false' END" }) },
  { name: 'c_bits', type: 'bit(12)', values: ["B'101010101111'", "B'000000000000'"], render: always(asBits) },
  { name: 'c_varbit', type: 'varbit(20)', values: ["B'1'", "B'11111111111111111111'"], render: always(asBits) },
  { name: 'c_enum', type: 'mood', values: ["'sad'", "'very happy'"], render: always(asText) },
  { name: 'c_domain', type: 'positive', values: ['5'], render: always(asText) },
  { name: 'c_inet', type: 'inet', values: ["'192.168.1.1'", "'10.0.0.0/8'", "'::1'"], render: always(asText) },
  { name: 'c_cidr', type: 'cidr', values: ["'10.0.0.0/8'"], render: always(asText) },
  { name: 'c_macaddr', type: 'macaddr', values: ["'08:00:2b:01:02:03'"], render: always(asText) },
  { name: 'c_macaddr8', type: 'macaddr8', values: ["'08:00:2b:01:02:03:04:05'"], render: always(asText) },
  { name: 'c_point', type: 'point', values: ["'(1.5,-2.25)'", "'(0,0)'"], render: always(asPoint) },
  { name: 'c_hstore', type: 'hstore', values: [`'a=>1, "b c"=>NULL, "é"=>"x\\"y"'`, "''"], render: hstore },
  { name: 'c_ltree', type: 'ltree', values: ["'top.science.astronomy'"], render: always(asText) },
  { name: 'c_tsvector', type: 'tsvector', values: ["'a fat cat'"], render: always(asText) },
  { name: 'c_int4range', type: 'int4range', values: ["'[1,5)'", "'empty'"], render: always(asText) },
  { name: 'c_numrange', type: 'numrange', values: ["'(1.5,2.5]'"], render: always(asText) },
  { name: 'c_tstzrange', type: 'tstzrange', values: ["'[2024-01-01 00:00:00+00,)'"], render: always(asText) },
  { name: 'c_daterange', type: 'daterange', values: ["'[2024-01-01,2024-02-01)'"], render: always(asText) },
  { name: 'a_int', type: 'integer[]', values: ["'{1,NULL,-2147483648}'", "'{}'"], render: always(asList('x::text')) },
  { name: 'a_bigint', type: 'bigint[]', values: ["'{9223372036854775807,NULL}'"], render: always(asList('x::text')) },
  { name: 'a_boolean', type: 'boolean[]', values: ["'{t,f,NULL}'"], render: always(asList('x::text')) },
  { name: 'a_double', type: 'double precision[]', values: ["'{0.1,NaN,-Infinity,NULL}'"], render: always(asList('x::text', floatText)) },
  { name: 'a_numeric', type: 'numeric(10,2)[]', values: ["'{1.50,NULL,-99999999.99}'"], render: always(asList('x::text')) },
  { name: 'a_text', type: 'text[]', values: [`'{a,NULL,"",NULL,"q\\"é"}'`, "'{}'"], render: always(asList('x')) },
  { name: 'a_uuid', type: 'uuid[]', values: ["'{123e4567-e89b-12d3-a456-426614174000,NULL}'"], render: (_mode, format) => asList(format === 'iceberg' ? "replace(x::text, '-', '')" : 'x::text') },
  { name: 'a_date', type: 'date[]', values: ["'{2024-02-29,NULL,1969-12-31}'"], render: always(asList("(x - date '1970-01-01')::text")) },
  { name: 'a_timestamp', type: 'timestamp[]', values: ["'{2024-02-29 12:34:56.789012,NULL}'"], render: mode => asList(mode === 'text' ? '(floor(extract(epoch FROM x) * 1000)::bigint * 1000)::text' : '(extract(epoch FROM x) * 1000000)::bigint::text') },
  { name: 'a_timestamptz', type: 'timestamptz[]', values: ["'{2024-02-29 12:34:56.789012+02,NULL}'"], render: always(asList('(extract(epoch FROM x) * 1000000)::bigint::text')) },
  { name: 'a_bytes', type: 'bytea[]', values: ["array['\\x00ff'::bytea, NULL]"], render: mode => asList(mode === 'text' ? "encode(x, 'base64')" : "encode(x, 'hex')") },
  { name: 'a_jsonb', type: 'jsonb[]', values: [`array['{"a": 1}'::jsonb, NULL]`], render: always(asList('x::text')) },
  { name: 'a_enum', type: 'mood[]', values: ["'{sad,\"very happy\"}'"], render: always(asList('x::text')) },
  { name: 'a_inet', type: 'inet[]', values: ["'{192.168.1.1,NULL}'"], render: always(asList("CASE WHEN x IS NOT NULL THEN format('%s', x) END")) },
];
