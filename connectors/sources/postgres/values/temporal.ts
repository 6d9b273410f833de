/**
 * PostgreSQL's ISO text for dates and times → exact integers. The session runs in UTC with DateStyle ISO.
 * Grammar: `[Y]YYYY-MM-DD[ HH:MM:SS[.ffffff]][+HH[:MM[:SS]]][ BC]`, `infinity`, `-infinity` (PostgreSQL manual, 8.5).
 */
const DAY_US = 86_400_000_000n;

/** Days from 1970-01-01 in the proleptic Gregorian calendar; year 0 is 1 BC. */
export function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yoe = y - era * 400;
  const doy = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return era * 146_097 + yoe * 365 + Math.floor(yoe / 4) - Math.floor(yoe / 100) + doy - 719_468;
}

export function civilFromDays(days: number): { readonly year: number; readonly month: number; readonly day: number } {
  const z = days + 719_468;
  const era = Math.floor(z / 146_097);
  const doe = z - era * 146_097;
  const yoe = Math.floor((doe - Math.floor(doe / 1460) + Math.floor(doe / 36_524) - Math.floor(doe / 146_096)) / 365);
  const doy = doe - (365 * yoe + Math.floor(yoe / 4) - Math.floor(yoe / 100));
  const mp = Math.floor((5 * doy + 2) / 153);
  const month = mp < 10 ? mp + 3 : mp - 9;
  return { year: yoe + era * 400 + (month <= 2 ? 1 : 0), month, day: doy - Math.floor((153 * mp + 2) / 5) + 1 };
}

const STAMP = /^(\d+)-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?(?:([+-])(\d\d)(?::?(\d\d))?(?::?(\d\d))?)?( BC)?$/;

export interface Stamp { readonly days: number; readonly micros: number }

/** Date and time of day (microseconds), shifted to UTC when the text has an offset. Undefined for infinity and anything unknown. */
export function parseStamp(text: string): Stamp | undefined {
  const match = STAMP.exec(text);
  if (match === null) return undefined;
  const [, year = '', month = '', day = '', hour = '0', minute = '0', second = '0', fraction = '', sign, offsetHour = '0', offsetMinute = '0', offsetSecond = '0', bc] = match;
  let days = daysFromCivil(bc === undefined ? Number(year) : 1 - Number(year), Number(month), Number(day));
  let seconds = Number(hour) * 3600 + Number(minute) * 60 + Number(second);
  if (sign !== undefined) seconds -= (sign === '-' ? -1 : 1) * (Number(offsetHour) * 3600 + Number(offsetMinute) * 60 + Number(offsetSecond));
  days += Math.floor(seconds / 86_400);
  seconds -= Math.floor(seconds / 86_400) * 86_400;
  return { days, micros: seconds * 1_000_000 + Number(fraction.padEnd(6, '0')) };
}

export function epochMicros({ days, micros }: Stamp): bigint { return BigInt(days) * DAY_US + BigInt(micros); }

const CLOCK = /^(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:([+-])(\d\d)(?::?(\d\d))?(?::?(\d\d))?)?$/;

/** Microseconds past midnight; with an offset, of the same instant in UTC, within one day. */
export function parseClock(text: string): number | undefined {
  const match = CLOCK.exec(text);
  if (match === null) return undefined;
  const [, hour, minute, second, fraction = '', sign, offsetHour = '0', offsetMinute = '0', offsetSecond = '0'] = match;
  let seconds = Number(hour) * 3600 + Number(minute) * 60 + Number(second);
  if (sign !== undefined) {
    seconds -= (sign === '-' ? -1 : 1) * (Number(offsetHour) * 3600 + Number(offsetMinute) * 60 + Number(offsetSecond));
    seconds = ((seconds % 86_400) + 86_400) % 86_400;
  }
  return seconds * 1_000_000 + Number(fraction.padEnd(6, '0'));
}

const two = (value: number): string => String(value).padStart(2, '0');

/** ISO year: four digits, a sign beyond them. */
function isoYear(year: number): string {
  const digits = String(Math.abs(year)).padStart(4, '0');
  return year < 0 ? `-${digits}` : year > 9999 ? `+${digits}` : digits;
}

export function isoDateText(days: number): string {
  const { year, month, day } = civilFromDays(days);
  return `${isoYear(year)}-${two(month)}-${two(day)}`;
}

/** `HH:MM:SS` and exactly `width` digits of the fraction, or as many as are not zero when width is undefined. */
export function isoClockText(micros: number, width?: number): string {
  const seconds = Math.floor(micros / 1_000_000);
  const digits = String(micros % 1_000_000).padStart(6, '0');
  const fraction = width === undefined ? digits.replace(/0+$/, '') : digits.slice(0, width);
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}${fraction === '' ? '' : `.${fraction}`}`;
}

export interface IntervalParts { readonly months: number; readonly days: number; readonly micros: bigint }

/** IntervalStyle postgres: `1 year 2 mons -3 days -04:05:06.5`. */
export function parseInterval(text: string): IntervalParts | undefined {
  let months = 0;
  let days = 0;
  let micros = 0n;
  for (const [, amount, unit] of text.matchAll(/(-?\d+) (years?|mons?|days?)/g)) {
    if (unit?.startsWith('year') === true) months += Number(amount) * 12;
    else if (unit?.startsWith('mon') === true) months += Number(amount);
    else days += Number(amount);
  }
  const clock = /([+-]?)(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?$/.exec(text);
  if (clock !== null) {
    const [, sign, hour = '0', minute = '0', second = '0', fraction = ''] = clock;
    micros = (BigInt(hour) * 3600n + BigInt(minute) * 60n + BigInt(second)) * 1_000_000n + BigInt(fraction.padEnd(6, '0'));
    if (sign === '-') micros = -micros;
  }
  return { months, days, micros };
}
