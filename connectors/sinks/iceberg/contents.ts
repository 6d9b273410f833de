/** What a snapshot holds: its manifests, data files, deletion vectors and position delete files. Manifests never change, so each is read once. */
import { readFile } from 'node:fs/promises';
import { FatalError } from '../../../runtime/api/errors.ts';
import { diskError } from '../tables/local-files.ts';
import { RoaringBitmap } from '../tables/roaring.ts';
import type { Long } from './format/avro.ts';
import { currentSnapshot, type Metadata } from './format/metadata.ts';
import { decodeManifest, decodeManifestList, type ManifestEntry, type ManifestFile } from './format/manifest.ts';
import { decodeVector } from './format/puffin.ts';
import { readPositions } from './position-files.ts';

/** An entry with everything that it inherits from its manifest filled in. */
export type LiveEntry = ManifestEntry & { readonly snapshot_id: Long; readonly sequence_number: number; readonly file_sequence_number: number };
/** `data` and `vectors` by the data file's path, `byManifest` by the manifest's path as it is listed, `positionFiles` by their own path. */
export interface Contents { readonly manifests: readonly ManifestFile[]; readonly byManifest: ReadonlyMap<string, readonly LiveEntry[]>; readonly data: ReadonlyMap<string, LiveEntry>; readonly vectors: ReadonlyMap<string, LiveEntry>; readonly positionFiles: ReadonlyMap<string, LiveEntry> }
/** What some position delete files say together, by data file. */
interface Positions { readonly files: ReadonlySet<string>; readonly byData: ReadonlyMap<string, RoaringBitmap> }

export class ContentsReader {
  private readonly manifests = new Map<string, readonly LiveEntry[]>();
  private readonly bitmaps = new Map<string, RoaringBitmap>();
  private known: Positions = { files: new Set(), byData: new Map() };
  private last: { readonly snapshot: Long | undefined; readonly contents: Contents } | undefined;

  async read(metadata: Metadata): Promise<Contents> {
    const snapshot = currentSnapshot(metadata);
    if (this.last !== undefined && this.last.snapshot === snapshot?.['snapshot-id']) return this.last.contents;
    const manifests = snapshot === undefined ? [] : await readWhole(snapshot['manifest-list'], decodeManifestList);
    const data = new Map<string, LiveEntry>(), vectors = new Map<string, LiveEntry>(), positionFiles = new Map<string, LiveEntry>();
    for (const manifest of manifests) {
      for (const entry of await this.entries(manifest)) {
        if (manifest.content === 0) data.set(plain(entry.data_file.file_path), entry);
        else if (isPositions(entry)) positionFiles.set(plain(entry.data_file.file_path), entry);
        else vectors.set(plain(targetOf(entry)), entry);
      }
    }
    const known = new Set(manifests.map(manifest => manifest.manifest_path));
    for (const path of this.manifests.keys()) if (!known.has(path)) this.manifests.delete(path);
    const contents = { manifests, byManifest: new Map(this.manifests), data, vectors, positionFiles };
    this.last = { snapshot: snapshot?.['snapshot-id'], contents };
    return contents;
  }

  private async entries(manifest: ManifestFile): Promise<readonly LiveEntry[]> {
    let entries = this.manifests.get(manifest.manifest_path);
    if (entries === undefined) {
      let rowId = manifest.first_row_id ?? undefined;
      entries = (await readWhole(manifest.manifest_path, decodeManifest)).map(entry => {
        const file = entry.data_file;
        const first = file.first_row_id ?? rowId;
        if (file.first_row_id == null && rowId !== undefined) rowId += file.record_count;
        return {
          ...entry, snapshot_id: entry.snapshot_id ?? manifest.added_snapshot_id, sequence_number: entry.sequence_number ?? manifest.sequence_number, file_sequence_number: entry.file_sequence_number ?? manifest.sequence_number,
          data_file: { ...file, ...(manifest.content === 0 && first !== undefined ? { first_row_id: first } : {}) },
        };
      }).filter(entry => entry.status !== 2);
      this.manifests.set(manifest.manifest_path, entries);
    }
    return entries;
  }

