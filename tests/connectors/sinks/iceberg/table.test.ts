import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { decodeManifestList, encodeManifestList } from '../../../../connectors/sinks/iceberg/format/manifest.ts';
import { currentSnapshot, type Metadata } from '../../../../connectors/sinks/iceberg/format/metadata.ts';
import { icebergFormat } from '../../../../connectors/sinks/iceberg/table.ts';
import { RoaringBitmap } from '../../../../connectors/sinks/tables/roaring.ts';
import type { LakeTable, TableChange, TableDefinition, Token } from '../../../../connectors/sinks/tables/table.ts';
import { parseExact, stringifyExact } from '../../../../runtime/api/exact-json.ts';
import { never } from '../tables/batches.ts';

let warehouse: string;
beforeEach(async () => { warehouse = await mkdtemp(join(tmpdir(), 'iceberg-')); });
afterEach(async () => { await rm(warehouse, { recursive: true, force: true }); });

const definition: TableDefinition = { name: ['public', 'orders'], columns: [{ name: 'id', type: { kind: 'int' }, required: true }, { name: 'note', type: { kind: 'string' }, required: false }], key: ['id'] };
const token = (offset: number): Token => ({ connector: 'lake', topic: 't', topicId: 'x', partition: 0, epoch: 0, offset });
const folder = (): string => join(warehouse, 'public', 'orders', 'metadata');
const newest = async (): Promise<Metadata> => parseExact(await readFile(join(folder(), `v${await readFile(join(folder(), 'version-hint.text'), 'utf8')}.metadata.json`), 'utf8')) as unknown as Metadata;
/** A change that adds a file of ten rows; only its place in the metadata matters here. */
async function adding(table: LakeTable, offset: number, more: Partial<TableChange> = {}): Promise<TableChange> {
  return { added: [{ path: await table.newDataFile(), rows: 10, bytes: 100, stats: [{ column: 'id', nullCount: 0, min: '0', max: '9', bytes: 50 }] }], deletes: new Map(), deletedRows: 0, replaceAll: false, tokens: [token(offset)], commitId: `c${offset}`, ...more };
}
function bitmapOf(positions: readonly number[]): RoaringBitmap { const bitmap = new RoaringBitmap(); for (const position of positions) bitmap.add(position); return bitmap; }
const all = Array.from({ length: 10 }, (_, i) => i);

test('a file without a row left leaves the table, and its vector with it', async () => {
  const table = await icebergFormat(warehouse).openOrCreate(definition, never);
  const one = await adding(table, 1), two = await adding(table, 2);
  const [path = ''] = one.added.map(file => file.path);
  expect(await table.commit(one, never)).toBe('committed');
  expect(await table.commit(two, never)).toBe('committed');
  expect(await table.commit(await adding(table, 3, { deletes: new Map([[path, bitmapOf([1, 2])]]), deletedRows: 2 }), never)).toBe('committed');
  expect((await table.files()).find(file => file.path === path)?.deleted?.cardinality()).toBe(2);
  expect(await table.commit({ ...await adding(table, 4), added: [], deletes: new Map([[path, bitmapOf(all)]]), deletedRows: 8 }, never)).toBe('committed');
  for (const view of [table, await icebergFormat(warehouse).open(definition.name, never)]) {
    const files = await view?.files() ?? [];
    expect(files.length).toBe(2);
    expect(files.every(file => file.path !== path && file.deleted === undefined)).toBe(true);
    expect(view?.tokens()).toEqual([token(4)]);
  }
  expect(currentSnapshot(await newest())?.summary).toMatchObject({ 'operation': 'delete', 'deleted-data-files': '1', 'total-data-files': '2', 'total-records': '20', 'total-delete-files': '0', 'total-position-deletes': '0' });
});

test('row ids are given once and stay when manifests are merged', async () => {
  const table = await icebergFormat(warehouse).openOrCreate(definition, never);
  for (let i = 1; i <= 140; i++) expect(await table.commit(await adding(table, i), never)).toBe('committed');
  const metadata = await newest(), snapshot = currentSnapshot(metadata);
  expect(metadata['next-row-id']).toBe(1400);
  expect(decodeManifestList(await readFile(snapshot?.['manifest-list'] ?? '')).length).toBeLessThan(70);
  expect((await (await icebergFormat(warehouse).open(definition.name, never))?.files())?.length).toBe(140);
});

