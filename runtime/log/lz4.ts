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

/** Decodes frames into one growing buffer; what `decode` answers is valid until its next call. */
export class Lz4Decoder {
  private out = Buffer.allocUnsafeSlow(LEAST_BYTES);
  private view = new DataView(this.out.buffer);
  private at = 0;

  /** Throws DataError BATCH_CORRUPT for anything that is no whole frame. */
  decode(frame: Buffer): Buffer {
    if (frame.length < 11 || frame.readUInt32LE(0) !== MAGIC) throw corrupt();
    const flags = frame[4] ?? 0;
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
      else this.block(frame, from, from + length);
      from += length + ((flags & 16) === 0 ? 0 : 4);
    }
  }

  private store(source: Buffer, from: number, length: number): void {
    this.ensure(length);
    source.copy(this.out, this.at, from, from + length);
    this.at += length;
  }

  private ensure(more: number): void {
    // Eight spare bytes: matches are copied four bytes at a time and may write past their end.
    const needed = this.at + more + 8;
    if (needed <= this.out.length) return;
    if (needed > MOST_DECODED_BYTES) throw corrupt();
    const grown = Buffer.allocUnsafeSlow(Math.max(Math.min(this.out.length * 2, MOST_DECODED_BYTES), needed));
    this.out.copy(grown, 0, 0, this.at);
    this.out = grown;
    this.view = new DataView(grown.buffer);
  }

  private block(source: Buffer, start: number, end: number): void {
    let from = start;
    while (from < end) {
      const token = source[from++] ?? 0;
      let length = token >>> 4;
      if (length === 15) for (let more = 255; more === 255; length += more) { if (from >= end) throw corrupt(); more = source[from++] ?? 0; }
      if (length > end - from) throw corrupt();
      this.ensure(length);
      if (length > 32) source.copy(this.out, this.at, from, from + length);
      else { const { out, at } = this; for (let i = 0; i < length; i++) out[at + i] = source[from + i] ?? 0; }
      this.at += length;
      from += length;
      if (from === end) return;
      if (from + 2 > end) throw corrupt();
      const distance = (source[from] ?? 0) | ((source[from + 1] ?? 0) << 8);
      from += 2;
      length = token & 15;
      if (length === 15) for (let more = 255; more === 255; length += more) { if (from >= end) throw corrupt(); more = source[from++] ?? 0; }
      this.match(distance, length + 4);
    }
  }

  private match(distance: number, length: number): void {
    if (distance === 0 || distance > this.at) throw corrupt();
    this.ensure(length);
    const { out, at, view } = this;
    if (distance >= length && length > 128) out.copyWithin(at, at - distance, at - distance + length);
    else if (distance >= 4) for (let i = 0; i < length; i += 4) view.setInt32(at + i, view.getInt32(at + i - distance, true), true);
    else for (let i = 0; i < length; i++) out[at + i] = out[at + i - distance] ?? 0;
    this.at = at + length;
  }
}

function corrupt(): DataError { return corruptBatch('its LZ4 frame cannot be read'); }
