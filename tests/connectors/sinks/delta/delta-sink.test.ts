import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import * as types from '../../../../envelopes/logical/schemas.ts';
import { deltaFormat } from '../../../../connectors/sinks/delta/table.ts';
import { openTableSink } from '../../../../connectors/sinks/tables/task.ts';
import { assign, batchOf, contextOf, never, type SourceTable } from '../tables/batches.ts';
import { tableRows } from '../tables/rows.ts';
import { describeTableSink } from '../tables/table-sink-suite.ts';

describeTableSink('delta', deltaFormat);

test('a checkpoint every ten commits carries the table on its own', async () => {
  const warehouse = await mkdtemp(join(tmpdir(), 'delta-checkpoint-'));
  const config = { 'topics': [], 'topics.regex': undefined, 'warehouse': warehouse, 'table.name.format': '', 'mode': 'upsert', 'truncate.enabled': true, 'unavailable.value.placeholder': '__debezium_unavailable_value', 'commit.interval.ms': 10_000, 'commit.max.bytes': 1 << 27, 'sink.memory.bytes': 1 << 28 } as const;
  const table: SourceTable = { schema: 'public', table: 'orders', key: { id: types.INT32 }, row: { id: types.INT32, customer: types.optional(types.STRING) } };
  const topic = 'cdc.public.orders';
  try {
    {
      await using task = await openTableSink(deltaFormat(warehouse), config, contextOf());
      await assign(task, topic);
      for (let i = 0; i < 12; i++) {
        await task.put(batchOf(table, [{ op: 'u', key: { id: 1 }, row: { id: 1, customer: `v${i}` } }, { op: 'c', key: { id: i + 10 }, row: { id: i + 10, customer: 'x' } }], i * 2, false), never);
        await task.flush(never);
      }
    }
    const log = join(warehouse, 'public', 'orders', '_delta_log');
    expect(JSON.parse(await readFile(join(log, '_last_checkpoint'), 'utf8'))).toMatchObject({ version: 10 });
    for (let version = 0; version <= 10; version++) await rm(join(log, `${String(version).padStart(20, '0')}.json`));
    await using again = await openTableSink(deltaFormat(warehouse), config, contextOf());
    expect(await assign(again, topic)).toBe(24);
    const rows = await tableRows(deltaFormat(warehouse), ['public', 'orders'], 'id');
    expect(rows.length).toBe(13);
    expect(rows[0]).toEqual({ id: 1, customer: 'v11' });
  } finally { await rm(warehouse, { recursive: true, force: true }); }
});

test('a column name that Delta does not take is refused before anything is written', async () => {
  const warehouse = await mkdtemp(join(tmpdir(), 'delta-names-'));
  const config = { 'topics': [], 'topics.regex': undefined, 'warehouse': warehouse, 'table.name.format': '', 'mode': 'upsert', 'truncate.enabled': true, 'unavailable.value.placeholder': '__debezium_unavailable_value', 'commit.interval.ms': 10_000, 'commit.max.bytes': 1 << 27, 'sink.memory.bytes': 1 << 28 } as const;
  const table: SourceTable = { schema: 'public', table: 'orders', key: { id: types.INT32 }, row: { id: types.INT32, customer: types.optional(types.STRING) } };
  const spaced: SourceTable = { ...table, row: { ...table.row, 'first name': types.optional(types.STRING) } };
  const row = { id: 1, 'customer': 'ann', 'first name': 'ann' };
  try {
    await using task = await openTableSink(deltaFormat(warehouse), config, contextOf());
    await assign(task, 'cdc.public.orders');
    await expect(task.put(batchOf(spaced, [{ op: 'c', key: { id: 1 }, row }], 0, true), never)).rejects.toMatchObject({ code: 'DELTA_COLUMN_NAME', message: expect.stringContaining('"first name"') as string });
    await task.put(batchOf(table, [{ op: 'c', key: { id: 1 }, row }], 0, true), never);
    await task.flush(never);
    await expect(task.put(batchOf(spaced, [{ op: 'c', key: { id: 2 }, row: { ...row, id: 2 } }], 1, true), never)).rejects.toMatchObject({ code: 'DELTA_COLUMN_NAME' });
    expect((await tableRows(deltaFormat(warehouse), ['public', 'orders'], 'id')).length).toBe(1);
  } finally { await rm(warehouse, { recursive: true, force: true }); }
});
