/** What every table format on local disk does with files: durable, put once under a name, below a warehouse. */
import { randomUUID } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { link, mkdir, open, rmdir, stat, unlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Problem } from '../../../runtime/api/config.ts';
import { RetriableError } from '../../../runtime/api/errors.ts';
import type { CommitOutcome } from './table.ts';

/** Errors of link(2) after which the name is certainly not there. */
const REFUSED = new Set(['EPERM', 'EACCES', 'ENOSPC', 'EDQUOT', 'EROFS', 'EMLINK', 'ENOENT', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

/** Passing trouble of the disk, named; anything that is not the disk's stays as it is. */
export function diskError(error: unknown, folder: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined || error instanceof RetriableError) return error;
  return new RetriableError(`${folder}: ${code}`, { code: 'WAREHOUSE_DISK', hint: 'See whether the disk is full, the folder writable, and whether its file system has hard links.', cause: error });
}

/** fsync of a file and of the folder that names it. */
export async function syncFile(path: string): Promise<void> {
  for (const target of [path, dirname(path)]) {
    const handle = await open(target, 'r');
    try { await handle.sync(); } finally { await handle.close(); }
  }
}

/** Makes a folder and those above it. Throws RetriableError WAREHOUSE_DISK. */
export async function makeFolder(path: string): Promise<void> {
  try { await makeAll(path); } catch (error) { throw diskError(error, path); }
}
/** Node's own `recursive` tries for ever where a file system takes no folders, as /proc. Throws what the system says. */
async function makeAll(path: string): Promise<void> {
  const missing: string[] = [];
  for (let at = resolve(path); await isMissing(at) && dirname(at) !== at; at = dirname(at)) missing.push(at);
  for (const folder of missing.reverse()) await mkdir(folder).catch(unless('EEXIST'));
}
function isMissing(path: string): Promise<boolean> { return stat(path).then(() => false, unless('ENOENT')).then(answer => answer ?? true); }
function unless(expected: string): (error: NodeJS.ErrnoException) => undefined {
  return error => { if (error.code !== expected) throw error; return undefined; };
}

/** A new file, on the disk when it resolves. Throws RetriableError WAREHOUSE_DISK. */
export async function writeDurable(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await writeFile(path, bytes);
    await syncFile(path);
  } catch (error) { throw diskError(error, dirname(path)); }
}

/** Folder of a table: one level for each part of its name, below the warehouse and never above it. */
export function tableFolder(warehouse: string, name: readonly string[]): string {
  return join(warehouse, ...name.map(part => (/^\.*$/.test(part) ? '_' : part.replace(/[/\\:*?"<>|]/g, '_'))));
}

/**
 * Makes the whole file appear under its name, durably, if nothing has that name; its folder is made when it is missing.
 * `conflict`: something had the name, or `taken` says so, which is asked last. `unknown`: the disk failed in a way that
 * leaves it open. Throws RetriableError WAREHOUSE_DISK when certainly nothing was put.
 */
export async function putIfAbsent(path: string, text: string, taken: () => Promise<boolean> = () => Promise.resolve(false)): Promise<CommitOutcome> {
  const folder = dirname(path), draft = join(folder, `.${randomUUID()}.tmp`);
  try {
    await makeAll(folder);
    await writeFile(draft, text, { flush: true });
  } catch (error) { await unlink(draft).catch(() => undefined); throw diskError(error, folder); }
  try {
    if (await taken()) return 'conflict';
    // link(2) makes the file appear at once, or fails because the name is taken.
    await link(draft, path);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return 'conflict';
    if (REFUSED.has(code)) throw diskError(error, folder);
    return 'unknown';
  } finally { await unlink(draft).catch(() => undefined); }
  try { await syncFile(path); } catch { return 'unknown'; }
  return 'committed';
}

/** The nearest folder at or above a path that is there. */
function firstFolder(path: string): string {
  let at = resolve(path);
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  // What is below a file can never be made.
  return statSync(at).isDirectory() ? at : `${at}/.`;
}

/** Problems of a warehouse: it can be written to and has hard links, by which commits are made atomic. */
export async function warehouseProblems(folder: string): Promise<readonly Problem[]> {
  if (/^[a-z][a-z0-9+.-]*:/i.test(folder)) return [{ option: 'warehouse', message: `Only local paths are supported so far, not ${folder.split(':')[0] ?? ''}:` }];
  // A look leaves nothing behind: a folder that is not there yet is made by the first table.
  const at = join(firstFolder(folder), `.${randomUUID()}.probe`), probe = join(at, 'file');
  try {
    await mkdir(at);
    await writeFile(probe, '');
    await link(probe, `${probe}.link`);
    return [];
  } catch (error) {
    return [{ option: 'warehouse', message: `Folder ${folder} cannot be written to or lacks hard links (${(error as NodeJS.ErrnoException).code ?? 'unknown error'}): choose another, or give this user write access` }];
  } finally {
    for (const name of [probe, `${probe}.link`]) await unlink(name).catch(() => undefined);
    await rmdir(at).catch(() => undefined);
  }
}