test('snapshots and metadata versions are bounded, but for those that a tag needs', async () => {
  const table = await icebergFormat(warehouse, { history: 3 }).openOrCreate(definition, never);
  for (let i = 1; i <= 110; i++) await table.commit(await adding(table, i), never);
  const metadata = await newest();
  expect(metadata.snapshots?.length).toBe(3);
  expect(metadata['snapshot-log']?.length).toBe(3);
  expect((await readdir(folder())).filter(name => name.endsWith('.metadata.json')).length).toBeLessThanOrEqual(101);
  const kept = new Set((metadata['metadata-log'] ?? []).map(entry => entry['metadata-file']));
  const present = new Set((await readdir(folder())).map(name => join(folder(), name)));
  expect([...kept].filter(path => !present.has(path))).toEqual([]);
  const [oldest] = metadata.snapshots ?? [];
  if (oldest === undefined) throw new Error('no snapshot');
  const tagged = { ...metadata, refs: { ...metadata.refs, release: { 'snapshot-id': oldest['snapshot-id'], 'type': 'tag' } } };
  await writeFile(join(folder(), 'v112.metadata.json'), stringifyExact(tagged));
  await table.refresh(never);
  for (let i = 111; i <= 115; i++) expect(await table.commit(await adding(table, i), never)).toBe('committed');
  expect((await newest()).snapshots?.some(one => one['snapshot-id'] === oldest['snapshot-id'])).toBe(true);
});

test('another engine\'s snapshot with a 64-bit id is built upon, and our tokens outlast it', async () => {
  const table = await icebergFormat(warehouse).openOrCreate(definition, never);
  await table.commit(await adding(table, 7), never);
  const metadata = await newest(), ours = currentSnapshot(metadata);
  if (ours === undefined) throw new Error('no snapshot');
  const id = 8_123_456_789_012_345_679n;
  const list = join(folder(), 'snap-theirs.avro');
  await writeFile(list, encodeManifestList(3, { snapshot: id, parent: ours['snapshot-id'], sequence: 2 }, decodeManifestList(await readFile(ours['manifest-list'])).map(manifest => ({ ...manifest, added_snapshot_id: id }))));
  const theirs = { ...ours, 'snapshot-id': id, 'parent-snapshot-id': ours['snapshot-id'], 'sequence-number': 2, 'manifest-list': list, 'summary': { operation: 'replace' }, 'first-row-id': 10, 'added-rows': 0 };
  // Their expiry took ours away, so that only the property knows the tokens.
  await writeFile(join(folder(), 'v3.metadata.json'), stringifyExact({ ...metadata, 'last-sequence-number': 2, 'current-snapshot-id': id, 'snapshots': [theirs], 'refs': { main: { 'snapshot-id': id, 'type': 'branch' } } }));
  await table.refresh(never);
  expect(table.tokens()).toEqual([token(7)]);
  expect(table.version).toBe(String(id));
  expect(await table.commit(await adding(table, 8), never)).toBe('committed');
  expect(currentSnapshot(await newest())?.['parent-snapshot-id']).toBe(id);
  expect((await newest()).snapshots?.[0]?.['snapshot-id']).toBe(id);
  const again = await icebergFormat(warehouse).open(definition.name, never);
  expect(again?.tokens()).toEqual([token(8)]);
  expect((await again?.files())?.length).toBe(2);
});

test('a commit on an old version is a conflict and leaves no files behind', async () => {
  const first = await icebergFormat(warehouse).openOrCreate(definition, never), second = await icebergFormat(warehouse).open(definition.name, never);
  await first.commit(await adding(first, 1), never);
  const before = (await readdir(folder())).sort();
  if (second === undefined) throw new Error('no table');
  expect(await second.commit(await adding(second, 1), never)).toBe('conflict');
  expect((await readdir(folder())).sort()).toEqual(before);
  await second.refresh(never);
  expect(await second.hasCommit('c1')).toBe(true);
  expect(await second.commit(await adding(second, 2), never)).toBe('committed');
});

test('a writer that slept until its version number was free again does not commit', async () => {
  const sleeper = await icebergFormat(warehouse).openOrCreate(definition, never), other = await icebergFormat(warehouse).open(definition.name, never);
  if (other === undefined) throw new Error('no table');
  for (let i = 1; i <= 103; i++) await other.commit(await adding(other, i), never);
  expect((await readdir(folder())).includes('v2.metadata.json')).toBe(false);
  expect(await sleeper.commit(await adding(sleeper, 1), never)).toBe('conflict');
  await sleeper.refresh(never);
  expect(sleeper.tokens()).toEqual([token(103)]);
});

