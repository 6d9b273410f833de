/**
 * Deletion vectors (PROTOCOL.md, "Deletion Vector Format"): a magic number and a 64-bit roaring bitmap, either in the log
 * as Z85 text or in a file: one version byte, then for each vector its size (big-endian), its bytes, their CRC-32 (big-endian).
 */
import { crc32 } from '@node-rs/crc32';
import { RoaringBitmap } from '../../tables/roaring.ts';
import type { DeletionVector } from './actions.ts';

const MAGIC = 1_681_511_377;
const DIGITS = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#';
/** Vectors up to this size lie in the log itself. */
const INLINE_BYTES = 512;

export function encodeVector(bitmap: RoaringBitmap): Buffer {
  const magic = Buffer.alloc(4);
  magic.writeInt32LE(MAGIC);
  return Buffer.concat([magic, bitmap.serialize()]);
}
/** Throws RangeError for anything that is no vector. */
export function decodeVector(bytes: Buffer): RoaringBitmap {
  if (bytes.readInt32LE(0) !== MAGIC) throw new RangeError('not a deletion vector');
  return RoaringBitmap.deserialize(bytes.subarray(4));
}

/** Collects the vectors of one commit: small ones inline, the rest in one file. */
export class VectorFile {
  private readonly id: string;
  private readonly parts: Buffer[] = [Buffer.from([1])];
  private length = 1;
  /** `id`: a random UUID; the file's name follows from it. */
  constructor(id: string) { this.id = id; }

  add(bitmap: RoaringBitmap): DeletionVector {
    const bytes = encodeVector(bitmap);
    const facts = { sizeInBytes: bytes.length, cardinality: bitmap.cardinality() };
    if (bytes.length <= INLINE_BYTES) return { storageType: 'i', pathOrInlineDv: encodeZ85(bytes), ...facts };
    const size = Buffer.alloc(4), check = Buffer.alloc(4);
    size.writeInt32BE(bytes.length);
    check.writeUInt32BE(crc32(bytes));
    const offset = this.length;
    this.parts.push(size, bytes, check);
    this.length += bytes.length + 8;
    return { storageType: 'u', pathOrInlineDv: encodeZ85(Buffer.from(this.id.replaceAll('-', ''), 'hex')), offset, ...facts };
  }
  /** The file's bytes; undefined when all vectors are inline. */
  content(): Buffer | undefined { return this.parts.length > 1 ? Buffer.concat(this.parts) : undefined; }
  get name(): string { return vectorFileName(this.id); }
}
function vectorFileName(id: string): string { return `deletion_vector_${id}.bin`; }

/** File of a vector relative to the table; undefined when it is inline. */
export function vectorPath({ storageType, pathOrInlineDv }: DeletionVector): string | undefined {
  if (storageType === 'i') return undefined;
  if (storageType === 'p') return pathOrInlineDv;
  const prefix = pathOrInlineDv.slice(0, -20), hex = decodeZ85(pathOrInlineDv.slice(-20)).toString('hex');
  const name = vectorFileName(`${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`);
  return prefix === '' ? name : `${prefix}/${name}`;
}
export function inlineVector({ pathOrInlineDv, sizeInBytes }: DeletionVector): RoaringBitmap { return decodeVector(decodeZ85(pathOrInlineDv).subarray(0, sizeInBytes)); }
/** The vector within its file. Throws RangeError when sizes or check sum differ. */
export function vectorIn(file: Buffer, { offset = 0, sizeInBytes }: DeletionVector): RoaringBitmap {
  const bytes = file.subarray(offset + 4, offset + 4 + sizeInBytes);
  if (file.readInt32BE(offset) !== sizeInBytes || file.readUInt32BE(offset + 4 + sizeInBytes) !== crc32(bytes)) throw new RangeError('damaged deletion vector');
  return decodeVector(bytes);
}

/** ZeroMQ's Z85 (rfc.zeromq.org/spec/32); input is padded to whole groups of four. */
export function encodeZ85(bytes: Buffer): string {
  const padded = bytes.length % 4 === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(4 - (bytes.length % 4))]);
  let text = '';
  for (let i = 0; i < padded.length; i += 4) {
    const value = padded.readUInt32BE(i);
    for (const divisor of [52_200_625, 614_125, 7225, 85, 1]) text += DIGITS[Math.floor(value / divisor) % 85];
  }
  return text;
}
export function decodeZ85(text: string): Buffer {
  const bytes = Buffer.alloc((text.length / 5) * 4);
  for (let i = 0, at = 0; i < text.length; i += 5, at += 4) {
    let value = 0;
    for (let j = i; j < i + 5; j++) { const digit = DIGITS.indexOf(text[j] ?? ''); if (digit < 0) throw new RangeError('not Z85'); value = value * 85 + digit; }
    bytes.writeUInt32BE(value >>> 0, at);
  }
  return bytes;
}
