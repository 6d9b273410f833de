/**
 * java.text.SimpleDateFormat in UTC, for the letters that transforms meet: `G y M L d D E u a H k K h m s S z Z X`, quotes
 * and literals (javadoc of SimpleDateFormat). Names of days and months are English. Throws for a letter beyond those.
 */
import { ConfigError } from '../api/errors.ts';

interface Piece { readonly letter: string; readonly width: number; readonly text: string }

const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const LETTERS = 'GyMLdDEuaHkKhmsSzZX';

export interface DateFormat {
  /** `millis` since the epoch → text. */
  format(millis: number): string;
  /** Text → milliseconds since the epoch; undefined when its beginning does not fit, what follows is passed over. */
  parse(text: string): number | undefined;
}

export function javaDateFormat(pattern: string): DateFormat {
  const pieces = piecesOf(pattern);
  return { format: millis => { const date = new Date(millis); return pieces.map(piece => shown(piece, date)).join(''); }, parse: text => parsed(pieces, text) };
}

function piecesOf(pattern: string): Piece[] {
  const pieces: Piece[] = [];
  const literal = (text: string): void => { pieces.push({ letter: '', width: 0, text }); };
  for (const [run = ''] of pattern.matchAll(/'(?:[^']|'')*'|([A-Za-z])\1*|[^A-Za-z']+/g)) {
    const letter = run[0] ?? '';
    if (letter === "'") literal(run === "''" ? "'" : run.slice(1, -1).replaceAll("''", "'"));
    else if (/[A-Za-z]/.test(letter)) {
      if (!LETTERS.includes(letter)) throw new ConfigError(`'${pattern}' is no date format that is known: '${letter}'`, { code: 'DATE_FORMAT', hint: `Letters of Java's SimpleDateFormat that are known: ${LETTERS}.` });
      pieces.push({ letter, width: run.length, text: '' });
    } else literal(run);
  }
  return pieces;
}

const padded = (value: number, width: number): string => String(value).padStart(width, '0');
const dayOfYear = (date: Date): number => Math.floor((Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()) - Date.UTC(date.getUTCFullYear(), 0, 1)) / 86_400_000) + 1;

function shown({ letter, width, text }: Piece, date: Date): string {
  const hour = date.getUTCHours(), year = date.getUTCFullYear();
  switch (letter) {
    case '': return text;
    case 'G': return year > 0 ? 'AD' : 'BC';
    case 'y': { const era = year > 0 ? year : 1 - year; return width === 2 ? padded(era % 100, 2) : padded(era, width); }
    case 'M': case 'L': { const name = MONTHS[date.getUTCMonth()] ?? ''; return width >= 4 ? name : width === 3 ? name.slice(0, 3) : padded(date.getUTCMonth() + 1, width); }
    case 'd': return padded(date.getUTCDate(), width);
    case 'D': return padded(dayOfYear(date), width);
    case 'E': { const name = DAYS[date.getUTCDay()] ?? ''; return width >= 4 ? name : name.slice(0, 3); }
    case 'u': return padded(date.getUTCDay() === 0 ? 7 : date.getUTCDay(), width);
    case 'a': return hour < 12 ? 'AM' : 'PM';
    case 'H': return padded(hour, width);
    case 'k': return padded(hour === 0 ? 24 : hour, width);
    case 'K': return padded(hour % 12, width);
    case 'h': return padded(hour % 12 === 0 ? 12 : hour % 12, width);
    case 'm': return padded(date.getUTCMinutes(), width);
    case 's': return padded(date.getUTCSeconds(), width);
    case 'S': return padded(date.getUTCMilliseconds(), width);
    case 'z': return width >= 4 ? 'Coordinated Universal Time' : 'UTC';
    case 'Z': return '+0000';
    default: return 'Z';
  }
}

interface Found { year: number; month: number; day: number; hour: number; half: number | undefined; minute: number; second: number; milli: number; offsetMinutes: number; before: boolean; ordinal: number | undefined }

