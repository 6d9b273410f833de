/**
 * Keys as bytes and as 64-bit hashes. A single fixed-width key column of up to 8 bytes that is never null is its own hash: no
 * two keys share it. A column that may be null has a byte before its value that says whether it is: null is a value like any
 * other there, and equals itself (SQL's IS NOT DISTINCT FROM).
 */
import { type ColumnBuffer, NULL, PRESENT } from './column-buffer.ts';
import { FatalError } from '../../../runtime/api/errors.ts';

export class KeyCodec {
  /** True when equal hashes mean equal keys. */
  readonly exact: boolean;
  /** The key encoded last: `bytes[0, length)`, which an exact one need not have, and its hash. */
  bytes: Buffer = Buffer.allocUnsafe(256);
  length = 0;
  high = 0;
  low = 0;

  constructor(columns: readonly ColumnBuffer[]) {
    const nested = columns.find(column => column.width < 0);
    if (nested !== undefined) throw new FatalError(`Column ${nested.column.name} cannot be part of a key`, { code: 'KEY_TYPE', hint: 'Set message.key.columns at the source to columns of plain types, or mode=append at the sink.' });
    const [first] = columns;
    this.exact = columns.length === 1 && first !== undefined && first.column.required && first.width > 0 && first.width <= 8;
  }

  /** Encodes the key of one row. False when a part of it is null that must not be, or was left out by the source. */
  encode(columns: readonly ColumnBuffer[], row: number): boolean {
    const [first] = columns;
    if (this.exact && first !== undefined && first.width >= 4) return this.encodeWords(first, row);
    let at = 0;
    for (const { column, state, width, bytes, words, arena } of columns) {
      const present = state[row] === PRESENT;
      if (!present && (column.required || state[row] !== NULL)) return false;
      if (!column.required) {
        if (at + 1 > this.bytes.length) this.grow(at + 1, at);
        this.bytes[at++] = present ? 1 : 0;
        if (!present) continue;
      }
      if (width > 0) {
        if (at + width > this.bytes.length) this.grow(at + width, at);
        const from = row * width;
        for (let i = 0; i < width; i++) this.bytes[at + i] = bytes[from + i] ?? 0;
        at += width;
      } else {
        const start = words[row * 2] ?? 0, length = words[row * 2 + 1] ?? 0;
        if (at + 4 + length > this.bytes.length) this.grow(at + 4 + length, at);
        this.bytes.writeInt32LE(length, at);
        arena.copy(this.bytes, at + 4, start, start + length);
        at += 4 + length;
      }
    }
    this.length = at;
    this.hash();
    return true;
  }

  /** A key that is its own hash: `bytes` is not looked at then. */
  private encodeWords({ state, width, words }: ColumnBuffer, row: number): boolean {
    if (state[row] !== PRESENT) return false;
    this.length = width;
    if (width === 4) { this.low = (words[row] ?? 0) >>> 0; this.high = 0; return true; }
    this.low = (words[row * 2] ?? 0) >>> 0;
    this.high = (words[row * 2 + 1] ?? 0) >>> 0;
    return true;
  }

  private grow(needed: number, used: number): void {
    const larger = Buffer.allocUnsafe(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(larger, 0, 0, used);
    this.bytes = larger;
  }

  private hash(): void {
    const { bytes, length } = this;
    if (this.exact) {
      let low = 0, high = 0;
      for (let i = Math.min(length, 4) - 1; i >= 0; i--) low = (low << 8) | (bytes[i] ?? 0);
      for (let i = length - 1; i >= 4; i--) high = (high << 8) | (bytes[i] ?? 0);
      this.low = low >>> 0;
      this.high = high >>> 0;
      return;
    }
    // Two lanes of a multiply-and-rotate hash after MurmurHash3's finish (public domain, A. Appleby).
    let a = 0x9747b28c, b = 0x3c6ef372;
    for (let i = 0; i < length; i++) {
      const byte = bytes[i] ?? 0;
      a = Math.imul(a ^ byte, 0x01000193);
      b = Math.imul(((b << 5) | (b >>> 27)) ^ byte, 0x85ebca6b);
    }
    this.low = mix(a ^ length);
    this.high = mix(b + length);
  }
}

/** Spreads 32 bits over 32 bits, one to one. */
export function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Where a search for a 64-bit hash begins. */
export function slotOf(low: number, high: number): number { return mix(low ^ Math.imul(high, 0x9e3779b1)); }
