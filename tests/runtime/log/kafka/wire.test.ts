import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { commitOffsets, createTopics, deleteOffsets, deleteTopics, describeTopicConfigs, fetchOffsets } from '../../../../runtime/log/kafka/protocol/admin-api.ts';
import { BrokerError, errorName, remedyOf } from '../../../../runtime/log/kafka/protocol/error-codes.ts';
import { fetchRecords, listOffsets } from '../../../../runtime/log/kafka/protocol/fetch-api.ts';
import { apiVersions, findCoordinator, metadata } from '../../../../runtime/log/kafka/protocol/metadata-api.ts';
import { addPartitions, endTransaction, initProducerId, produce } from '../../../../runtime/log/kafka/protocol/produce-api.ts';
import { type Api, WireReader, WireWriter } from '../../../../runtime/log/kafka/protocol/wire.ts';
import { RetriableError } from '../../../../runtime/api/errors.ts';

const apis: readonly Pick<Api<never, unknown>, 'name' | 'decode'>[] = [apiVersions, metadata, findCoordinator, initProducerId, produce, addPartitions, endTransaction, fetchRecords, listOffsets, createTopics, deleteTopics, describeTopicConfigs, commitOffsets, fetchOffsets, deleteOffsets];

describe('protocol primitives', () => {
  test('what is written is read again', () => {
    fc.assert(fc.property(fc.record({ a: fc.integer({ min: -128, max: 127 }), b: fc.integer({ min: -32_768, max: 32_767 }), c: fc.integer(), d: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), e: fc.nat(2 ** 31 - 1), f: fc.option(fc.string({ unit: 'binary' })), g: fc.option(fc.uint8Array()), h: fc.array(fc.integer()) }), ({ a, b, c, d, e, f, g, h }) => {
      const out = new WireWriter(1).int8(a).int16(b).int32(c).int64(d).unsignedVarint(e).string(f).compactString(f).bytes(g);
      out.array(h, one => { out.int32(one); }).compactArray(h, one => { out.int32(one); }).tags();
      const input = new WireReader(out.view());
      const text = f === null ? null : Buffer.from(f, 'utf8').toString('utf8');
      expect([input.int8(), input.int16(), input.int32(), input.int64(), input.unsignedVarint(), input.string(), input.compactString()]).toEqual([a, b, c, d, e, text, text]);
      expect(input.bytes()).toEqual(g === null ? null : Buffer.from(g));
      expect([input.array(() => input.int32()), input.compactArray(() => input.int32())]).toEqual([h, h]);
      input.tags();
      expect(input.left).toBe(0);
    }));
  });

  test.each(apis)('$name: any bytes decode to something or fail as an answer that cannot be, never for ever', ({ decode }) => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), bytes => {
      try { decode(new WireReader(Buffer.from(bytes))); } catch (error) {
        expect(error).toBeInstanceOf(RetriableError);
        expect((error as RetriableError).code).toBe('KAFKA_RESPONSE');
      }
    }), { numRuns: 300 });
  });
});

describe('error codes', () => {
  test('have a name and a remedy each; an unknown one stops', () => {
    expect([errorName(3), remedyOf(3), errorName(19), remedyOf(19), remedyOf(16), remedyOf(10)]).toEqual(['UNKNOWN_TOPIC_OR_PARTITION', 'leader', 'NOT_ENOUGH_REPLICAS', 'retry', 'coordinator', 'stop']);
    expect([errorName(9_999), remedyOf(9_999)]).toEqual(['ERROR_9999', 'stop']);
    expect(new BrokerError(6, 'records for t-0')).toMatchObject({ code: 'KAFKA_NOT_LEADER_OR_FOLLOWER', remedy: 'leader', message: 'Kafka answered NOT_LEADER_OR_FOLLOWER to records for t-0' });
  });
});
