/** Kills the writing process at random instants; TRIBUTARY_CRASHES says how often (default 12). */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openEmbeddedLog } from '../../../../runtime/log/embedded/embedded-log.ts';
import type { Log } from '../../../../runtime/log/log.ts';
import { splitBatch } from '../../../../runtime/log/record-batch.ts';
import { valuesOf } from '../../../kit/log-suite.ts';

const CRASHES = Number(process.env['TRIBUTARY_CRASHES'] ?? 12);
const root = join(import.meta.dirname, '../../../..');
const program = join(root, '.cache/log-crash/tests/kit/log-crash.js');
let directory: string;
beforeEach(() => { directory = mkdtempSync(join(tmpdir(), 'tributary-crash-')); });
afterEach(() => { rmSync(directory, { recursive: true, force: true }); });

/** Node 20 runs no TypeScript: the child is compiled once, by itself. */
function compile(): void {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  spawnSync(process.execPath, [tsc, '--ignoreConfig', '--noCheck', '--target', 'es2023', '--module', 'nodenext', '--rewriteRelativeImportExtensions', '--types', 'node', '--rootDir', root, '--outDir', join(root, '.cache/log-crash'), join(root, 'tests/kit/log-crash.ts'), join(root, 'tests/kit/log-disk-full.ts')], { cwd: root });
  if (!existsSync(program)) throw new Error('the child program was not compiled');
}

