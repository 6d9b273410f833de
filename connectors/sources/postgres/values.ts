/**
 * ONE table: a PostgreSQL column type → its Connect schema, its decoder and its JSON writer. Snapshot and stream both
 * use it, so a value is the same whichever way it was read. Source of the mapping: Debezium reference for PostgreSQL,
 * "Data type mappings"; the recorded conformance cases decide where the text is silent.
 */
import { decimalText, unscaledBytes } from '../../../envelopes/decimal.ts';
import * as types from '../../../envelopes/logical/schemas.ts';
import type { Schema, Struct, StructSchema, Value } from '../../../envelopes/schema.ts';
import type { TextRule } from '../capture/column-rules.ts';
import { zeroOf } from './default-value.ts';
import type { EncodingOptions } from './encoding-options.ts';
import { parseArray } from './values/array-text.ts';
import { binaryText, bitBytes, decimalCodec, hexBytes, hstorePairs, moneyUnscaled, nameUuid, pointWkb } from './values/scalars.ts';
import { dateCodec, intervalCodec, timeCodec, timestampCodec, zonedTimeText, zonedTimestampText } from './values/temporal-codecs.ts';
import { doubleWriter, type JsonWriter, writeBoolean, writeRaw, writeString, zonedTimestampWriter } from './values/write-json.ts';
import { slowWriter } from './values/slow-writer.ts';

/** A type as the catalogue describes it; domains are resolved to their base before this. */
export interface TypeInfo {
  readonly oid: number;
  readonly name: string;
  /** pg_type.typtype: b(ase) e(num) d(omain) r(ange) c(omposite) p(seudo) m(ultirange). */
  readonly kind: string;
  readonly element: TypeInfo | undefined;
  readonly allowed: readonly string[] | undefined;
  readonly base: { readonly type: TypeInfo; readonly typmod: number } | undefined;
}

export interface ColumnCodec {
  /** Not optional, no default: the column adds those. */
  readonly schema: Schema;
  /** Text as the server sends it → value; null where Debezium gives null. */
  decode(text: string): Value;
  readonly writeJson: JsonWriter;
  /** Stands for an unchanged TOAST value; null where there is nothing to stand. */
  readonly placeholder: Value;
  /** Stands for a missing value of a required column, where it is not the plain zero of the schema. */
  readonly zero?: Value;
  /** Stands for NULL where a mask hides that too. */
  readonly ofNull?: Value;
}

type Codec = Omit<ColumnCodec, 'writeJson' | 'placeholder'> & { readonly writeJson?: JsonWriter; readonly placeholder?: Value };

/** Codec of a column, or undefined for a type that Debezium leaves out. `typmod` is -1 when there is none. */
export function codecFor(type: TypeInfo, typmod: number, options: EncodingOptions): ColumnCodec | undefined {
  if (type.base !== undefined) return codecFor(type.base.type, typmod === -1 ? type.base.typmod : typmod, options);
  const codec = type.element === undefined ? scalar(type, typmod, options) : arrayCodec(type.element, typmod, options);
  if (codec === undefined) return undefined;
  const placeholder = codec.placeholder ?? (codec.schema.type === 'string' ? options.placeholder : codec.schema.type === 'bytes' ? Buffer.from(options.placeholder) : null);
  return { placeholder, ...codec, writeJson: codec.writeJson ?? slowWriter(codec.schema, text => codec.decode(text)) };
}

/** Types whose values the text rules reach: those that JDBC calls character types. */
const CHARACTER_TYPES = new Set(['text', 'varchar', 'bpchar', 'char', 'name']);

