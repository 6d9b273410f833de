/** Tables that have had many commits: what a commit reads and writes, and what a start reads, stays bounded. 2,000 of them with TRIBUTARY_LONG=1. */
import { readdir, readFile, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { deltaFormat } from '../../../../connectors/sinks/delta/table.ts';
import { decodeManifestList } from '../../../../connectors/sinks/iceberg/format/manifest.ts';
import { currentSnapshot, type Metadata } from '../../../../connectors/sinks/iceberg/format/metadata.ts';
import { icebergFormat } from '../../../../connectors/sinks/iceberg/table.ts';
import { RoaringBitmap } from '../../../../connectors/sinks/tables/roaring.ts';
import type { LakeTable, TableChange, TableDefinition, TableFormat } from '../../../../connectors/sinks/tables/table.ts';
import { parseExact } from '../../../../runtime/api/exact-json.ts';
import { temporaryDirectory } from '../../../kit/directories.ts';
import { never } from './batches.ts';

const COMMITS = process.env['TRIBUTARY_LONG'] === '1' ? 2_000 : 240;
const ROWS = 1_000;
const definition: TableDefinition = { name: ['public', 'orders'], columns: [{ name: 'id', type: { kind: 'int' }, required: true }, { name: 'note', type: { kind: 'string' }, required: false }], key: ['id'] };

/** Adds a file, and deletes one more row of the one before it and of the first; only their places in the metadata matter here. */
async function change(table: LakeTable, n: number, paths: readonly string[]): Promise<TableChange> {
  const deletes = new Map([0, paths.length - 1].filter(at => at >= 0 && at < paths.length).map(at => {
    const bitmap = new RoaringBitmap();
    for (let row = 0; row <= (at === 0 ? n % (ROWS - 2) : 0); row++) bitmap.add(row);
    return [paths[at] ?? '', bitmap] as const;
  }));
  return {
    added: [{ path: await table.newDataFile(), rows: ROWS, bytes: 10_000, stats: [{ column: 'id', nullCount: 0, min: String(n), max: String(n + ROWS), bytes: 4_000 }] }], deletes, deletedRows: deletes.size, replaceAll: false,
    tokens: [{ connector: 'lake', topic: 't', topicId: 'x', partition: 0, epoch: 0, offset: n }], commitId: `c${n}`,
  };
}
async function fill(format: TableFormat): Promise<LakeTable> {
  const table = await format.openOrCreate(definition, never), paths: string[] = [];
  for (let n = 1; n <= COMMITS; n++) {
    const next = await change(table, n, paths);
    expect(await table.commit(next, never)).toBe('committed');
    paths.push(next.added[0]?.path ?? '');
  }
  return table;
}
async function sameAfterStart(table: LakeTable, format: TableFormat): Promise<void> {
  const again = await format.open(definition.name, never);
  const facts = async (one: LakeTable | undefined): Promise<unknown> => (await one?.files())?.map(({ path, rows, deleted }) => [path, rows, deleted?.cardinality()]).sort();
  expect(again?.tokens()).toEqual(table.tokens());
  expect(await facts(again)).toEqual(await facts(table));
  expect((await again?.files())?.length).toBe(COMMITS);
}

test('iceberg: the metadata has a bounded history and few manifests', async () => {
  using home = temporaryDirectory();
  const format = icebergFormat(home.path), table = await fill(format);
  const folder = join(home.path, 'public', 'orders', 'metadata');
  const versions = (await readdir(folder)).filter(name => name.endsWith('.metadata.json'));
  expect(versions.length).toBeLessThanOrEqual(102);
  const newest = join(folder, `v${COMMITS + 1}.metadata.json`);
  const metadata = parseExact(await readFile(newest, 'utf8')) as unknown as Metadata;
  expect(metadata.snapshots?.length).toBe(100);
  expect((await stat(newest)).size).toBeLessThan(200_000);
  expect(decodeManifestList(await readFile(currentSnapshot(metadata)?.['manifest-list'] ?? '')).length).toBeLessThanOrEqual(66);
  await sameAfterStart(table, format);
}, 600_000);

test('delta: a start reads a checkpoint and a few versions, and versions that are old enough go', async () => {
  using home = temporaryDirectory();
  const format = deltaFormat(home.path), table = await fill(format);
  const folder = join(home.path, 'public', 'orders', '_delta_log');
  const versions = async (): Promise<readonly number[]> => (await readdir(folder)).filter(name => name.endsWith('.json')).map(name => Number(name.slice(0, 20))).sort((a, b) => a - b);
  // Nothing is old yet.
  expect((await versions()).length).toBe(COMMITS + 1);
  await sameAfterStart(table, format);
  const old = new Date(Date.now() - 31 * 86_400_000), checkpoint = COMMITS - COMMITS % 10 - 20;
  for (const name of await readdir(folder)) if (/^\d{20}\./.test(name) && Number(name.slice(0, 20)) <= checkpoint) await utimes(join(folder, name), old, old);
  let last: TableChange | undefined;
  for (let n = COMMITS + 1; n <= COMMITS + 10; n++) { last = { ...await change(table, n, []), added: [], deletes: new Map() }; expect(await table.commit(last, never)).toBe('committed'); }
  expect((await versions())[0]).toBe(checkpoint);
  expect((await readdir(folder)).filter(name => name.endsWith('.parquet')).length).toBeLessThanOrEqual(4);
  await sameAfterStart(table, format);
}, 600_000);
