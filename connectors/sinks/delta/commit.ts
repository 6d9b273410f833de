/** A table change as the actions of one commit; its deletion vectors are on disk when they are returned. */
import { randomUUID } from 'node:crypto';
import { basename, join } from 'node:path';
import { RetriableError } from '../../../runtime/api/errors.ts';
import { writeDurable } from '../tables/local-files.ts';
import type { Column, TableChange, WrittenFile } from '../tables/table.ts';
import type { Action, AddFile, CommitInfo, RemoveFile } from './format/actions.ts';
import { VectorFile } from './format/deletion-vector.ts';
import { encodeStatistics, loosened, rowsOf } from './format/statistics.ts';
import { encodeToken } from './format/token.ts';

export function commitInfo(operation: string, id: string, now: number, metrics: Readonly<Record<string, string>> = {}): CommitInfo {
  return { timestamp: now, operation, operationParameters: {}, engineInfo: 'Tributary', txnId: id, isBlindAppend: false, operationMetrics: metrics };
}

/** `live`: files of the table by absolute path. */
export async function changeActions(location: string, change: TableChange, live: ReadonlyMap<string, AddFile>, columns: readonly Column[], now: number): Promise<readonly Action[]> {
  const vectors = new VectorFile(randomUUID());
  const actions: Action[] = [
    { commitInfo: commitInfo(change.replaceAll ? 'TRUNCATE' : change.deletes.size > 0 ? 'MERGE' : 'WRITE', change.commitId, now, { numAddedFiles: String(change.added.length), numDeletedRows: String(change.deletedRows) }) },
    ...change.tokens.map(token => ({ txn: encodeToken(token, now) })),
  ];
  if (change.replaceAll) for (const file of live.values()) actions.push({ remove: removal(file, now) });
  for (const [path, bitmap] of change.deletes) {
    const file = live.get(path);
    if (file === undefined) throw new RetriableError('A file with rows to delete is no longer in the table', { code: 'DELTA_FILE_GONE' });
    actions.push({ remove: removal(file, now) });
    if (bitmap.cardinality() < (rowsOf(file.stats) ?? Infinity)) actions.push({ add: withVector(file, vectors.add(bitmap)) });
  }
  for (const file of change.added) actions.push({ add: addition(file, columns, now) });
  const content = vectors.content();
  if (content !== undefined) await writeDurable(join(location, vectors.name), content);
  return actions;
}

function withVector(file: AddFile, deletionVector: NonNullable<AddFile['deletionVector']>): AddFile {
  const stats = loosened(file.stats);
  return { ...file, dataChange: true, ...(stats === undefined ? {} : { stats }), deletionVector };
}
export function addition(file: WrittenFile, columns: readonly Column[], now: number): AddFile {
  return { path: encodeURI(basename(file.path)), partitionValues: {}, size: file.bytes, modificationTime: now, dataChange: true, stats: encodeStatistics(file, columns) };
}
export function removal({ path, partitionValues, size, deletionVector }: AddFile, now: number): RemoveFile {
  return { path, deletionTimestamp: now, dataChange: true, extendedFileMetadata: true, partitionValues, size, ...(deletionVector === undefined ? {} : { deletionVector }) };
}