/** A codec with the column's mask, hash or cut laid over it, where its values are text (a cut takes bytes too), and the schema parameters that tell of it in any case. */
export function rewritten(type: TypeInfo, typmod: number, codec: ColumnCodec, ruleFor: (length: number) => TextRule | undefined): { readonly codec: ColumnCodec; readonly parameters: Readonly<Record<string, string>> | undefined } {
  if (type.base !== undefined) return rewritten(type.base.type, typmod === -1 ? type.base.typmod : typmod, codec, ruleFor);
  const rule = ruleFor(typmod === -1 ? -1 : typmod - 4);
  if (rule === undefined) return { codec, parameters: undefined };
  const { parameters } = rule;
  const { bytes } = rule;
  const plain = codec.schema.type === 'string' || (codec.schema.type === 'bytes' && codec.schema.name === undefined);
  if (bytes === undefined ? !(type.kind === 'e' || CHARACTER_TYPES.has(type.name)) || type.element !== undefined : !plain) return { codec, parameters };
  const apply = (value: Value): Value => (typeof value === 'string' ? rule.apply(value) : value instanceof Uint8Array ? value.subarray(0, bytes) : rule.ofNull ?? null);
  const decode = (source: string): Value => apply(codec.decode(source));
  const ofNull = apply(null);
  return { codec: { ...codec, decode, writeJson: slowWriter(codec.schema, decode), placeholder: apply(codec.placeholder), zero: apply(codec.zero ?? zeroOf(codec.schema)), ...(ofNull !== null && { ofNull }) }, parameters };
}

const text: Codec = { schema: types.STRING, decode: value => value, writeJson: writeString };
const named = (schema: Schema): Codec => ({ ...text, schema });
const whole = (schema: Schema): Codec => ({ schema, decode: Number, writeJson: writeRaw });
const long: Codec = { schema: types.INT64, decode: BigInt, writeJson: writeRaw };

/** Types that need neither modifier nor option. */
const plain: Readonly<Record<string, Codec>> = {
  bool: { schema: types.BOOLEAN, decode: value => value === 't', writeJson: writeBoolean },
  int2: whole(types.INT16), int4: whole(types.INT32), int8: long, oid: long,
  float4: { schema: types.FLOAT, decode: value => Math.fround(floating(value)) },
  float8: { schema: types.DOUBLE, decode: floating, writeJson: doubleWriter(slowWriter(types.DOUBLE, floating)) },
  text, varchar: text, bpchar: text, char: text, name: { ...text, decode: () => null, writeJson: slowWriter(types.STRING, () => null) }, citext: text,
  inet: text, cidr: text, macaddr: text, macaddr8: text,
  int4range: text, int8range: text, numrange: text, tsrange: text, tstzrange: text, daterange: text,
  json: named(types.json), jsonb: named(types.json), xml: named(types.xml), uuid: named(types.uuid), ltree: named(types.ltree), tsvector: named(types.tsvector),
  timetz: { schema: types.zonedTime, decode: zonedTimeText },
  point: { schema: types.point, decode: pointValue, zero: pointValue('(0,0)') },
};

function floating(value: string): number { return value === 'Infinity' || value === '-Infinity' || value === 'NaN' ? Number(value) : Number.parseFloat(value); }

function pointValue(value: string): Struct | null {
  const [x, y] = value.slice(1, -1).split(',').map(floating);
  return x === undefined || y === undefined ? null : { schema: types.point, values: [x, y, pointWkb(x, y), null] };
}

function scalar(type: TypeInfo, typmod: number, options: EncodingOptions): Codec | undefined {
  if (type.kind === 'e') return named(types.enumeration(type.allowed ?? []));
  const known = type.name === 'name' && options.includeUnknown ? text : plain[type.name];
  if (known !== undefined) return known;
  switch (type.name) {
    case 'numeric': return decimalCodec(typmod, options.decimalMode);
    case 'money': return money(options);
    case 'date': return dateCodec(options.timeMode);
    case 'time': return timeCodec(width(typmod), options.timeMode);
    case 'timestamp': return timestampCodec(width(typmod), options.timeMode);
    case 'timestamptz': return zoned(width(typmod));
    case 'interval': return intervalCodec(options.intervalMode);
    case 'bit': return typmod === 1 ? { schema: types.BOOLEAN, decode: value => value === '1' } : bits(typmod);
    case 'varbit': return bits(typmod === -1 ? 2_147_483_647 : typmod);
    case 'bytea': return bytea(options);
    case 'hstore': return hstore(options);
    default: return options.includeUnknown ? unknown() : undefined;
  }
}

/** Fraction digits that a time or timestamp type keeps. */
function width(typmod: number): number { return typmod === -1 ? 6 : typmod; }

function zoned(digits: number): Codec {
  const decode = (value: string): string => zonedTimestampText(value, digits);
  return { schema: types.zonedTimestamp, decode, writeJson: zonedTimestampWriter(digits, slowWriter(types.zonedTimestamp, decode)) };
}

