/**
 * Dates in the patterns of Java's SimpleDateFormat, in UTC and English: the letters that such patterns are made of, quoted
 * text, and any other character for itself.
 */
type Part = (at: Date) => string;

const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const DAY_MS = 86_400_000;

const padded = (value: number, width: number): string => String(value).padStart(width, '0');
/** Two letters cut a year to its last two digits. */
const year = (value: number, width: number): string => (width === 2 ? padded(value % 100, 2) : padded(value, width));
/** Of the week, from Sunday on, that the day lies in: a week belongs to the year of its last day. */
const weekYear = (at: Date): number => new Date(at.getTime() + (6 - at.getUTCDay()) * DAY_MS).getUTCFullYear();
const dayOfYear = (at: Date): number => Math.floor((at.getTime() - Date.UTC(at.getUTCFullYear(), 0, 1)) / DAY_MS) + 1;

const LETTERS: Readonly<Record<string, (width: number) => Part>> = {
  G: () => () => 'AD',
  y: width => at => year(at.getUTCFullYear(), width),
  u: width => at => padded(at.getUTCDay() === 0 ? 7 : at.getUTCDay(), width),
  Y: width => at => year(weekYear(at), width),
  M: width => at => (width >= 4 ? MONTHS[at.getUTCMonth()] ?? '' : width === 3 ? (MONTHS[at.getUTCMonth()] ?? '').slice(0, 3) : padded(at.getUTCMonth() + 1, width)),
  d: width => at => padded(at.getUTCDate(), width),
  D: width => at => padded(dayOfYear(at), width),
  E: width => at => (width >= 4 ? DAYS[at.getUTCDay()] ?? '' : (DAYS[at.getUTCDay()] ?? '').slice(0, 3)),
  a: () => at => (at.getUTCHours() < 12 ? 'AM' : 'PM'),
  H: width => at => padded(at.getUTCHours(), width),
  k: width => at => padded(at.getUTCHours() === 0 ? 24 : at.getUTCHours(), width),
  K: width => at => padded(at.getUTCHours() % 12, width),
  h: width => at => padded(at.getUTCHours() % 12 === 0 ? 12 : at.getUTCHours() % 12, width),
  m: width => at => padded(at.getUTCMinutes(), width),
  s: width => at => padded(at.getUTCSeconds(), width),
  S: width => at => padded(at.getUTCMilliseconds(), width),
  z: width => () => (width >= 4 ? 'Coordinated Universal Time' : 'UTC'),
  Z: () => () => '+0000',
  X: () => () => 'Z',
};

/** Throws an Error for a pattern that is none. */
export function dateFormat(pattern: string): (at: Date) => string {
  if ((pattern.match(/'/g) ?? []).length % 2 !== 0) throw new Error(`the date pattern ${pattern} has a quote that does not end`);
  const parts: Part[] = [];
  for (const [whole, quoted, letter] of pattern.matchAll(/'((?:[^']|'')*)'|(?:([A-Za-z])\2*)|[^A-Za-z']/g)) {
    if (quoted !== undefined) { const text = quoted === '' ? "'" : quoted.replaceAll("''", "'"); parts.push(() => text); } else if (letter === undefined) parts.push(() => whole);
    else {
      const make = LETTERS[letter];
      if (make === undefined) throw new Error(`'${letter}' means nothing in the date pattern ${pattern}`);
      parts.push(make(whole.length));
    }
  }
  return at => parts.map(part => part(at)).join('');
}
