/**
 * The file system fails, or the process dies, at every single step of a table commit: each call that changes something on
 * disk is a step, counted on a run that goes well. A process that dies does nothing more, so from that step on no call has
 * an effect or an answer. Whatever the step, the table is what it was before or what it is after, and so is its token; a new
 * task goes on from there and ends in the right rows.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { deltaFormat } from '../../connectors/sinks/delta/table.ts';
import { icebergFormat } from '../../connectors/sinks/iceberg/table.ts';
import type { TableFormat } from '../../connectors/sinks/tables/table.ts';
import { openTableSink } from '../../connectors/sinks/tables/task.ts';
import * as types from '../../envelopes/logical/schemas.ts';
import type { SinkTask } from '../../runtime/api/plugin.ts';
import { assign, batchOf, contextOf, type Event, never, type SourceTable } from '../connectors/sinks/tables/batches.ts';
import { tableRows } from '../connectors/sinks/tables/rows.ts';

type Fault = 'none' | 'dies' | 'refuses' | 'does and fails';
const disk = vi.hoisted(() => ({ step: 0, at: Infinity, fault: 'none' as string, log: [] as string[] }));

vi.mock('node:fs/promises', async original => {
  const real = await original<Record<string, unknown>>();
  const failure = (name: string): Error => Object.assign(new Error(`EIO: ${name}`), { code: 'EIO' });
  const step = async (name: string, act: () => Promise<unknown>, dead?: () => Promise<unknown>): Promise<unknown> => {
    if (disk.fault === 'none') { disk.log.push(name); return act(); }
    const at = ++disk.step;
    if (disk.fault === 'dies' && at >= disk.at) { await dead?.(); return new Promise(() => { /* Nobody is there to hear of it. */ }); }
    if (at !== disk.at) return act();
    if (disk.fault === 'does and fails') await act();
    throw failure(name);
  };
  const changing = (name: string): ((...args: unknown[]) => Promise<unknown>) => (...args) => step(name, () => (real[name] as (...list: unknown[]) => Promise<unknown>)(...args));
  const open = async (...args: unknown[]): Promise<unknown> => {
    const handle = await (real['open'] as (...list: unknown[]) => Promise<object>)(...args);
    return new Proxy(handle, { get: (target, name) => {
      const member = Reflect.get(target, name) as unknown;
      if (typeof member !== 'function') return member;
      const bound = member.bind(target) as (...list: unknown[]) => Promise<unknown>;
      return name === 'sync' || name === 'writeFile' ? (...list: unknown[]) => step(`handle.${name}`, () => bound(...list), () => (Reflect.get(target, 'close') as () => Promise<void>).call(target)) : bound;
    } });
  };
  return { ...real, open, mkdir: changing('mkdir'), writeFile: changing('writeFile'), link: changing('link'), rename: changing('rename'), unlink: changing('unlink') };
});
function arm(fault: Fault, at: number): void { disk.fault = fault; disk.at = at; disk.step = 0; disk.log = []; }

const topic = 'cdc.public.orders';
const orders: SourceTable = { schema: 'public', table: 'orders', key: { id: types.INT32 }, row: { id: types.INT32, name: types.optional(types.STRING) } };
const write = (op: 'c' | 'u', id: number, name: string): Event => ({ op, key: { id }, row: { id, name } });
const remove = (id: number): Event => ({ op: 'd', key: { id }, row: { id } });
/** In the long run as many commits before as make the next one the largest: a checkpoint in Delta, merged position deletes in Iceberg 2. */
const prepared: readonly (readonly Event[])[] = [
  Array.from({ length: 40 }, (_, id) => write('c', id, 'first')),
  ...Array.from({ length: 15 }, (_, i) => [write('u', i, `second ${i}`), remove(20 + i)]), ...Array.from({ length: 3 }, (_, i) => [write('u', 1, `third ${i}`)]),
].slice(0, process.env['TRIBUTARY_LONG'] === '1' ? undefined : 3);
const change: readonly Event[] = [write('u', 0, 'new'), write('u', 39, 'new'), remove(5), write('c', 100, 'new'), write('u', 100, 'newer')];

function rowsAfter(events: readonly Event[]): readonly (readonly unknown[])[] {
  const rows = new Map<number, unknown>();
  for (const { op, key, row } of events) { const id = Number(key?.['id']); if (op === 'd') rows.delete(id); else rows.set(id, row?.['name']); }
  return [...rows].sort(([a], [b]) => a - b);
}

const formats: readonly (readonly [name: string, formatOf: (warehouse: string) => TableFormat])[] = [['iceberg', warehouse => icebergFormat(warehouse)], ['iceberg format version 2', warehouse => icebergFormat(warehouse, { version: 2 })], ['delta', deltaFormat]];

