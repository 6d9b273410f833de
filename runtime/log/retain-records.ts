/**
 * What compaction does to one batch: some records go, the others keep their offsets. Base offset, last offset and producer
 * stay as they were, so readers see the same range with gaps in it.
 *
 * A batch in which a tombstone was met gets Kafka's delete horizon: attribute bit 6, with the time after which its
 * tombstones may go in the place of the base timestamp (the records' timestamps are then relative to it).
 * Source: kafka.apache.org, documentation "Record Batch" and KIP-534.
 */
import { crc32c } from '@node-rs/crc32';
import { ByteWriter } from '../api/byte-writer.ts';
import { codecById } from './compression.ts';
import { corruptBatch } from './payload.ts';
import { batchHeader, HEADER_BYTES, type SplitRecords } from './record-batch.ts';
import { encodeVarint, varintAt, varintSize } from './varint.ts';

const HORIZON = 0x40;
const CRC_START = 21;

/** Time in ms after which the tombstones of a batch may go; undefined when no compaction has met it yet. */
export function deleteHorizonOf(batch: Buffer): number | undefined {
  return (batch.readInt16BE(21) & HORIZON) === 0 ? undefined : Number(batch.readBigInt64BE(27));
}

/**
 * The batch with the records for which `keep` is true, `split` being what `splitBatch` made of it; with `horizonMs` its
 * delete horizon is set. At least one record must stay.
 */
export function retainRecords(batch: Buffer, split: SplitRecords, keep: (i: number) => boolean, horizonMs?: number): Buffer {
  const { baseTimestamp, codec } = batchHeader(batch);
  const base = horizonMs ?? baseTimestamp;
  const out = new ByteWriter(split.buffer.length + 16 * split.length);
  const cursor = { at: 0 };
  let count = 0;
  let maxTimestamp = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < split.length; i++) {
    const length = varintAt(split.buffer, cursor);
    const start = cursor.at, end = start + length;
    if (keep(i)) {
      const timestamp = baseTimestamp + (split.timestampDelta[i] ?? 0);
      cursor.at = start + 1;
      varintAt(split.buffer, cursor);
      const rest = end - cursor.at;
      encodeVarint(out, 1 + varintSize(timestamp - base) + rest);
      out.write(split.buffer.subarray(start, start + 1));
      encodeVarint(out, timestamp - base);
      out.write(split.buffer.subarray(cursor.at, end));
      count++;
      maxTimestamp = Math.max(maxTimestamp, timestamp);
    }
    cursor.at = end;
  }
  if (count === 0) throw new RangeError('a batch keeps at least one record');
  const payload = codecById(codec).compress(out.view());
  const made = Buffer.allocUnsafeSlow(HEADER_BYTES + payload.length);
  batch.copy(made, 0, 0, HEADER_BYTES);
  made.set(payload, HEADER_BYTES);
  made.writeInt32BE(made.length - 12, 8);
  if (horizonMs !== undefined) made.writeInt16BE(batch.readInt16BE(21) | HORIZON, 21);
  made.writeBigInt64BE(BigInt(base), 27);
  made.writeBigInt64BE(BigInt(maxTimestamp), 35);
  made.writeInt32BE(count, 57);
  made.writeUInt32BE(crc32c(made.subarray(CRC_START)), 17);
  return made;
}

/** Whether each record of an encoded, uncompressed records section has a key. Throws DataError BATCH_CORRUPT. */
export function allHaveKeys(records: Uint8Array): boolean {
  const bytes = Buffer.from(records.buffer, records.byteOffset, records.byteLength);
  const cursor = { at: 0 };
  while (cursor.at < bytes.length) {
    const length = varintAt(bytes, cursor);
    const end = cursor.at + length;
    if (length < 6 || end > bytes.length) throw corruptBatch('a record runs over the end');
    cursor.at++;
    varintAt(bytes, cursor);
    varintAt(bytes, cursor);
    if (varintAt(bytes, cursor) < 0) return false;
    cursor.at = end;
  }
  return true;
}
