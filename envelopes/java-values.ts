/** Values as Java's classes show and convert them, where transforms of Kafka Connect rely on that. Sources: javadoc of java.lang.Number, Boolean, BigDecimal; Connect's logical types. */
import { unscaledFrom } from './decimal.ts';
import { javaBigDecimal, javaDouble, javaFloat } from './java-number.ts';
import { JsonText } from './json.ts';
import type { Schema, Value } from './schema.ts';

export const DECIMAL = 'org.apache.kafka.connect.data.Decimal', DATE = 'org.apache.kafka.connect.data.Date';
export const TIME = 'org.apache.kafka.connect.data.Time', TIMESTAMP = 'org.apache.kafka.connect.data.Timestamp';
export const DAY_MS = 86_400_000;

/** Milliseconds since the epoch of a Date, Time or Timestamp; undefined for other schemas. */
export function epochMillis(schema: Schema, value: Value): number | undefined {
  if (schema.name === DATE && typeof value === 'number') return value * DAY_MS;
  if (schema.name === TIME && typeof value === 'number') return value;
  if (schema.name === TIMESTAMP && typeof value === 'bigint') return Number(value);
  return undefined;
}

/** A number of any type as a whole one, with the wrap-around and the saturation of Java's casts; `bits` at most 64. */
export function toWhole(value: number | bigint | Decimal, bits: number): bigint {
  if (typeof value === 'bigint') return BigInt.asIntN(bits, value);
  if (typeof value !== 'number') return BigInt.asIntN(bits, value.unscaled / 10n ** BigInt(Math.max(value.scale, 0)) * 10n ** BigInt(Math.max(-value.scale, 0)));
  if (Number.isNaN(value)) return 0n;
  const limit = bits === 64 ? 1n << 63n : 1n << 31n;
  const whole = Number.isFinite(value) ? BigInt(Math.trunc(value)) : value > 0 ? limit : -limit;
  return BigInt.asIntN(bits, whole >= limit ? limit - 1n : whole < -limit ? -limit : whole);
}

export interface Decimal { readonly unscaled: bigint; readonly scale: number }

/** The decimal under a Decimal schema, else undefined. */
export function decimalOf(schema: Schema | null, value: Value): Decimal | undefined {
  return schema?.name === DECIMAL && value instanceof Uint8Array ? { unscaled: unscaledFrom(value), scale: Number(schema.parameters?.['scale'] ?? 0) } : undefined;
}

/** `toString` of a value: dates in the three forms that Connect's Values gives them. */
export function javaText(schema: Schema | null, value: Value): string | undefined {
  const decimal = decimalOf(schema, value);
  if (decimal !== undefined) return javaBigDecimal(decimal.unscaled, decimal.scale);
  const millis = schema === null ? undefined : epochMillis(schema, value);
  if (millis !== undefined) {
    const iso = isoMillis(millis);
    return millis < DAY_MS ? iso.slice(-13) : millis % DAY_MS === 0 ? iso.slice(0, -14) : iso;
  }
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (typeof value === 'number' && schema !== null && (schema.type === 'float' || schema.type === 'double')) return schema.type === 'float' ? javaFloat(value) : javaDouble(value);
  return typeof value === 'object' ? undefined : String(value);
}

/** `yyyy-MM-ddTHH:mm:ss.SSSZ`. */
export function isoMillis(millis: number): string { return new Date(millis).toISOString().replace(/^[+-]0*(?=\d{4})/, ''); }

const nested = new JsonText({ decimals: 'numeric', defaultsForNull: true });

/** A header's text, as Connect's Values.convertToString gives it: text as it is, what holds other values as JSON with decimals as numbers. */
export function connectText(schema: Schema | null, value: Value): string | null {
  if (value === null) return null;
  return javaText(schema, value) ?? (schema === null ? String(value) : nested.writerFor(schema)(value));
}
