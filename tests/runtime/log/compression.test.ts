import { crc32c } from '@node-rs/crc32';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { codecById, codecByName } from '../../../runtime/log/compression.ts';
import { HEADER_BYTES, headersOf, sealBatch, splitBatch } from '../../../runtime/log/record-batch.ts';
import type { Compression } from '../../../runtime/log/log.ts';
import { bodyOf } from '../../kit/log-values.ts';

/** One batch of 400 records for each codec, written by MemoryRecordsBuilder of kafka-clients 4.3.1 (Java). */
const java = JSON.parse(readFileSync(join(import.meta.dirname, 'fixtures/java-batches.json'), 'utf8')) as Record<Exclude<Compression, 'none'>, string>;
const names = Object.keys(java) as (keyof typeof java)[];
const ids = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const;
const batchOf = (name: keyof typeof java): Buffer => Buffer.from(java[name], 'base64');
const corrupt = expect.objectContaining({ name: 'DataError', code: 'BATCH_CORRUPT' }) as Error;

/** The batch with another payload under a checksum that is right: what is refused is refused by the codec. */
function withPayload(name: keyof typeof java, payload: Uint8Array): Buffer {
  const batch = Buffer.concat([batchOf(name).subarray(0, HEADER_BYTES), payload]);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}

test('there is one codec for each of the five ids of Kafka', () => {
  expect(names.toSorted()).toEqual(['gzip', 'lz4', 'snappy', 'zstd']);
  for (const [name, id] of Object.entries(ids)) expect([codecByName(name as Compression).id, codecById(id).name]).toEqual([id, name]);
  expect(() => codecById(5)).toThrow(expect.objectContaining({ code: 'COMPRESSION_UNKNOWN' }) as Error);
});

describe.each(names)('%s', name => {
  test('reads what the Java client wrote, to the byte', () => {
    const split = splitBatch(batchOf(name));
    expect([split.length, split.baseOffset, split.baseTimestamp]).toEqual([400, 7000, 1_700_000_000_000]);
    for (let i = 0; i < 400; i++) {
      const text = (start = -1, end = 0): string | null => (start < 0 ? null : split.buffer.toString('utf8', start, end));
      expect(text(split.keyStart[i], split.keyEnd[i])).toBe(i % 7 === 0 ? null : `{"id":${i}}`);
      expect(text(split.valueStart[i], split.valueEnd[i])).toBe(i % 11 === 0 ? null : `{"op":"c","after":{"id":${i},"name":"n${(i * 7919) % 1009}","fill":"${'ab'.repeat(i % 40)}"}}`);
      expect(headersOf(split, i).map(({ name: header, value }) => [header, value?.toString() ?? null])).toEqual(i % 5 === 0 ? [['h', `v${i}`], ['n', null]] : []);
      expect(split.timestampDelta[i]).toBe(i * 3);
    }
  });

  test('a payload cut at any byte, or with any byte changed, is a typed error or other records, never a crash', () => {
    const payload = Buffer.from(codecByName(name).compress(bodyOf(['a'.repeat(300), 'b', 'cc']).bytes));
    for (let length = 0; length < payload.length; length++) expect(() => splitBatch(withPayload(name, payload.subarray(0, length)))).toThrow(corrupt);
    for (let at = 0; at < payload.length; at++) {
      for (const bit of [0x01, 0x55, 0x80]) {
        const damaged = Buffer.from(payload);
        damaged[at] = (damaged[at] ?? 0) ^ bit;
        try { splitBatch(withPayload(name, damaged)); } catch (error) { expect(error).toEqual(corrupt); }
      }
    }
  });

  test('holds a batch of many blocks', () => {
    const values = Array.from({ length: 3000 }, (_, i) => `${i}:${Math.sin(i)}`.repeat(20));
    const split = splitBatch(sealBatch(bodyOf(values), { baseOffset: 0, producerId: 0n, epoch: 0, sequence: 0, compression: name }));
    expect(split.buffer.length).toBeGreaterThan(1024 * 1024);
    expect(values.every((value, i) => split.buffer.toString('utf8', split.valueStart[i], split.valueEnd[i]) === value)).toBe(true);
  });
});

/** Small payloads that claim to decode to gigabytes. */
const bombs: Readonly<Record<keyof typeof java, () => Uint8Array>> = {
  // A file of many members is a valid one.
  gzip: () => { const member = codecByName('gzip').compress(Buffer.alloc(16 * 1024 * 1024)); return Buffer.concat(Array.from({ length: 40 }, () => member)); },
  snappy: () => Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0]),
  // One block that repeats a byte: the run goes on with bytes of 255.
  lz4: () => { const block = Buffer.concat([Buffer.from([0x1f, 0x61, 1, 0]), Buffer.alloc(2_200_000, 255), Buffer.from([0])]); const frame = Buffer.alloc(7 + 4); frame.writeUInt32LE(0x184d2204, 0); frame[4] = 0x60; frame.writeUInt32LE(block.length, 7); return Buffer.concat([frame, block, Buffer.alloc(4)]); },
  // Single segment, window said to be large; 6,000 blocks that repeat a byte 131,071 times.
  zstd: () => Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58]), ...Array.from({ length: 6_000 }, (_, i) => { const block = Buffer.alloc(4); block.writeUIntLE((131_071 << 3) | 2 | (i === 5_999 ? 1 : 0), 0, 3); return block; })]),
};
test.each(names)('%s: a batch that would decode to more than can be held is refused', name => {
  const before = process.memoryUsage().rss;
  expect(() => splitBatch(withPayload(name, bombs[name]()))).toThrow(corrupt);
  expect(process.memoryUsage().rss - before).toBeLessThan(1_300 * 1024 * 1024);
});
