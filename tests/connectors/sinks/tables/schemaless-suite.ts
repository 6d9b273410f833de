/** What every table sink does with records without schemas (`schemas.enable=false`). */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TableSinkConfig } from '../../../../connectors/sinks/tables/options.ts';
import type { TableFormat } from '../../../../connectors/sinks/tables/table.ts';
import { openTableSink } from '../../../../connectors/sinks/tables/task.ts';
import * as types from '../../../../envelopes/logical/schemas.ts';
import type { SinkBatch, SinkTask } from '../../../../runtime/api/plugin.ts';
import { assign, bare, batchOf, contextOf, encodedBatch, type Event, never, type SourceTable } from './batches.ts';
import { tableRows } from './rows.ts';

const topic = 'cdc.public.orders';
const placeholder = '__debezium_unavailable_value';
/** Records out of JSON texts, as they lie in the log. */
function jsonBatch(records: readonly (readonly [key: string | null, value: string | null])[], firstOffset: number, raw = true): SinkBatch {
  const bytes = (text: string | null): Buffer | null => (text === null ? null : Buffer.from(text));
  return encodedBatch(topic, records.map(([key, value]) => ({ key: bytes(key), value: bytes(value) })), records.map(() => []), firstOffset, raw, bare);
}
/** An envelope with a row given as JSON text. */
function envelope(op: string, row: string | null, key: string): readonly [string, string] {
  return [key, `{"before":null,"after":${row ?? 'null'},"source":{"version":"3.6.1.Final","db":"shop","schema":"public","table":"orders"},"transaction":null,"op":"${op}","ts_ms":1}`];
}

