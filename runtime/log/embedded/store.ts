/**
 * The LMDB environment of an embedded log: four named databases and the keys in them.
 *
 *   batches    topic number u32 · partition u32 · base offset u64  →  sealed batch
 *   topics     name                                                →  {@link TopicEntry}
 *   partitions topic number u32 · partition u32                    →  {@link PartitionEntry}
 *   meta       text                                                →  JSON (log id, writers, offsets, groups, state, compaction)
 *
 * Commits are synced before they become visible: what a reader sees survives a power cut.
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

/** Without event turn batching: its own promise of a commit is seen by nobody, and a commit that fails would end the thread by it. */
export function openStore(path: string, readOnly: boolean): Store {
  const root = open({ path, readOnly, maxDbs: 8, noSubdir: false, overlappingSync: false, eventTurnBatching: false, noMemInit: true, maxReaders: 256 } as Parameters<typeof open>[0] & object);
  return {
    path, root,
    batches: root.openDB({ name: 'batches', keyEncoding: 'binary', encoding: 'binary' }),
    topics: root.openDB({ name: 'topics', encoding: 'json' }),
    partitions: root.openDB({ name: 'partitions', keyEncoding: 'binary', encoding: 'json' }),
    meta: root.openDB({ name: 'meta', encoding: 'string' }),
  };
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

/** Least room that must stay free on the log's disk, in bytes. */
export const SPARE_BYTES = 64 * 1024 * 1024;

/** Throws RetriableError LOG_DISK_FULL before a write that would take the disk below its spare room. */
export function requireRoom(path: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(path);
  if (bavail * bsize < bytes * 2 + SPARE_BYTES) throw diskFull(path);
}

export function diskFull(path: string, cause?: unknown): RetriableError {
  return new RetriableError(`The disk of the log directory ${path} is full; nothing of this batch was written`, { code: 'LOG_DISK_FULL', hint: 'Free room on that disk; the task goes on by itself.', cause });
}

/** What LMDB and the system say when there is no room (a file over its size limit included). */
function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as { readonly code?: unknown };
  return code === 28 || code === 27 || code === 122 || /ENOSPC|EFBIG|EDQUOT|MDB_MAP_FULL|No space left|File too large|quota|Environment mapsize/i.test(error.message);
}

/** A write transaction; resolves when it is on the disk. Throws what `callback` throws, RetriableError LOG_DISK_FULL, LOG_WRITE_FAILED. */
export async function transact<T>({ root, path }: Store, callback: () => T): Promise<T> {
  try { return await root.transaction(callback); } catch (error) { throw await storeError(path, error); }
}

/**
 * What a failed transaction means to its caller. A commit that failed took nothing: LMDB switches its root page last.
 * lmdb-js hides the system's error in a promise beside the one that it rejects.
 */
export async function storeError(path: string, error: unknown): Promise<unknown> {
  if (isDiskFull(error)) return diskFull(path, error);
  const { commitError } = error as { readonly commitError?: Promise<unknown> };
  if (commitError === undefined) return error;
  const cause = await commitError.then(() => error, (reason: unknown) => reason);
  if (isDiskFull(cause)) return diskFull(path, cause);
  return new RetriableError(`The log directory ${path} could not be written: ${(cause as Error).message}`, { code: 'LOG_WRITE_FAILED', hint: 'See whether the disk of log.dir is full or failing; the task goes on by itself when it can be written again.', cause });
}
