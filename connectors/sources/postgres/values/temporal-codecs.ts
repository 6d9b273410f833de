/** Codecs of the date and time types in every `time.precision.mode`. */
import * as types from '../../../../envelopes/logical/schemas.ts';
import type { Schema, Value } from '../../../../envelopes/schema.ts';
import type { EncodingOptions } from '../encoding-options.ts';
import { epochMicros, isoClockText, isoDateText, parseClock, parseInterval, parseStamp } from './temporal.ts';

type Mode = EncodingOptions['timeMode'];
interface TemporalCodec { readonly schema: Schema; decode(text: string): Value }

/** What the JDBC driver's infinities become, in microseconds (Debezium reference, "Temporal types"). */
const INFINITY_US = 9_223_372_036_825_200_000n, MINUS_INFINITY_US = -9_223_372_036_832_400_000n;
/** Streamed infinite dates: days since 1970 with the 32-bit overflow that Debezium has. */
const INFINITY_DAYS = -2_147_472_692, MINUS_INFINITY_DAYS = -2_147_472_691;

function days(text: string): number | null {
  if (text === 'infinity') return INFINITY_DAYS;
  if (text === '-infinity') return MINUS_INFINITY_DAYS;
  return parseStamp(text)?.days ?? null;
}

export function dateCodec(mode: Mode): TemporalCodec {
  if (mode === 'isostring') return { schema: types.isoDate, decode: text => { const value = days(text); return value === null ? null : `${isoDateText(value)}Z`; } };
  return { schema: mode === 'connect' ? types.connectDate : types.date, decode: days };
}

export function timeCodec(width: number, mode: Mode): TemporalCodec {
  const clock = (text: string): number => parseClock(text) ?? 0;
  if (mode === 'isostring') return { schema: types.isoTime, decode: text => `${isoClockText(clock(text) % 86_400_000_000)}Z` };
  if (mode === 'connect') return { schema: types.connectTime, decode: text => Math.floor(clock(text) / 1000) };
  if (mode === 'nanoseconds') return { schema: types.nanoTime, decode: text => BigInt(clock(text)) * 1000n };
  if (mode === 'adaptive' && width <= 3) return { schema: types.time, decode: text => Math.floor(clock(text) / 1000) };
  return { schema: types.microTime, decode: text => BigInt(clock(text)) };
}

function micros(text: string): bigint | null {
  if (text === 'infinity') return INFINITY_US;
  if (text === '-infinity') return MINUS_INFINITY_US;
  const stamp = parseStamp(text);
  return stamp === undefined ? null : inLong(epochMicros(stamp));
}

/** Seconds that do not fit as microseconds stop at the end of the range, the fraction then goes beyond it (java.util.concurrent.TimeUnit). */
function inLong(value: bigint): bigint { return value <= MAX_LONG ? value : BigInt.asIntN(64, MAX_LONG + value % 1_000_000n); }
const MAX_LONG = 9_223_372_036_854_775_807n;

const floorDivide = (value: bigint, by: bigint): bigint => (value >= 0n ? value / by : -((-value + by - 1n) / by));

export function timestampCodec(width: number, mode: Mode): TemporalCodec {
  const millis = (text: string): bigint | null => {
    if (text.endsWith('infinity')) { const value = micros(text); return value === null ? null : value / 1000n; }
    const stamp = parseStamp(text);
    return stamp === undefined ? null : floorDivide(epochMicros(stamp), 1000n);
  };
  if (mode === 'isostring') return { schema: types.isoTimestamp, decode: isoTimestampText };
  if (mode === 'connect') return { schema: types.connectTimestamp, decode: millis };
  if (mode === 'nanoseconds') return { schema: types.nanoTimestamp, decode: nanos };
  if (mode !== 'microseconds' && width <= 3) return { schema: types.timestamp, decode: millis };
  return { schema: types.microTimestamp, decode: micros };
}

function nanos(text: string): bigint | null {
  if (text === 'infinity') return 9_223_372_036_854_775_807n;
  if (text === '-infinity') return -9_223_372_036_854_775_808n;
  const value = micros(text);
  return value === null || value * 1000n !== BigInt.asIntN(64, value * 1000n) ? null : value * 1000n;
}

function isoTimestampText(text: string): string | null {
  if (text === 'infinity') return '+294247-01-10T04:00:25.2Z';
  if (text === '-infinity') return '-290308-12-21T19:59:27.6Z';
  const stamp = parseStamp(text);
  return stamp === undefined ? text : `${isoDateText(stamp.days)}T${isoClockText(stamp.micros)}Z`;
}

/** In UTC, with as many fraction digits as the column keeps; infinities by their name. */
export function zonedTimestampText(text: string, width: number): string {
  const stamp = parseStamp(text);
  return stamp === undefined ? text : `${isoDateText(stamp.days)}T${isoClockText(stamp.micros, width)}Z`;
}

export function zonedTimeText(text: string): string {
  const clock = parseClock(text);
  return clock === undefined ? text : `${isoClockText(clock)}Z`;
}

/** A month counts 365.25 / 12 days, as Debezium has it: 2,629,800 seconds. */
const MONTH_US = 2_629_800_000_000n, DAY_US = 86_400_000_000n;

/** Stops at the ends of 64 bits. */
function saturated(value: bigint): bigint { return value > MAX_LONG ? MAX_LONG : value < -MAX_LONG - 1n ? -MAX_LONG - 1n : value; }

export function intervalCodec(mode: EncodingOptions['intervalMode']): TemporalCodec {
  if (mode === 'numeric') {
    return { schema: types.microDuration, decode: text => { const parts = parseInterval(text); return parts === undefined ? null : saturated(BigInt(parts.months) * MONTH_US + BigInt(parts.days) * DAY_US + parts.micros); } };
  }
  return { schema: types.interval, decode: intervalText };
}

function intervalText(text: string): string | null {
  const parts = parseInterval(text);
  if (parts === undefined) return null;
  const { months, days: dayCount, micros: total } = parts;
  const years = Math.trunc(months / 12);
  const magnitude = total < 0n ? -total : total;
  const sign = total < 0n ? '-' : '';
  const hours = magnitude / 3_600_000_000n, minutes = (magnitude / 60_000_000n) % 60n, seconds = (magnitude / 1_000_000n) % 60n;
  const fraction = (magnitude % 1_000_000n).toString().padStart(6, '0').replace(/0+$/, '');
  const signed = (value: bigint): string => (value === 0n ? '0' : `${sign}${value}`);
  const secondText = seconds === 0n && fraction === '' ? '0' : `${sign}${seconds}${fraction === '' ? '' : `.${fraction}`}`;
  return `P${years}Y${months - years * 12}M${dayCount}DT${signed(hours)}H${signed(minutes)}M${secondText}S`;
}
