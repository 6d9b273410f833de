/** Kafka's default partitioner for keyed records: murmur2 of the key, made positive, modulo the partitions. */
import { ByteWriter } from '../api/byte-writer.ts';
import { murmur2 } from '../../envelopes/murmur2.ts';
import type { PartWriter } from '../log/record-batch.ts';

const scratch = new ByteWriter(1024);

export function partitionFor(key: PartWriter, partitions: number): number {
  scratch.reset();
  return key(scratch) ? (murmur2(scratch.view()) & 0x7fff_ffff) % partitions : 0;
}
