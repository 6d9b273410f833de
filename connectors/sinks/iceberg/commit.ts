/** One attempt to commit a table change: vectors, manifests and the manifest list are written, then the metadata is put. */
import { randomBytes, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { RetriableError } from '../../../runtime/api/errors.ts';
import { writeDurable } from '../tables/local-files.ts';
import type { Column, TableChange, Token, WrittenFile } from '../tables/table.ts';
import { type Contents, type LiveEntry, plain } from './contents.ts';
import { encodeBound } from './format/bounds.ts';
import { encodeManifest, encodeManifestList, type DataFile, type KeyValue, type ManifestEntry, type ManifestFile } from './format/manifest.ts';
import { currentSchema, currentSnapshot, type Metadata, type Snapshot } from './format/metadata.ts';
import { encodeVectors, type VectorPlace } from './format/puffin.ts';

export const TOKENS = 'tributary.tokens';
export const COMMIT_ID = 'tributary.commit-id';
/** Data manifests at which they are merged into one. */
const MERGE_MANIFESTS = 64;

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
function vectorFile(path: string, size: number, place: VectorPlace): DataFile {
  return { ...NO_FACTS, content: 1, file_path: path, file_format: 'PUFFIN', partition: {}, record_count: place.cardinality, file_size_in_bytes: size, referenced_data_file: place.dataFile, first_row_id: null, content_offset: place.offset, content_size_in_bytes: place.length };
}

/** Writes everything that one snapshot needs; nothing of it counts before the metadata names it. */
export class SnapshotWriter {
  private readonly folder: string;
  private readonly metadata: Metadata;
  private readonly contents: Contents;
  readonly id = Number(BigInt.asUintN(52, randomBytes(8).readBigUInt64LE()) | 1n);
  private readonly sequence: number;
  private readonly version: 2 | 3;
  private files = 0;
  /** Every file made so far, to be taken away when the commit comes to nothing. */
  readonly written: string[] = [];
  /** Data files that leave the table: all of them at a truncate, else those without a row left. */
  private gone: ReadonlySet<string> = new Set();
  private readonly name = randomUUID();

  constructor(folder: string, metadata: Metadata, contents: Contents) {
    this.folder = folder;
    this.metadata = metadata;
    this.contents = contents;
    this.sequence = metadata['last-sequence-number'] + 1;
    this.version = metadata['format-version'];
  }

  async write(change: TableChange, columns: readonly Column[], tokens: readonly Token[], now: number): Promise<{ readonly snapshot: Snapshot; readonly places: readonly { readonly path: string; readonly place: VectorPlace }[] }> {
    const added = change.added.map((file): ManifestEntry => ({ status: 1, snapshot_id: this.id, sequence_number: null, file_sequence_number: null, data_file: dataFile(file, columns) }));
    this.gone = this.goneFiles(change);
    const vectors = await this.vectors(change);
    const manifests = [...await this.dataManifests(added), ...await this.deleteManifests(change, vectors.entries)];
    const firstRowId = this.metadata['next-row-id'] ?? 0;
    const { rows, listed } = this.withRowIds(manifests, firstRowId);
    const list = join(this.folder, `snap-${this.id}-1-${this.name}.avro`);
    const parent = currentSnapshot(this.metadata)?.['snapshot-id'];
    await this.put(list, encodeManifestList(this.version, { snapshot: this.id, parent, sequence: this.sequence }, listed));
    const snapshot: Snapshot = {
      'snapshot-id': this.id, ...(parent === undefined ? {} : { 'parent-snapshot-id': parent }), 'sequence-number': this.sequence, 'timestamp-ms': Math.max(now, this.metadata['last-updated-ms'] + 1),
      summary: this.summary(change, tokens, vectors.entries.length), 'manifest-list': list, 'schema-id': this.metadata['current-schema-id'], ...(this.version === 3 ? { 'first-row-id': firstRowId, 'added-rows': rows } : {}),
    };
    return { snapshot, places: vectors.places };
  }

  private goneFiles({ replaceAll, deletes }: TableChange): ReadonlySet<string> {
    if (replaceAll) return new Set(this.contents.data.keys());
    return new Set([...deletes].filter(([path, bitmap]) => bitmap.cardinality() >= (this.contents.data.get(path)?.data_file.record_count ?? Infinity)).map(([path]) => path));
  }

  private async put(path: string, bytes: Buffer): Promise<void> { this.written.push(path); await writeDurable(path, bytes); }

  private async vectors({ deletes }: TableChange): Promise<{ readonly entries: readonly ManifestEntry[]; readonly places: readonly { readonly path: string; readonly place: VectorPlace }[] }> {
    for (const path of deletes.keys()) if (!this.contents.data.has(path)) throw new RetriableError('A file with rows to delete is no longer in the table', { code: 'ICEBERG_FILE_GONE' });
    const stay = [...deletes].filter(([path]) => !this.gone.has(path));
    if (stay.length === 0) return { entries: [], places: [] };
    const { file, places } = encodeVectors(new Map(stay.map(([path, bitmap]) => [this.contents.data.get(path)?.data_file.file_path ?? path, bitmap])));
    const path = join(this.folder, '..', 'data', `${this.name}-deletes.puffin`);
    await this.put(path, file);
    const entries = places.map((place): ManifestEntry => ({ status: 1, snapshot_id: this.id, sequence_number: null, file_sequence_number: null, data_file: vectorFile(path, file.length, place) }));
    return { entries, places: places.map(place => ({ path, place })) };
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

  /** One manifest with the vectors of all files: a data file has at most one, so those that were replaced are left out as deleted. */
  private async deleteManifests(change: TableChange, added: readonly ManifestEntry[]): Promise<readonly ManifestFile[]> {
    const present = this.contents.manifests.filter(manifest => manifest.content === 1);
    if (added.length === 0 && this.gone.size === 0) return present;
    const entries: ManifestEntry[] = [...added];
    for (const [path, entry] of this.contents.vectors) {
      entries.push(this.gone.has(path) || change.deletes.has(path) ? this.leaving(entry) : existing(entry));
    }
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

  private summary(change: TableChange, tokens: readonly Token[], vectors: number): Record<string, string> {
    const { data, vectors: before } = this.contents;
    const addedRows = change.added.reduce((sum, file) => sum + file.rows, 0);
    const stay = [...data].filter(([path]) => !this.gone.has(path)).map(([, entry]) => entry.data_file.record_count);
    const liveData = stay.reduce((sum, count) => sum + count, 0) + addedRows;
    const untouched = [...before].filter(([path]) => !change.deletes.has(path) && !this.gone.has(path)).map(([, entry]) => entry.data_file.record_count);
    const deleted = [...change.deletes].reduce((sum, [path, bitmap]) => sum + (this.gone.has(path) ? 0 : bitmap.cardinality()), 0) + untouched.reduce((sum, count) => sum + count, 0);
    const operation = change.replaceAll ? (addedRows > 0 ? 'overwrite' : 'delete') : change.deletes.size === 0 ? 'append' : addedRows > 0 ? 'overwrite' : 'delete';
    return {
      operation, 'added-data-files': String(change.added.length), 'added-records': String(addedRows), 'added-files-size': String(change.added.reduce((sum, file) => sum + file.bytes, 0)),
      ...(this.gone.size > 0 ? { 'deleted-data-files': String(this.gone.size) } : {}),
      ...(vectors > 0 ? { 'added-delete-files': String(vectors), 'added-dvs': String(vectors), 'added-position-deletes': String(change.deletedRows) } : {}),
      'total-data-files': String(stay.length + change.added.length), 'total-delete-files': String(untouched.length + vectors),
      'total-records': String(liveData), 'total-position-deletes': String(deleted), 'total-equality-deletes': '0', 'engine-name': 'tributary',
      [TOKENS]: JSON.stringify(tokens), [COMMIT_ID]: change.commitId,
    };
  }
}

function existing(entry: LiveEntry): ManifestEntry { return { ...entry, status: 0 }; }
