/**
 * What the producer makes of every error code that a broker can answer a batch with, held to what Kafka's Java producer does
 * (org.apache.kafka.clients.producer.internals.Sender and TransactionManager). Real brokers give few of them on demand:
 * here the answers are written down; faults.kafka.test.ts and refusals.kafka.test.ts have those that a real one gives.
 */
import { describe, expect, test } from 'vitest';
import { RetriableError } from '../../../../runtime/api/errors.ts';
import type { KafkaClient } from '../../../../runtime/log/kafka/client.ts';
import { Producer } from '../../../../runtime/log/kafka/producer.ts';
import { errorName } from '../../../../runtime/log/kafka/protocol/error-codes.ts';
import type { ProduceRequest } from '../../../../runtime/log/kafka/protocol/produce-api.ts';
import type { Api } from '../../../../runtime/log/kafka/protocol/wire.ts';
import { splitBatch } from '../../../../runtime/log/record-batch.ts';
import { appendOf, never } from '../../../kit/log-values.ts';

interface Seen { readonly ids: number; readonly refreshes: number; readonly batches: readonly { readonly records: number; readonly sequence: number; readonly producerId: bigint }[]; readonly ends: readonly boolean[] }

/** Sends two records to a cluster whose first answer to a batch is `code`, and every later one a success. */
async function answered(code: number, transactional: boolean): Promise<Seen & { readonly outcome: 'written' | { readonly name: string; readonly code: string } }> {
  const seen = { ids: 0, refreshes: 0, batches: [] as Seen['batches'][number][], ends: [] as boolean[] };
  let left = 1;
  const answer = (name: string, input: unknown): unknown => {
    switch (name) {
      case 'InitProducerId': return { error: 0, producer: { id: BigInt(100 + seen.ids++), epoch: 0 } };
      case 'AddPartitionsToTxn': return (input as { readonly partitions: readonly object[] }).partitions.map(one => ({ ...one, error: 0 }));
      case 'EndTxn': seen.ends.push((input as { readonly commit: boolean }).commit); return { error: 0 };
      case 'Produce': {
        const [{ topic = '', partitions = [] } = {}] = (input as ProduceRequest).topics;
        for (const { batch } of partitions) {
          const bytes = Buffer.from(batch);
          seen.batches.push({ records: splitBatch(bytes).length, producerId: bytes.readBigInt64BE(43), sequence: bytes.readInt32BE(53) });
        }
        return { throttleMs: 0, partitions: partitions.map(({ partition }) => ({ topic, partition, error: left-- > 0 ? code : 0, baseOffset: 7, message: null })) };
      }
      default: throw new Error(`nobody asks for ${name}`);
    }
  };
  const client = {
    config: { requestTimeoutMs: 1_000, backoffMs: 1, backoffMaxMs: 2 },
    request: async (_target: unknown, { name }: Api<unknown, unknown>, input: unknown) => answer(name, input),
    retrying: (_what: string, attempt: () => Promise<unknown>) => attempt(),
    leader: async () => 1, topic: async () => ({ id: 'topic-id' }), stale: () => { seen.refreshes++; },
  } as unknown as KafkaClient;
  const producer = new Producer(client, { transactionalId: transactional ? 'id' : undefined, transactionTimeoutMs: 60_000, compression: 'none', maxRequestBytes: 1 << 20, deliveryTimeoutMs: 5_000, idempotent: true, acks: -1, onRetry: () => undefined });
  const outcome = await producer.send([appendOf('t', ['1', '2'])], never).then(() => 'written' as const, (error: unknown) => ({ name: error instanceof RetriableError ? 'RetriableError' : (error as Error).name, code: (error as { readonly code: string }).code }));
  return { ...seen, outcome };
}

/** Sent again as it was. `leader`: after asking anew who leads. */
const AGAIN = [2, 7, 19, 20, 89], LEADER = [3, 5, 6, 8, 9, 13, 56, 72, 74, 75, 100, 103];
/** No repetition helps: the task fails, in Connect as here. */
const FINAL = [-1, 1, 17, 21, 32, 35, 38, 42, 43, 44, 54, 76, 87];

