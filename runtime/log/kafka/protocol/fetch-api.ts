/** Requests of a reader: offsets of a partition, and its record batches as they lie there. */
import type { Api } from './wire.ts';

export type Isolation = 'read_uncommitted' | 'read_committed';
const isolationCode = (isolation: Isolation): number => (isolation === 'read_committed' ? 1 : 0);

export interface FetchPartition { readonly topic: string; readonly partition: number; readonly offset: number; readonly maxBytes: number }
export interface FetchRequest { readonly maxWaitMs: number; readonly minBytes: number; readonly maxBytes: number; readonly isolation: Isolation; readonly rack: string; readonly partitions: readonly FetchPartition[] }
export interface AbortedTransaction { readonly producerId: bigint; readonly firstOffset: number }
export interface FetchedPartition {
  readonly topic: string; readonly partition: number; readonly error: number;
  readonly highWatermark: number; readonly lastStableOffset: number; readonly startOffset: number;
  readonly aborted: readonly AbortedTransaction[];
  /** Batches one after the other; the last one may be cut. A slice of the answer. */
  readonly records: Buffer | null;
}
/** Without a fetch session: each request names all of its partitions. */
export const fetchRecords: Api<FetchRequest, { readonly error: number; readonly partitions: readonly FetchedPartition[]; readonly throttleMs: number }> = {
  key: 1, name: 'Fetch', version: 11, flexible: false,
  encode: (out, { maxWaitMs, minBytes, maxBytes, isolation, rack, partitions }) => {
    out.int32(-1).int32(maxWaitMs).int32(minBytes).int32(maxBytes).int8(isolationCode(isolation)).int32(0).int32(-1);
    const topics = new Map<string, FetchPartition[]>();
    for (const one of partitions) { const list = topics.get(one.topic); if (list === undefined) topics.set(one.topic, [one]); else list.push(one); }
    out.array([...topics], ([topic, list]) => {
      out.string(topic).array(list, one => { out.int32(one.partition).int32(-1).int64(one.offset).int64(-1).int32(one.maxBytes); });
    });
    out.array([], () => { /* no forgotten topics */ }).string(rack);
  },
  decode: input => {
    const throttleMs = input.int32(), error = input.int16();
    input.int32();
    const partitions = input.array(() => {
      const topic = input.string() ?? '';
      return input.array((): FetchedPartition => {
        const partition = input.int32(), failure = input.int16(), highWatermark = input.long(), lastStableOffset = input.long(), startOffset = input.long();
        const aborted = input.array(() => ({ producerId: input.int64(), firstOffset: input.long() }));
        input.int32();
        return { topic, partition, error: failure, highWatermark, lastStableOffset, startOffset, aborted, records: input.bytes() };
      });
    }).flat();
    return { error, partitions, throttleMs };
  },
};

/** Timestamps that stand for the two ends of a partition. */
export const EARLIEST = -2, LATEST = -1;
export interface OffsetAt { readonly topic: string; readonly partition: number; readonly timestamp: number }
export interface FoundOffset { readonly topic: string; readonly partition: number; readonly error: number; readonly offset: number }
export const listOffsets: Api<{ readonly isolation: Isolation; readonly partitions: readonly OffsetAt[] }, readonly FoundOffset[]> = {
  key: 2, name: 'ListOffsets', version: 4, flexible: false,
  encode: (out, { isolation, partitions }) => {
    out.int32(-1).int8(isolationCode(isolation));
    out.array(partitions, ({ topic, partition, timestamp }) => { out.string(topic).array([partition], one => { out.int32(one).int32(-1).int64(timestamp); }); });
  },
  decode: input => {
    input.int32();
    return input.array(() => {
      const topic = input.string() ?? '';
      return input.array((): FoundOffset => {
        const partition = input.int32(), error = input.int16();
        input.int64();
        const offset = input.long();
        input.int32();
        return { topic, partition, error, offset };
      });
    }).flat();
  },
};