for (const [name, formatOf] of formats) {
  describe(`${name}: a commit that is broken off`, () => {
    let home: string, warehouse: string;
    const tasks: SinkTask[] = [];
    beforeEach(async () => { arm('none', Infinity); home = await mkdtemp(join(tmpdir(), 'crash-matrix-')); warehouse = join(home, 'warehouse'); });
    afterEach(async () => { arm('none', Infinity); for (const task of tasks.splice(0)) await task[Symbol.asyncDispose](); await rm(home, { recursive: true, force: true }); });

    const open = async (): Promise<{ readonly task: SinkTask; readonly from: number }> => {
      const task = await openTableSink(formatOf(warehouse), { 'topics': [topic], 'topics.regex': undefined, 'warehouse': warehouse, 'table.name.format': '', 'mode': 'upsert', 'truncate.enabled': true, 'unavailable.value.placeholder': 'x', 'commit.interval.ms': 10_000, 'commit.max.bytes': 1 << 27, 'sink.memory.bytes': 1 << 26 }, contextOf());
      tasks.push(task);
      return { task, from: await assign(task, topic) ?? 0 };
    };
    const rows = async (): Promise<unknown> => (await tableRows(formatOf(warehouse), ['public', 'orders'], 'id')).map(row => [row['id'], row['name']]);
    const deliver = async (task: SinkTask, events: readonly Event[], from: number): Promise<void> => { await task.put(batchOf(orders, events.slice(from), from, true), never); await task.flush(never); };
    /** Builds the table that the steps are tried on: empty, or with a history. Returns the events in it. */
    const prepare = async (commits: readonly (readonly Event[])[]): Promise<readonly Event[]> => {
      let from = 0;
      for (const events of commits) {
        const { task } = await open();
        await task.put(batchOf(orders, events, from, true), never);
        await task.flush(never);
        from += events.length;
        for (const one of tasks.splice(0)) await one[Symbol.asyncDispose]();
      }
      if (commits.length > 0) await cp(warehouse, join(home, 'template'), { recursive: true });
      return commits.flat();
    };
    const restore = async (): Promise<void> => {
      arm('none', Infinity);
      await rm(warehouse, { recursive: true, force: true });
      await cp(join(home, 'template'), warehouse, { recursive: true }).catch((error: NodeJS.ErrnoException) => { if (error.code !== 'ENOENT') throw error; });
    };
    /** Steps of `put` and `flush` when all goes well. */
    const stepsOf = async (all: readonly Event[]): Promise<readonly string[]> => {
      const { task, from } = await open();
      arm('none', Infinity);
      await deliver(task, all, from);
      return [...disk.log];
    };

    for (const [what, commits] of [['a new table', []], ['a table with a history', prepared]] as const) {
      test(`${what}: dies at each step`, async () => {
        const before = await prepare(commits), all = [...before, ...change], steps = await stepsOf(all);
        // A table that is there has its folders.
        expect(steps.length, steps.join(' ')).toBeGreaterThan(commits.length > 0 ? 6 : 8);
        for (let at = 1; at <= steps.length; at++) {
          await restore();
          const { task, from } = await open();
          arm('dies', at);
          // The first of the two: what dies never answers.
          await Promise.race([deliver(task, all, from).then(() => { throw new Error('did not die'); }), vi.waitUntil(() => disk.step >= at, { timeout: 20_000, interval: 1 })]);
          arm('none', Infinity);
          const found = JSON.stringify(await rows()), old = JSON.stringify(rowsAfter(before)), fresh = JSON.stringify(rowsAfter(all));
          expect([old, fresh], `rows after step ${at} (${steps[at - 1] ?? ''})`).toContain(found);
          const again = await open();
          expect(again.from, `token after step ${at}`).toBe(found === fresh ? all.length : before.length);
          await deliver(again.task, all, again.from);
          expect(await rows()).toEqual(rowsAfter(all));
          for (const one of tasks.splice(0)) await one[Symbol.asyncDispose]();
        }
      }, 240_000);

      test(`${what}: each step fails, with and without having been done`, async () => {
        const before = await prepare(commits), all = [...before, ...change], steps = await stepsOf(all);
        for (const fault of ['refuses', 'does and fails'] as const) {
          for (let at = 1; at <= steps.length; at++) {
            await restore();
            const { task, from } = await open();
            arm(fault, at);
            const failed = await deliver(task, all, from).then(() => undefined, (error: unknown) => error as Error & { code: string; hint?: string });
            arm('none', Infinity);
            if (failed !== undefined) {
              // An error says what to do, and the same task can try again.
              expect(failed, `step ${at} (${steps[at - 1] ?? ''}) ${fault}`).toMatchObject({ code: expect.stringMatching(/^[A-Z_]+$/) as string, hint: expect.any(String) as string });
              await task.flush(never);
            }
            const { from: token, task: again } = await open();
            await deliver(again, all, token);
            expect(await rows(), `rows after step ${at} (${steps[at - 1] ?? ''}) ${fault}`).toEqual(rowsAfter(all));
            for (const one of tasks.splice(0)) await one[Symbol.asyncDispose]();
          }
        }
      }, 240_000);
    }
  });
}
