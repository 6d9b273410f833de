/**
 * One writing process per log directory. The owner's pid and start time stand in the store itself and are taken in a
 * write transaction, which LMDB lets only one process hold; the record of a process that is gone counts for nothing.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { platform } from 'node:os';

export interface Owner { readonly pid: number; readonly started: string }

/** Something that differs between two processes that had the same pid; undefined when there is no such process. */
export function startOf(pid: number): string | undefined {
  if (platform() === 'linux') {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return fields[0] === 'Z' ? undefined : fields[19];
    } catch { return undefined; }
  }
  try { return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || undefined; } catch { return undefined; }
}

export function thisProcess(): Owner { return { pid: process.pid, started: startOf(process.pid) ?? '' }; }

/** True when the process that wrote the record still runs and is not this one. */
export function heldByAnother(owner: Owner): boolean {
  return owner.pid !== process.pid && startOf(owner.pid) === owner.started;
}
