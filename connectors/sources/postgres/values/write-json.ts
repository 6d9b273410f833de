/**
 * Fast writers: a column's text bytes → its JSON bytes, with no string in between. Each gives what the decoder and the
 * JSON converter give for the same text; a property test holds them together.
 */
import type { ByteWriter } from '../../../../runtime/api/byte-writer.ts';

export type JsonWriter = (source: Buffer, start: number, end: number, out: ByteWriter) => void;

const HEX = Buffer.from('0123456789abcdef');
const QUOTE = 0x22, BACKSLASH = 0x5c;
const SHORT_ESCAPES = new Uint8Array(32);
for (const [code, letter] of [[8, 'b'], [9, 't'], [10, 'n'], [12, 'f'], [13, 'r']] as const) SHORT_ESCAPES[code] = letter.charCodeAt(0);

/** Digits as they are. */
export const writeRaw: JsonWriter = (source, start, end, out) => {
  out.ensure(end - start);
  const { buffer } = out;
  let at = out.position;
  for (let i = start; i < end; i++) buffer[at++] = source[i] as number;
  out.position = at;
};

/** UTF-8 text as a JSON string; escapes as JSON.stringify writes them. */
export const writeString: JsonWriter = (source, start, end, out) => {
  out.ensure((end - start) * 6 + 2);
  const { buffer } = out;
  let at = out.position;
  buffer[at++] = QUOTE;
  for (let i = start; i < end; i++) {
    const byte = source[i] as number;
    if (byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH) { buffer[at++] = byte; continue; }
    buffer[at++] = BACKSLASH;
    if (byte >= 0x20) { buffer[at++] = byte; continue; }
    const short = SHORT_ESCAPES[byte] as number;
    if (short !== 0) { buffer[at++] = short; continue; }
    buffer[at++] = 0x75; buffer[at++] = 0x30; buffer[at++] = 0x30;
    buffer[at++] = HEX[byte >> 4] as number; buffer[at++] = HEX[byte & 15] as number;
  }
  buffer[at++] = QUOTE;
  out.position = at;
};

const TRUE = Buffer.from('true'), FALSE = Buffer.from('false');
export const writeBoolean: JsonWriter = (source, start, _end, out) => out.write(source[start] === 0x74 ? TRUE : FALSE);

const BASE64 = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
const scratch = new Uint8Array(8);

/** numeric(p,s) → base64 of the unscaled number, while it fits 2^53; `slow` does the rest. */
export function decimalWriter(scale: number, slow: JsonWriter): JsonWriter {
  return (source, start, end, out) => {
    let unscaled = 0;
    let fraction = -1;
    const negative = source[start] === 0x2d;
    if (end - start > 15) { slow(source, start, end, out); return; }
    for (let i = negative ? start + 1 : start; i < end; i++) {
      const byte = source[i] as number;
      if (byte === 0x2e && fraction < 0) { fraction = 0; continue; }
      if (byte < 0x30 || byte > 0x39) { slow(source, start, end, out); return; }
      unscaled = unscaled * 10 + (byte - 0x30);
      if (fraction >= 0) fraction++;
    }
    const missing = scale - Math.max(fraction, 0);
    if (missing < 0 || missing > 6) { slow(source, start, end, out); return; }
    for (let i = 0; i < missing; i++) unscaled *= 10;
    if (unscaled > Number.MAX_SAFE_INTEGER) { slow(source, start, end, out); return; }
    writeUnscaled(negative ? -unscaled : unscaled, out);
  };
}

/** Minimal two's-complement bytes of a safe integer, as a base64 JSON string. */
function writeUnscaled(value: number, out: ByteWriter): void {
  let size = 1;
  let limit = 128;
  while (value >= limit || value < -limit) { size++; limit *= 256; }
  let rest = value;
  for (let i = size - 1; i >= 0; i--) { const low = ((rest % 256) + 256) % 256; scratch[i] = low; rest = (rest - low) / 256; }
  out.ensure(16);
  const { buffer } = out;
  let at = out.position;
  buffer[at++] = QUOTE;
  for (let i = 0; i < size; i += 3) {
    const a = scratch[i] as number, b = i + 1 < size ? scratch[i + 1] as number : 0, c = i + 2 < size ? scratch[i + 2] as number : 0;
    buffer[at++] = BASE64[a >> 2] as number;
    buffer[at++] = BASE64[((a & 3) << 4) | (b >> 4)] as number;
    buffer[at++] = i + 1 < size ? BASE64[((b & 15) << 2) | (c >> 6)] as number : 0x3d;
    buffer[at++] = i + 2 < size ? BASE64[c & 63] as number : 0x3d;
  }
  buffer[at++] = QUOTE;
  out.position = at;
}

/** `YYYY-MM-DD HH:MM:SS[.f]+00` of years 0001–9999 → `"YYYY-MM-DDTHH:MM:SS[.f×width]Z"`. */
export function zonedTimestampWriter(width: number, slow: JsonWriter): JsonWriter {
  return (source, start, end, out) => {
    const clockEnd = end - 3;
    if (clockEnd - start < 19 || source[start + 4] !== 0x2d || source[start + 10] !== 0x20 || source[clockEnd] !== 0x2b || source[clockEnd + 1] !== 0x30 || source[clockEnd + 2] !== 0x30) { slow(source, start, end, out); return; }
    const digits = clockEnd - start > 20 ? clockEnd - start - 20 : 0;
    out.ensure(32);
    const { buffer } = out;
    let at = out.position;
    buffer[at++] = QUOTE;
    for (let i = start; i < start + 19; i++) buffer[at++] = source[i] as number;
    buffer[at - 9] = 0x54;
    if (width > 0) {
      buffer[at++] = 0x2e;
      for (let i = 0; i < width; i++) buffer[at++] = i < digits ? source[start + 20 + i] as number : 0x30;
    }
    buffer[at++] = 0x5a;
    buffer[at++] = QUOTE;
    out.position = at;
  };
}

/** PostgreSQL's shortest spelling of a finite double in plain notation is Java's, but for whole numbers, exponents and extremes. */
export function doubleWriter(slow: JsonWriter): JsonWriter {
  return (source, start, end, out) => {
    const first = source[start] === 0x2d ? start + 1 : start;
    let point = -1;
    for (let i = first; i < end; i++) {
      const byte = source[i] as number;
      if (byte === 0x2e && point < 0) { point = i; continue; }
      if (byte < 0x30 || byte > 0x39) { slow(source, start, end, out); return; }
    }
    const whole = (point < 0 ? end : point) - first;
    if (whole > 7 || end - first > 17 || source[first] === 0x30) { slow(source, start, end, out); return; }
    writeRaw(source, start, end, out);
    if (point < 0) { out.ensure(2); out.buffer[out.position++] = 0x2e; out.buffer[out.position++] = 0x30; }
  };
}