export function describeSchemaless(format: string, formatOf: (warehouse: string) => TableFormat): void {
  describe(`${format} sink, records without schemas`, () => {
    let warehouse: string;
    beforeEach(async () => { warehouse = await mkdtemp(join(tmpdir(), 'schemaless-')); });
    afterEach(async () => { await rm(warehouse, { recursive: true, force: true }); });
    const open = (changes: Partial<TableSinkConfig> = {}): Promise<SinkTask> => openTableSink(formatOf(warehouse), { 'topics': [topic], 'topics.regex': undefined, 'warehouse': warehouse, 'table.name.format': '', 'mode': 'upsert', 'truncate.enabled': true, 'unavailable.value.placeholder': placeholder, 'commit.interval.ms': 10_000, 'commit.max.bytes': 1 << 27, 'sink.memory.bytes': 1 << 28, ...changes }, contextOf());
    const rows = (order = 'id'): Promise<readonly Readonly<Record<string, unknown>>[]> => tableRows(formatOf(warehouse), ['public', 'orders'], order);
    const columns = async (): Promise<Readonly<Record<string, string>>> => Object.fromEntries((await formatOf(warehouse).open(['public', 'orders'], never))?.columns.map(column => [column.name, column.type.kind]) ?? []);

    for (const raw of [true, false]) {
      test(`a new table takes its types from the values, a column comes with its first value (raw ${raw})`, async () => {
        await using task = await open();
        await assign(task, topic);
        await task.put(jsonBatch([
          envelope('c', '{"id":1,"name":"ann","score":1.5,"ok":true,"tags":["a",null],"later":null,"big":9007199254740993}', '{"id":1}'),
          envelope('c', '{"id":2,"name":"bob","score":2.25,"ok":null,"tags":{"x":1},"later":null,"big":1}', '{"id":2}'),
          envelope('u', '{"id":2,"name":"rob","score":3.5,"ok":false,"tags":null,"later":"now","big":2}', '{"id":2}'),
          envelope('c', '{"id":3,"name":null,"score":null,"ok":null,"tags":null,"later":null,"big":null}', '{"id":3}'),
          envelope('d', null, '{"id":3}'), ['{"id":3}', null],
        ], 0, raw), never);
        await task.flush(never);
        expect(await columns()).toEqual({ id: 'long', name: 'string', score: 'double', ok: 'boolean', tags: 'string', big: 'long', later: 'string' });
        expect((await rows()).map(row => [Number(row['id']), row['name'], row['score'], row['ok'], row['tags'], String(row['big']), row['later']])).toEqual([[1, 'ann', 1.5, true, '["a",null]', '9007199254740993', null], [2, 'rob', 3.5, false, null, '2', 'now']]);
        // Another record after a restart: the table's types rule now.
        await using again = await open();
        expect(await assign(again, topic)).toBe(6);
        await again.put(jsonBatch([envelope('u', '{"id":1,"name":7,"score":2,"ok":true,"tags":"t","later":"x","big":1}', '{"id":1}')], 6, raw), never);
        await again.flush(never);
        expect((await rows())[0]).toMatchObject({ name: '7', score: 2, tags: 't' });
      });
    }

    test('1.0 is a double and 1 is a long, where the bytes are at hand', async () => {
      await using task = await open();
      await assign(task, topic);
      await task.put(jsonBatch([envelope('c', '{"id":1,"f":1.0,"n":1}', '{"id":1}'), envelope('c', '{"id":2,"f":2.5,"n":2}', '{"id":2}')], 0), never);
      await task.flush(never);
      expect(await columns()).toEqual({ id: 'long', f: 'double', n: 'long' });
      await expect(task.put(jsonBatch([envelope('c', '{"id":3,"f":1.5,"n":2.5}', '{"id":3}')], 2), never)).rejects.toMatchObject({ code: 'TYPE_CHANGED' });
    });

    test('a table that is there says how values are read; what JSON does not tell is refused', async () => {
      const typed: SourceTable = { schema: 'public', table: 'orders', key: { id: types.INT32 }, row: { id: types.INT32, day: types.optional(types.date), at: types.optional(types.microTimestamp), zoned: types.optional(types.zonedTimestamp), amount: types.optional(types.decimal(2, 10)), uid: types.optional(types.uuid), raw: types.optional(types.BYTES), tags: types.optional(types.array(types.optional(types.STRING))) } };
      const uid = '123e4567-e89b-12d3-a456-426614174000';
      await using task = await open();
      await assign(task, topic);
      await task.put(batchOf(typed, [{ op: 'c', key: { id: 1 }, row: { id: 1, day: 19_000, at: 1_700_000_000_123_456n, zoned: '2024-01-01T00:00:00.5Z', amount: Uint8Array.of(0x04, 0xd2), uid, raw: Uint8Array.of(1, 2), tags: ['a', null] } }], 0, true), never);
      await task.put(jsonBatch([envelope('c', `{"id":2,"day":19000,"at":"2023-11-14T22:13:20.123456Z","zoned":"2024-01-01T00:00:00.5Z","amount":12.34,"uid":"${uid}","raw":"AQI=","tags":["a",null]}`, '{"id":2}'), envelope('c', '{"id":3,"day":"2022-01-08Z","at":null,"zoned":null,"amount":"-0.50","uid":null,"raw":null,"tags":[]}', '{"id":3}')], 1), never);
      await task.flush(never);
      const [first, second, third] = await rows();
      expect(second).toEqual({ ...first, id: 2 });
      expect(third).toMatchObject({ day: '2022-01-08', amount: '-0.50', tags: [] });
      const value = (row: string): Promise<void> => task.put(jsonBatch([envelope('c', row, '{"id":9}')], 3), never);
      await expect(value('{"id":9,"at":1700000000123456}')).rejects.toMatchObject({ code: 'SCHEMALESS_TYPE', hint: expect.stringContaining('time.precision.mode=isostring') as string });
      await expect(value('{"id":9,"amount":"BNI="}')).rejects.toMatchObject({ code: 'SCHEMALESS_TYPE' });
      await expect(value('{"id":9,"amount":"1234"}')).rejects.toMatchObject({ code: 'SCHEMALESS_TYPE' });
      await expect(value('{"id":9,"amount":1.234}')).rejects.toMatchObject({ code: 'TYPE_CHANGED' });
      await expect(value('{"id":9,"day":"soon"}')).rejects.toMatchObject({ code: 'TYPE_CHANGED' });
      await expect(value('[1]')).rejects.toMatchObject({ code: 'NO_AFTER' });
      await expect(task.put(jsonBatch([['{"id":9}', '5']], 3), never)).rejects.toMatchObject({ code: 'NOT_A_ROW' });
      await value('{"id":5000000000}');
      await task.flush(never);
      expect((await columns())['id']).toBe('long');
    });

    test('flattened records: rewritten deletes, tombstones alone, moved keys, and appending', async () => {
      await using task = await open();
      await assign(task, topic);
      await task.put(jsonBatch([
        ['{"id":1}', '{"id":1,"name":"a","__deleted":"false"}'], ['{"id":2}', '{"id":2,"name":"b","__deleted":"false"}'], ['{"id":3}', '{"id":3,"name":"c","__deleted":"false"}'],
        ['{"id":2}', '{"id":2,"name":"b","__deleted":"true"}'], ['{"id":3}', null], ['{"serverName":"cdc"}', '{"ts_ms":1}'],
      ], 0), never);
      await task.flush(never);
      expect((await rows()).map(row => [Number(row['id']), row['name'], row['__deleted']])).toEqual([[1, 'a', 'false']]);
      await using log = await open({ 'mode': 'append', 'table.name.format': 'public.log' });
      await assign(log, topic);
      await log.put(jsonBatch([[null, '{"id":1,"name":"a"}'], ['{"id":1}', '{"id":1,"name":"b"}'], ['{"id":1}', null]], 0), never);
      await log.flush(never);
      expect((await tableRows(formatOf(warehouse), ['public', 'log'], 'id')).map(row => row['name'])).toEqual(['a', 'b']);
    });

    test('values that the source left out stay, also in lists and maps', async () => {
      await using task = await open();
      await assign(task, topic);
      await task.put(jsonBatch([envelope('c', '{"id":1,"name":"a","note":"long","tags":["x"],"map":{"k":"v"}}', '{"id":1}')], 0), never);
      await task.flush(never);
      await task.put(jsonBatch([envelope('u', `{"id":1,"name":"b","note":"${placeholder}","tags":["${placeholder}"],"map":{"${placeholder}":"${placeholder}"}}`, '{"id":1}')], 1), never);
      await task.flush(never);
      expect(await rows()).toMatchObject([{ name: 'b', note: 'long', tags: '["x"]', map: '{"k":"v"}' }]);
    });

    test('bytes and parsed records end in the same table', async () => {
      const value = fc.oneof(fc.constantFrom('null', 'true', '-0', '1e3', `"${placeholder}"`), fc.integer().map(String), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String), fc.double({ noNaN: true, noDefaultInfinity: true }).map(number => (Number.isInteger(number) ? number.toFixed(1) : String(number))), fc.string({ unit: 'binary', maxLength: 12 }).map(text => JSON.stringify(text)));
      const kinds: Readonly<Record<string, fc.Arbitrary<string>>> = { s: fc.oneof(value, fc.constant('{"a":[1,{}]}')), n: fc.oneof(fc.constant('null'), fc.integer().map(String)), f: fc.oneof(fc.constant('null'), fc.double({ noNaN: true, noDefaultInfinity: true }).map(number => (Number.isInteger(number) ? number.toFixed(1) : String(number)))), b: fc.constantFrom('null', 'true', 'false') };
      const row = fc.record({ id: fc.nat({ max: 6 }), ...kinds, op: fc.constantFrom('c', 'u', 'd') });
      const source = { schema: 'public', table: 'orders', key: { id: types.INT64 }, row: { id: types.INT64, s: types.optional(types.STRING), n: types.optional(types.INT64), f: types.optional(types.DOUBLE), b: types.optional(types.BOOLEAN) } } satisfies SourceTable;
      const seed: Event = { op: 'c', key: { id: 99n }, row: { id: 99n, s: 'x', n: 1n, f: 0.5, b: true } };
      await fc.assert(fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 25 }), async list => {
        const results: unknown[] = [];
        for (const raw of [true, false]) {
          await rm(warehouse, { recursive: true, force: true });
          await using task = await open();
          await assign(task, topic);
          await task.put(batchOf(source, [seed], 0, raw, topic, bare), never);
          await task.put(jsonBatch(list.map(({ id, op, ...fields }) => envelope(op, op === 'd' ? null : `{"id":${id},${Object.entries(fields).map(([name, text]) => `"${name}":${text}`).join(',')}}`, `{"id":${id}}`)), 1, raw), never);
          await task.flush(never);
          results.push(await rows());
        }
        expect(results[0]).toEqual(results[1]);
      }), { numRuns: 40 });
    }, 120_000);
  });
}
