/** The codecs of Kafka's record batches. None decodes to more than {@link MOST_DECODED_BYTES}. */
import { gunzipSync, gzipSync } from 'node:zlib';
import { compressFrameSync } from 'lz4-napi';
import { ConfigError, DataError } from '../api/errors.ts';
import type { Compression } from './log.ts';
import { MOST_DECODED_BYTES } from './payload.ts';
import { Lz4Decoder } from './lz4.ts';
import { compressSnappy, decompressSnappy } from './snappy.ts';
import { compressZstd, decompressZstd } from './zstd.ts';

export interface Codec {
  readonly name: Compression;
  /** Low three bits of the batch attributes. */
  readonly id: number;
  compress(bytes: Uint8Array): Uint8Array;
  /** What it answers may be a buffer of the codec's own, valid until its next call. Throws what the codec throws on damage. */
  decompress(bytes: Buffer): Buffer;
}

const lz4 = new Lz4Decoder();

const codecs: readonly Codec[] = [
  { name: 'none', id: 0, compress: bytes => bytes, decompress: bytes => bytes },
  { name: 'gzip', id: 1, compress: bytes => gzipSync(bytes, { level: 1 }), decompress: bytes => gunzipSync(bytes, { maxOutputLength: MOST_DECODED_BYTES }) },
  { name: 'snappy', id: 2, compress: bytes => compressSnappy(asBuffer(bytes)), decompress: decompressSnappy },
  { name: 'lz4', id: 3, compress: bytes => compressFrameSync(asBuffer(bytes)), decompress: bytes => lz4.decode(bytes) },
  { name: 'zstd', id: 4, compress: bytes => compressZstd(asBuffer(bytes)), decompress: decompressZstd },
];

function asBuffer(bytes: Uint8Array): Buffer { return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength); }

/** Throws ConfigError COMPRESSION_UNKNOWN. */
export function codecByName(name: Compression): Codec {
  const codec = codecs.find(candidate => candidate.name === name);
  if (codec === undefined) throw new ConfigError(`Compression '${name}' is not available`, { code: 'COMPRESSION_UNKNOWN', hint: `Use one of ${codecs.map(({ name: known }) => known).join(', ')}.` });
  return codec;
}

/** Throws DataError COMPRESSION_UNKNOWN. */
export function codecById(id: number): Codec {
  const codec = codecs.find(candidate => candidate.id === id);
  if (codec === undefined) throw new DataError(`Record batch is compressed with codec ${id}, which is not available`, { code: 'COMPRESSION_UNKNOWN' });
  return codec;
}
