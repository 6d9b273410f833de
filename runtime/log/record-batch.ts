/**
 * Kafka record batch, format v2: the unit of the log.
 *
 *   batch   := baseOffset int64 · batchLength int32 · partitionLeaderEpoch int32 · magic int8 (2) · crc uint32 ·
 *              attributes int16 · lastOffsetDelta int32 · baseTimestamp int64 · maxTimestamp int64 ·
 *              producerId int64 · producerEpoch int16 · baseSequence int32 · count int32 · record*
 *   record  := length varint · attributes int8 · timestampDelta varlong · offsetDelta varint ·
 *              keyLength varint · key · valueLength varint · value · headerCount varint · header*
 *   header  := nameLength varint · name · valueLength varint · value
 *
 * Varints are zig-zag; -1 is null. The CRC is CRC-32C over everything from `attributes` to the end.
 * Source: kafka.apache.org, documentation "Implementation", section "Record Batch".
 */
import { crc32c } from '@node-rs/crc32';
import { ByteWriter } from '../api/byte-writer.ts';
import { DataError } from '../api/errors.ts';
import type { EncodedHeader } from '../api/plugin.ts';
import { type Codec, codecById, codecByName, DecodeRoom } from './compression.ts';
import { corruptBatch } from './payload.ts';
import type { BatchBody, Compression } from './log.ts';
import { headersSection } from './record-headers.ts';
import { encodeVarint, shortVarint, varintAt, varintSize } from './varint.ts';

export const HEADER_BYTES = 61;
const CRC_START = 21;
const NO_HEADERS: readonly EncodedHeader[] = [];

/** Writes bytes at the writer's cursor; false = null. */
export type PartWriter = (out: ByteWriter) => boolean;
/** A part that is bytes already. */
export function partOf(bytes: Uint8Array | null): PartWriter {
  return out => { if (bytes !== null) out.write(bytes); return bytes !== null; };
}

/**
 * Builds the body of one batch in place. Keys and values are written straight into the body; their length prefix is
 * reserved by the size that the last record needed and moved only when the guess was wrong.
 */
export class BatchBuilder {
  readonly out: ByteWriter;
  records = 0;
  private baseTimestamp = 0;
  private maxTimestamp = 0;
  private recordGuess = 2;
  private keyGuess = 1;
  private valueGuess = 2;

  constructor(capacity = 256 * 1024) { this.out = new ByteWriter(capacity); }

  /** Bytes of the records so far, uncompressed. */
  get bytes(): number { return this.out.position; }

  /** Appends one record; `timestamp` in ms since the epoch. An error thrown by a part writer leaves the batch as it was. */
  append(timestamp: number, key: PartWriter, value: PartWriter, headers: readonly EncodedHeader[] = NO_HEADERS): void {
    const { out } = this;
    const start = out.position;
    try {
      if (this.records === 0) { this.baseTimestamp = timestamp; this.maxTimestamp = timestamp; }
      out.ensure(32);
      out.position += this.recordGuess;
      out.buffer[out.position++] = 0;
      encodeVarint(out, timestamp - this.baseTimestamp);
      encodeVarint(out, this.records);
      this.keyGuess = part(out, key, this.keyGuess);
      this.valueGuess = part(out, value, this.valueGuess);
      out.write(headersSection(headers));
      this.recordGuess = fixLength(out, start, this.recordGuess);
    } catch (error) {
      out.position = start;
      throw error;
    }
    this.records++;
    if (timestamp > this.maxTimestamp) this.maxTimestamp = timestamp;
  }

  /** The body over this builder's own buffer: do not append before the body is no longer needed. */
  body(): BatchBody {
    return { records: this.records, bytes: this.out.view(), baseTimestamp: this.baseTimestamp, maxTimestamp: this.maxTimestamp };
  }

  reset(): void { this.out.reset(); this.records = 0; }
}

/** Length-prefixed part; answers the width its prefix took, the next guess. */
function part(out: ByteWriter, write: PartWriter, guess: number): number {
  const start = out.position;
  out.ensure(guess);
  out.position += guess;
  if (write(out)) return fixLength(out, start, guess);
  out.position = start;
  encodeVarint(out, -1);
  return guess;
}

/** Puts the length of what follows `start + reserved` into a varint at `start`, moving the content if the width differs. */
function fixLength(out: ByteWriter, start: number, reserved: number): number {
  const length = out.position - start - reserved;
  const width = varintSize(length);
  if (width !== reserved) {
    out.ensure(width);
    out.buffer.copyWithin(start + width, start + reserved, out.position);
    out.position += width - reserved;
  }
  const end = out.position;
  out.position = start;
  encodeVarint(out, length);
  out.position = end;
  return width;
}

