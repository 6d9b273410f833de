import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BatchBuilder, headersOf, sealBatch, splitBatch } from '../../../runtime/log/record-batch.ts';
import type { ByteWriter } from '../../../runtime/api/byte-writer.ts';
import { DataError } from '../../../runtime/api/errors.ts';

const part = fc.option(fc.uint8Array({ maxLength: 300 }), { nil: null });
const record = fc.record({
  timestamp: fc.integer({ min: 0, max: 4_000_000_000_000 }), key: part, value: part,
  headers: fc.array(fc.record({ name: fc.string({ maxLength: 12 }), value: part }), { maxLength: 3 }),
});
const writer = (bytes: Uint8Array | null) => (out: ByteWriter): boolean => {
  if (bytes !== null) out.write(bytes);
  return bytes !== null;
};
const build = (records: readonly { timestamp: number; key: Uint8Array | null; value: Uint8Array | null; headers: { name: string; value: Uint8Array | null }[] }[]) => {
  const builder = new BatchBuilder(16);
  for (const { timestamp, key, value, headers } of records) builder.append(timestamp, writer(key), writer(value), headers);
  return builder;
};
const bytes = (buffer: Buffer, start: number | undefined, end: number | undefined) => (start === undefined || start < 0 ? null : Uint8Array.from(buffer.subarray(start, end)));

describe('record batch', () => {
  it('gives back what was appended, in every codec', () => {
    fc.assert(fc.property(fc.array(record, { minLength: 1, maxLength: 20 }), fc.constantFrom('none', 'gzip', 'snappy', 'lz4', 'zstd' as const), fc.nat(), (records, compression, baseOffset) => {
      const split = splitBatch(sealBatch(build(records).body(), { baseOffset, producerId: 7n, epoch: 1, sequence: 3, compression }));
      expect(split.baseOffset).toBe(baseOffset);
      expect(split.length).toBe(records.length);
      records.forEach((expected, i) => {
        expect(split.offsetDelta[i]).toBe(i);
        expect(split.baseTimestamp + (split.timestampDelta[i] ?? NaN)).toBe(expected.timestamp);
        expect(bytes(split.buffer, split.keyStart[i], split.keyEnd[i])).toEqual(expected.key);
        expect(bytes(split.buffer, split.valueStart[i], split.valueEnd[i])).toEqual(expected.value);
        expect(headersOf(split, i).map(({ name, value }) => ({ name, value: value && Uint8Array.from(value) }))).toEqual(expected.headers);
      });
    }));
  });

  it('answers any damage with DataError', () => {
    const batch = sealBatch(build([{ timestamp: 1, key: new Uint8Array(4), value: new Uint8Array(200), headers: [] }]).body(), { baseOffset: 0, producerId: 0n, epoch: 0, sequence: 0, compression: 'none' });
    for (let length = 0; length < batch.length; length++) expect(() => splitBatch(batch.subarray(0, length))).toThrow(DataError);
    for (let at = 8; at < batch.length; at++) {
      if (at >= 12 && at < 16) continue; // the leader epoch lies outside the checksum
      const damaged = Buffer.from(batch);
      damaged[at] = (damaged[at] ?? 0) ^ 0x55;
      expect(() => splitBatch(damaged)).toThrow(DataError);
    }
  });

  it('keeps the batch when a writer throws', () => {
    const builder = build([{ timestamp: 1, key: null, value: new Uint8Array(3), headers: [] }]);
    const before = builder.bytes;
    expect(() => builder.append(2, () => true, () => { throw new Error('bad value'); })).toThrow('bad value');
    expect([builder.bytes, builder.records]).toEqual([before, 1]);
  });
});
