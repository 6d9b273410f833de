/** One attempt to commit a table change: delete files, manifests and the manifest list are written, then the metadata is put. */
import { randomBytes, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { RetriableError } from '../../../runtime/api/errors.ts';
import { writeDurable } from '../tables/local-files.ts';
import type { RoaringBitmap } from '../tables/roaring.ts';
import type { Column, TableChange, Token, WrittenFile } from '../tables/table.ts';
import { type Contents, type ContentsReader, type LiveEntry, plain } from './contents.ts';
import { encodeBound } from './format/bounds.ts';
import { encodeManifest, encodeManifestList, type DataFile, type KeyValue, type ManifestEntry, type ManifestFile } from './format/manifest.ts';
import { currentSchema, currentSnapshot, type Metadata, type Snapshot } from './format/metadata.ts';
import { encodeVectors, type VectorPlace } from './format/puffin.ts';
import { PATH_FIELD, writePositions } from './position-files.ts';

export const TOKENS = 'tributary.tokens';
export const COMMIT_ID = 'tributary.commit-id';
/** Data manifests at which they are merged into one. */
const MERGE_MANIFESTS = 64;
/** Position delete files at which they are merged into one: readers open each of them, and DuckDB 1.5.5 fails at 100. */
const MERGE_POSITION_FILES = 16;

const NO_FACTS = { column_sizes: null, value_counts: null, null_value_counts: null, nan_value_counts: null, lower_bounds: null, upper_bounds: null, key_metadata: null, split_offsets: null, equality_ids: null, sort_order_id: null, referenced_data_file: null } as const;

export function dataFile(file: WrittenFile, columns: readonly Column[]): DataFile {
  const sizes: KeyValue<number>[] = [], counts: KeyValue<number>[] = [], nulls: KeyValue<number>[] = [], lower: KeyValue<Buffer>[] = [], upper: KeyValue<Buffer>[] = [];
  for (const column of columns) {
    const stats = file.stats.find(one => one.column === column.name), key = column.id;
    if (stats === undefined || key === undefined) continue;
    sizes.push({ key, value: stats.bytes });
    counts.push({ key, value: file.rows });
    nulls.push({ key, value: stats.nullCount });
    const least = encodeBound(column.type, stats.min, 'lower'), most = encodeBound(column.type, stats.max, 'upper');
    if (least !== undefined && most !== undefined) { lower.push({ key, value: least }); upper.push({ key, value: most }); }
  }
  return {
    ...NO_FACTS, content: 0, file_path: file.path, file_format: 'PARQUET', partition: {}, record_count: file.rows, file_size_in_bytes: file.bytes,
    column_sizes: sizes, value_counts: counts, null_value_counts: nulls, lower_bounds: lower, upper_bounds: upper, split_offsets: [4], first_row_id: null, content_offset: null, content_size_in_bytes: null,
  };
}
/** `names`: the data files that it speaks of, in order. The bounds of `file_path` are whole: readers compare them with data files. */
function positionFile(path: string, { bytes, rows }: { readonly bytes: number; readonly rows: number }, names: readonly string[]): DataFile {
  const bound = (name: string | undefined): readonly KeyValue<Buffer>[] => [{ key: PATH_FIELD, value: Buffer.from(name ?? '') }];
  return {
    ...NO_FACTS, content: 1, file_path: path, file_format: 'PARQUET', partition: {}, record_count: rows, file_size_in_bytes: bytes, lower_bounds: bound(names[0]), upper_bounds: bound(names.at(-1)),
    referenced_data_file: names.length === 1 ? names[0] ?? null : null, first_row_id: null, content_offset: null, content_size_in_bytes: null,
  };
}
function vectorFile(path: string, size: number, place: VectorPlace): DataFile {
  return { ...NO_FACTS, content: 1, file_path: path, file_format: 'PUFFIN', partition: {}, record_count: place.cardinality, file_size_in_bytes: size, referenced_data_file: place.dataFile, first_row_id: null, content_offset: place.offset, content_size_in_bytes: place.length };
}

/** The delete files of a commit. `retired`: position delete files that one of them takes the place of. */
interface DeleteFiles { readonly entries: readonly ManifestEntry[]; readonly retired: ReadonlySet<string>; /** Tells the reader what it need not read back. */ readonly remember: () => void }

/** Writes everything that one snapshot needs; nothing of it counts before the metadata names it. */
export class SnapshotWriter {
  private readonly folder: string;
  private readonly metadata: Metadata;
  private readonly contents: Contents;
  private readonly reader: ContentsReader;
  private readonly id = Number(BigInt.asUintN(52, randomBytes(8).readBigUInt64LE()) | 1n);
  private readonly sequence: number;
  private readonly version: 2 | 3;
  private files = 0;
  /** Every file made so far, to be taken away when the commit comes to nothing. */
  readonly written: string[] = [];
  /** Data files that leave the table: all of them at a truncate, else those without a row left. */
  private gone: ReadonlySet<string> = new Set();
  private readonly name = randomUUID();

  constructor(folder: string, metadata: Metadata, contents: Contents, reader: ContentsReader) {
    this.reader = reader;
    this.folder = folder;
    this.metadata = metadata;
    this.contents = contents;
    this.sequence = metadata['last-sequence-number'] + 1;
    this.version = metadata['format-version'];
  }

  async write(change: TableChange, columns: readonly Column[], tokens: readonly Token[], now: number): Promise<{ readonly snapshot: Snapshot; readonly remember: () => void }> {
    const added = change.added.map(file => this.added(dataFile(file, columns)));
    this.gone = this.goneFiles(change);
    const deletes = await this.deleteFiles(change);
    const manifests = [...await this.dataManifests(added), ...await this.deleteManifests(change, deletes)];
    const firstRowId = this.metadata['next-row-id'] ?? 0;
    const { rows, listed } = this.withRowIds(manifests, firstRowId);
    const list = join(this.folder, `snap-${this.id}-1-${this.name}.avro`);
    const parent = currentSnapshot(this.metadata)?.['snapshot-id'];
    await this.put(list, encodeManifestList(this.version, { snapshot: this.id, parent, sequence: this.sequence }, listed));
    const snapshot: Snapshot = {
      'snapshot-id': this.id, ...(parent === undefined ? {} : { 'parent-snapshot-id': parent }), 'sequence-number': this.sequence, 'timestamp-ms': Math.max(now, this.metadata['last-updated-ms'] + 1),
      summary: this.summary(change, tokens, deletes), 'manifest-list': list, 'schema-id': this.metadata['current-schema-id'], ...(this.version === 3 ? { 'first-row-id': firstRowId, 'added-rows': rows } : {}),
    };
    return { snapshot, remember: deletes.remember };
  }

  private goneFiles({ replaceAll, deletes }: TableChange): ReadonlySet<string> {
    if (replaceAll) return new Set(this.contents.data.keys());
    return new Set([...deletes].filter(([path, bitmap]) => bitmap.cardinality() >= (this.contents.data.get(path)?.data_file.record_count ?? Infinity)).map(([path]) => path));
  }

  private async put(path: string, bytes: Buffer): Promise<void> { this.written.push(path); await writeDurable(path, bytes); }

  /** Deletion vectors in version 3, position deletes in version 2. */
  private async deleteFiles(change: TableChange): Promise<DeleteFiles> {
    for (const path of change.deletes.keys()) if (!this.contents.data.has(path)) throw new RetriableError('A file with rows to delete is no longer in the table', { code: 'ICEBERG_FILE_GONE' });
    const stay = new Map([...change.deletes].filter(([path]) => !this.gone.has(path)));
    if (stay.size === 0) return { entries: [], retired: new Set(), remember: () => undefined };
    return this.version === 3 ? this.vectors(stay) : this.positions(stay);
  }
  /** The data file's path as the table lists it. */
  private listed(path: string): string { return this.contents.data.get(path)?.data_file.file_path ?? path; }
  private added(file: DataFile): ManifestEntry { return { status: 1, snapshot_id: this.id, sequence_number: null, file_sequence_number: null, data_file: file }; }

  private async vectors(deletes: ReadonlyMap<string, RoaringBitmap>): Promise<DeleteFiles> {
    const { file, places } = encodeVectors(new Map([...deletes].map(([path, bitmap]) => [this.listed(path), bitmap])));
    const path = join(this.folder, '..', 'data', `${this.name}-deletes.puffin`);
    await this.put(path, file);
    return {
      entries: places.map(place => this.added(vectorFile(path, file.length, place))), retired: new Set(),
      remember: () => { for (const place of places) { const bitmap = deletes.get(plain(place.dataFile)); if (bitmap !== undefined) this.reader.remember(`${path}@${place.offset}`, bitmap); } },
    };
  }

  /** One file with the new positions; when there are many files, one with all positions of the table in place of them. */
  private async positions(deletes: ReadonlyMap<string, RoaringBitmap>): Promise<DeleteFiles> {
    const { positionFiles, data } = this.contents;
    const known = await this.reader.positions(this.contents), all = new Map([...known, ...deletes]);
    const merges = positionFiles.size + 1 >= MERGE_POSITION_FILES;
    const wanted = merges ? [...all].filter(([path]) => data.has(path) && !this.gone.has(path)) : [...deletes].map(([path, bitmap]) => { const old = known.get(path); return [path, old === undefined ? bitmap : bitmap.minus(old)] as const; });
    const content = new Map(wanted.filter(([, bitmap]) => bitmap.cardinality() > 0).map(([path, bitmap]) => [this.listed(path), bitmap] as const).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
    if (content.size === 0) return { entries: [], retired: new Set(), remember: () => undefined };
    const path = join(this.folder, '..', 'data', `${this.name}-deletes.parquet`);
    this.written.push(path);
    const file = positionFile(path, await writePositions(path, content), [...content.keys()]);
    const retired = new Set(merges ? positionFiles.keys() : []);
    return { entries: [this.added(file)], retired, remember: () => { this.reader.rememberPositions(new Set([...[...positionFiles.keys()].filter(one => !retired.has(one)), path]), all); } };
  }

  /** Manifests that lose a file are written anew as one, at {@link MERGE_MANIFESTS} all of them; the others stay as they are. */
  private async dataManifests(added: readonly ManifestEntry[]): Promise<readonly ManifestFile[]> {
    const entriesOf = (manifest: ManifestFile): readonly LiveEntry[] => this.contents.byManifest.get(manifest.manifest_path) ?? [];
    const leaves = (entry: LiveEntry): boolean => this.gone.has(plain(entry.data_file.file_path));
    const present = this.contents.manifests.filter(manifest => manifest.content === 0 && entriesOf(manifest).length > 0);
    const rewritten = present.length >= MERGE_MANIFESTS ? present : present.filter(manifest => entriesOf(manifest).some(leaves));
    const entries = rewritten.flatMap(entriesOf).map((entry): ManifestEntry => (leaves(entry) ? this.leaving(entry) : existing(entry)));
    return [
      ...(added.length === 0 ? [] : [await this.manifest('data', added)]),
      ...present.filter(manifest => !rewritten.includes(manifest)),
      ...(entries.length === 0 ? [] : [await this.manifest('data', entries)]),
    ];
  }
  private leaving(entry: LiveEntry): ManifestEntry { return { ...entry, status: 2, snapshot_id: this.id }; }

  /** One manifest with all delete files. A data file has at most one vector, so those that were replaced are left out as deleted. */
  private async deleteManifests(change: TableChange, { entries: added, retired }: DeleteFiles): Promise<readonly ManifestFile[]> {
    const present = this.contents.manifests.filter(manifest => manifest.content === 1);
    if (added.length === 0 && this.gone.size === 0) return present;
    const entries: ManifestEntry[] = [...added], emptied = this.gone.size === this.contents.data.size;
    for (const [path, entry] of this.contents.vectors) entries.push(this.gone.has(path) || change.deletes.has(path) ? this.leaving(entry) : existing(entry));
    for (const [path, entry] of this.contents.positionFiles) entries.push(emptied || retired.has(path) ? this.leaving(entry) : existing(entry));
    return entries.length === 0 ? [] : [await this.manifest('deletes', entries)];
  }

  private async manifest(content: 'data' | 'deletes', entries: readonly ManifestEntry[]): Promise<ManifestFile> {
    const path = join(this.folder, `${this.name}-m${this.files++}.avro`);
    const bytes = encodeManifest(this.version, content, currentSchema(this.metadata), entries);
    await this.put(path, bytes);
    const of = (status: number): readonly ManifestEntry[] => entries.filter(entry => entry.status === status);
    const rows = (some: readonly ManifestEntry[]): number => some.reduce((sum, entry) => sum + entry.data_file.record_count, 0);
    const live = entries.filter(entry => entry.status !== 2).map(entry => entry.sequence_number ?? this.sequence);
    const rowIds = entries.filter(entry => entry.status !== 2).map(entry => entry.data_file.first_row_id ?? undefined);
    return {
      manifest_path: path, manifest_length: bytes.length, partition_spec_id: 0, content: content === 'data' ? 0 : 1, sequence_number: this.sequence, min_sequence_number: live.length === 0 ? this.sequence : Math.min(...live), added_snapshot_id: this.id,
      added_files_count: of(1).length, existing_files_count: of(0).length, deleted_files_count: of(2).length, added_rows_count: rows(of(1)), existing_rows_count: rows(of(0)), deleted_rows_count: rows(of(2)),
      partitions: [], key_metadata: null, first_row_id: content === 'data' && rowIds.length > 0 && rowIds.every(id => id !== undefined) ? Math.min(...rowIds as number[]) : null,
    };
  }

  /** Row lineage (v3): data manifests without a first row id get one, behind all ids that were given so far. */
  private withRowIds(manifests: readonly ManifestFile[], first: number): { readonly rows: number; readonly listed: readonly ManifestFile[] } {
    let next = first;
    const listed = manifests.map(manifest => {
      if (this.version !== 3 || manifest.content !== 0 || manifest.first_row_id != null) return manifest;
      const assigned = { ...manifest, first_row_id: next };
      next += manifest.added_rows_count + manifest.existing_rows_count;
      return assigned;
    });
    return { rows: next - first, listed };
  }

  private summary(change: TableChange, tokens: readonly Token[], deletes: DeleteFiles): Record<string, string> {
    const { data, vectors: before, positionFiles } = this.contents;
    const addedRows = change.added.reduce((sum, file) => sum + file.rows, 0), sum = (entries: readonly ManifestEntry[]): number => entries.reduce((total, entry) => total + entry.data_file.record_count, 0);
    const stay = [...data].filter(([path]) => !this.gone.has(path)).map(([, entry]) => entry);
    const emptied = this.gone.size === data.size;
    const standing = [...[...before].filter(([path]) => !change.deletes.has(path) && !this.gone.has(path)), ...[...positionFiles].filter(([path]) => !emptied && !deletes.retired.has(path))].map(([, entry]) => entry);
    const operation = change.replaceAll ? (addedRows > 0 ? 'overwrite' : 'delete') : change.deletes.size === 0 ? 'append' : addedRows > 0 ? 'overwrite' : 'delete';
    const count = deletes.entries.length, kind = this.version === 3 ? 'added-dvs' : 'added-position-delete-files';
    return {
      operation, 'added-data-files': String(change.added.length), 'added-records': String(addedRows), 'added-files-size': String(change.added.reduce((total, file) => total + file.bytes, 0)),
      ...(this.gone.size > 0 ? { 'deleted-data-files': String(this.gone.size) } : {}), ...(deletes.retired.size > 0 ? { 'removed-delete-files': String(deletes.retired.size) } : {}),
      ...(count > 0 ? { 'added-delete-files': String(count), [kind]: String(count), 'added-position-deletes': String(change.deletedRows) } : {}),
      'total-data-files': String(stay.length + change.added.length), 'total-delete-files': String(standing.length + count),
      'total-records': String(sum(stay) + addedRows), 'total-position-deletes': String(sum(standing) + sum(deletes.entries)), 'total-equality-deletes': '0', 'engine-name': 'tributary',
      [TOKENS]: JSON.stringify(tokens), [COMMIT_ID]: change.commitId,
    };
  }
}

function existing(entry: LiveEntry): ManifestEntry { return { ...entry, status: 0 }; }