function bits(length: number): Codec { return { schema: types.bits(length), decode: bitBytes, placeholder: null }; }

function money(options: EncodingOptions): Codec {
  const digits = options.moneyDigits;
  const cents = (value: string): bigint => moneyUnscaled(value, digits);
  if (options.decimalMode === 'precise') return { schema: types.decimal(digits), decode: value => unscaledBytes(cents(value)) };
  const plainText = (value: string): string => decimalText(cents(value), digits);
  return options.decimalMode === 'string' ? { schema: types.STRING, decode: plainText, zero: decimalText(0n, digits) } : { schema: types.DOUBLE, decode: value => Number(plainText(value)) };
}

function bytea(options: EncodingOptions): Codec {
  if (options.binaryMode === 'bytes') return { schema: types.BYTES, decode: hexBytes };
  return { schema: types.STRING, decode: value => binaryText(hexBytes(value), options.binaryMode) };
}

function hstore(options: EncodingOptions): Codec {
  if (options.hstoreMode === 'map') {
    return { schema: types.map(types.STRING, types.optional(types.STRING)), decode: value => ({ entries: hstorePairs(value) }), placeholder: { entries: [[options.placeholder, options.placeholder]] } };
  }
  return { schema: types.json, decode: value => `{${hstorePairs(value).map(([key, item]) => `${JSON.stringify(key)}:${JSON.stringify(item)}`).join(',')}}`, placeholder: `{${JSON.stringify(options.placeholder)}:${JSON.stringify(options.placeholder)}}`, zero: '{}' };
}

/** Stands for an unchanged array: numbers are the bytes of the placeholder, a UUID is made of its MD5; other arrays are null. */
function arrayPlaceholder(element: string, { type, name }: Schema, { placeholder, binaryMode }: EncodingOptions): Value {
  const bytes = Buffer.from(placeholder);
  switch (element) {
    case 'text': case 'varchar': case 'json': case 'jsonb': return [placeholder];
    case 'int4': return [...bytes];
    case 'date': return type === 'int32' && name === 'io.debezium.time.Date' ? [...bytes] : null;
    case 'int8': return [...bytes].map(BigInt);
    case 'bytea': return binaryMode === 'bytes' ? [bytes] : null;
    case 'uuid': return [nameUuid(bytes)];
    default: return null;
  }
}

/** Types whose arrays Debezium leaves out. */
const WITHOUT_ARRAY = new Set(['point', 'money', 'interval', 'xml', 'name', 'varbit', 'refcursor', 'tsvector']);
const unknown = (): Codec => ({ schema: types.BYTES, decode: value => Buffer.from(value) });

/**
 * Arrays hold optional elements, but for enums; the times in them keep milliseconds, those with a zone seconds, as Debezium has it. A multi-dimensional array reads as nulls,
 * an array of bit strings as a null under the schema of its element.
 */
function arrayCodec(element: TypeInfo, typmod: number, options: EncodingOptions): Codec | undefined {
  if (WITHOUT_ARRAY.has(element.name)) return undefined;
  if (element.kind === 'd') return options.includeUnknown ? unknown() : undefined;
  if (element.name === 'bit') return { schema: types.bits(typmod === -1 ? 1 : typmod), decode: () => null, placeholder: null };
  const item = codecFor(element, typmod, options);
  if (item === undefined) return undefined;
  const schema = types.array(element.kind === 'e' ? item.schema : types.optional(item.schema as StructSchema));
  const member = element.name === 'time' ? (text: string): Value => item.decode(text.replace(/(\.\d{3})\d+/, '$1').replace(/^24/, '00')) : element.name === 'timetz' ? (text: string): Value => item.decode(text.replace(/\.\d+/, '')) : item.decode;
  const numbers = element.name === 'numeric';
  return {
    schema,
    decode: value => {
      const found = parseArray(value);
      // One NaN or infinity takes the whole array with it.
      if (found === undefined || (numbers && found.some(({ text: one }) => one !== null && /[A-Za-z]$/.test(one)))) return null;
      return found.map(({ text: one, nested }) => (one === null || nested ? null : member(one)));
    },
    placeholder: arrayPlaceholder(element.name, item.schema, options),
  };
}
