/** Other engines write to a sink's tables between its commits: Spark (Delta and Iceberg) and delta-rs. Nothing of theirs is lost, and the sink finds the rows that they moved. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { deltaFormat } from '../../connectors/sinks/delta/table.ts';
import { icebergFormat } from '../../connectors/sinks/iceberg/table.ts';
import { openTableSink } from '../../connectors/sinks/tables/task.ts';
import { unscaledBytes } from '../../envelopes/decimal.ts';
import * as types from '../../envelopes/logical/schemas.ts';
import type { SinkTask } from '../../runtime/api/plugin.ts';
import { assign, batchOf, contextOf, type Event, never, type SourceTable } from '../connectors/sinks/tables/batches.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { javaMissing } from '../kit/jvm.ts';
import { openLakeReader } from '../kit/lake-reader.ts';
import { runSpark } from '../kit/spark.ts';
import { sinkConfig } from './lake-scenario.ts';

const topic = 'cdc.public.items';
const source: SourceTable = { schema: 'public', table: 'items', key: { id: types.INT32 }, row: { id: types.INT32, name: types.optional(types.STRING), amount: types.optional(types.decimal(2, 10)), at: types.optional(types.microTimestamp) } };
const write = (op: 'c' | 'u', id: number, name: string): Event => ({ op, key: { id }, row: { id, name, amount: unscaledBytes(BigInt(id * 100 + 25)), at: 1_700_000_000_123_456n } });
const remove = (id: number): Event => ({ op: 'd', key: { id }, row: { id } });
const times = <T>(length: number, make: (i: number) => T): T[] => Array.from({ length }, (_, i) => make(i));

/** A sink over one table, and the rows that should be in it. */
class Side {
  readonly rows = new Map<number, string>();
  private readonly task: SinkTask;
  private offset = 0;
  private constructor(task: SinkTask) { this.task = task; }
  static async open(format: 'delta' | 'iceberg', warehouse: string): Promise<Side> {
    const task = await openTableSink(format === 'delta' ? deltaFormat(warehouse) : icebergFormat(warehouse), sinkConfig(warehouse), contextOf());
    await assign(task, topic);
    return new Side(task);
  }
  async commit(events: readonly Event[]): Promise<void> {
    for (const { op, key, row } of events) if (op === 'd') this.rows.delete(key?.['id'] as number); else this.rows.set(key?.['id'] as number, row?.['name'] as string);
    await this.task.put(batchOf(source, events, this.offset, true), never);
    await this.task.flush(never);
    this.offset += events.length;
  }
  get expected(): (readonly [number, string])[] { return [...this.rows].sort(([a], [b]) => a - b); }
  close(): PromiseLike<void> { return this.task[Symbol.asyncDispose](); }
}
async function check(format: 'delta' | 'iceberg', warehouse: string, side: Side): Promise<void> {
  using duckdb = await openLakeReader();
  const found = await duckdb.rows(`SELECT id, name, "at" FROM ${duckdb.scan(format, join(warehouse, 'public', 'items'))} ORDER BY id`);
  expect(found).toEqual(side.expected.map(([id, name]) => [String(id), name, '2023-11-14 22:13:20.123456']));
}

const SPARK = `
import json, os
from pyspark.sql import SparkSession
spark = (SparkSession.builder
    .config('spark.sql.extensions', 'io.delta.sql.DeltaSparkSessionExtension,org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions')
    .config('spark.sql.catalog.spark_catalog', 'org.apache.spark.sql.delta.catalog.DeltaCatalog')
    .config('spark.sql.catalog.lake', 'org.apache.iceberg.spark.SparkCatalog').config('spark.sql.catalog.lake.type', 'hadoop').config('spark.sql.catalog.lake.warehouse', os.environ['ICEBERG'])
    .config('spark.sql.session.timeZone', 'UTC').getOrCreate())
out = {}
for name, table in (('delta', 'delta.\`' + os.environ['DELTA'] + '/public/items\`'), ('iceberg', 'lake.public.items')):
    rows = lambda: [[row.id, row.name, str(row.amount), row.at.isoformat()] for row in spark.sql(f'SELECT * FROM {table} ORDER BY id').collect()]
    before = rows()
    spark.sql(f"UPDATE {table} SET name = concat(name, ' by Spark') WHERE id % 10 = 3")
    spark.sql(f'DELETE FROM {table} WHERE id % 10 = 4')
    spark.sql(f"INSERT INTO {table} SELECT id + 10000, 'new by Spark', amount, at FROM {table} WHERE id < 6")
    out[name] = [before, rows()]
print('RESULT ' + json.dumps(out))
spark.stop()
`;

test.skipIf(javaMissing() !== undefined)('Spark reads, updates, deletes and adds rows, and the sink goes on with its next commit', async () => {
  using home = temporaryDirectory();
  const formats = ['delta', 'iceberg'] as const, script = join(home.path, 'writers.py');
  const sides = new Map(await Promise.all(formats.map(async format => [format, await Side.open(format, join(home.path, format))] as const)));
  try {
    for (const side of sides.values()) {
      await side.commit(times(120, id => write('c', id, `row ${id}`)));
      // Spark meets deletion vectors that are there, and rows in two files.
      await side.commit([...times(24, i => write('u', i * 5, 'updated')), remove(7), remove(18)]);
    }
    writeFileSync(script, SPARK);
    const output = await runSpark(script, { DELTA: join(home.path, 'delta'), ICEBERG: join(home.path, 'iceberg') }, ['io.delta:delta-spark_2.12:3.3.2']);
    const found = JSON.parse(/^RESULT (.*)$/m.exec(output)?.[1] ?? '{}') as Record<string, readonly [readonly unknown[], readonly unknown[]]>;
    for (const [format, side] of sides) {
      const shown = (): unknown => side.expected.map(([id, name]) => [id, name, `${id % 10_000}.25`, '2023-11-14T22:13:20.123456']);
      expect({ format, rows: found[format]?.[0] }).toEqual({ format, rows: shown() });
      for (const [id, name] of side.expected) { if (id % 10 === 3) side.rows.set(id, `${name} by Spark`); if (id % 10 === 4) side.rows.delete(id); }
      for (const [id] of side.expected) if (id < 6) side.rows.set(id + 10_000, 'new by Spark');
      expect({ format, rows: found[format]?.[1] }).toEqual({ format, rows: shown() });
      // Rows that Spark wrote anew, took away, added and left alone.
      await side.commit([write('u', 3, 'ours again'), write('u', 13, 'ours again'), remove(23), write('c', 4, 'back'), remove(10_001), write('u', 10_002, 'ours'), write('u', 99, 'ours'), remove(5)]);
      await side.commit([write('u', 3, 'ours at last'), write('c', 300, 'new')]);
      await check(format, join(home.path, format), side);
    }
  } finally { for (const side of sides.values()) await side.close(); }
}, 600_000);
