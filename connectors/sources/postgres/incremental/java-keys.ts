/**
 * Key values between PostgreSQL's text and the objects that Debezium's driver makes of them. What an offset holds is
 * `Object[]` in hexadecimal; recorded ones lie beside the tests.
 */
import { decimalText } from '../../../../envelopes/decimal.ts';
import { type JavaObject, type JavaValue, readJava } from './java-reader.ts';
import { type JavaScalar, writeJavaArray } from './java-writer.ts';

/** One key: a value for each of its columns, as the server writes them. */
export type KeyTexts = readonly string[];

const TEXTS = new Set(['text', 'varchar', 'bpchar']);
/** No numeric of PostgreSQL has more digits on either side. */
const MOST_SCALE = 131_072;
const HALF_DAY_MS = 43_200_000n, DAY_MS = 86_400_000n;

/** Hexadecimal of the key; undefined for a column type whose Java object is not known, for undefined Java's null. */
export function javaKey(texts: KeyTexts | undefined, types: readonly string[]): string | undefined {
  if (texts === undefined) return writeJavaArray(undefined).toString('hex');
  const values = texts.map((text, i) => scalarOf(text, types[i] ?? ''));
  const known = values.filter(value => value !== undefined);
  return known.length === values.length ? writeJavaArray(known).toString('hex') : undefined;
}

function scalarOf(text: string, type: string): JavaScalar | undefined {
  switch (type) {
    case 'int2': case 'int4': return { type: 'Integer', value: BigInt(text) };
    case 'int8': case 'oid': return { type: 'Long', value: BigInt(text) };
    case 'bool': return { type: 'Boolean', value: text === 't' || text === 'true' };
    case 'uuid': { const hex = text.replaceAll('-', ''); return { type: 'UUID', most: BigInt(`0x${hex.slice(0, 16)}`), least: BigInt(`0x${hex.slice(16)}`) }; }
    case 'numeric': return decimal(text);
    case 'float4': return { type: 'Float', value: Number(text) };
    case 'float8': return { type: 'Double', value: Number(text) };
    case 'bytea': return { type: 'Bytes', value: Buffer.from(text.slice(2), 'hex') };
    case 'date': return /^\d{4}-\d\d-\d\d$/.test(text) ? { type: 'Date', millis: BigInt(Date.parse(text)) } : undefined;
    default: return TEXTS.has(type) ? { type: 'String', value: text } : undefined;
  }
}

function decimal(text: string): JavaScalar | undefined {
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
  if (match === null) return undefined;
  const [, sign = '', whole = '', fraction = ''] = match;
  return { type: 'Decimal', unscaled: BigInt(`${sign}${whole}${fraction}`), scale: fraction.length };
}

/** What PostgreSQL would write for the values of a stored key; undefined where the key is null, 'unknown' where a value is of a class that is not known. Throws DataError JAVA_OBJECT. */
export function textsOfJavaKey(hex: string): KeyTexts | undefined | 'unknown' {
  const value = readJava(Buffer.from(hex, 'hex'));
  if (value === null) return undefined;
  if (!Array.isArray(value)) return 'unknown';
  try {
    const texts = (value as readonly JavaValue[]).map(textOf);
    const known = texts.filter(text => text !== undefined);
    return known.length === texts.length ? known : 'unknown';
  } catch (error) {
    // Whole as a stream, but not the objects that they say they are.
    if (error instanceof RangeError || error instanceof TypeError || error instanceof SyntaxError) return 'unknown';
    throw error;
  }
}

const isObject = (value: JavaValue | undefined): value is JavaObject => typeof value === 'object' && value !== null && 'fields' in value;

function textOf(value: JavaValue | undefined): string | undefined {
  if (typeof value === 'string') return value;
  if (Buffer.isBuffer(value)) return `\\x${value.toString('hex')}`;
  if (!isObject(value)) return undefined;
  const { type, fields, written } = value;
  const plain = fields.get('value');
  switch (type) {
    case 'java.lang.Byte': case 'java.lang.Short': case 'java.lang.Integer': case 'java.lang.Long': case 'java.lang.Float': case 'java.lang.Double': case 'java.lang.Boolean': return String(plain);
    case 'java.util.UUID': return uuid(fields.get('mostSigBits'), fields.get('leastSigBits'));
    case 'java.math.BigInteger': return integer(value)?.toString();
    case 'java.math.BigDecimal': return bigDecimal(value);
    case 'io.debezium.data.SpecialValueDecimal': { const inner = fields.get('decimalValue'); return isObject(inner) ? bigDecimal(inner) : special(fields.get('specialValue')); }
    case 'java.sql.Date': return day(written[0]);
    case 'java.sql.Timestamp': case 'java.util.Date': return clock(written[0], fields.get('nanos'));
    case 'java.time.Ser': return Buffer.isBuffer(written[0]) ? timeText(written[0]) : undefined;
    default: return undefined;
  }
}

