/**
 * Where the stream is, and what of it was taken before a restart.
 *
 * Resuming: the server sends again every transaction that ends behind `commitLsn`. Of the one transaction that we had
 * taken in part (same id), events up to `lsn` and its further count are passed over; every other event is new,
 * whatever its LSN, since transactions that overlap commit in another order than they write.
 */
import type { EventSource } from './change.ts';
import { nowNs } from './now.ts';
import type { StreamPosition } from './offset.ts';

export interface Transaction { readonly xid: bigint; readonly finalLsn: bigint; readonly commitUs: bigint; origin: { readonly name: string; readonly lsn: bigint } | null; readonly resume: { lsn: bigint; further: number } | undefined }

/** Bytes of WAL without anything for us after which the server hears of it at once. */
const IDLE_BYTES = 8n * 1024n * 1024n;

export class StreamCursor {
  position: StreamPosition;
  transaction: Transaction | undefined;
  /** End of the newest WAL that the server has reported with nothing for us in it. */
  idleLsn = 0n;
  private resume: StreamPosition | undefined;
  /** Position in the transaction that was perhaps taken in part, until the first one begins. */
  private begun: StreamPosition | undefined;
  private commitLsn: bigint;
  private lastCommitLsn: bigint | null = null;

  constructor(from: StreamPosition) {
    this.position = from;
    this.commitLsn = from.commitLsn;
    // Its events may lie before the last commit: it was open while others committed, or while the server told of idle WAL.
    this.resume = from.txId !== null && from.lsn !== from.commitLsn ? from : undefined;
    // A transaction may begin at the very byte at which the one before it ended: then only the id tells whether it was begun.
    this.begun = from.txId !== null ? from : undefined;
  }

  /** True when this is the transaction that was taken in part. */
  begin(xid: number, finalLsn: bigint, commitUs: bigint): boolean {
    const { begun: resume } = this;
    const mine = resume !== undefined && resume.txId !== null && (resume.txId & 0xffff_ffffn) === BigInt(xid);
    this.transaction = { xid: BigInt(xid), finalLsn, commitUs, origin: null, resume: mine ? { lsn: resume.lsn, further: resume.further } : undefined };
    this.resume = undefined;
    this.begun = undefined;
    return mine;
  }

  commit(endLsn: bigint, commitUs: bigint): void {
    const txId = this.transaction?.xid ?? null;
    this.commitLsn = endLsn;
    this.lastCommitLsn = endLsn;
    this.transaction = undefined;
    this.position = { commitLsn: endLsn, lsn: endLsn, further: 0, txId, timeUs: commitUs, messageType: 'COMMIT' };
  }

  /** True when the event at `lsn` was taken before the restart. */
  taken(lsn: bigint): boolean {
    const resume = this.transaction?.resume;
    if (resume === undefined || lsn > resume.lsn) return false;
    if (lsn < resume.lsn) return true;
    if (resume.further < 0) return false;
    resume.further--;
    return true;
  }

  /** Takes the event at `lsn`. */
  advance(lsn: bigint, messageType: string): Transaction | undefined {
    const { transaction, position } = this;
    const further = position.lsn === lsn && position.txId === transaction?.xid ? position.further + 1 : 0;
    this.position = { commitLsn: this.commitLsn, lsn, further, txId: transaction?.xid ?? null, timeUs: transaction?.commitUs ?? 0n, messageType };
    return transaction;
  }

  /**
   * Takes something that stands by itself between two transactions and ends at `lsn`. The server leaves out what begins
   * before the position that it is given; what begins at this very byte, a commit perhaps, is still to come.
   */
  pass(lsn: bigint): void {
    if (this.transaction === undefined && this.resume === undefined && lsn >= this.commitLsn) this.moveTo(lsn);
  }

  /** Steps over WAL that holds nothing for us, when there is reason to. The position is stored first and confirmed after. */
  idle(quiet: boolean): void {
    const { transaction, position, idleLsn } = this;
    if (transaction === undefined && position.lsn === position.commitLsn && idleLsn > position.commitLsn && (quiet || idleLsn - position.commitLsn > IDLE_BYTES)) this.moveTo(idleLsn);
  }

  private moveTo(lsn: bigint): void {
    this.commitLsn = lsn;
    this.position = { ...this.position, commitLsn: lsn, lsn, further: 0 };
  }

  source(lsn: bigint, transaction: Transaction | undefined, xmin: bigint | null): EventSource {
    return {
      commitUs: transaction?.commitUs ?? nowNs() / 1000n, snapshot: 'false', txId: transaction?.xid ?? null, lsn, lastCommitLsn: this.lastCommitLsn, xmin,
      origin: transaction?.origin?.name ?? null, originLsn: transaction?.origin?.lsn ?? null,
    };
  }
}
