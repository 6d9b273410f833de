/**
 * Snappy in the framing of Java's xerial library, which Kafka's clients write and read.
 *
 *   framed := magic 0x82 "SNAPPY" 0x00 · version i32be 1 · compatible i32be 1 · block*
 *   block  := size i32be · raw
 *   raw    := decoded size varint · Snappy elements
 *
 * Some clients write one raw block without the framing; that is read as well.
 * Source: github.com/xerial/snappy-java (SnappyOutputStream), github.com/google/snappy, format_description.txt.
 */
import { compressSync, uncompressSync } from 'snappy';
import { corruptBatch, MOST_DECODED_BYTES } from './payload.ts';

const HEADER = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
/** Decoded bytes of a block, as Java's stream cuts them. */
const BLOCK_BYTES = 32 * 1024;
/** An element of three bytes copies at most 64: no block decodes to more than this many times its size. */
const MOST_RATIO = 64;

export function compressSnappy(bytes: Buffer): Buffer {
  const parts: Buffer[] = [HEADER];
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
    const block = compressSync(bytes.subarray(at, at + BLOCK_BYTES));
    const size = Buffer.allocUnsafe(4);
    size.writeInt32BE(block.length, 0);
    parts.push(size, block);
  }
  return Buffer.concat(parts);
}

/** Throws DataError BATCH_CORRUPT, and what the decoder throws. */
export function decompressSnappy(bytes: Buffer): Buffer {
  if (bytes.length < 8 || bytes.compare(HEADER, 0, 8, 0, 8) !== 0) return block(bytes, MOST_DECODED_BYTES);
  const parts: Buffer[] = [];
  let at = HEADER.length;
  let left = MOST_DECODED_BYTES;
  if (bytes.length < at) throw corruptBatch('its Snappy framing is cut');
  while (at < bytes.length) {
    const size = at + 4 > bytes.length ? -1 : bytes.readInt32BE(at);
    at += 4;
    if (size < 0 || size > bytes.length - at) throw corruptBatch('its Snappy framing is cut');
    const part = block(bytes.subarray(at, at + size), left);
    parts.push(part);
    left -= part.length;
    at += size;
  }
  return parts.length === 1 ? parts[0] ?? Buffer.alloc(0) : Buffer.concat(parts);
}

/** One raw block. Its claim is looked at first: the decoder makes room for whatever is claimed. */
function block(bytes: Buffer, most: number): Buffer {
  let claimed = 0;
  let scale = 1;
  let at = 0;
  for (let byte = 128; byte >= 128; scale *= 128) {
    byte = bytes[at++] ?? 255;
    if (at > 5 || at > bytes.length) throw corruptBatch('its Snappy block has no size');
    claimed += (byte & 127) * scale;
  }
  if (claimed > most || claimed > bytes.length * MOST_RATIO) throw corruptBatch('its Snappy block claims more than it can hold');
  return uncompressSync(bytes, { asBuffer: true }) as Buffer;
}
