/** Changes of every kind against one table, in commits, and the rows that have to be there after each. */
import type { TableSinkConfig } from '../../connectors/sinks/tables/options.ts';
import type { TableFormat } from '../../connectors/sinks/tables/table.ts';
import { openTableSink } from '../../connectors/sinks/tables/task.ts';
import * as types from '../../envelopes/logical/schemas.ts';
import type { SinkTask } from '../../runtime/api/plugin.ts';
import { assign, batchOf, contextOf, type Event, never, type SourceTable } from '../connectors/sinks/tables/batches.ts';

const topic = 'cdc.public.items';
const first: SourceTable = {
  schema: 'public', table: 'items', key: { id: types.INT32 },
  row: { id: types.INT32, name: types.optional(types.STRING), price: types.optional(types.decimal(2, 10)), seen: types.optional(types.microTimestamp), count: types.optional(types.INT32), tags: types.optional(types.array(types.optional(types.STRING))) },
};
/** The same after a column was widened and one was added. */
const second: SourceTable = { ...first, row: { ...first.row, count: types.optional(types.INT64), extra: types.optional(types.BOOLEAN) } };

/** What has to be read, `extra` null where the column is missing still: [id, name, price, seen, count, tags, extra]. */
export type Item = readonly [number, string | null, string, string, number, readonly (string | null)[] | null, boolean | null];
export type Check = (expected: readonly Item[], hasExtra: boolean) => Promise<void>;

export function sinkConfig(warehouse: string, changes: Partial<TableSinkConfig> = {}): TableSinkConfig {
  return { 'topics': [topic], 'topics.regex': undefined, 'warehouse': warehouse, 'table.name.format': '', 'mode': 'upsert', 'truncate.enabled': true, 'unavailable.value.placeholder': '__debezium_unavailable_value', 'commit.interval.ms': 10_000, 'commit.max.bytes': 1 << 27, 'sink.memory.bytes': 1 << 28, ...changes };
}

/** Runs the changes; `check` is called at six points. The table is `public.items` below the warehouse. */
export async function runScenario(warehouse: string, formatOf: () => TableFormat, check: Check): Promise<void> {
  const expected = new Map<number, readonly [name: string | null, count: number, extra: boolean | null]>();
  let offset = 0, task: SinkTask | undefined;
  const open = async (): Promise<void> => {
    await task?.[Symbol.asyncDispose]();
    task = await openTableSink(formatOf(), sinkConfig(warehouse), contextOf());
    offset = await assign(task, topic) ?? 0;
  };
  const commit = async (table: SourceTable, events: readonly Event[]): Promise<void> => {
    await task?.put(batchOf(table, events, offset, true), never);
    await task?.flush(never);
    offset += events.length;
  };
  const verify = (hasExtra: boolean): Promise<void> => check([...expected].sort(([a], [b]) => a - b).map(([id, [name, count, extra]]): Item => [id, name, '12.34', '2023-11-14 22:13:20.123456', count, id % 2 === 0 ? ['even', null] : null, extra]), hasExtra);
  const change = (table: SourceTable, id: number, name: string | null, op: 'c' | 'u' = 'c', count: number | bigint = id, extra: boolean | null = null): Event => {
    expected.set(id, [name, Number(count), extra]);
    return { op, key: { id }, row: { id, name, price: Uint8Array.of(0x04, 0xd2), seen: 1_700_000_000_123_456n, count, tags: id % 2 === 0 ? ['even', null] : null, ...(table === second ? { extra } : {}) } };
  };
  const remove = (id: number): Event => { expected.delete(id); return { op: 'd', key: { id }, row: { id } }; };
  const times = <T>(length: number, make: (i: number) => T): T[] => Array.from({ length }, (_, i) => make(i));
  try {
    await open();
    await commit(first, times(8000, id => change(first, id, `a name that is longer than sixteen ${id}`)));
    await verify(false);
    // Deletions of very different size, large ones before small ones by age.
    await commit(first, [...times(3000, i => change(first, i * 2, 'updated', 'u')), ...times(300, i => remove(i * 2 + 1))]);
    await commit(first, [change(first, 7001, null, 'u'), change(first, 0, 'twice', 'u'), ...times(100, i => change(first, 10_000 + i, null))]);
    await verify(false);
    await commit(second, [change(second, 20_000, 'wide', 'c', 5_000_000_000n, true), change(second, 10_000, 'again', 'u', 1n, false)]);
    // A key that moves: the old row goes, the new one comes.
    await commit(second, [remove(10_001), remove(20_000), change(second, 1, 'back', 'c', 1n), remove(7003), { op: 'tombstone', key: { id: 7003 } }, change(second, 70_030, 'moved', 'c', 7n)]);
    await open();
    // Enough commits for whatever is merged by number.
    for (let round = 0; round < 18; round++) await commit(second, [change(second, 5000 + round, `round ${round}`, 'u', 1n, true), change(second, 7777, `round ${round}`, 'u', 1n)]);
    await verify(true);
    // A file all of whose rows go.
    await commit(second, times(100, i => remove(10_000 + i)));
    await verify(true);
    expected.clear();
    await commit(second, [{ op: 't' }, change(second, 3, 'after', 'c', 3n)]);
    await verify(true);
    expected.clear();
    await commit(second, [{ op: 't' }]);
    await verify(true);
  } finally { await task?.[Symbol.asyncDispose](); }
}