describe('an error to a batch', () => {
  test.each([...AGAIN, ...LEADER].flatMap(code => [[errorName(code), code, false], [errorName(code), code, true]] as const))('%s (%i, transactional: %s) is passing: the same batch goes out again', async (_, code, transactional) => {
    const { outcome, batches, ids, ends, refreshes } = await answered(code, transactional);
    expect(outcome).toBe('written');
    // The same sequence of the same producer, by which a broker that has it already drops it.
    expect(batches).toEqual([{ records: 2, sequence: 0, producerId: 100n }, { records: 2, sequence: 0, producerId: 100n }]);
    expect([ids, ends]).toEqual([1, transactional ? [true] : []]);
    expect(refreshes > 0).toBe(LEADER.includes(code));
  });

  test('DUPLICATE_SEQUENCE_NUMBER means that it is there already', async () => {
    expect(await answered(46, false)).toMatchObject({ outcome: 'written', batches: [{ sequence: 0 }] });
  });

  test.each([10, 18])('%i: too large, so halved; the sequences go on', async code => {
    expect((await answered(code, false)).batches).toEqual([{ records: 2, sequence: 0, producerId: 100n }, { records: 1, sequence: 0, producerId: 100n }, { records: 1, sequence: 1, producerId: 100n }]);
  });

  test.each([[45, 'OUT_OF_ORDER_SEQUENCE_NUMBER'], [59, 'UNKNOWN_PRODUCER_ID'], [47, 'INVALID_PRODUCER_EPOCH']] as const)('%i %s, without a transaction: a new producer sends it', async (code, _) => {
    expect(await answered(code, false)).toMatchObject({ outcome: 'written', ids: 2, batches: [{ producerId: 100n }, { sequence: 0, producerId: 101n }] });
  });

  test.each([[45, 'KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER'], [59, 'KAFKA_UNKNOWN_PRODUCER_ID'], [48, 'KAFKA_INVALID_TXN_STATE'], [49, 'KAFKA_INVALID_PRODUCER_ID_MAPPING'], [120, 'KAFKA_TRANSACTION_ABORTABLE']] as const)('%i %s in a transaction: it is given up, and the source reads it again', async (code, name) => {
    const { outcome, batches, ends } = await answered(code, true);
    expect(outcome).toEqual({ name: 'RetriableError', code: name });
    expect([batches.length, ends]).toEqual([1, [false]]);
  });

  test.each([47, 90])('%i in a transaction: another of the name, or the brokers, ended it', async code => {
    // The scripted cluster gives the id anew: so it was not another writer (KIP-588).
    expect(await answered(code, true)).toMatchObject({ outcome: { name: 'RetriableError', code: 'LOG_TRANSACTION_TIMEOUT' }, ids: 2 });
  });

  test.each<readonly [number, string]>([[29, 'KAFKA_DENIED'], [31, 'KAFKA_DENIED'], [53, 'KAFKA_DENIED'], ...FINAL.map(code => [code, `KAFKA_${errorName(code)}`] as const)])('%i is final: %s', async (code, name) => {
    for (const transactional of [false, true]) {
      const { outcome, batches, ends } = await answered(code, transactional);
      expect([outcome, batches.length]).toEqual([{ name: 'FatalError', code: name }, 1]);
      expect(ends).toEqual(transactional ? [false] : []);
    }
  });

  test('every code that the protocol names is one of these, or none that a batch can have', () => {
    const known = new Set([0, 10, 18, 29, 31, 53, 45, 46, 47, 48, 49, 59, 90, 120, ...AGAIN, ...LEADER, ...FINAL]);
    const elsewhere = new Set([
      // Fetch, groups, controllers, coordinators, administration, quorum and shares: no answer to Produce.
      4, 11, 12, 14, 15, 16, 22, 23, 24, 25, 26, 27, 28, 30, 33, 34, 36, 37, 39, 40, 41, 50, 51, 52, 55, 57, 58, 60, 68, 69, 70, 71, 73, 77, 78, 79, 80, 81, 82, 86, 88,
    ]);
    for (let code = -1; code <= 130; code++) if (!errorName(code).startsWith('ERROR_')) expect(known.has(code) || elsewhere.has(code), `${code} ${errorName(code)}`).toBe(true);
  });
});
