/**
 * LZ4 frames, decoded into a buffer that is used again and again: a fresh buffer for each batch costs more in page
 * faults than the decoding itself.
 *
 *   frame    := magic u32le 0x184D2204 · flags u8 · block descriptor u8 · [content size u64] · [dictionary u32] · header check u8 ·
 *               block* · end u32 0 · [content check u32]
 *   block    := size u32le (top bit: stored as it is) · data · [block check u32]
 *   sequence := token u8 (literal length << 4 | match length - 4; 15 goes on in bytes of 255) · literals · match distance u16le
 *
 * Checksums are not looked at: the batch around the frame has one over all of it.
 * Source: github.com/lz4/lz4, doc/lz4_Frame_format.md and doc/lz4_Block_format.md.
 */
import type { DataError } from '../api/errors.ts';
import { corruptBatch, MOST_DECODED_BYTES } from './payload.ts';

const MAGIC = 0x184d2204;
const LEAST_BYTES = 256 * 1024;
/** A larger buffer is given up before the next frame: one large batch must not cost its memory for ever. */
const KEPT_BYTES = 8 * 1024 * 1024;
/** Bytes behind the end that copies in steps may write over. */
const SPARE = 16;
/** From here on a call that copies memory is quicker than steps of eight bytes. */
const LONG = 128;

/** Decodes frames into one growing buffer; what `decode` answers is valid until its next call. */
export class Lz4Decoder {
  private out = Buffer.allocUnsafeSlow(LEAST_BYTES);
  private view = new DataView(this.out.buffer);
  private at = 0;

  /** Throws DataError BATCH_CORRUPT for anything that is no whole frame. */
  decode(frame: Buffer): Buffer {
    if (frame.length < 11 || frame.readUInt32LE(0) !== MAGIC) throw corrupt();
    if (this.out.length > KEPT_BYTES) this.take(Buffer.allocUnsafeSlow(LEAST_BYTES));
    const flags = frame[4] ?? 0, input = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    let from = 7 + ((flags & 8) === 0 ? 0 : 8) + ((flags & 1) === 0 ? 0 : 4);
    this.at = 0;
    for (;;) {
      if (from + 4 > frame.length) throw corrupt();
      const size = frame.readUInt32LE(from);
      from += 4;
      if (size === 0) return this.out.subarray(0, this.at);
      const length = size & 0x7fff_ffff;
      if (length > frame.length - from) throw corrupt();
      if (size >= 0x8000_0000) this.store(frame, from, length);
      else this.block(frame, input, from, from + length);
      from += length + ((flags & 16) === 0 ? 0 : 4);
    }
  }

  private store(source: Buffer, from: number, length: number): void {
    this.ensure(this.at, length);
    source.copy(this.out, this.at, from, from + length);
    this.at += length;
  }

  private take(out: Buffer<ArrayBuffer>): void { this.out = out; this.view = new DataView(out.buffer); }

  /** Room for `more` bytes from `at` on, and for the spare ones. */
  private ensure(at: number, more: number): void {
    const needed = at + more + SPARE;
    if (needed <= this.out.length) return;
    if (needed > MOST_DECODED_BYTES) throw corrupt();
    const old = this.out;
    this.take(Buffer.allocUnsafeSlow(Math.max(Math.min(old.length * 2, MOST_DECODED_BYTES), needed)));
    old.copy(this.out, 0, 0, at);
  }

  private block(source: Buffer, input: DataView, start: number, end: number): void {
    let from = start, { at, out, view } = this;
    while (from < end) {
      const token = source[from++] ?? 0;
      let length = token >>> 4;
      if (length === 15) for (let more = 255; more === 255; length += more) { if (from >= end) throw corrupt(); more = source[from++] ?? 0; }
      if (length > end - from) throw corrupt();
      if (at + length + SPARE > out.length) { this.ensure(at, length); ({ out, view } = this); }
      if (length > LONG || from + length + SPARE > source.length) source.copy(out, at, from, from + length);
      else for (let i = 0; i < length; i += 8) { view.setInt32(at + i, input.getInt32(from + i, true), true); view.setInt32(at + i + 4, input.getInt32(from + i + 4, true), true); }
      at += length;
      from += length;
      if (from === end) break;
      if (from + 2 > end) throw corrupt();
      const distance = (source[from] ?? 0) | ((source[from + 1] ?? 0) << 8);
      from += 2;
      length = (token & 15) + 4;
      if (length === 19) for (let more = 255; more === 255; length += more) { if (from >= end) throw corrupt(); more = source[from++] ?? 0; }
      if (distance === 0 || distance > at) throw corrupt();
      if (at + length + SPARE > out.length) { this.ensure(at, length); ({ out, view } = this); }
      if (length > LONG && distance >= length) out.copyWithin(at, at - distance, at - distance + length);
      else if (distance >= 8) for (let to = at, stop = at + length; to < stop; to += 8) { view.setInt32(to, view.getInt32(to - distance, true), true); view.setInt32(to + 4, view.getInt32(to + 4 - distance, true), true); }
      else for (let to = at, stop = at + length; to < stop; to++) out[to] = out[to - distance] ?? 0;
      at += length;
    }
    this.at = at;
  }
}

function corrupt(): DataError { return corruptBatch('its LZ4 frame cannot be read'); }
