/** Tables that somebody broke: a clear error that names the file and says what to do, never a wrong row. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { deltaFormat } from '../../../../connectors/sinks/delta/table.ts';
import { icebergFormat } from '../../../../connectors/sinks/iceberg/table.ts';
import type { TableFormat } from '../../../../connectors/sinks/tables/table.ts';
import { openTableSink } from '../../../../connectors/sinks/tables/task.ts';
import * as types from '../../../../envelopes/logical/schemas.ts';
import { assign, batchOf, contextOf, type Event, never, type SourceTable } from './batches.ts';

let warehouse: string;
beforeEach(async () => { warehouse = await mkdtemp(join(tmpdir(), 'damage-')); });
afterEach(async () => { await rm(warehouse, { recursive: true, force: true }); });

const topic = 'cdc.public.orders';
const orders: SourceTable = { schema: 'public', table: 'orders', key: { id: types.INT32 }, row: { id: types.INT32, name: types.optional(types.STRING) } };
const write = (op: 'c' | 'u', id: number): Event => ({ op, key: { id }, row: { id, name: `row ${id}` } });
const folder = (): string => join(warehouse, 'public', 'orders');

/** Takes events in and commits; the error that came, if any. */
async function run(format: TableFormat, events: readonly Event[], offset: number): Promise<Error & { readonly code: string; readonly hint: string | undefined } | undefined> {
  await using task = await openTableSink(format, { 'topics': [topic], 'topics.regex': undefined, 'warehouse': warehouse, 'table.name.format': '', 'mode': 'upsert', 'truncate.enabled': true, 'unavailable.value.placeholder': 'x', 'commit.interval.ms': 10_000, 'commit.max.bytes': 1 << 27, 'sink.memory.bytes': 1 << 26 }, contextOf());
  try {
    await assign(task, topic);
    await task.put(batchOf(orders, events, offset, true), never);
    await task.flush(never);
    return undefined;
  } catch (error) { return error as Error & { readonly code: string; readonly hint: string | undefined }; }
}

type Damage = readonly [what: string, version: 2 | 3, name: RegExp, code: string];
const iceberg: readonly Damage[] = [
  ['the newest metadata', 3, /^v[34]\.metadata\.json$/, 'ICEBERG_METADATA_DAMAGED'], ['a manifest list', 3, /^snap-/, 'ICEBERG_DAMAGED'], ['a manifest', 3, /-m\d+\.avro$/, 'ICEBERG_DAMAGED'],
  ['a deletion vector', 3, /\.puffin$/, 'ICEBERG_DAMAGED'], ['a position delete file', 2, /-deletes\.parquet$/, 'ICEBERG_DAMAGED'], ['a data file', 3, /^(?!.*deletes).*\.parquet$/, 'DATA_FILE_DAMAGED'],
];
const delta: readonly (readonly [what: string, name: RegExp, code: string])[] = [['a commit', /^0*2\.json$/, 'DELTA_LOG_DAMAGED'], ['a data file', /\.parquet$/, 'DATA_FILE_DAMAGED']];

async function spoil(name: RegExp, how: 'cut' | 'noise' | 'gone'): Promise<number> {
  let count = 0;
  for (const path of await readdir(folder(), { recursive: true })) {
    if (!name.test(path.split('/').at(-1) ?? '')) continue;
    const file = join(folder(), path);
    count++;
    if (how === 'gone') await rm(file);
    else { const bytes = await readFile(file); await writeFile(file, how === 'cut' ? bytes.subarray(0, Math.floor(bytes.length / 2)) : Buffer.alloc(bytes.length, 0x5a)); }
  }
  return count;
}

async function check(format: TableFormat, name: RegExp, how: 'cut' | 'noise' | 'gone', code: string): Promise<void> {
  expect(await run(format, [1, 2, 3, 4, 5].map(id => write('c', id)), 0)).toBeUndefined();
  expect(await run(format, [write('u', 2), { op: 'd', key: { id: 3 }, row: { id: 3 } }], 5)).toBeUndefined();
  expect(await spoil(name, how)).toBeGreaterThan(0);
  const error = await run(format, [write('u', 1)], 7);
  expect(error).toMatchObject({ name: 'FatalError', code, hint: expect.stringMatching(/[Rr]estore/) as string });
  expect(error?.message).not.toContain('row 1');
}

for (const [what, version, name, code] of iceberg) {
  // Half of a Puffin file still holds the vector whole, and its check sum says so.
  for (const how of [...(what === 'a deletion vector' ? [] : ['cut' as const]), 'noise', ...(what.startsWith('the newest') ? [] : ['gone' as const])] as const) {
    test(`Iceberg version ${version}: ${what}, ${how}`, () => check(icebergFormat(warehouse, { version }), name, how, code));
  }
}
for (const [what, name, code] of delta) {
  for (const how of ['cut', 'noise', ...(what === 'a commit' ? [] : ['gone' as const])] as const) {
    test(`Delta: ${what}, ${how}`, () => check(deltaFormat(warehouse), name, how, code));
  }
}
