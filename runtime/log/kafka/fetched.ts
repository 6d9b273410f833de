/** An answer's bytes → the batches that a reader gets: whole ones, no control records, nothing of aborted transactions. */
import { RetriableError } from '../../api/errors.ts';
import type { LogBatch } from '../log.ts';
import { batchHeader, HEADER_BYTES, splitBatch } from '../record-batch.ts';
import type { AbortedTransaction, Isolation } from './protocol/fetch-api.ts';

/** `next` is the offset to go on from behind this batch and what was left out after it. */
export interface FetchedBatch extends LogBatch { next: number }
export interface Parsed { readonly batches: readonly FetchedBatch[]; /** Where the next fetch begins. */ readonly next: number }

const ABORT_MARKER = 0;

/**
 * Batches of one partition's answer from `from` on. Throws DataError BATCH_CORRUPT for what is no batch of format 2.
 * The last batch of an answer may be cut short: it comes whole with the next one.
 */
export function parseFetched(records: Buffer, from: number, isolation: Isolation, aborted: readonly AbortedTransaction[]): Parsed {
  const batches: FetchedBatch[] = [];
  const coming = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset);
  const aborting = new Set<bigint>();
  let next = from;
  for (let at = 0; at + HEADER_BYTES <= records.length;) {
    const length = records.readInt32BE(at + 8) + 12;
    if (length < HEADER_BYTES) throw new RetriableError('A broker sent a record batch whose length cannot be', { code: 'KAFKA_RESPONSE' });
    if (at + length > records.length) break;
    const bytes = records.subarray(at, at + length);
    at += length;
    const { baseOffset, lastOffset, control, transactional } = batchHeader(bytes);
    const producer = bytes.readBigInt64BE(43);
    while (coming[0] !== undefined && coming[0].firstOffset <= lastOffset) aborting.add((coming.shift() as AbortedTransaction).producerId);
    if (control && aborting.has(producer) && markerOf(bytes) === ABORT_MARKER) aborting.delete(producer);
    const hidden = control || (isolation === 'read_committed' && transactional && aborting.has(producer));
    if (lastOffset >= from) {
      next = lastOffset + 1;
      const last = batches.at(-1);
      if (!hidden) batches.push({ baseOffset, lastOffset, bytes, next });
      else if (last !== undefined) last.next = next;
    }
  }
  return { batches, next };
}

/** A control record's key is version int16 · type int16: 0 abort, 1 commit. */
function markerOf(bytes: Buffer): number {
  const { buffer, keyStart, length } = splitBatch(bytes);
  const start = keyStart[0] ?? -1;
  return length > 0 && start >= 0 ? buffer.readInt16BE(start + 2) : -1;
}
