/** Requests of a producer: its id, its transaction, its batches. */
import type { Api } from './wire.ts';

export interface ProducerIdentity { readonly id: bigint; readonly epoch: number }
export const NO_PRODUCER: ProducerIdentity = { id: -1n, epoch: -1 };

/** Version 4 (Kafka 2.7): with the present id and epoch, a fenced producer is told so instead of fencing its successor. */
export const initProducerId: Api<{ readonly transactionalId: string | null; readonly timeoutMs: number; readonly present: ProducerIdentity }, { readonly error: number; readonly producer: ProducerIdentity }> = {
  key: 22, name: 'InitProducerId', version: 4, flexible: true,
  encode: (out, { transactionalId, timeoutMs, present }) => { out.compactString(transactionalId).int32(timeoutMs).int64(present.id).int16(present.epoch).tags(); },
  decode: input => { input.int32(); return { error: input.int16(), producer: { id: input.int64(), epoch: input.int16() } }; },
};

interface ProduceTopic { readonly topic: string; readonly partitions: readonly { readonly partition: number; readonly batch: Uint8Array }[] }
export interface ProduceRequest { readonly transactionalId: string | null; readonly acks: number; readonly timeoutMs: number; readonly topics: readonly ProduceTopic[] }
export interface ProducePartition { readonly topic: string; readonly partition: number; readonly error: number; readonly baseOffset: number; readonly message: string | null }
/** Version 8 (Kafka 2.4) says why a record was refused. */
export const produce: Api<ProduceRequest, { readonly partitions: readonly ProducePartition[]; readonly throttleMs: number }> = {
  key: 0, name: 'Produce', version: 8, flexible: false,
  encode: (out, { transactionalId, acks, timeoutMs, topics }) => {
    out.string(transactionalId).int16(acks).int32(timeoutMs);
    out.array(topics, ({ topic, partitions }) => { out.string(topic).array(partitions, ({ partition, batch }) => { out.int32(partition).bytes(batch); }); });
  },
  decode: input => {
    const partitions: ProducePartition[] = [];
    input.array(() => {
      const topic = input.string() ?? '';
      input.array(() => {
        const partition = input.int32(), error = input.int16(), baseOffset = input.long();
        input.int64();
        input.int64();
        const reasons = input.array(() => { input.int32(); return input.string(); });
        partitions.push({ topic, partition, error, baseOffset, message: input.string() ?? reasons.find(reason => reason !== null) ?? null });
      });
    });
    return { partitions, throttleMs: input.int32() };
  },
};

interface Transaction extends ProducerIdentity { readonly transactionalId: string }
export interface TransactionPartition { readonly topic: string; readonly partition: number }
export const addPartitions: Api<Transaction & { readonly partitions: readonly TransactionPartition[] }, readonly (TransactionPartition & { readonly error: number })[]> = {
  key: 24, name: 'AddPartitionsToTxn', version: 2, flexible: false,
  encode: (out, { transactionalId, id, epoch, partitions }) => {
    out.string(transactionalId).int64(id).int16(epoch);
    out.array([...new Set(partitions.map(({ topic }) => topic))], topic => { out.string(topic).array(partitions.filter(one => one.topic === topic), ({ partition }) => { out.int32(partition); }); });
  },
  decode: input => {
    input.int32();
    return input.array(() => {
      const topic = input.string() ?? '';
      return input.array(() => ({ topic, partition: input.int32(), error: input.int16() }));
    }).flat();
  },
};

export const endTransaction: Api<Transaction & { readonly commit: boolean }, { readonly error: number }> = {
  key: 26, name: 'EndTxn', version: 2, flexible: false,
  encode: (out, { transactionalId, id, epoch, commit }) => { out.string(transactionalId).int64(id).int16(epoch).boolean(commit); },
  decode: input => { input.int32(); return { error: input.int16() }; },
};