test('a crash before the hint was written loses nothing', async () => {
  const table = await icebergFormat(warehouse).openOrCreate(definition, never);
  await table.commit(await adding(table, 1), never);
  await table.commit(await adding(table, 2), never);
  for (const hint of ['1', '']) {
    await writeFile(join(folder(), 'version-hint.text'), hint);
    expect((await icebergFormat(warehouse).open(definition.name, never))?.tokens()).toEqual([token(2)]);
  }
});

test('columns are added with fresh ids and widened; what does not fit is refused', async () => {
  const table = await icebergFormat(warehouse).openOrCreate(definition, never);
  await table.evolve([{ name: 'id', type: { kind: 'long' }, required: true }, { name: 'tags', type: { kind: 'map', key: { kind: 'string' }, value: { kind: 'list', element: { kind: 'decimal', precision: 5, scale: 2 } } }, required: true }], never);
  expect(table.columns).toMatchObject([{ name: 'id', id: 1, required: true, type: { kind: 'long' } }, { name: 'note', id: 2 }, { name: 'tags', id: 3, ids: [4, 5, 6], required: false }]);
  expect((await newest()).schemas.at(-1)).toMatchObject({ 'schema-id': 1, 'identifier-field-ids': [1] });
  const version = (await newest())['last-updated-ms'];
  await table.evolve([{ name: 'id', type: { kind: 'int' }, required: true }], never);
  expect((await newest())['last-updated-ms']).toBe(version);
  await expect(table.evolve([{ name: 'id', type: { kind: 'boolean' }, required: true }], never)).rejects.toMatchObject({ code: 'ICEBERG_WIDEN' });
});

test('position delete files of version 2 are merged before there are many, and are read again from the disk', async () => {
  const format = icebergFormat(warehouse, { version: 2 }), table = await format.openOrCreate(definition, never);
  const files = await Promise.all([0, 1].map(async () => { const change = await adding(table, 0); return { ...change.added[0], path: change.added[0]?.path ?? '', rows: 1000, bytes: 100, stats: [] }; }));
  expect(await table.commit({ ...await adding(table, 1), added: files }, never)).toBe('committed');
  const deleted = files.map(() => [] as number[]);
  for (let round = 0; round < 40; round++) {
    const touched = files.slice(0, round % 3 === 0 ? 1 : 2);
    touched.forEach((_, i) => deleted[i]?.push(round * 7, round * 7 + 3));
    expect(await table.commit({ ...await adding(table, round + 2), added: [], deletes: new Map(touched.map((file, i) => [file.path, bitmapOf(deleted[i] ?? [])])), deletedRows: touched.length * 2 }, never)).toBe('committed');
    if (round % 5 === 0) await table.refresh(never);
    const summary = currentSnapshot(await newest())?.summary;
    expect(Number(summary?.['total-delete-files'])).toBeLessThan(16);
    expect(summary?.['total-position-deletes']).toBe(String(deleted.flat().length));
  }
  expect((await newest())['format-version']).toBe(2);
  // Whatever the option says, the table stays what it is.
  for (const view of [table, await icebergFormat(warehouse, { version: 3 }).open(definition.name, never)]) {
    const found = new Map((await view?.files() ?? []).map(file => [file.path, [...file.deleted?.iterate() ?? []]]));
    expect(files.map(file => found.get(file.path))).toEqual(deleted);
  }
  // Another engine takes it to version 3: the first vector of a file has the older position deletes in it.
  const upgraded = { ...await newest(), 'format-version': 3, 'next-row-id': 0 };
  const version = Number(await readFile(join(folder(), 'version-hint.text'), 'utf8')) + 1;
  await writeFile(join(folder(), `v${version}.metadata.json`), stringifyExact(upgraded as unknown as Parameters<typeof stringifyExact>[0]));
  const later = await icebergFormat(warehouse).open(definition.name, never);
  const all = bitmapOf([...deleted[0] ?? [], 999]);
  expect(await later?.commit({ ...await adding(table, 99), added: [], deletes: new Map([[files[0]?.path ?? '', all]]), deletedRows: 1 }, never)).toBe('committed');
  const found = new Map((await (await icebergFormat(warehouse).open(definition.name, never))?.files() ?? []).map(file => [file.path, [...file.deleted?.iterate() ?? []]]));
  expect(files.map(file => found.get(file.path))).toEqual([[...deleted[0] ?? [], 999], deleted[1]]);
});
