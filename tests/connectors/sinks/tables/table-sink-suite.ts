/** What every table sink has to do, whatever the format. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as types from '../../../../envelopes/logical/schemas.ts';
import type { SinkTask } from '../../../../runtime/api/plugin.ts';
import type { TableSinkConfig } from '../../../../connectors/sinks/tables/options.ts';
import type { CommitOutcome, LakeTable, TableFormat } from '../../../../connectors/sinks/tables/table.ts';
import { openTableSink } from '../../../../connectors/sinks/tables/task.ts';
import { assign, batchOf, contextOf, type Event, never, type SourceTable } from './batches.ts';
import { tableRows } from './rows.ts';

const orders: SourceTable = {
  schema: 'public', table: 'orders', key: { id: types.INT32 },
  row: { id: types.INT32, customer: types.optional(types.STRING), amount: types.optional(types.decimal(2, 10)), note: types.optional(types.STRING), at: types.optional(types.microTimestamp) },
};
const topic = 'cdc.public.orders';
const order = (id: number, customer: string | null, note: string | null = null) => ({ id, customer, amount: Uint8Array.of(0x04, 0xd2), note, at: 1_700_000_000_000_000n });
const write = (op: 'c' | 'u' | 'r', id: number, customer: string | null, note: string | null = null): Event => ({ op, key: { id }, row: order(id, customer, note) });
const remove = (id: number): readonly Event[] => [{ op: 'd', key: { id }, row: { id } }, { op: 'tombstone', key: { id } }];


/** The format with a commit that goes wrong in the given way. */
function faulty(format: TableFormat, around: (commit: () => Promise<CommitOutcome>) => Promise<CommitOutcome>): TableFormat {
  const wrap = (table: LakeTable): LakeTable => new Proxy(table, { get: (target, name) => {
    if (name === 'commit') return (...args: Parameters<LakeTable['commit']>) => around(() => target.commit(...args));
    const member: unknown = Reflect.get(target, name, target);
    return typeof member === 'function' ? member.bind(target) as unknown : member;
  } });
  return { ...format, openOrCreate: async (definition, signal) => wrap(await format.openOrCreate(definition, signal)), open: async (name, signal) => { const table = await format.open(name, signal); return table === undefined ? undefined : wrap(table); } };
}