  /** Positions deleted in a data file. A vector counts alone: whoever wrote it took the older position deletes into it. */
  async deletedIn(path: string, contents: Contents): Promise<RoaringBitmap | undefined> {
    const vector = contents.vectors.get(path);
    return vector === undefined ? (await this.positions(contents)).get(path) : this.bitmap(vector);
  }

  private async bitmap({ data_file: file }: LiveEntry): Promise<RoaringBitmap> {
    const key = `${file.file_path}@${file.content_offset ?? ''}`;
    let bitmap = this.bitmaps.get(key);
    if (bitmap === undefined) {
      const offset = file.content_offset ?? 0;
      bitmap = await readWhole(file.file_path, bytes => decodeVector(bytes.subarray(offset, offset + (file.content_size_in_bytes ?? 0))));
      this.remember(key, bitmap);
    }
    return bitmap;
  }
  /** Keeps a bitmap that was just written, so that it is not read back. */
  remember(key: string, bitmap: RoaringBitmap): void {
    if (this.bitmaps.size > 1000) this.bitmaps.clear();
    this.bitmaps.set(key, bitmap);
  }

  /** All that the position delete files say, by data file. Files that are known are not read again, unless one of those has gone. */
  async positions({ positionFiles }: Contents): Promise<ReadonlyMap<string, RoaringBitmap>> {
    const kept = [...this.known.files].every(path => positionFiles.has(path));
    const missing = [...positionFiles.keys()].filter(path => !kept || !this.known.files.has(path));
    if (missing.length > 0 || !kept) {
      const byData = new Map(kept ? this.known.byData : []);
      for (const [name, bitmap] of missing.length === 0 ? [] : await readPositions(missing)) {
        const path = plain(name), all = new RoaringBitmap(), old = byData.get(path);
        if (old !== undefined) all.or(old);
        all.or(bitmap);
        byData.set(path, all);
      }
      this.known = { files: new Set(positionFiles.keys()), byData };
    }
    return this.known.byData;
  }
  /** Takes over what a commit of ours has made of the position delete files. */
  rememberPositions(files: ReadonlySet<string>, byData: ReadonlyMap<string, RoaringBitmap>): void { this.known = { files, byData }; }
}

/** A file that the metadata names. Throws FatalError ICEBERG_DAMAGED when it is missing or not what it should be, RetriableError when the disk fails. */
async function readWhole<T>(location: string, decode: (bytes: Buffer) => T): Promise<T> {
  const path = plain(location);
  try { return decode(await readFile(path)); } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== undefined && code !== 'ENOENT' && !code.startsWith('ERR_')) throw diskError(error, path);
    throw new FatalError(`The Iceberg table names ${path}, which is ${code === 'ENOENT' ? 'missing' : `damaged: ${(error as Error).message}`}`, { code: 'ICEBERG_DAMAGED', hint: 'Restore the file from a backup, or roll the table back to an older snapshot, then restart the task.', cause: error });
  }
}

function isPositions({ data_file: file }: LiveEntry): boolean { return file.content === 1 && file.file_format.toLowerCase() === 'parquet'; }
function targetOf({ data_file: file }: LiveEntry): string {
  if (file.content === 1 && file.file_format.toLowerCase() === 'puffin' && file.referenced_data_file !== null) return file.referenced_data_file;
  const what = file.content === 2 ? 'equality deletes' : `position deletes in ${file.file_format}`;
  throw new FatalError(`The Iceberg table has delete files that this sink cannot read: ${what}`, { code: 'ICEBERG_DELETES', hint: 'Rewrite them (Spark: CALL system.rewrite_data_files with delete-file-threshold 1), or write to a new table.' });
}

/** `file:` locations as paths. */
export function plain(location: string): string {
  return location.startsWith('file:') ? decodeURIComponent(location.replace(/^file:(\/\/)?/, '')) : location;
}
