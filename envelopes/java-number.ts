/**
 * Floating-point numbers as Java's Double.toString and Float.toString spell them, which is how Jackson, and so
 * Connect's JsonConverter, writes them: `1.0`, `1.0E10`, `-3.4028235E38`. Source: java.lang.Double, javadoc of toString.
 */

/** Java takes the nearest two-digit number where one digit would do (4.9E-324). A finite double; NaN and infinities as their Java names, without quotes. */
export function javaDouble(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity';
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const text = String(value);
  return javaDigits(/^-?\d(e|$)|^-?0\.0*\d$/.test(text) ? value.toPrecision(2) : text);
}

/** Shortest digits that give the same 32-bit float. */
export function javaFloat(value: number): string {
  if (!Number.isFinite(value) || value === 0) return javaDouble(value);
  const single = Math.fround(value);
  for (let digits = 2; digits <= 9; digits++) {
    const text = single.toPrecision(digits);
    if (Math.fround(Number(text)) === single) return javaDigits(String(Number(text)));
  }
  return javaDigits(String(single));
}

/** JavaScript's or PostgreSQL's shortest spelling → Java's. */
export function javaDigits(text: string): string {
  const [, sign = '', whole = '', , fraction = '', exponent = '0'] = /^(-?)(\d+)(\.(\d*))?(?:e([+-]?\d+))?$/i.exec(text) ?? [];
  const all = whole + fraction;
  const lead = /^0*/.exec(all)?.[0].length ?? 0;
  const digits = all.slice(lead).replace(/0+$/, '');
  if (digits === '') return `${sign}0.0`;
  const point = whole.length - lead + Number(exponent);
  if (point > 7 || point < -2) return `${sign}${digits[0]}.${digits.slice(1) || '0'}E${point - 1}`;
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
  return digits.length <= point ? `${sign}${digits}${'0'.repeat(point - digits.length)}.0` : `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}

/** A decimal as BigDecimal.toString spells it: plain, with all digits of its scale, but `1E+3` and `1E-7` at the ends (its javadoc). */
export function javaBigDecimal(unscaled: bigint, scale: number): string {
  const sign = unscaled < 0n ? '-' : '', digits = (unscaled < 0n ? -unscaled : unscaled).toString();
  const exponent = digits.length - 1 - scale;
  if (scale < 0 || exponent < -6) return `${sign}${digits[0] ?? ''}${digits.length > 1 ? `.${digits.slice(1)}` : ''}${exponent === 0 ? '' : `E${exponent > 0 ? '+' : ''}${exponent}`}`;
  if (scale === 0) return sign + digits;
  const padded = digits.padStart(scale + 1, '0');
  return `${sign}${padded.slice(0, -scale)}.${padded.slice(-scale)}`;
}
