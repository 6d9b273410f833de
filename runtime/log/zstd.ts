/**
 * Zstandard frames. The size of what they hold is bounded from their block headers before anything is decoded, since
 * frames that are written as a stream (Java's client writes them so) do not say it.
 *
 *   frames  := (frame | skippable)*
 *   frame   := magic u32le 0xFD2FB528 · descriptor u8 · [window u8] · [dictionary 0-4] · [content size 0-8] · block+ · [checksum u32]
 *   block   := header u24le (last 1 bit · type 2 bits · size 21 bits) · data; type 0 stored, 1 one byte repeated, 2 compressed
 *   skippable := magic u32le 0x184D2A50…5F · size u32le · data
 *
 * Source: RFC 8878, sections 3.1.1 and 3.1.2.
 */
import { Decoder, Encoder } from '@toondepauw/node-zstd';
import { corruptBatch, MOST_DECODED_BYTES } from './payload.ts';

const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;
/** No block decodes to more. */
const BLOCK_BYTES = 128 * 1024;
const LEVEL = 1;

const encoder = new Encoder(LEVEL);
const decoder = new Decoder();

export function compressZstd(bytes: Buffer): Buffer { return encoder.encodeSync(bytes); }

/** Throws DataError BATCH_CORRUPT, and what the decoder throws. */
export function decompressZstd(bytes: Buffer): Buffer {
  boundOf(bytes);
  return decoder.decodeSync(bytes);
}

/** The most that these frames can decode to, in bytes. Throws DataError BATCH_CORRUPT when they are cut or that is too much. */
function boundOf(bytes: Buffer): number {
  let at = 0;
  let bound = 0;
  if (bytes.length === 0) throw corruptBatch('its Zstandard frame is empty');
  while (at < bytes.length) {
    const magic = need(bytes, at, 4).readUInt32LE(at);
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE) { at += 8 + need(bytes, at, 8).readUInt32LE(at + 4); continue; }
    if (magic !== MAGIC) throw corruptBatch('it holds no Zstandard frame');
    const descriptor = need(bytes, at, 5)[at + 4] ?? 0;
    at += 5 + headerRest(descriptor);
    for (let last = false; !last;) {
      const header = need(bytes, at, 3).readUIntLE(at, 3);
      const type = (header >>> 1) & 3, size = header >>> 3;
      last = (header & 1) === 1;
      at += 3 + (type === 1 ? 1 : size);
      bound += type === 2 ? BLOCK_BYTES : size;
      if (bound > MOST_DECODED_BYTES) throw corruptBatch('its Zstandard frame decodes to more than a batch can hold');
    }
    if ((descriptor & 4) !== 0) at += 4;
  }
  if (at !== bytes.length) throw corruptBatch('its Zstandard frame is cut');
  return bound;
}

/** Bytes of a frame header behind its descriptor. */
function headerRest(descriptor: number): number {
  const single = (descriptor & 32) !== 0;
  const dictionary = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const content = [single ? 1 : 0, 2, 4, 8][descriptor >>> 6] ?? 0;
  return (single ? 0 : 1) + dictionary + content;
}

function need(bytes: Buffer, at: number, length: number): Buffer {
  if (at + length > bytes.length) throw corruptBatch('its Zstandard frame is cut');
  return bytes;
}
