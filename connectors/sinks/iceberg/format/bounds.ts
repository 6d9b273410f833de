/** Column bounds (Iceberg specification, "Binary single-value serialization") out of DuckDB's text of a value. */
import { parseDecimal, rescale, unscaledBytes } from '../../../../envelopes/decimal.ts';
import type { ColumnType } from '../../tables/table.ts';

/** Longer text bounds are cut: Iceberg's default for metrics is truncate(16). */
const TEXT_POINTS = 16;

function integer(value: number): Buffer { const out = Buffer.alloc(4); out.writeInt32LE(value); return out; }
function long(value: bigint): Buffer { const out = Buffer.alloc(8); out.writeBigInt64LE(value); return out; }

const TIMESTAMP = /^(\d{4})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?)?(\+00)?$/;
/** Units since the epoch; `digits` 6 = micros, 9 = nanos. */
function instant(text: string, digits: 6 | 9): bigint | undefined {
  const found = TIMESTAMP.exec(text);
  // Date.UTC takes the years 0 to 99 for 1900 to 1999.
  if (found === null || Number(found[1]) < 100) return undefined;
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = ''] = found;
  const seconds = BigInt(Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second)) / 1000);
  return seconds * 10n ** BigInt(digits) + BigInt(fraction.padEnd(digits, '0').slice(0, digits));
}
function clock(text: string): bigint | undefined {
  const found = /^(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?$/.exec(text);
  if (found === null) return undefined;
  const [, hour, minute, second, fraction = ''] = found;
  return BigInt(Number(hour) * 3600 + Number(minute) * 60 + Number(second)) * 1_000_000n + BigInt(fraction.padEnd(6, '0'));
}

/** A text cut to {@link TEXT_POINTS} code points; as an upper bound its last point is raised, and undefined where none can be. */
function cut(text: string, side: 'lower' | 'upper'): Buffer | undefined {
  const points = [...text];
  if (points.length <= TEXT_POINTS) return Buffer.from(text, 'utf8');
  const head = points.slice(0, TEXT_POINTS);
  if (side === 'lower') return Buffer.from(head.join(''), 'utf8');
  for (let last = head.length - 1; last >= 0; last--) {
    const next = (head[last]?.codePointAt(0) ?? 0) + 1;
    if (next > 0x10ffff || (next >= 0xd800 && next <= 0xdfff)) continue;
    return Buffer.from(head.slice(0, last).join('') + String.fromCodePoint(next), 'utf8');
  }
  return undefined;
}

/** Undefined where the text is not plainly a value of the type (infinite, before year 1, not a number): no bound is a true one. */
export function encodeBound(type: ColumnType, text: string | undefined, side: 'lower' | 'upper'): Buffer | undefined {
  if (text === undefined) return undefined;
  const micros = (value: bigint | undefined): Buffer | undefined => (value === undefined ? undefined : long(value));
  switch (type.kind) {
    case 'boolean': return text === 'true' || text === 'false' ? Buffer.from([text === 'true' ? 1 : 0]) : undefined;
    case 'int': return /^-?\d+$/.test(text) ? integer(Number(text)) : undefined;
    case 'long': return /^-?\d+$/.test(text) ? long(BigInt(text)) : undefined;
    case 'date': { const at = instant(text, 6); return at === undefined ? undefined : integer(Number(at / 86_400_000_000n)); }
    case 'time': return micros(clock(text));
    case 'timestamp': case 'timestamptz': return micros(instant(text, 6));
    case 'timestamp_ns': case 'timestamptz_ns': return micros(instant(text, 9));
    case 'string': return cut(text, side);
    case 'uuid': return /^[0-9a-f-]{36}$/i.test(text) ? Buffer.from(text.replaceAll('-', ''), 'hex') : undefined;
    case 'decimal': {
      const parsed = parseDecimal(text);
      return parsed === undefined ? undefined : Buffer.from(unscaledBytes(rescale(parsed.unscaled, parsed.scale, type.scale)));
    }
    // Floating point bounds in statistics are rounded text; binary is rendered with escapes: left out.
    default: return undefined;
  }
}
