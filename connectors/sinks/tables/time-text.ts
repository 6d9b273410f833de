/** Text of times as Debezium writes them: ISO 8601, years beyond 9999 with a sign. */
const ZONED = /^([+-]?\d{4,})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(?:Z|([+-])(\d\d)(?::?(\d\d))?(?::?(\d\d))?)$/;
/** What DuckDB reads as infinite; for others it is the last microsecond of 64 bits. */
const INFINITY = 2n ** 63n - 1n, MINUS_INFINITY = -INFINITY;
/** From here on Debezium means PostgreSQL's infinity (it writes 9223372036825200000 and -9223372036832400000), and DuckDB's calendar ends. */
const LAST = 9_223_372_036_825_200_000n, FIRST = -9_223_372_022_400_000_000n;

/** Microseconds as DuckDB takes them: what lies outside its calendar is infinite. */
export function timestampMicros(value: bigint): bigint { return value >= LAST ? INFINITY : value <= FIRST ? MINUS_INFINITY : value; }
/** Nanoseconds likewise: what 64 bits do not hold is infinite. */
export function timestampNanos(value: bigint): bigint { return value > INFINITY ? INFINITY : value < MINUS_INFINITY ? MINUS_INFINITY : value; }

/** Days that stand for PostgreSQL's infinite dates in Debezium's records (a 32-bit overflow there), and DuckDB's own. */
const DATE_INFINITY = -2_147_472_692, DATE_MINUS_INFINITY = -2_147_472_691, LAST_DAY = 2_147_483_647;
/** Days as DuckDB takes them. */
export function dateDays(value: number): number { return value === DATE_INFINITY ? LAST_DAY : value === DATE_MINUS_INFINITY || value < -LAST_DAY ? -LAST_DAY : value; }

const DAY_MICROS = 86_400_000_000n;

/** Days from 1970-01-01, proleptic Gregorian (Hinnant, "chrono-compatible low-level date algorithms"). */
export function daysOf(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400), yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468;
}

/** ISO text with a zone → microseconds since the epoch as {@link timestampMicros} has them; digits beyond are cut. Undefined for anything else. */
export function parseZoned(text: string): bigint | undefined {
  if (text === 'infinity') return INFINITY;
  if (text === '-infinity') return MINUS_INFINITY;
  const match = ZONED.exec(text);
  if (match === null) return undefined;
  const [, year = '', month = '', day = '', hour = '', minute = '', second = '0', fraction = '', sign, offsetHour = '0', offsetMinute = '0', offsetSecond = '0'] = match;
  let seconds = Number(hour) * 3600 + Number(minute) * 60 + Number(second);
  if (sign !== undefined) seconds -= (sign === '-' ? -1 : 1) * (Number(offsetHour) * 3600 + Number(offsetMinute) * 60 + Number(offsetSecond));
  return timestampMicros(BigInt(daysOf(Number(year), Number(month), Number(day))) * DAY_MICROS + BigInt(seconds) * 1_000_000n + BigInt(fraction.slice(0, 6).padEnd(6, '0')));
}

/** Microseconds past midnight → `HH:MM:SS[.ffffff]`. */
export function clockText(micros: bigint): string {
  const whole = micros / 1_000_000n, rest = micros % 1_000_000n;
  const pad = (value: bigint): string => value.toString().padStart(2, '0');
  const clock = `${pad(whole / 3600n)}:${pad((whole / 60n) % 60n)}:${pad(whole % 60n)}`;
  return rest === 0n ? clock : `${clock}.${rest.toString().padStart(6, '0').replace(/0+$/, '')}`;
}

/** `YYYY-MM-DD[Z]` → days from 1970-01-01; undefined for anything else. */
export function parseDay(text: string): number | undefined {
  const match = /^([+-]?\d{4,})-(\d\d)-(\d\d)Z?$/.exec(text);
  return match === null ? undefined : daysOf(Number(match[1]), Number(match[2]), Number(match[3]));
}
/** `HH:MM:SS[.f][Z]` → microseconds past midnight; undefined for anything else. */
export function parseClock(text: string): bigint | undefined {
  const match = /^(\d\d):(\d\d):(\d\d)(?:\.(\d+))?Z?$/.exec(text);
  return match === null ? undefined : BigInt(Number(match[1]) * 3600 + Number(match[2]) * 60 + Number(match[3])) * 1_000_000n + BigInt((match[4] ?? '').slice(0, 6).padEnd(6, '0'));
}