/** `formatOf` opens the format over a warehouse folder. */
export function describeTableSink(format: string, formatOf: (warehouse: string) => TableFormat): void {
  describe(`${format} sink`, () => {
    let warehouse: string;
    beforeEach(async () => { warehouse = await mkdtemp(join(tmpdir(), 'delta-sink-')); });
    afterEach(async () => { await rm(warehouse, { recursive: true, force: true }); });

    function config(changes: Partial<TableSinkConfig> = {}): TableSinkConfig {
      return { 'topics': [topic], 'topics.regex': undefined, 'warehouse': warehouse, 'table.name.format': '', 'mode': 'upsert', 'truncate.enabled': true, 'unavailable.value.placeholder': '__debezium_unavailable_value', 'commit.interval.ms': 10_000, 'commit.max.bytes': 1 << 27, 'sink.memory.bytes': 1 << 28, ...changes };
    }
    const open = (changes: Partial<TableSinkConfig> = {}, format = formatOf(warehouse)): Promise<SinkTask> => openTableSink(format, config(changes), contextOf());
    const rows = (): Promise<readonly Readonly<Record<string, unknown>>[]> => tableRows(formatOf(warehouse), ['public', 'orders'], 'id');
    const names = async (): Promise<unknown> => (await rows()).map(row => [row['id'], row['customer']]);

    for (const raw of [false, true]) {
      test(`inserts, updates, deletes and key changes over several commits end in the source's rows (raw ${raw})`, async () => {
        await using task = await open();
        expect(await assign(task, topic)).toBe(0);
        await task.put(batchOf(orders, [write('r', 1, 'ann'), write('r', 2, 'bob'), write('c', 3, 'eve'), write('u', 3, 'eva')], 0, raw), never);
        await task.flush(never);
        expect(await names()).toEqual([[1, 'ann'], [2, 'bob'], [3, 'eva']]);
        await task.put(batchOf(orders, [write('u', 1, 'anna'), ...remove(2), write('c', 4, null), ...remove(3), write('c', 30, 'eva')], 4, raw), never);
        await task.flush(never);
        expect(await names()).toEqual([[1, 'anna'], [4, null], [30, 'eva']]);
        await task.put(batchOf(orders, [write('c', 2, 'back'), ...remove(2), ...remove(99), write('u', 30, 'x'), write('u', 30, 'y')], 11, raw), never);
        await task.flush(never);
        expect(await names()).toEqual([[1, 'anna'], [4, null], [30, 'y']]);
        expect((await rows())[0]).toEqual({ id: 1, customer: 'anna', amount: '12.34', note: null, at: '2023-11-14 22:13:20' });
      });

      test(`a value that the source left out stays as it is (raw ${raw})`, async () => {
        const placeholder = '__debezium_unavailable_value';
        await using task = await open();
        await assign(task, topic);
        await task.put(batchOf(orders, [write('c', 1, 'ann', 'long'), write('c', 2, 'bob', 'longer'), write('c', 5, 'five', 'fifth')], 0, raw), never);
        await task.put(batchOf(orders, [write('u', 1, 'anna', placeholder)], 3, raw), never);
        await task.flush(never);
        await task.put(batchOf(orders, [
          write('u', 1, 'anne', placeholder), write('u', 2, 'rob', placeholder), write('u', 2, 'robert', placeholder), ...remove(5),
          { ...write('c', 50, 'five', placeholder), headers: [{ name: '__debezium.oldkey', schema: types.struct({ id: types.INT32 }), value: { schema: types.struct({ id: types.INT32 }), values: [5] } }] },
        ], 4, raw), never);
        await task.flush(never);
        expect((await rows()).map(row => [row['id'], row['customer'], row['note']])).toEqual([[1, 'anne', 'long'], [2, 'robert', 'longer'], [50, 'five', 'fifth']]);
      });
    }

    test('a restart resumes from the table, a new topic or epoch does not', async () => {
      {
        await using task = await open();
        await assign(task, topic);
        await task.put(batchOf(orders, [write('c', 1, 'ann'), write('c', 2, 'bob')], 0, false), never);
        await task.flush(never);
      }
      await using again = await open();
      expect(await assign(again, topic)).toBe(2);
      // The same records once more change nothing, new ones do, and the index is rebuilt.
      await again.put(batchOf(orders, [write('c', 1, 'old'), write('c', 2, 'old'), write('u', 1, 'new'), ...remove(2)], 0, false), never);
      await again.flush(never);
      expect(await names()).toEqual([[1, 'new']]);
      await using other = await open();
      expect(await assign(other, topic, { topicId: 'topic-2' })).toBeUndefined();
      expect(await assign(other, topic, { epoch: 1 })).toBeUndefined();
    });

    test('truncate empties the table, or not when switched off', async () => {
      await using task = await open();
      await assign(task, topic);
      await task.put(batchOf(orders, [write('c', 1, 'ann'), write('c', 2, 'bob')], 0, false), never);
      await task.flush(never);
      await task.put(batchOf(orders, [write('c', 3, 'gone'), { op: 't' }, write('c', 1, 'new')], 2, false), never);
      await task.flush(never);
      expect(await names()).toEqual([[1, 'new']]);
      await using keep = await open({ 'truncate.enabled': false });
      await assign(keep, topic);
      await keep.put(batchOf(orders, [{ op: 't' }], 5, false), never);
      await keep.flush(never);
      expect(await names()).toEqual([[1, 'new']]);
    });

    test('a new nullable column appears, a changed type fails with what to do', async () => {
      await using task = await open();
      await assign(task, topic);
      await task.put(batchOf(orders, [write('c', 1, 'ann')], 0, true), never);
      const wider: SourceTable = { ...orders, row: { ...orders.row, tags: types.optional(types.array(types.optional(types.STRING))) } };
      await task.put(batchOf(wider, [{ op: 'c', key: { id: 2 }, row: { ...order(2, 'bob'), tags: ['a', null] } }], 1, true), never);
      await task.put(batchOf(orders, [write('u', 1, 'anna')], 2, true), never);
      await task.flush(never);
      expect((await rows()).map(row => [row['id'], row['customer'], row['tags']])).toEqual([[1, 'anna', null], [2, 'bob', ['a', null]]]);
      const changed: SourceTable = { ...orders, row: { ...orders.row, customer: types.optional(types.array(types.STRING)) } };
      const columns: SourceTable = { ...orders, row: { ...orders.row, amount: types.optional(types.BOOLEAN) } };
      await expect(task.put(batchOf(columns, [{ op: 'c', key: { id: 3 }, row: { id: 3, amount: true } }], 3, true), never)).rejects.toMatchObject({ code: 'TYPE_CHANGED' });
      await expect(task.put(batchOf(changed, [{ op: 'c', key: { id: 3 }, row: { id: 3, customer: ['x'] } }], 3, true), never)).rejects.toMatchObject({ code: 'TYPE_CHANGED' });
    });

    test('records without a key need append mode, which adds every row', async () => {
      const keyless: SourceTable = { ...orders, key: undefined };
      await using strict = await open();
      await assign(strict, topic);
      await expect(strict.put(batchOf(keyless, [write('c', 1, 'ann')], 0, false), never)).rejects.toMatchObject({ code: 'KEYLESS_TABLE' });
      await using task = await open({ mode: 'append' });
      await assign(task, topic);
      await task.put(batchOf(keyless, [write('c', 1, 'ann'), write('u', 1, 'anna'), { op: 'd', row: { id: 1 } }], 0, false), never);
      await task.flush(never);
      expect(await names()).toEqual([[1, 'ann'], [1, 'anna']]);
    });

    test('any order of changes, commits and restarts ends in the same rows as at the source', async () => {
      const placeholder = '__debezium_unavailable_value';
      const step = fc.oneof(
        { weight: 20, arbitrary: fc.record({ what: fc.constantFrom('write', 'write', 'write', 'delete', 'move', 'partial'), id: fc.nat({ max: 12 }), other: fc.nat({ max: 12 }), text: fc.string({ maxLength: 5 }) }) },
        { weight: 4, arbitrary: fc.record({ what: fc.constantFrom('flush', 'restart', 'truncate'), id: fc.constant(0), other: fc.constant(0), text: fc.constant('') }) },
      );
      await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.boolean(), async (steps, raw) => {
        await rm(warehouse, { recursive: true, force: true });
        const model = new Map<number, { customer: string; note: string }>(), log: Event[] = [];
        let task = await open();
        await assign(task, topic);
        let from = 0;
        const deliver = async (): Promise<void> => { if (log.length > from) await task.put(batchOf(orders, log.slice(from), from, raw), never); from = log.length; };
        for (const { what, id, other, text } of steps) {
          const row = model.get(id);
          if (what === 'write' || (what === 'partial' && row === undefined)) { log.push(write(row === undefined ? 'c' : 'u', id, text, `${text}!`)); model.set(id, { customer: text, note: `${text}!` }); }
          else if (what === 'partial' && row !== undefined) { log.push(write('u', id, text, placeholder)); model.set(id, { customer: text, note: row.note }); }
          else if (what === 'delete') { log.push(...remove(id)); model.delete(id); }
          else if (what === 'move' && row !== undefined && !model.has(other)) {
            log.push(...remove(id), { ...write('c', other, text, placeholder), headers: [{ name: '__debezium.oldkey', schema: types.struct({ id: types.INT32 }), value: { schema: types.struct({ id: types.INT32 }), values: [id] } }] });
            model.delete(id);
            model.set(other, { customer: text, note: row.note });
          }
          else if (what === 'truncate') { log.push({ op: 't' }); model.clear(); }
          else if (what === 'flush') { await deliver(); await task.flush(never); }
          else if (what === 'restart') {
            await deliver();
            await task[Symbol.asyncDispose]();
            task = await open();
            from = await assign(task, topic) ?? 0;
          }
        }
        await deliver();
        await task.flush(never);
        await task[Symbol.asyncDispose]();
        expect((await rows()).map(row => [row['id'], row['customer'], row['note']])).toEqual([...model].sort(([a], [b]) => a - b).map(([id, row]) => [id, row.customer, row.note]));
      }), { numRuns: 25 });
    }, 120_000);

    for (const width of ['long', 'text and int'] as const) {
      test(`a null in the key is a value like any other (${width})`, async () => {
        const key = width === 'long' ? { id: types.optional(types.INT64) } : { code: types.optional(types.STRING), id: types.optional(types.INT32) };
        const loose: SourceTable = { schema: 'public', table: 'orders', key, row: { ...key, customer: types.optional(types.STRING) } };
        const at = (id: number | null, customer: string, op: 'c' | 'u' | 'd' = 'c'): Event => {
          const values = width === 'long' ? { id: id === null ? null : BigInt(id) } : { code: id === null ? null : 'x', id };
          return { op, key: values, row: { ...values, customer } };
        };
        for (const raw of [true, false]) {
          await rm(warehouse, { recursive: true, force: true });
          await using task = await open();
          await assign(task, topic);
          await task.put(batchOf(loose, [at(0, 'zero'), at(null, 'none'), at(1, 'one'), at(null, 'still none', 'u')], 0, raw), never);
          await task.flush(never);
          const seen = async (): Promise<unknown> => (await rows()).map(row => [row['id'] === null ? null : Number(row['id']), row['customer']]).sort();
          expect(await seen()).toEqual([[null, 'still none'], [0, 'zero'], [1, 'one']]);
          await using again = await open();
          await assign(again, topic);
          await again.put(batchOf(loose, [at(null, 'other', 'u'), at(0, 'nought', 'u')], 4, raw), never);
          await again.flush(never);
          expect(await seen()).toEqual([[null, 'other'], [0, 'nought'], [1, 'one']]);
          await again.put(batchOf(loose, [at(null, '', 'd'), at(1, '', 'd')], 6, raw), never);
          await again.flush(never);
          expect(await seen()).toEqual([[0, 'nought']]);
        }
      });
    }

    test('an index that does not fit is replaced by scans', async () => {
      const text: SourceTable = { schema: 'public', table: 'orders', key: { code: types.STRING, id: types.INT64 }, row: { code: types.STRING, id: types.INT64, customer: types.optional(types.STRING) } };
      for (const memory of [1 << 28, 20_000]) {
        await rm(warehouse, { recursive: true, force: true });
        await using task = await open({ 'sink.memory.bytes': memory });
        await assign(task, topic);
        const event = (op: 'c' | 'u', id: number, customer: string): Event => ({ op, key: { code: `k${id % 7}`, id: BigInt(id) }, row: { code: `k${id % 7}`, id: BigInt(id), customer } });
        await task.put(batchOf(text, Array.from({ length: 3000 }, (_, id) => event('c', id, 'first')), 0, true), never);
        await task.flush(never);
        await task.put(batchOf(text, [...Array.from({ length: 1000 }, (_, id) => event('u', id * 3, 'second')), { op: 'd', key: { code: 'k1', id: 1n } }], 3000, true), never);
        await task.flush(never);
        await task.put(batchOf(text, [...Array.from({ length: 10 }, (_, id) => event('u', id * 3, 'third'))], 5000, true), never);
        await task.flush(never);
        const all = await tableRows(formatOf(warehouse), ['public', 'orders'], 'id');
        expect(all.length).toBe(2999);
        expect(all.filter(row => row['customer'] === 'second').length).toBe(990);
        expect(all.filter(row => row['customer'] === 'third').length).toBe(10);
      }
    });

    test('a commit that others overtook is planned again', async () => {
      await using first = await openTableSink(formatOf(warehouse), config(), contextOf('one'));
      await using second = await openTableSink(formatOf(warehouse), config(), contextOf('two'));
      await assign(first, topic);
      await first.put(batchOf(orders, [write('c', 1, 'ann')], 0, false), never);
      await first.flush(never);
      await assign(second, topic);
      await second.put(batchOf(orders, [write('u', 1, 'from two')], 0, false), never);
      await second.flush(never);
      await first.put(batchOf(orders, [write('u', 1, 'from one'), write('c', 2, 'bob')], 1, false), never);
      await first.flush(never);
      expect(await names()).toEqual([[1, 'from one'], [2, 'bob']]);
    });

    test('a widened column keeps its old values and takes wider ones', async () => {
      const narrow: SourceTable = { ...orders, row: { id: types.INT32, n: types.optional(types.INT32), f: types.optional(types.FLOAT), d: types.optional(types.decimal(2, 6)) } };
      const wide: SourceTable = { ...orders, row: { id: types.INT32, n: types.optional(types.INT64), f: types.optional(types.DOUBLE), d: types.optional(types.decimal(2, 20)) } };
      const hundred = Uint8Array.of(0x27, 0x10);
      await using task = await open();
      await assign(task, topic);
      await task.put(batchOf(narrow, [1, 2, 3].map((id): Event => ({ op: 'c', key: { id }, row: { id, n: id * 10, f: 0.5, d: hundred } })), 0, true), never);
      await task.flush(never);
      await task.put(batchOf(narrow, remove(2), 3, true), never);
      await task.flush(never);
      await task.put(batchOf(wide, [{ op: 'c', key: { id: 4 }, row: { id: 4, n: 5_000_000_000n, f: 0.1, d: Uint8Array.of(0x0d, 0xe0, 0xb6, 0xb3, 0xa7, 0x64, 0x00, 0x00) } }, { op: 'u', key: { id: 3 }, row: { id: 3, n: 1n, f: 1, d: null } }], 5, true), never);
      await task.flush(never);
      expect((await rows()).map(row => [row['id'], String(row['n']), row['f'], row['d']])).toEqual([[1, '10', 0.5, '100.00'], [3, '1', 1, null], [4, '5000000000', 0.1, '10000000000000000.00']]);
    });

    for (const arrived of [true, false]) {
      test(`a commit of unknown outcome is looked up before anything else (it had arrived: ${arrived})`, async () => {
        let calls = 0;
        const doubtful = faulty(formatOf(warehouse), async commit => {
          calls++;
          if (calls > 1) return commit();
          if (arrived) await commit();
          return 'unknown';
        });
        await using task = await open({}, doubtful);
        await assign(task, topic);
        await task.put(batchOf(orders, [write('c', 1, 'ann'), write('c', 2, 'bob')], 0, false), never);
        await task.flush(never);
        expect(calls).toBe(arrived ? 1 : 2);
        expect(await names()).toEqual([[1, 'ann'], [2, 'bob']]);
        await task.put(batchOf(orders, [write('u', 2, 'rob')], 2, false), never);
        await task.flush(never);
        expect(await names()).toEqual([[1, 'ann'], [2, 'rob']]);
      });
    }

    test('a bad record leaves those before it, and is offered again alone', async () => {
      await using task = await open();
      await assign(task, topic);
      const bad: Event = { op: 'c', key: { id: 2 }, row: { ...order(2, 'bob'), amount: Uint8Array.of(0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff) } };
      const events = [write('c', 1, 'ann'), bad, write('c', 3, 'eve')];
      await expect(task.put(batchOf(orders, events, 0, true), never)).rejects.toMatchObject({ code: 'VALUE_MISFIT' });
      for (const [i, event] of events.entries()) await task.put(batchOf(orders, [event], i, true), never).catch((error: unknown) => { if (i !== 1) throw error; });
      await task.flush(never);
      expect(await names()).toEqual([[1, 'ann'], [3, 'eve']]);
    });
  });
}
