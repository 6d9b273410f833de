/** Zig-zag variable-length integers, as Kafka's record format uses them; safe integers only. */
import type { ByteWriter } from '../api/byte-writer.ts';
import { DataError } from '../api/errors.ts';

const INT32 = 0x4000_0000;

/** Bytes that `value` takes. */
export function varintSize(value: number): number {
  let rest = value >= 0 ? value * 2 : -value * 2 - 1;
  let size = 1;
  while (rest >= 128) { rest = Math.floor(rest / 128); size++; }
  return size;
}

export function encodeVarint(out: ByteWriter, value: number): void {
  out.ensure(10);
  const { buffer } = out;
  let at = out.position;
  if (value >= -INT32 && value < INT32) {
    let rest = ((value << 1) ^ (value >> 31)) >>> 0;
    while (rest >= 128) { buffer[at++] = (rest & 127) | 128; rest >>>= 7; }
    buffer[at++] = rest;
  } else {
    let rest = value >= 0 ? BigInt(value) << 1n : (-BigInt(value) << 1n) - 1n;
    while (rest >= 128n) { buffer[at++] = Number(rest & 127n) | 128; rest >>= 7n; }
    buffer[at++] = Number(rest);
  }
  out.position = at;
}

/** Reads at `cursor.at` and moves it. Throws DataError BATCH_CORRUPT at the end of the buffer or after ten bytes. */
export function varintAt(buffer: Buffer, cursor: { at: number }): number {
  let low = 0;
  let scale = 1;
  for (let i = 0; i < 10; i++) {
    const byte = buffer[cursor.at++];
    if (byte === undefined) break;
    low += (byte & 127) * scale;
    if (byte < 128) return low % 2 === 0 ? low / 2 : -(low + 1) / 2;
    scale *= 128;
  }
  throw new DataError('Record batch is corrupt: a number has no end', { code: 'BATCH_CORRUPT' });
}

/** As {@link varintAt}, quicker for numbers of one or two bytes. */
export function shortVarint(buffer: Buffer, cursor: { at: number }): number {
  const { at } = cursor;
  const first = buffer[at] ?? 128;
  if (first < 128) { cursor.at = at + 1; return (first >>> 1) ^ -(first & 1); }
  const second = buffer[at + 1] ?? 128;
  if (second < 128) { cursor.at = at + 2; const both = (first & 127) | (second << 7); return (both >>> 1) ^ -(both & 1); }
  return varintAt(buffer, cursor);
}
