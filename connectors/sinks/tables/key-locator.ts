/**
 * Where in the table the keys of a batch lie: through the index while that fits its memory, else by a scan of the key
 * columns for each batch. Hits of a hash that is not the key itself are compared with the key in the file.
 */
import { FatalError } from '../../../runtime/api/errors.ts';
import type { Logger } from '../../../runtime/api/logger.ts';
import { ColumnBuffer } from './column-buffer.ts';
import { KeyCodec } from './key-codec.ts';
import { KeyIndex, MAX_POSITIONS } from './key-index.ts';
import type { LastWrite } from './last-write.ts';
import type { Parquet } from './parquet.ts';
import type { Column, LakeTable, LiveFile } from './table.ts';

/** Most files that are numbered before the index is made anew. */
const MAX_FILES = 65_536;

/** A live row of the table whose key has an entry. */
export interface Place { readonly entry: number; readonly path: string; readonly row: number }

interface Applied { readonly places: readonly Place[]; readonly written: string | undefined; readonly rows: Int32Array; readonly last: LastWrite; readonly replaceAll: boolean }

export class KeyLocator {
  private readonly table: LakeTable;
  private readonly parquet: Parquet;
  private readonly key: readonly Column[];
  private readonly logger: Logger;
  private readonly budget: () => number;
  /** Null: does not fit, scan instead. Undefined: not built yet. */
  private index: KeyIndex | null | undefined;
  private numbering = new Numbering();

  constructor(table: LakeTable, parquet: Parquet, key: readonly Column[], logger: Logger, budget: () => number) {
    this.table = table;
    this.parquet = parquet;
    this.key = key;
    this.logger = logger;
    this.budget = budget;
  }

  get bytes(): number { return this.index?.bytes ?? 0; }

  /** Live rows of all keys in `last`. */
  async locate(last: LastWrite, codec: KeyCodec): Promise<readonly Place[]> {
    if (this.index === undefined) await this.build();
    if (this.index === null || this.index === undefined) return this.scanFor(last);
    const places: Place[] = [];
    const { index } = this;
    for (let entry = 0; entry < last.count; entry++) {
      for (let slot = index.find(last.low[entry] ?? 0, last.high[entry] ?? 0); slot >= 0; slot = index.next(slot)) {
        places.push({ entry, ...this.numbering.place(index.position(slot)) });
      }
    }
    return codec.exact ? places : this.verified(places, last);
  }

  /** Follows a commit that made {@link locate}'s places go and wrote `rows` of the buffer in order as one file. */
  apply({ places, written, rows, last, replaceAll }: Applied): void {
    const { index } = this;
    if (index === null || index === undefined) return;
    if (replaceAll) { this.index = new KeyIndex(rows.length); this.numbering = new Numbering(); }
    const present = this.index as KeyIndex;
    for (const { entry, path, row } of places) {
      const slot = present.at(last.low[entry] ?? 0, last.high[entry] ?? 0, this.numbering.position(path, row));
      if (slot >= 0) present.remove(slot);
    }
    if (written === undefined) return;
    if (!this.numbering.hasRoom(rows.length) || KeyIndex.bytesFor(present.count + rows.length) > Math.max(present.bytes, this.budget() + present.bytes)) { this.index = undefined; return; }
    const first = this.numbering.add(written, rows.length);
    // Where a buffered row lies in the file: rows are in the order of the buffer.
    const order = new Uint32Array(rows.length === 0 ? 0 : (rows[rows.length - 1] ?? 0) + 1);
    for (let i = 0; i < rows.length; i++) order[rows[i] ?? 0] = i;
    for (let entry = 0; entry < last.count; entry++) {
      if (last.live[entry] === 1) present.add(last.low[entry] ?? 0, last.high[entry] ?? 0, first + (order[last.row[entry] ?? 0] ?? 0));
    }
  }

