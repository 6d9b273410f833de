import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { halve } from '../../../../runtime/log/kafka/body-split.ts';
import { parseFetched } from '../../../../runtime/log/kafka/fetched.ts';
import { nextSequence } from '../../../../runtime/log/kafka/producer.ts';
import type { BatchBody } from '../../../../runtime/log/log.ts';
import { BatchBuilder, headersOf, partOf, sealAgain, sealBatch, splitBatch } from '../../../../runtime/log/record-batch.ts';
import { bodyOf } from '../../../kit/log-values.ts';

const seal = (body: BatchBody, baseOffset = 0, producerId = 1n, transactional = false): Buffer => {
  const batch = sealBatch(body, { baseOffset, producerId, epoch: 0, sequence: 0, compression: 'none', transactional });
  return batch;
};
/** Every record of a body, as text. */
function contents(body: BatchBody): readonly unknown[] {
  const split = splitBatch(seal(body));
  return Array.from({ length: split.length }, (_, i) => [split.baseTimestamp + (split.timestampDelta[i] ?? 0), split.offsetDelta[i], split.buffer.toString('hex', split.keyStart[i], split.keyEnd[i]), (split.valueStart[i] ?? -1) < 0 ? null : split.buffer.toString('hex', split.valueStart[i], split.valueEnd[i]), headersOf(split, i).map(({ name, value }) => [name, value === null ? null : Buffer.from(value).toString('hex')])]);
}

describe('a body cut in two', () => {
  test('has the same records in the same order, numbered from 0 in each half', () => {
    const record = fc.record({ at: fc.integer({ min: -1000, max: 100_000 }), key: fc.uint8Array({ maxLength: 200 }), value: fc.option(fc.uint8Array({ maxLength: 9000 })), headers: fc.array(fc.record({ name: fc.string({ maxLength: 5 }), value: fc.option(fc.uint8Array({ maxLength: 5 })) }), { maxLength: 3 }) });
    fc.assert(fc.property(fc.array(record, { minLength: 2, maxLength: 150 }), records => {
      const builder = new BatchBuilder(64);
      for (const { at, key, value, headers } of records) builder.append(1_700_000_000_000 + at, partOf(key), partOf(value), headers);
      const whole = contents(builder.body()), halves = halve(builder.body());
      const [first, second] = halves.map(contents);
      expect(first).toHaveLength(Math.floor(records.length / 2));
      const again = (second ?? []).map(entry => { const [at, offset, ...rest] = entry as [number, number, ...unknown[]]; return [at, offset + (first?.length ?? 0), ...rest]; });
      expect([...first ?? [], ...again]).toEqual(whole);
    }), { numRuns: 60 });
  });
});

describe('sequences', () => {
  test('wrap to 0 behind the largest int32, as the brokers count', () => {
    expect([nextSequence(0, 5), nextSequence(2_147_483_646, 1), nextSequence(2_147_483_647, 1), nextSequence(2_147_483_640, 10)]).toEqual([5, 2_147_483_647, 0, 2]);
  });

  test('a batch sealed again has the new producer, and a checksum that fits', () => {
    const batch = sealAgain(seal(bodyOf(['a', 'b'])), { producerId: 77n, epoch: 3, sequence: 12 });
    expect([batch.readBigInt64BE(43), batch.readInt16BE(51), batch.readInt32BE(53)]).toEqual([77n, 3, 12]);
    expect(splitBatch(batch).length).toBe(2);
  });
});

describe('a fetched answer', () => {
  /** A control batch: its one record's key is version int16 · type int16. */
  const marker = (baseOffset: number, producerId: bigint, type: 0 | 1): Buffer => {
    const builder = new BatchBuilder(64);
    builder.append(0, partOf(Buffer.from([0, 0, 0, type])), partOf(Buffer.alloc(6)));
    const batch = seal(builder.body(), baseOffset, producerId, true);
    batch.writeInt16BE(batch.readInt16BE(21) | 0x20, 21);
    return sealAgain(batch, { producerId, epoch: 0, sequence: -1 });
  };
  const data = (baseOffset: number, producerId: bigint, transactional = true): Buffer => seal(bodyOf([`at ${baseOffset}`]), baseOffset, producerId, transactional);
  const bases = (bytes: Buffer, from: number, isolation: 'read_committed' | 'read_uncommitted', aborted: readonly { readonly producerId: bigint; readonly firstOffset: number }[]): readonly number[] => parseFetched(bytes, from, isolation, aborted).batches.map(({ baseOffset }) => baseOffset);

  const bytes = Buffer.concat([data(0, 1n), data(1, 2n), marker(2, 1n, 0), data(3, 1n), data(4, 9n, false), marker(5, 2n, 1), marker(6, 1n, 1), data(7, 1n), marker(8, 1n, 0)]);
  const aborted = [{ producerId: 1n, firstOffset: 7 }, { producerId: 1n, firstOffset: 0 }];
  test('leaves out control records, and for read_committed what was aborted, transaction by transaction', () => {
    expect(bases(bytes, 0, 'read_committed', aborted)).toEqual([1, 3, 4]);
    expect(bases(bytes, 0, 'read_uncommitted', [])).toEqual([0, 1, 3, 4, 7]);
    expect(parseFetched(bytes, 0, 'read_committed', aborted).next).toBe(9);
    expect(parseFetched(bytes, 0, 'read_committed', aborted).batches.at(-1)?.next).toBe(9);
  });

  test('stops before a batch that is cut, at every length', () => {
    for (let length = 0; length < bytes.length; length++) {
      const { batches, next } = parseFetched(bytes.subarray(0, length), 0, 'read_uncommitted', []);
      expect(batches.length).toBeLessThan(6);
      expect(next).toBeLessThan(9);
    }
  });

  test('begins with the batch that holds the position', () => {
    const three = seal(bodyOf(['a', 'b', 'c']), 10);
    expect(bases(three, 11, 'read_committed', [])).toEqual([10]);
    expect(bases(three, 13, 'read_committed', [])).toEqual([]);
  });
});
