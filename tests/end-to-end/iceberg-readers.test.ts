/** Iceberg tables of the sink as PyIceberg and DuckDB read them: inserts, updates, deletes, new and wider columns, a truncate. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { icebergFormat } from '../../connectors/sinks/iceberg/table.ts';
import type { TableSinkConfig } from '../../connectors/sinks/tables/options.ts';
import { openTableSink } from '../../connectors/sinks/tables/task.ts';
import * as types from '../../envelopes/logical/schemas.ts';
import type { Value } from '../../envelopes/schema.ts';
import { assign, batchOf, contextOf, type Event, never, type SourceTable } from '../connectors/sinks/tables/batches.ts';
import { openLakeReader } from '../kit/lake-reader.ts';
import { pythonEnvironment } from '../kit/python.ts';

const PYICEBERG = `
import sys, json
from pyiceberg.table import StaticTable
table = StaticTable.from_metadata(sys.argv[1])
rows = table.scan().to_arrow().sort_by('id').to_pylist()
filtered = table.scan(row_filter=sys.argv[2]).to_arrow().num_rows
plain = lambda value: value if value is None or isinstance(value, (int, float, str, bool, list)) else str(value)
print(json.dumps({'rows': [[plain(value) for value in row.values()] for row in rows], 'filtered': filtered, 'names': [field.name for field in table.schema().fields]}))
`;
const topic = 'cdc.public.items';
const first: SourceTable = {
  schema: 'public', table: 'items', key: { id: types.INT32 },
  row: { id: types.INT32, name: types.optional(types.STRING), price: types.optional(types.decimal(2, 10)), seen: types.optional(types.microTimestamp), count: types.optional(types.INT32), tags: types.optional(types.array(types.optional(types.STRING))) },
};
const second: SourceTable = { ...first, row: { ...first.row, count: types.optional(types.INT64), extra: types.optional(types.BOOLEAN) } };
function item(id: number, name: string | null, count: Value = id): Readonly<Record<string, Value>> {
  return { id, name, price: Uint8Array.of(0x04, 0xd2), seen: 1_700_000_000_123_456n, count, tags: id % 2 === 0 ? ['even', null] : null };
}

test('PyIceberg and DuckDB read what the sink wrote', async () => {
  const python = pythonEnvironment(['pyiceberg==0.12.0', 'pyarrow==26.0.1', 'pyroaring==1.2.0']);
  using duckdb = await openLakeReader();
  const warehouse = await mkdtemp(join(tmpdir(), 'iceberg readers-'));
  const folder = join(warehouse, 'public', 'items'), metadata = join(folder, 'metadata');
  const config: TableSinkConfig = { 'topics': [topic], 'topics.regex': undefined, 'warehouse': warehouse, 'table.name.format': '', 'mode': 'upsert', 'truncate.enabled': true, 'unavailable.value.placeholder': '__debezium_unavailable_value', 'commit.interval.ms': 10_000, 'commit.max.bytes': 1 << 27, 'sink.memory.bytes': 1 << 28 };
  let offset = 0;
  const expected = new Map<number, readonly [string | null, number, boolean | null]>();
  try {
    await using task = await openTableSink(icebergFormat(warehouse), config, contextOf());
    await assign(task, topic);
    const commit = async (table: SourceTable, events: readonly Event[]): Promise<void> => {
      await task.put(batchOf(table, events, offset, true), never);
      await task.flush(never);
      offset += events.length;
    };
    const check = async (): Promise<void> => {
      const version = await readFile(join(metadata, 'version-hint.text'), 'utf8');
      const seen = python.run(PYICEBERG, [join(metadata, `v${version}.metadata.json`), 'id >= 5000 and name is not null']) as { rows: unknown[][]; filtered: number; names: string[] };
      const at = (name: string): number => seen.names.indexOf(name);
      const wanted = [...expected].sort(([a], [b]) => a - b);
      expect(seen.rows.map(row => [row[0], row[1], row[4], row[at('extra')] ?? null])).toEqual(wanted.map(([id, [name, count, extra]]) => [id, name, count, extra]));
      for (const row of seen.rows) expect(row.slice(2, 4).concat([row[5]])).toEqual(['12.34', '2023-11-14 22:13:20.123456', Number(row[0]) % 2 === 0 ? ['even', null] : null]);
      expect(seen.filtered).toBe(wanted.filter(([id, [name]]) => id >= 5000 && name !== null).length);
      const rows = await duckdb.rows(`SELECT id, name, count, price, seen${at('extra') < 0 ? '' : ', extra'} FROM ${duckdb.scan('iceberg', folder)} ORDER BY id`);
      expect(rows).toEqual(wanted.map(([id, [name, count, extra]]) => [String(id), name, String(count), '12.34', '2023-11-14 22:13:20.123456', ...(at('extra') < 0 ? [] : [extra === null ? null : String(extra)])]));
    };
    const change = (table: SourceTable, id: number, name: string | null, op: 'c' | 'u' = 'c', count: number | bigint = id, extra?: boolean): Event => {
      expected.set(id, [name, Number(count), extra ?? null]);
      return { op, key: { id }, row: { ...item(id, name, count), ...(table === second ? { extra: extra ?? null } : {}) } };
    };
    const remove = (id: number): Event => { expected.delete(id); return { op: 'd', key: { id }, row: { id } }; };

    await commit(first, Array.from({ length: 8000 }, (_, id) => change(first, id, `a name that is longer than sixteen ${id}`)));
    await check();
    // Vectors of very different size, large ones before small ones by age.
    await commit(first, [...Array.from({ length: 3000 }, (_, i) => change(first, i * 2, 'updated', 'u')), ...Array.from({ length: 300 }, (_, i) => remove(i * 2 + 1))]);
    await commit(first, [change(first, 7001, null, 'u'), change(first, 0, 'twice', 'u'), ...Array.from({ length: 100 }, (_, i) => change(first, 10_000 + i, null))]);
    await check();
    await commit(second, [change(second, 20_000, 'wide', 'c', 5_000_000_000n, true), change(second, 10_000, 'again', 'u', 1n, false)]);
    await commit(second, [remove(10_001), remove(20_000), change(second, 1, 'back', 'c', 1n)]);
    await check();
    // A file all of whose rows go.
    await commit(second, Array.from({ length: 100 }, (_, i) => remove(10_000 + i)));
    await check();
    expected.clear();
    await commit(second, [{ op: 't' }, change(second, 3, 'after', 'c', 3n)]);
    await check();
    expected.clear();
    await commit(second, [{ op: 't' }]);
    await check();
  } finally { await rm(warehouse, { recursive: true, force: true }); }
});