function uuid(most: JavaValue | undefined, least: JavaValue | undefined): string | undefined {
  if (typeof most !== 'bigint' || typeof least !== 'bigint') return undefined;
  const hex = [most, least].map(half => BigInt.asUintN(64, half).toString(16).padStart(16, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** What no decimal number is: a constant, by its name. */
function special(value: JavaValue | undefined): string | undefined {
  const name = isObject(value) ? value.fields.get('name') : undefined;
  if (typeof name !== 'string') return undefined;
  return name.startsWith('NAN') ? 'NaN' : name.startsWith('NEG') ? '-Infinity' : name.startsWith('POS') ? 'Infinity' : undefined;
}

function integer({ fields }: JavaObject): bigint | undefined {
  const magnitude = fields.get('magnitude'), signum = fields.get('signum');
  if (!Buffer.isBuffer(magnitude) || typeof signum !== 'number') return undefined;
  return BigInt(signum) * BigInt(magnitude.length === 0 ? 0 : `0x${magnitude.toString('hex')}`);
}

function bigDecimal({ fields }: JavaObject): string | undefined {
  const unscaled = fields.get('intVal'), scale = fields.get('scale');
  const whole = isObject(unscaled) ? integer(unscaled) : undefined;
  if (whole === undefined || typeof scale !== 'number' || Math.abs(scale) > MOST_SCALE) return undefined;
  return scale >= 0 ? decimalText(whole, scale) : decimalText(whole * 10n ** BigInt(-scale), 0);
}

/** Midnight in the time zone of Java's process, within twelve hours of UTC's. */
function day(block: JavaValue | undefined): string | undefined {
  if (!Buffer.isBuffer(block) || block.length < 8) return undefined;
  const middle = block.readBigInt64BE(0) + HALF_DAY_MS;
  return instant((middle - ((middle % DAY_MS) + DAY_MS) % DAY_MS) / 1000n, 0, false)?.slice(0, 10);
}

/** Java's clocks of the driver count in the time zone of its process; UTC is what Debezium is run in. */
function clock(block: JavaValue | undefined, nanos: JavaValue | undefined): string | undefined {
  if (!Buffer.isBuffer(block) || block.length < 8) return undefined;
  return instant(block.readBigInt64BE(0) / 1000n - (block.readBigInt64BE(0) % 1000n < 0n ? 1n : 0n), typeof nanos === 'number' ? nanos : 0, false);
}

/** Seconds since the epoch and nanoseconds of the second. */
function instant(seconds: bigint, nanos: number, zoned: boolean): string | undefined {
  const at = new Date(Number(seconds) * 1000);
  if (Number.isNaN(at.getTime()) || at.getUTCFullYear() < 1 || at.getUTCFullYear() > 9999) return undefined;
  return `${at.toISOString().slice(0, 19).replace('T', ' ')}.${String(Math.floor(nanos / 1000)).padStart(6, '0')}${zoned ? '+00' : ''}`;
}

/** `java.time` in its own short form: a byte for the class, then its parts. */
function timeText(block: Buffer): string | undefined {
  switch (block[0]) {
    case 2: return instant(block.readBigInt64BE(1), block.readInt32BE(9), true);
    case 3: return dateText(block, 1);
    case 5: { const time = clockText(block, 7); return `${dateText(block, 1)} ${time.text}`; }
    case 10: {
      const time = clockText(block, 7);
      const quarters = block.readInt8(time.end);
      const seconds = quarters === 127 ? block.readInt32BE(time.end + 1) : quarters * 900;
      const sign = seconds < 0 ? '-' : '+', size = Math.abs(seconds);
      const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
      return `${dateText(block, 1)} ${time.text}${sign}${two(size / 3600)}:${two(size % 3600 / 60)}:${two(size % 60)}`;
    }
    default: return undefined;
  }
}
const dateText = (block: Buffer, at: number): string => `${String(block.readInt32BE(at)).padStart(4, '0')}-${String(block[at + 4]).padStart(2, '0')}-${String(block[at + 5]).padStart(2, '0')}`;

/** Hour, minute, second and nanoseconds; the last part that is not zero is the last that is there, marked by its complement. */
function clockText(block: Buffer, from: number): { readonly text: string; readonly end: number } {
  const parts = [0, 0, 0];
  let at = from, nanos = 0, whole = true;
  for (let i = 0; i < 3; i++) {
    const part = block.readInt8(at++);
    parts[i] = part < 0 ? ~part : part;
    if (part < 0) { whole = false; break; }
  }
  if (whole) { nanos = block.readInt32BE(at); at += 4; }
  return { text: `${parts.map(part => String(part).padStart(2, '0')).join(':')}.${String(Math.floor(nanos / 1000)).padStart(6, '0')}`, end: at };
}
