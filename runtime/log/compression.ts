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
  /** What it answers may lie in `room`, valid until the next call with that room. Throws what the codec throws on damage. */
  decompress(bytes: Buffer, room: DecodeRoom): Buffer;
}

/** Memory that decoders use again and again; each reader has its own. */
export class DecodeRoom {
  /** Made when the first batch asks for it. */
  private decoder: Lz4Decoder | undefined;
  get lz4(): Lz4Decoder { this.decoder ??= new Lz4Decoder(); return this.decoder; }
}

const codecs: readonly Codec[] = [
  { name: 'none', id: 0, compress: bytes => bytes, decompress: bytes => bytes },
  { name: 'gzip', id: 1, compress: bytes => gzipSync(bytes, { level: 1 }), decompress: bytes => gunzipSync(bytes, { maxOutputLength: MOST_DECODED_BYTES }) },
  { name: 'snappy', id: 2, compress: bytes => compressSnappy(asBuffer(bytes)), decompress: decompressSnappy },
  { name: 'lz4', id: 3, compress: bytes => compressFrameSync(asBuffer(bytes)), decompress: (bytes, room) => room.lz4.decode(bytes) },
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