export interface Seal {
  readonly baseOffset: number;
  readonly producerId: bigint;
  readonly epoch: number;
  readonly sequence: number;
  readonly compression: Compression;
  readonly transactional?: boolean;
}

/** A whole batch, ready for the log. The body's bytes are copied (and compressed). */
export function sealBatch(body: BatchBody, seal: Seal): Buffer {
  const codec: Codec = codecByName(seal.compression);
  const payload = codec.compress(body.bytes);
  const batch = Buffer.allocUnsafeSlow(HEADER_BYTES + payload.length);
  batch.writeBigInt64BE(BigInt(seal.baseOffset), 0);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt32BE(0, 12);
  batch.writeInt8(2, 16);
  batch.writeInt16BE(codec.id | (seal.transactional === true ? 0x10 : 0), 21);
  batch.writeInt32BE(body.records - 1, 23);
  batch.writeBigInt64BE(BigInt(body.baseTimestamp), 27);
  batch.writeBigInt64BE(BigInt(body.maxTimestamp), 35);
  batch.writeInt32BE(body.records, 57);
  batch.set(payload, HEADER_BYTES);
  return sealAgain(batch, seal);
}

/** Gives a sealed batch another producer, epoch and sequence, in place. */
export function sealAgain(batch: Buffer, { producerId, epoch, sequence }: Pick<Seal, 'producerId' | 'epoch' | 'sequence'>): Buffer {
  batch.writeBigInt64BE(producerId, 43);
  batch.writeInt16BE(epoch, 51);
  batch.writeInt32BE(sequence, 53);
  batch.writeUInt32BE(crc32c(batch.subarray(CRC_START)), 17);
  return batch;
}

export interface BatchHeader {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly baseTimestamp: number;
  readonly maxTimestamp: number;
  readonly count: number;
  /** Length of the whole batch in bytes. */
  readonly length: number;
  readonly codec: number;
  readonly control: boolean;
  /** Part of a transaction, which may be aborted. */
  readonly transactional: boolean;
}

/** Reads the fixed part of a batch. Throws DataError BATCH_CORRUPT. */
export function batchHeader(batch: Buffer): BatchHeader {
  if (batch.length < HEADER_BYTES || batch.readInt8(16) !== 2) throw corruptBatch('no record batch of format 2');
  const baseOffset = Number(batch.readBigInt64BE(0));
  const attributes = batch.readInt16BE(21);
  return {
    baseOffset, lastOffset: baseOffset + batch.readInt32BE(23), baseTimestamp: Number(batch.readBigInt64BE(27)), maxTimestamp: Number(batch.readBigInt64BE(35)),
    count: batch.readInt32BE(57), length: batch.readInt32BE(8) + 12, codec: attributes & 7, control: (attributes & 0x20) !== 0, transactional: (attributes & 0x10) !== 0,
  };
}

/** Records of one batch as slices over one (decompressed) buffer; start -1 is null. */
export interface SplitRecords {
  readonly length: number;
  readonly buffer: Buffer;
  readonly baseOffset: number;
  readonly offsetDelta: Int32Array;
  readonly baseTimestamp: number;
  readonly timestampDelta: Float64Array;
  readonly keyStart: Int32Array; readonly keyEnd: Int32Array;
  readonly valueStart: Int32Array; readonly valueEnd: Int32Array;
  /** Where the headers section of record i begins. */
  readonly headersAt: Int32Array;
}

/** The arrays and the bytes of a split, kept from one batch to the next; see {@link splitBatch}. */
export class SplitScratch {
  readonly bytes = new DecodeRoom();
  private room = 0;
  private arrays: readonly Int32Array[] = [];
  private deltas = new Float64Array(0);

  /** Room for `n` records: six integer columns and the timestamps. */
  take(n: number): { readonly columns: readonly Int32Array[]; readonly deltas: Float64Array } {
    if (n > this.room) {
      this.room = Math.max(n, this.room * 2);
      this.arrays = Array.from({ length: 6 }, () => new Int32Array(this.room));
      this.deltas = new Float64Array(this.room);
    }
    return { columns: this.arrays, deltas: this.deltas };
  }
}

/** For answers that are copied out at once. */
const passing = new DecodeRoom();