function parsed(pieces: readonly Piece[], text: string): number | undefined {
  const found: Found = { year: 1970, month: 0, day: 1, hour: 0, half: undefined, minute: 0, second: 0, milli: 0, offsetMinutes: 0, before: false, ordinal: undefined };
  let at = 0;
  for (const [i, piece] of pieces.entries()) {
    const next = pieces[i + 1];
    // A field next to another takes its own width only.
    const digits = next !== undefined && next.letter !== '' && /[yMdDHkKhmsSu]/.test(next.letter) ? piece.width : undefined;
    const used = read(piece, text.slice(at), digits, found);
    if (used === undefined) return undefined;
    at += used;
  }
  const { half, ordinal } = found;
  const hour = half === undefined ? found.hour : (found.hour % 12) + half * 12;
  const day = ordinal === undefined ? Date.UTC(2000, found.month, found.day) : Date.UTC(2000, 0, ordinal);
  const date = new Date(day);
  // Years below 100 mean 1900 to Date.UTC; setUTCFullYear takes them as they are.
  date.setUTCFullYear(found.before ? 1 - found.year : found.year, ordinal === undefined ? found.month : 0, ordinal ?? found.day);
  return date.getTime() + hour * 3_600_000 + found.minute * 60_000 + found.second * 1000 + found.milli - found.offsetMinutes * 60_000;
}

/** Characters that a piece takes from the beginning of `rest`; undefined when it does not fit. */
function read({ letter, width, text }: Piece, rest: string, digits: number | undefined, into: Found): number | undefined {
  if (letter === '') return rest.startsWith(text) ? text.length : undefined;
  if (letter === 'G') { into.before = rest.startsWith('BC'); return /^(AD|BC)/.test(rest) ? 2 : undefined; }
  if (letter === 'a') { into.half = /^PM/i.test(rest) ? 1 : 0; return /^[AP]M/i.test(rest) ? 2 : undefined; }
  if (letter === 'E') return named(DAYS, rest)?.length;
  if ((letter === 'M' || letter === 'L') && width >= 3) { const month = named(MONTHS, rest); if (month !== undefined) into.month = month.index; return month?.length; }
  if (letter === 'z' || letter === 'Z' || letter === 'X') return zone(rest, into);
  const number = (digits === undefined ? /^\s*-?\d+/ : new RegExp(`^\\d{1,${digits}}`)).exec(rest)?.[0];
  if (number === undefined) return undefined;
  numeric(letter, Number(number), width, number.length, into);
  return number.length;
}

function named(names: readonly string[], rest: string): { readonly index: number; readonly length: number } | undefined {
  const lower = rest.toLowerCase();
  for (const [index, name] of names.entries()) {
    if (lower.startsWith(name.toLowerCase())) return { index, length: name.length };
  }
  const index = names.findIndex(name => lower.startsWith(name.slice(0, 3).toLowerCase()));
  return index < 0 ? undefined : { index, length: 3 };
}

function zone(rest: string, into: Found): number | undefined {
  const match = /^(?:(Z|UTC|GMT)|([+-])(\d\d):?(\d\d)?)/.exec(rest);
  if (match === null) return undefined;
  if (match[2] !== undefined) into.offsetMinutes = (match[2] === '-' ? -1 : 1) * (Number(match[3]) * 60 + Number(match[4] ?? 0));
  return match[0].length;
}

function numeric(letter: string, value: number, width: number, length: number, into: Found): void {
  switch (letter) {
    case 'y': into.year = width <= 2 && length === 2 ? twoDigitYear(value) : value; break;
    case 'M': case 'L': into.month = value - 1; break;
    case 'd': into.day = value; break;
    case 'D': into.ordinal = value; break;
    case 'H': case 'K': into.hour = value; break;
    case 'k': into.hour = value % 24; break;
    case 'h': into.hour = value % 12; break;
    case 'm': into.minute = value; break;
    case 's': into.second = value; break;
    case 'S': into.milli = value; break;
    default: break;
  }
}

/** Within 80 years before and 20 years after today, as Java has it. */
function twoDigitYear(value: number): number {
  const first = new Date().getUTCFullYear() - 80;
  const year = Math.floor(first / 100) * 100 + value;
  return year < first ? year + 100 : year;
}
