/** `StringConverter`, `ByteArrayConverter` and the number converters of Kafka Connect: one value, no schema on the wire. */
import { DECIMAL, javaText } from '../../envelopes/java-values.ts';
import type { Schema, Struct, Value, ValueMap } from '../../envelopes/schema.ts';
import type { Converter } from '../api/converter.ts';
import { DataError } from '../api/errors.ts';

function buffer(bytes: Uint8Array): Buffer { return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength); }

/** `toString` of what Connect has for a value: `Struct{a=1,b=x}`, `[1, 2]`, `{k=v}`. A null member of a struct is left out. */
function text(schema: Schema | null, value: Value): string {
  const plain = javaText(schema, value);
  if (plain !== undefined && value !== null && typeof value !== 'object') return plain;
  if (value instanceof Uint8Array && plain !== undefined && schema?.name === DECIMAL) return plain;
  if (Array.isArray(value)) { const items = schema?.type === 'array' ? schema.items : null; return `[${(value as readonly Value[]).map(item => (item === null ? 'null' : text(items, item))).join(', ')}]`; }
  if (value !== null && typeof value === 'object' && 'values' in value && 'schema' in value) {
    const { schema: { fields }, values } = value as Struct;
    return `Struct{${fields.flatMap(({ name, schema: child }, i) => { const part = values[i] ?? child.default ?? null; return part === null ? [] : [`${name}=${text(child, part)}`]; }).join(',')}}`;
  }
  if (value !== null && typeof value === 'object' && 'entries' in value) {
    const types = schema?.type === 'map' ? schema : undefined;
    return `{${(value as ValueMap).entries.map(([key, item]) => `${key === null ? 'null' : text(types?.keys ?? null, key)}=${item === null ? 'null' : text(types?.values ?? null, item)}`).join(', ')}}`;
  }
  throw new DataError('A string converter was given bytes', { code: 'CONVERTER_TYPE', hint: 'Use a JSON converter for structured records.' });
}

/** Text in UTF-8; null stays null. */
export function stringConverter(): Converter {
  const schema: Schema = { type: 'string', optional: true };
  return {
    encode: (_topic, given, value) => (value === null ? null : Buffer.from(text(given, value), 'utf8')),
    decode: (_topic, bytes) => ({ schema, value: bytes === null ? null : buffer(bytes).toString('utf8') }),
  };
}

/** Bytes as they are. Throws DataError for anything that is not bytes. */
export function byteArrayConverter(): Converter {
  const schema: Schema = { type: 'bytes', optional: true };
  return {
    encode: (topic, given, value) => {
      if (value === null) return null;
      if (!(value instanceof Uint8Array)) throw new DataError(`Topic ${topic}: ByteArrayConverter was given ${given?.type ?? typeof value}`, { code: 'CONVERTER_TYPE', hint: 'Use a JSON converter for structured records.' });
      return value;
    },
    decode: (_topic, bytes) => ({ schema, value: bytes }),
  };
}

type Width = 'int16' | 'int32' | 'int64' | 'float' | 'double';
const SIZE: Readonly<Record<Width, number>> = { int16: 2, int32: 4, int64: 8, float: 4, double: 8 };

/** Big-endian numbers, as Kafka's own serializers write them. */
export function numberConverter(width: Width): Converter {
  const schema: Schema = { type: width, optional: true };
  return {
    encode: (topic, _schema, value) => {
      if (value === null) return null;
      if (typeof value !== (width === 'int64' ? 'bigint' : 'number')) throw new DataError(`Topic ${topic}: a value is no ${width}`, { code: 'CONVERTER_TYPE' });
      const out = Buffer.alloc(SIZE[width]);
      if (width === 'int64') out.writeBigInt64BE(value as bigint);
      else if (width === 'int32') out.writeInt32BE(value as number);
      else if (width === 'int16') out.writeInt16BE(value as number);
      else if (width === 'float') out.writeFloatBE(value as number);
      else out.writeDoubleBE(value as number);
      return out;
    },
    decode: (topic, bytes) => {
      if (bytes === null) return { schema, value: null };
      if (bytes.length !== SIZE[width]) throw new DataError(`Topic ${topic}: ${bytes.length} bytes are no ${width}`, { code: 'CONVERTER_SIZE' });
      const from = buffer(bytes);
      return { schema, value: width === 'int64' ? from.readBigInt64BE() : width === 'int32' ? from.readInt32BE() : width === 'int16' ? from.readInt16BE() : width === 'float' ? from.readFloatBE() : from.readDoubleBE() };
    },
  };
}

/** One byte, 0 or 1. */
export function booleanConverter(): Converter {
  const schema: Schema = { type: 'boolean', optional: true };
  return {
    encode: (_topic, _schema, value) => (value === null ? null : Uint8Array.of(value === true ? 1 : 0)),
    decode: (_topic, bytes) => ({ schema, value: bytes === null ? null : bytes[0] !== 0 }),
  };
}
