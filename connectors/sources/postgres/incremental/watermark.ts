/**
 * What makes a chunk safe that is read beside the stream without a mark in it (`read.only`), and without gaps either way:
 *
 * - Before: every transaction that the stream has sent is seen by what is read next. A transaction is sent when its commit
 *   lies in the WAL, and seen only a moment later; a chunk in between would show older rows after newer events.
 * - After: a position by which everything has passed that the chunk shows. A transaction may be seen before its commit is
 *   flushed (synchronous_commit=off), so the end of what is written counts, once it is flushed.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { parseLsn } from '../lsn.ts';
import type { Query } from '../schema.ts';
import { parseVisibility, sees } from '../snapshot/visibility.ts';

/** More transactions than can be between their commit and being seen: a server has fewer connections. */
const RECENT = 1024;
const PAGE_BYTES = 8192n;
/** Bytes that stand at the beginning of a WAL page, at most. */
const PAGE_HEAD_BYTES = 40n;
const FLUSH_MS = 10, MOST_FLUSH_MS = 3_000;

/** The transactions that the stream has begun to send last. */
export class RecentTransactions {
  private readonly xids: bigint[] = [];
  private next = 0;

  sent(xid: bigint): void { this.xids[this.next] = xid; this.next = (this.next + 1) % RECENT; }

  /** True when what is read from now on sees all of them. */
  async seen(query: Query): Promise<boolean> {
    if (this.xids.length === 0) return true;
    const [row] = await query('SELECT txid_current_snapshot()::text');
    const now = parseVisibility(row?.[0] ?? '');
    if (this.xids.some(xid => !sees(now, xid))) return false;
    this.xids.length = 0;
    this.next = 0;
    return true;
  }
}

const POSITIONS = 'SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END, CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END';

/** Position by which the stream has sent all that statements up to now could see. */
export async function highWatermark(query: Query): Promise<bigint> {
  const positions = async (): Promise<readonly [bigint, bigint]> => { const [row] = await query(POSITIONS); return [parseLsn(row?.[0] ?? '0/0'), parseLsn(row?.[1] ?? '0/0')]; };
  const [written, first] = await positions();
  let flushed = first;
  for (const until = performance.now() + MOST_FLUSH_MS; performance.now() < until; [, flushed] = await positions()) {
    // The head of a page that holds nothing yet is written and never flushed.
    if (flushed >= written || (flushed % PAGE_BYTES === 0n && written - flushed <= PAGE_HEAD_BYTES)) return flushed;
    await wait(FLUSH_MS);
  }
  return flushed;
}