  private async build(): Promise<void> {
    const started = performance.now();
    const files = await this.table.files();
    const rows = files.reduce((sum, file) => sum + file.rows, 0), keys = files.reduce((left, file) => left - (file.deleted?.cardinality() ?? 0), rows);
    if (KeyIndex.bytesFor(keys) > this.budget() || rows >= MAX_POSITIONS || files.length >= MAX_FILES) {
      this.index = null;
      this.logger.warn({ table: this.table.name.join('.'), keys }, 'key index does not fit sink.memory.bytes, key columns are scanned at each commit');
      return;
    }
    const index = new KeyIndex(keys);
    this.numbering = new Numbering();
    for (const file of files) {
      // Another program's file may not say how many rows it has.
      let rowsOf = file.rows;
      const first = this.numbering.add(file.path, rowsOf);
      await this.eachKey(file, (codec, row) => { index.add(codec.low, codec.high, first + row); if (row >= rowsOf) rowsOf = row + 1; });
      this.numbering.extend(first + rowsOf);
    }
    this.index = index;
    this.logger.info({ table: this.table.name.join('.'), keys, bytes: index.bytes, ms: Math.round(performance.now() - started) }, 'key index built');
  }

  private async eachKey(file: LiveFile, each: (codec: KeyCodec, row: number) => void): Promise<void> {
    if (this.key.length === 0) throw new FatalError(`Table ${this.table.name.join('.')} has no key`, { code: 'NO_KEY', hint: 'Set mode=append.' });
    const codec = new KeyCodec(this.key.map(column => new ColumnBuffer(column)));
    const { deleted } = file;
    await this.parquet.scan(file.path, this.key, (cells, count, positions) => {
      for (let i = 0; i < count; i++) {
        const row = Number(positions[i]);
        if (deleted?.has(row) !== true && codec.encode(cells, i)) each(codec, row);
      }
    });
  }

  private async scanFor(last: LastWrite): Promise<readonly Place[]> {
    const places: Place[] = [];
    for (const file of await this.table.files()) {
      await this.eachKey(file, (codec, row) => {
        const entry = last.find(codec);
        if (entry >= 0) places.push({ entry, path: file.path, row });
      });
    }
    return places;
  }

  private async verified(candidates: readonly Place[], last: LastWrite): Promise<readonly Place[]> {
    const byFile = new Map<string, Place[]>();
    for (const place of candidates) { const list = byFile.get(place.path); if (list === undefined) byFile.set(place.path, [place]); else list.push(place); }
    const codec = new KeyCodec(this.key.map(column => new ColumnBuffer(column)));
    const places: Place[] = [];
    for (const [path, list] of byFile) {
      const rows = new Set(list.map(place => place.row));
      await this.parquet.readAt(path, [...rows], this.key, (cells, count, positions) => {
        for (let i = 0; i < count; i++) {
          if (!codec.encode(cells, i)) continue;
          const entry = last.find(codec);
          if (entry >= 0) places.push({ entry, path, row: Number(positions[i]) });
        }
      });
    }
    return places;
  }
}

/** Numbers all rows of all files one after the other: file and row ↔ position. */
class Numbering {
  private readonly paths: string[] = [];
  private readonly starts: number[] = [];
  private readonly startByPath = new Map<string, number>();
  private end = 0;

  hasRoom(rows: number): boolean { return this.paths.length < MAX_FILES && this.end + rows < MAX_POSITIONS; }
  /** The position of the file's first row. */
  add(path: string, rows: number): number {
    const start = this.end;
    this.paths.push(path);
    this.starts.push(start);
    this.startByPath.set(path, start);
    this.end += rows;
    return start;
  }
  /** The file that was added last goes on to there. */
  extend(end: number): void { this.end = end; }
  /** -1 for a file that has no number. */
  position(path: string, row: number): number { const start = this.startByPath.get(path); return start === undefined ? -1 : start + row; }
  place(position: number): { readonly path: string; readonly row: number } {
    let from = 0, to = this.starts.length;
    while (to - from > 1) { const middle = (from + to) >> 1; if ((this.starts[middle] ?? 0) <= position) from = middle; else to = middle; }
    return { path: this.paths[from] ?? '', row: position - (this.starts[from] ?? 0) };
  }
}