/**
 * Checks the CRC, decompresses and splits. With a scratch the answer (its arrays, which may be longer than `length`,
 * and its buffer) is valid until the next split with that scratch; without one it is the caller's to keep.
 * Throws DataError BATCH_CORRUPT for anything that does not parse to the byte.
 */
export function splitBatch(batch: Buffer, scratch?: SplitScratch): SplitRecords {
  const header = batchHeader(batch);
  if (header.length !== batch.length) throw corruptBatch(`length says ${header.length}, there are ${batch.length} bytes`);
  if (crc32c(batch.subarray(CRC_START)) !== batch.readUInt32BE(17)) throw corruptBatch('the checksum does not match');
  const buffer = payloadOf(batch, header.codec, scratch?.bytes);
  const n = header.count;
  if (n < 0 || n > buffer.length) throw corruptBatch(`count ${n} cannot be`);
  const { columns, deltas } = (scratch ?? new SplitScratch()).take(n);
  const [offsetDelta, keyStart, keyEnd, valueStart, valueEnd, headersAt] = columns;
  const none = new Int32Array(0);
  const split: SplitRecords = {
    length: n, buffer, baseOffset: header.baseOffset, offsetDelta: offsetDelta ?? none, baseTimestamp: header.baseTimestamp, timestampDelta: deltas,
    keyStart: keyStart ?? none, keyEnd: keyEnd ?? none, valueStart: valueStart ?? none, valueEnd: valueEnd ?? none, headersAt: headersAt ?? none,
  };
  let at = 0;
  for (let i = 0; i < n; i++) at = splitRecord(split, i, at);
  if (at !== buffer.length) throw corruptBatch('bytes are left over after the last record');
  return split;
}

function payloadOf(batch: Buffer, codec: number, room: DecodeRoom | undefined): Buffer {
  const payload = batch.subarray(HEADER_BYTES);
  if (codec === 0) return payload;
  let bytes: Buffer;
  try { bytes = codecById(codec).decompress(payload, room ?? passing); } catch (error) {
    throw error instanceof DataError ? error : corruptBatch(`its records cannot be decompressed: ${(error as Error).message}`);
  }
  // A decoder answers with a buffer that the next batch overwrites.
  return room === undefined ? Buffer.from(bytes) : bytes;
}

const longCursor = { at: 0 };

/**
 * Splits the record at `at` and answers where the next one begins. Numbers below 2^14 are read here, one or two bytes
 * each: a call per number is what a reader of small records would spend its time on.
 */
function splitRecord(split: SplitRecords, i: number, at: number): number {
  const { buffer } = split;
  longCursor.at = at;
  const length = shortVarint(buffer, longCursor);
  const end = longCursor.at + length;
  if (length < 6 || end > buffer.length) throw corruptBatch(`record ${i} runs over the end`);
  longCursor.at++;
  split.timestampDelta[i] = shortVarint(buffer, longCursor);
  split.offsetDelta[i] = shortVarint(buffer, longCursor);
  const key = shortVarint(buffer, longCursor);
  split.keyStart[i] = key < 0 ? -1 : longCursor.at;
  if (key > 0) longCursor.at += key;
  split.keyEnd[i] = longCursor.at;
  const value = shortVarint(buffer, longCursor);
  split.valueStart[i] = value < 0 ? -1 : longCursor.at;
  if (value > 0) longCursor.at += value;
  split.valueEnd[i] = longCursor.at;
  if (longCursor.at >= end) throw corruptBatch(`record ${i} runs over its length`);
  split.headersAt[i] = longCursor.at;
  return end;
}

/** Headers of record i. Throws DataError BATCH_CORRUPT. */
export function headersOf(split: SplitRecords, i: number): readonly EncodedHeader[] {
  const { buffer } = split;
  const cursor = { at: split.headersAt[i] ?? 0 };
  const count = varintAt(buffer, cursor);
  if (count < 0 || count > buffer.length) throw corruptBatch(`header count ${count} cannot be`);
  const headers: EncodedHeader[] = [];
  for (let h = 0; h < count; h++) {
    const name = slice(buffer, cursor) ?? Buffer.alloc(0);
    headers.push({ name: name.toString('utf8'), value: slice(buffer, cursor) });
  }
  return headers;
}

function slice(buffer: Buffer, cursor: { at: number }): Buffer | null {
  const length = varintAt(buffer, cursor);
  if (length < 0) return null;
  const start = cursor.at;
  cursor.at += length;
  if (cursor.at > buffer.length) throw corruptBatch('a header runs over the end');
  return buffer.subarray(start, cursor.at);
}
