/**
 * A full disk: under the log the source waits, under the tables the sinks wait, each says so and what to do, REST goes on
 * answering, and when there is room again everything arrives. Nothing is lost, not even when the worker is killed in
 * between. The disks are small file systems in memory, which only root can mount.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, statSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../kit/condition.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { openLakeReader } from '../kit/lake-reader.ts';
import { startPostgres } from '../kit/postgres.ts';
import { type RunningWorker, startWorker } from '../kit/worker.ts';

const canMount = process.platform === 'linux' && process.getuid?.() === 0;
const MEBIBYTE = 1024 * 1024;

interface Disk extends Disposable {
  readonly path: string;
  /** Takes all but `left` bytes. */
  fill(left: number): void;
  /** Gives them back. */
  empty(): void;
}

/** A file system of `bytes` in memory, mounted at `path`. */
function smallDisk(path: string, bytes: number): Disk {
  mkdirSync(path, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', path]);
  const ballast = join(path, 'ballast');
  return {
    path,
    fill: left => {
      const file = openSync(ballast, 'a'), chunk = Buffer.alloc(64 * 1024);
      const room = (): number => { const { bavail, bsize } = statfsSync(path); return bavail * bsize - left; };
      try { for (let free = room(); free > 0; free = room()) writeSync(file, chunk, 0, Math.min(chunk.length, free)); } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      } finally { closeSync(file); }
    },
    empty: () => { rmSync(ballast, { force: true }); },
    [Symbol.dispose]: () => { execFileSync('umount', ['--lazy', path]); },
  };
}

interface TaskStatus { readonly state: string; readonly trace?: string }
const taskOf = async ({ rest }: RunningWorker, name: string): Promise<TaskStatus> => await (await fetch(`${rest}/connectors/${name}/tasks/0/status`)).json() as TaskStatus;

test.skipIf(!canMount)(`a full disk holds changes up and loses none${canMount ? '' : ': mounting a small file system needs Linux and root'}`, async () => {
  using home = temporaryDirectory();
  using logDisk = smallDisk(join(home.path, 'log'), 256 * MEBIBYTE);
  using lakeDisk = smallDisk(join(home.path, 'lake'), 64 * MEBIBYTE);
  await using server = await startPostgres({ version: 17 });
  using reader = await openLakeReader();
  await server.sql("CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL); INSERT INTO items SELECT i, 'item ' || i FROM generate_series(1, 1000) i");
  const lake = join(lakeDisk.path, 'tables');
  const sink = (format: string) => ({ 'name': format, 'connector.class': format, 'topics': 'disk.public.items', 'warehouse': join(lake, format), 'commit.interval.ms': '200' });
  const start = () => startWorker({
    directory: home.path, properties: { 'log.dir': join(logDisk.path, 'log') },
    connectors: [{
      'name': 'source', 'connector.class': 'postgres', 'database.hostname': server.host, 'database.port': String(server.port), 'database.user': server.user, 'database.password': server.password, 'database.dbname': 'postgres',
      'topic.prefix': 'disk', 'slot.name': 'disk', 'table.include.list': 'public.items', 'publication.autocreate.mode': 'filtered',
    }, sink('iceberg'), sink('delta')],
  });
  const equal = async (): Promise<void> => {
    const { rows } = await server.sql('SELECT id::text, name FROM items ORDER BY items.id');
    const expected = JSON.stringify(rows.map(row => Object.values(row as Record<string, string>)));
    for (const format of ['iceberg', 'delta'] as const) {
      let failure: Error | undefined;
      await until(`the ${format} table to equal the source`, async () => {
        const found = await reader.rows(`SELECT id::VARCHAR, name FROM ${reader.scan(format, join(lake, format, 'public/items'))} t ORDER BY t.id`).catch((error: Error) => { failure = error; return []; });
        return JSON.stringify(found) === expected;
      }, 180_000).catch((error: Error) => { throw new Error(`${error.message}: ${failure?.message ?? 'rows differ'}`, { cause: error }); });
    }
  };
  const waits = (worker: RunningWorker, name: string, said: RegExp): Promise<TaskStatus> => until(`${name} to wait for room`, async () => { const task = await taskOf(worker, name); return task.state === 'RESTARTING' && said.test(task.trace ?? '') && task; });
  const changed = (to: string): Promise<unknown> => server.sql(`UPDATE items SET name = '${to} ' || id; INSERT INTO items SELECT max(id) + i, '${to} ' || repeat('x', 100) FROM items, generate_series(1, 3000) i GROUP BY i; DELETE FROM items WHERE id % 7 = 3`);

  let worker = await start();
  try {
    await equal();

    // The log's disk: no batch goes in, so the database keeps what has not been stored.
    logDisk.fill(16 * MEBIBYTE);
    await changed('log');
    expect((await waits(worker, 'source', /LOG_DISK_FULL/)).trace).toMatch(/The disk of the log directory .*log.* is full.*\[LOG_DISK_FULL\]\nFree room on that disk; the task goes on by itself/);
    expect((await fetch(`${worker.rest}/health`)).status).toBe(200);
    logDisk.empty();
    await equal();

    // A write that the system refuses in the middle: the file may not grow any more.
    const log = join(logDisk.path, 'log', 'data.mdb');
    const limit = (bytes: number | 'unlimited'): void => { execFileSync('prlimit', ['--pid', String(worker.pid), `--fsize=${bytes}:unlimited`]); };
    limit(statSync(log).size + 64 * 1024);
    for (let i = 0; i < 3; i++) await changed(`limit ${i}`);
    const { trace: refused = '' } = await waits(worker, 'source', /LOG_DISK_FULL|LOG_WRITE_FAILED/);
    expect(refused).toMatch(/the task goes on by itself/);
    expect(refused).not.toMatch(/^\s+at /m);
    limit('unlimited');
    await equal();

    // The tables' disk, to the last byte: no half table, and what comes in meanwhile waits in the log.
    lakeDisk.fill(0);
    await changed('lake');
    for (const format of ['iceberg', 'delta']) {
      const { trace = '' } = await waits(worker, format, /./);
      expect(trace).toMatch(/disk/);
      expect(trace).toContain(lake);
      expect(trace).not.toMatch(/^\s+at /m);
    }
    expect((await taskOf(worker, 'source')).state).toBe('RUNNING');

    // Killed, and started again while there is still no room.
    await worker.kill();
    worker = await start();
    await changed('killed');
    await waits(worker, 'iceberg', /./);
    expect((await fetch(`${worker.rest}/health`)).status).toBe(200);
    lakeDisk.empty();
    await equal();
    expect(await worker.stop()).toBe(0);
  } finally { await worker[Symbol.asyncDispose](); }
});
