/**
 * The LMDB environment of an embedded log: four named databases and the keys in them.
 *
 *   batches    topic number u32 · partition u32 · base offset u64  →  sealed batch
 *   topics     name                                                →  {@link TopicEntry}
 *   partitions topic number u32 · partition u32                    →  {@link PartitionEntry}
 *   meta       text                                                →  JSON (log id, writers, offsets, groups, state, compaction)
 *
 * Commits are synced before they become visible: what a reader sees survives a power cut. Writes that are asked for in one
 * turn of the event loop share a commit; lmdb-js's own batching by turns is off, since it leaves a promise behind that
 * nobody can catch when a commit fails.
 */
import { statfsSync } from 'node:fs';
import { type Database, open, type RootDatabase } from 'lmdb';
import { RetriableError } from '../../api/errors.ts';
import type { TopicDescription } from '../log.ts';

export interface TopicEntry extends TopicDescription { readonly number: number }
export interface PartitionEntry { readonly start: number; readonly end: number; readonly bytes: number }

export interface Store {
  readonly path: string;
  readonly root: RootDatabase;
  readonly batches: Database<Buffer, Buffer>;
  readonly topics: Database<TopicEntry, string>;
  readonly partitions: Database<PartitionEntry, Buffer>;
  readonly meta: Database<string, string>;
}

export function openStore(path: string, readOnly: boolean): Store {
  const root = open({ path, readOnly, maxDbs: 8, noSubdir: false, overlappingSync: false, noMemInit: true, eventTurnBatching: false, maxReaders: 256 } as Parameters<typeof open>[0] & object);
  return {
    path, root,
    batches: root.openDB({ name: 'batches', keyEncoding: 'binary', encoding: 'binary' }),
    topics: root.openDB({ name: 'topics', encoding: 'json' }),
    partitions: root.openDB({ name: 'partitions', keyEncoding: 'binary', encoding: 'json' }),
    meta: root.openDB({ name: 'meta', encoding: 'string' }),
  };
}

/** False for a file whose writer is about to make what a log consists of: such a store is of no use to a reader. */
export function isMade(store: Store): boolean {
  const databases: readonly unknown[] = [store.batches, store.topics, store.partitions, store.meta];
  return !databases.includes(undefined);
}

export function partitionKey(topic: number, partition: number): Buffer {
  const key = Buffer.allocUnsafe(8);
  key.writeUInt32BE(topic, 0);
  key.writeUInt32BE(partition, 4);
  return key;
}

export function batchKey(topic: number, partition: number, offset: number): Buffer {
  const key = Buffer.allocUnsafe(16);
  key.writeUInt32BE(topic, 0);
  key.writeUInt32BE(partition, 4);
  key.writeBigUInt64BE(BigInt(offset), 8);
  return key;
}

/** In `meta`: what compaction has done in a partition. */
export function cleanedKey(topic: number, partition: number): string { return `cleaned\u0000${topic}/${partition}`; }

/** Room on the log's disk below which appends make the file no larger: other programs need some too. */
const SPARE_BYTES = 64 * 1024 * 1024;
/**
 * Room below which nothing at all is written. LMDB does not lose data when a write of its finds the disk full, but its
 * native code may then end the process, so it is not let come to that.
 */
const LEAST_BYTES = 8 * 1024 * 1024;
/** Free pages that are left alone when the file must not grow: a large value needs them side by side. */
const REUSED_BYTES = 4 * 1024 * 1024;

/**
 * Throws RetriableError LOG_DISK_FULL before an append for which there is no room. The file never shrinks, so what retention
 * deleted shows as free pages in it and not as room on the disk: those count too.
 */
export function requireRoom(store: Store, bytes: number): void {
  const room = roomOn(store.path);
  if (room >= bytes * 2 + SPARE_BYTES) return;
  if (room < LEAST_BYTES || freeBytes(store) < bytes * 4 + REUSED_BYTES) throw diskFull(store.path);
}

function roomOn(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

/** Bytes of the file in pages that no database uses. */
function freeBytes({ root, batches, topics, partitions, meta }: Store): number {
  interface Pages { readonly pageSize: number; readonly treeBranchPageCount: number; readonly treeLeafPageCount: number; readonly overflowPages: number }
  const pages = ({ treeBranchPageCount, treeLeafPageCount, overflowPages }: Pages): number => treeBranchPageCount + treeLeafPageCount + overflowPages;
  const whole = root.getStats() as Pages & { readonly root: Pages; readonly free: Pages; readonly lastPageNumber: number };
  const used = [whole.root, whole.free, ...[batches, topics, partitions, meta].map(database => database.getStats() as Pages)].reduce((sum, one) => sum + pages(one), 0);
  return Math.max(0, whole.lastPageNumber - 1 - used) * whole.pageSize;
}

function diskFull(path: string, cause?: unknown): RetriableError {
  return new RetriableError(`The disk of the log directory ${path} is full; nothing of this write was taken`, { code: 'LOG_DISK_FULL', hint: 'Free room on that disk; the task goes on by itself.', cause });
}

/** What LMDB and the system say when there is no room (a file over its size limit included). */
function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as { readonly code?: unknown };
  return code === 28 || code === 27 || code === 122 || /ENOSPC|EFBIG|EDQUOT|MDB_MAP_FULL|No space left|File too large|quota|Environment mapsize/i.test(error.message);
}

/**
 * The one way to write: `change` runs inside a write transaction, which is durable when the promise resolves; several may
 * share a commit. A change that throws must do so before its first put: nothing is taken back.
 *
 * A commit that fails took nothing: LMDB switches its root page last. lmdb-js hides the system's error in a promise beside
 * the one that it rejects, and a write that was cut short for want of room is to LMDB an input/output error. Rejects with
 * what `change` threw, RetriableError LOG_DISK_FULL or LOG_WRITE_FAILED.
 */
export async function transact<T>({ root, path }: Pick<Store, 'root' | 'path'>, change: () => T): Promise<T> {
  if (roomOn(path) < LEAST_BYTES) throw diskFull(path);
  try { return await root.transaction(change); } catch (error) {
    if (isDiskFull(error)) throw diskFull(path, error);
    const { commitError } = error as { readonly commitError?: Promise<unknown> };
    if (commitError === undefined) throw error;
    const cause = await commitError.then(() => error, (reason: unknown) => reason);
    if (isDiskFull(cause) || roomOn(path) < LEAST_BYTES) throw diskFull(path, cause);
    throw new RetriableError(`The log directory ${path} could not be written: ${(cause as Error).message}`, { code: 'LOG_WRITE_FAILED', hint: 'See whether the disk of log.dir is full or failing; the task goes on by itself when it can be written again.', cause });
  }
}
