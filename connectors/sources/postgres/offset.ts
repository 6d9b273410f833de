/**
 * The source offset, in Debezium's keys (Debezium reference for PostgreSQL, offsets):
 * while streaming `lsn_proc lsn_commit lsn txId ts_usec messageType`, during a snapshot `lsn txId ts_usec snapshot
 * last_snapshot_record snapshot_completed`. `lsn_events_processed` counts the further events of `lsn` that were taken,
 * and is there only when that is not zero, since several events may share one LSN.
 */
import type { SourceOffset } from '../../../runtime/api/plugin.ts';

export interface StreamPosition {
  /** End of the last transaction that was taken whole: where the server is asked to go on. */
  readonly commitLsn: bigint;
  /** LSN of the last event taken; equal to `commitLsn` between transactions. */
  readonly lsn: bigint;
  /** Further events taken at `lsn`. */
  readonly further: number;
  readonly txId: bigint | null;
  /** 0 = not known yet. */
  readonly timeUs: bigint;
  /** Empty before the first event; Debezium cannot read an offset with a type that it does not know, so it is left out then. */
  readonly messageType: string;
}

export function streamOffset(position: StreamPosition): SourceOffset {
  return {
    lsn_proc: position.lsn, ...(position.messageType !== '' && { messageType: position.messageType }), lsn_commit: position.commitLsn, lsn: position.lsn,
    ...(position.txId !== null && { txId: position.txId }), ...(position.timeUs > 0n && { ts_usec: position.timeUs }), ...(position.further > 0 && { lsn_events_processed: position.further }),
  };
}

export function snapshotOffset(state: { readonly lsn: bigint; readonly txId: bigint; readonly timeUs: bigint; readonly completed: boolean }): SourceOffset {
  return { last_snapshot_record: state.completed, lsn: state.lsn, txId: state.txId, ts_usec: state.timeUs, snapshot: 'INITIAL', snapshot_completed: state.completed };
}

function big(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  return typeof value === 'string' && /^\d+$/.test(value) ? BigInt(value) : undefined;
}

/** Where the stream stood beside a snapshot that has not ended; undefined when it had not begun. */
export function besidePosition(offset: SourceOffset | undefined): StreamPosition | undefined {
  const commitLsn = big(offset?.['lsn_commit']);
  if (offset === undefined || commitLsn === undefined) return undefined;
  return { commitLsn, lsn: big(offset['lsn_proc']) ?? commitLsn, further: Number(offset['lsn_events_processed'] ?? 0), txId: big(offset['txId']) ?? null, timeUs: big(offset['ts_usec']) ?? 0n, messageType: String(offset['messageType'] ?? '') };
}

/** What a stored offset says: where to stream from, or that the snapshot has to be (or go on being) made. */
export function resumeFrom(offset: SourceOffset | undefined): StreamPosition | 'snapshot' {
  const lsn = big(offset?.['lsn']);
  if (offset === undefined || lsn === undefined) return 'snapshot';
  // An incremental snapshot is beside the stream, which has the position; its own keys say how far it is.
  const inSnapshot = offset['snapshot'] !== undefined && offset['snapshot'] !== null && offset['snapshot'] !== false && offset['snapshot'] !== 'INCREMENTAL';
  if (inSnapshot && offset['snapshot_completed'] !== true && offset['last_snapshot_record'] !== true) return 'snapshot';
  return {
    commitLsn: big(offset['lsn_commit']) ?? lsn, lsn: big(offset['lsn_proc']) ?? lsn, further: Number(offset['lsn_events_processed'] ?? 0),
    txId: inSnapshot ? null : big(offset['txId']) ?? null, timeUs: big(offset['ts_usec']) ?? 0n, messageType: String(offset['messageType'] ?? ''),
  };
}