interface Child { readonly process: ChildProcess; readonly acked: Map<string, number>; readonly opened: Promise<unknown> }
function start(...args: readonly string[]): Child {
  const child = spawn(process.execPath, [program, directory, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const acked = new Map<string, number>();
  const lines = createInterface({ input: child.stdout });
  const opened = once(lines, 'line');
  lines.on('line', line => { const [writer = '', n] = line.split(' '); if (n !== undefined) acked.set(writer, Number(n)); });
  return { process: child, acked, opened };
}

async function check(log: Log, acked: ReadonlyMap<string, number>): Promise<void> {
  const all = await valuesOf(log, 'shared');
  expect(await log.range({ topic: 'shared', partition: 0 })).toMatchObject({ start: 0, end: all.length });
  for (const w of ['0', '1', '2']) {
    const [last] = await log.sourceOffsets(`c${w}`);
    const stored = Number(last?.offset['n'] ?? 0);
    expect(stored).toBeGreaterThanOrEqual(acked.get(w) ?? 0);
    const wanted = Array.from({ length: stored * 20 }, (_, i) => `${w}/${Math.floor(i / 20) + 1}/${i % 20}`);
    const short = (values: readonly string[]): string[] => values.map(value => value.slice(0, value.lastIndexOf('/')));
    expect(short(all.filter(value => value.startsWith(`${w}/`)))).toEqual(wanted);
    expect(short(await log.topic(`own${w}`) === undefined ? [] : await valuesOf(log, `own${w}`))).toEqual(wanted);
  }
}

/** The compacted topic, read from its start: the last value of each key is there, a deleted key is not. */
async function checkLast(log: Log): Promise<number> {
  const expected = new Map<string, string>(), seen = new Map<string, string>();
  let written = 0;
  for (const w of [0, 1, 2]) {
    const [last] = await log.sourceOffsets(`c${w}`);
    const stored = Number(last?.offset['n'] ?? 0);
    written += stored;
    for (let n = 1; n <= stored; n++) if (n % 2 === 0) expected.delete(`${w}/d`); else expected.set(n % 3 === 0 ? `${w}/d` : `${w}/${n % 5}`, String(n));
  }
  const { end } = await log.range({ topic: 'last', partition: 0 });
  expect(end).toBe(written);
  await using reader = await log.reader({ topic: 'last', partition: 0 }, 0);
  let before = -1, records = 0;
  while (reader.position < end) {
    for (const { bytes } of await reader.next(65_536, 5_000, new AbortController().signal)) {
      const split = splitBatch(bytes);
      for (let i = 0; i < split.length; i++, records++) {
        const offset = split.baseOffset + (split.offsetDelta[i] ?? 0);
        expect(offset).toBeGreaterThan(before);
        before = offset;
        const key = split.buffer.toString('utf8', split.keyStart[i], split.keyEnd[i]);
        if ((split.valueStart[i] ?? -1) < 0) seen.delete(key); else seen.set(key, split.buffer.toString('utf8', split.valueStart[i], split.valueEnd[i]));
      }
    }
  }
  expect([...seen].sort()).toEqual([...expected].sort());
  return written - records;
}

test(`after ${CRASHES} kills every acknowledged batch is there, whole and once`, async () => {
  compile();
  const acked = new Map<string, number>();
  let compacted = 0;
  for (let crash = 0; crash < CRASHES; crash++) {
    const child = start();
    await child.opened;
    await delay(Math.random() * 150); // the instant of the kill, not a wait for something
    const gone = once(child.process, 'close');
    child.process.kill('SIGKILL');
    await gone;
    for (const [writer, n] of child.acked) acked.set(writer, n);
    await using log = await openEmbeddedLog(directory, { mode: 'reader' });
    if (await log.topic('shared') !== undefined) await check(log, acked);
    if (await log.topic('last') !== undefined) compacted = Math.max(compacted, await checkLast(log));
  }
  expect(compacted).toBeGreaterThan(0);
  expect([...acked.values()].reduce((sum, n) => sum + n, 0)).toBeGreaterThan(0);
}, 60_000 + CRASHES * 5_000);

test('a second writing process is refused with the first one named, a reader is not', async () => {
  compile();
  const child = start('hold');
  await child.opened;
  try {
    await expect(openEmbeddedLog(directory, { mode: 'writer' })).rejects.toMatchObject({ name: 'ConfigError', code: 'LOG_IN_USE', message: expect.stringContaining(String(child.process.pid)) as string });
    await using reader = await openEmbeddedLog(directory, { mode: 'reader' });
    expect(await reader.topics()).toEqual([]);
  } finally {
    const gone = once(child.process, 'close');
    child.process.kill('SIGKILL');
    await gone;
  }
  {
    await using log = await openEmbeddedLog(directory, { mode: 'writer' });
    expect(await log.topics()).toEqual([]);
    const refused = start('hold');
    expect((await once(refused.process, 'close'))[0]).toBe(1);
  }
  // This process goes on, but has closed the log: another one may have it.
  const next = start('hold');
  await next.opened;
  const ended = once(next.process, 'close');
  next.process.kill('SIGKILL');
  await ended;
}, 60_000);

const MEGABYTE = 1024 * 1024;
/** A file system of 128 MB that the child alone sees; `unshare` gives it without root as well. */
const onSmallDisk = (command: string): readonly string[] => ['-c', `mount -t tmpfs -o size=128m tmpfs "$0" && exec ${command}`];
const namespaces = process.getuid?.() === 0 ? ['--mount'] : ['--user', '--map-root-user', '--mount'];
const canMount = spawnSync('unshare', [...namespaces, 'true']).status === 0;

test.runIf(canMount)('a full disk: a clear error, nothing half written, nothing lost, and on it goes when there is room', () => {
  compile();
  const { stdout, stderr, status } = spawnSync('unshare', [...namespaces, 'sh', ...onSmallDisk(`"${process.execPath}" "${join(root, '.cache/log-crash/tests/kit/log-disk-full.js')}" "$0"`), directory], { encoding: 'utf8', timeout: 120_000 });
  expect([status, stderr.includes('UnhandledPromiseRejection')], stderr).toEqual([0, false]);
  const facts = JSON.parse(stdout) as Record<string, unknown>;
  // Refused before the disk is full to the last byte: other programs need it too.
  expect(facts).toMatchObject({ refused: 'RetriableError LOG_DISK_FULL', stateBeforeFull: 'done', appendOnFull: 'RetriableError LOG_DISK_FULL', healed: 'done', stateHealed: 'done', k: '2', unhandled: [] });
  expect(facts['spare']).toBeGreaterThan(60 * MEGABYTE);
  expect(facts['left']).toBeLessThan(MEGABYTE);
  expect(facts['state']).toEqual(['RetriableError LOG_DISK_FULL']);
  expect([facts['readable'], facts['acked'], facts['end'], facts['offset']]).toEqual([facts['ackedAtFull'], Number(facts['ackedAtFull']) + 1, facts['acked'], facts['acked']]);
  expect(facts['reused']).toEqual(['done']);
}, 150_000);
