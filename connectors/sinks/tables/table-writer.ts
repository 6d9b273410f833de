/**
 * One table of a sink task: buffers rows, keeps the last write of each key, and turns them into one commit.
 * The steps of a flush: where do the keys lie → values that the source left out → data file → deletions → commit.
 */
import { randomUUID } from 'node:crypto';
import type { Schema, Struct, StructSchema } from '../../../envelopes/schema.ts';
import { DataError, FatalError, RetriableError } from '../../../runtime/api/errors.ts';
import type { Logger } from '../../../runtime/api/logger.ts';
import { type Binding, bind, checkKey, missingColumns } from './binding.ts';
import { ColumnBuffer, RowBuffer, UNAVAILABLE } from './column-buffer.ts';
import { KeyCodec } from './key-codec.ts';
import { LastWrite } from './last-write.ts';
import { KeyLocator, type Place } from './key-locator.ts';
import type { Parquet } from './parquet.ts';
import { RoaringBitmap } from './roaring.ts';
import type { Column, LakeTable, TableChange, TableFormat, Token, WrittenFile } from './table.ts';

export interface WriterOptions {
  readonly upsert: boolean;
  /** What stands for a value that the source did not send. */
  readonly placeholder: string;
  readonly parquet: Parquet;
  readonly format: TableFormat;
  readonly logger: Logger;
  /** Bytes that the key index may take; asked when it is built. */
  readonly indexBytes: () => number;
}

const MAX_ATTEMPTS = 8;

export class TableWriter {
  readonly table: LakeTable;
  private readonly options: WriterOptions;
  private buffer: RowBuffer;
  /** The table's columns that the buffer was made for. */
  private columns: readonly Column[];
  private keyCells: readonly ColumnBuffer[];
  /** One-row columns into which the keys of deletes are decoded. */
  private keyScratch: readonly ColumnBuffer[];
  private codec: KeyCodec;
  private readonly last = new LastWrite();
  private locator: KeyLocator;
  private replaceAll = false;
  /** Rows with a value that has to be fetched from the table, and the entry under whose key it lies. */
  private absent = new Map<number, number>();
  private readonly bindings = new Map<StructSchema, Map<Schema | undefined, Binding>>();
  private touched = false;

  constructor(table: LakeTable, options: WriterOptions) {
    this.table = table;
    this.options = options;
    this.columns = table.columns;
    this.buffer = new RowBuffer(this.columns);
    this.keyCells = this.keyColumnsOf(this.buffer);
    this.keyScratch = this.keyCells.map(cell => new ColumnBuffer(cell.column));
    this.codec = new KeyCodec(this.keyCells);
    this.locator = this.newLocator();
  }

  /** Bytes of memory that hold uncommitted rows. */
  get pendingBytes(): number { return this.touched ? this.buffer.size + this.last.size : 0; }
  get indexBytes(): number { return this.locator.bytes; }
  get dirty(): boolean { return this.touched; }
  get rows(): RowBuffer { return this.buffer; }
  get keys(): readonly ColumnBuffer[] { return this.keyScratch; }
  get upserts(): boolean { return this.options.upsert; }
  get placeholder(): string { return this.options.placeholder; }

  private newLocator(): KeyLocator { return new KeyLocator(this.table, this.options.parquet, this.keyCells.map(cell => cell.column), this.options.logger, this.options.indexBytes); }

  private keyColumnsOf(buffer: RowBuffer): readonly ColumnBuffer[] {
    if (!this.options.upsert) return [];
    return this.table.key.map(name => {
      const cell = buffer.columns.find(({ column }) => column.name === name);
      if (cell === undefined) throw new FatalError(`Table ${this.table.name.join('.')} has no column for its key ${name}`, { code: 'KEY_COLUMN', hint: 'The table was changed by another program: bring the column back, or write to a new table with table.name.format.' });
      return cell;
    });
  }

  /** The binding of a record's schemas, once the table has all their columns; undefined when that needs {@link evolve} first. */
  binding(rowSchema: StructSchema, keySchema: StructSchema | undefined): Binding | undefined {
    const known = this.bindings.get(rowSchema)?.get(keySchema);
    if (known !== undefined) return known;
    if (this.missing(rowSchema, keySchema).length > 0) return undefined;
    if (this.options.upsert && keySchema !== undefined) checkKey(this.table, keySchema);
    const binding = bind(rowSchema, keySchema, this.buffer.columns.map(cell => cell.column), this.keyCells.map(cell => cell.column), this.options.placeholder);
    let byKey = this.bindings.get(rowSchema);
    if (byKey === undefined) { byKey = new Map(); this.bindings.set(rowSchema, byKey); }
    byKey.set(keySchema, binding);
    return binding;
  }

  /** False once the table's columns have changed since the binding was made. */
  holds(binding: Binding): boolean { return this.bindings.get(binding.rowSchema)?.get(binding.keySchema) === binding; }

  private missing(rowSchema: StructSchema, keySchema: StructSchema | undefined): readonly Column[] {
    return missingColumns(this.table, rowSchema, this.options.upsert ? keySchema : undefined, type => this.options.format.fit?.(type) ?? type);
  }

  /** Brings the table's columns up to what these schemas need. The buffer has to be empty (flush first). */
  async evolve(rowSchema: StructSchema, keySchema: StructSchema | undefined, signal: AbortSignal): Promise<void> {
    const changes = this.missing(rowSchema, keySchema);
    if (changes.length === 0) return;
    await this.table.evolve(changes, signal);
    this.options.logger.info({ table: this.table.name.join('.'), columns: changes.map(column => column.name) }, 'table evolved');
    this.reset();
    this.locator = this.newLocator();
  }

  /** Forgets what is buffered and takes the table's present columns. */
  private reset(): void {
    this.bindings.clear();
    this.columns = this.table.columns;
    this.buffer = new RowBuffer(this.columns);
    this.clear();
    this.keyScratch = this.keyCells.map(cell => new ColumnBuffer(cell.column));
    this.codec = new KeyCodec(this.keyCells);
  }
  private clear(): void {
    this.buffer.clear();
    this.keyCells = this.keyColumnsOf(this.buffer);
    this.last.clear();
    this.absent.clear();
    this.replaceAll = false;
    this.touched = false;
  }

  /** General path of inserts, updates and snapshot rows. Throws DataError and leaves the buffer as it was. */
  upsert(binding: Binding, row: Struct, key: Struct | undefined, oldKey: Struct | undefined): void {
    const at = this.buffer.add();
    try {
      this.buffer.columns.forEach((cell, i) => {
        const source = binding.fromRow[i], fromKey = binding.fromKey[i];
        if (source !== undefined) source.write(cell, at, row.values[source.position] ?? null);
        else if (fromKey !== undefined && key !== undefined) fromKey.write(cell, at, key.values[fromKey.position] ?? null);
        else cell.setNull(at);
      });
      const oldEntry = oldKey === undefined || !this.options.upsert ? -1 : this.entryOf(binding, oldKey);
      this.keep(at, oldEntry, this.buffer.columns.some(cell => cell.state[at] === UNAVAILABLE));
    } catch (error) { this.buffer.drop(); throw error; }
  }

  /** Makes row `at` of the buffer, all columns of which are set, the last write of its key. The old row lies under `oldEntry` where that is not -1; `partial`: the source left values out. */
  keep(at: number, oldEntry: number, partial: boolean): void {
    this.touched = true;
    if (!this.options.upsert) { if (partial) this.dropAbsent(at); return; }
    if (!this.codec.encode(this.keyCells, at)) throw new DataError(`A record of table ${this.table.name.join('.')} has a null in its key, which column ${this.nullKey()} does not take`, { code: 'NULL_KEY', hint: 'Write to a new table with table.name.format: its key columns take null where the source says that they may be. Or set mode=append.' });
    const entry = this.last.entry(this.codec);
    if (partial) this.recall(at, oldEntry >= 0 ? oldEntry : entry);
    this.last.row[entry] = at;
    this.last.live[entry] = 1;
  }

  /** Key columns that are never null. */
  private nullKey(): string { return this.keyCells.filter(({ column }) => column.required).map(({ column }) => column.name).join(', '); }

  /** Fills values that the source left out from the row that the buffer has under `entry`, or notes where to look. */
  private recall(at: number, entry: number): void {
    const from = this.last.row[entry] ?? -1;
    if (from < 0) { this.absent.set(at, entry); return; }
    let still = false;
    for (const cell of this.buffer.columns) {
      if (cell.state[at] !== UNAVAILABLE) continue;
      cell.copyWithin(at, from);
      still ||= cell.state[at] === UNAVAILABLE;
    }
    const origin = this.absent.get(from);
    if (still && origin !== undefined) this.absent.set(at, origin);
  }
  private dropAbsent(at: number): void { for (const cell of this.buffer.columns) if (cell.state[at] === UNAVAILABLE) cell.setNull(at); }

  private entryOf(binding: Binding, key: Struct): number {
    binding.key.forEach((source, i) => { const cell = this.keyScratch[i]; if (cell !== undefined) { cell.arenaEnd = 0; source.write(cell, 0, key.values[source.position] ?? null); } });
    if (!this.codec.encode(this.keyScratch, 0)) throw new DataError(`A record of table ${this.table.name.join('.')} has a null in its key`, { code: 'NULL_KEY', hint: 'With message.key.columns the source has to send whole old rows: ALTER TABLE … REPLICA IDENTITY FULL.' });
    return this.last.entry(this.codec);
  }

  /** Deletes the row of a key; nothing in append mode. */
  delete(binding: Binding, key: Struct): void {
    if (!this.options.upsert) { this.touched = true; return; }
    this.last.live[this.entryOf(binding, key)] = 0;
    this.touched = true;
  }
  /** As {@link delete}, of the key that stands in {@link keys}, row 0. False when a part is null. */
  deleteScratch(): boolean {
    this.touched = true;
    if (!this.options.upsert) return true;
    if (!this.codec.encode(this.keyScratch, 0)) return false;
    this.last.live[this.last.entry(this.codec)] = 0;
    return true;
  }

  /** Empties the table: all that was buffered is void, and at the next commit all files go. */
  truncate(): void {
    this.clear();
    this.replaceAll = true;
    this.touched = true;
  }

  /** Notes that records were taken in that change nothing, so that the next commit moves the tokens. */
  touch(): void { this.touched = true; }

  /** One commit of all that is buffered, with these tokens. Throws RetriableError or FatalError; the buffer is kept then. */
  async flush(tokens: readonly Token[], signal: AbortSignal): Promise<void> {
    if (!this.touched) return;
    const base = this.table.tokens();
    let written: WrittenFile | undefined;
    const rows = this.survivors();
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      signal.throwIfAborted();
      const places = this.options.upsert && !this.replaceAll ? await this.locator.locate(this.last, this.codec) : [];
      if (written === undefined && rows.length > 0) {
        await this.fetchAbsent(places);
        written = await this.options.parquet.write(this.buffer, rows, this.columns, await this.table.newDataFile());
      }
      const change = await this.change(places, written, tokens);
      if (await this.attempt(change, signal)) { this.committed(places, written, rows); return; }
      this.checkTokens(base, tokens);
      this.locator = this.newLocator();
    }
    throw new RetriableError(`Table ${this.table.name.join('.')} was changed by others at each of ${MAX_ATTEMPTS} attempts to commit`, { code: 'COMMIT_CONFLICT', hint: 'See which other program writes to this table.' });
  }

  /** True when the change is in the table. */
  private async attempt(change: TableChange, signal: AbortSignal): Promise<boolean> {
    const outcome = await this.table.commit(change, signal);
    if (outcome === 'committed') return true;
    await this.table.refresh(signal);
    if (outcome === 'unknown' && await this.table.hasCommit(change.commitId)) return true;
    this.options.logger.warn({ table: this.table.name.join('.'), outcome }, 'commit to be planned again');
    return false;
  }

  /** Buffered rows that are still wanted, in the order in which they came. */
  private survivors(): Int32Array {
    if (!this.options.upsert) return Int32Array.from({ length: this.buffer.rows }, (_, row) => row);
    const rows = new Int32Array(this.last.count);
    let count = 0;
    for (let entry = 0; entry < this.last.count; entry++) if (this.last.live[entry] === 1) rows[count++] = this.last.row[entry] ?? 0;
    return rows.subarray(0, count).sort();
  }

  private async fetchAbsent(places: readonly Place[]): Promise<void> {
    if (this.absent.size === 0) return;
    const lie = new Map(places.map(place => [place.entry, place]));
    const byFile = new Map<string, Map<number, number[]>>();
    for (const [row, entry] of this.absent) {
      const place = lie.get(entry);
      if (place === undefined) { this.options.logger.warn({ table: this.table.name.join('.') }, 'value that the source left out is not in the table'); this.dropAbsent(row); continue; }
      const rows = byFile.get(place.path) ?? new Map<number, number[]>();
      rows.set(place.row, [...(rows.get(place.row) ?? []), row]);
      byFile.set(place.path, rows);
    }
    const wanted = this.buffer.columns.filter(cell => [...this.absent.keys()].some(row => cell.state[row] === UNAVAILABLE));
    for (const [path, rows] of byFile) {
      await this.options.parquet.readAt(path, [...rows.keys()], wanted.map(cell => cell.column), (cells, count, positions) => {
        for (let i = 0; i < count; i++) for (const row of rows.get(Number(positions[i])) ?? []) wanted.forEach((cell, column) => { const from = cells[column]; if (from !== undefined && cell.state[row] === UNAVAILABLE) takeCell(cell, row, from, i); });
      });
    }
    this.absent.clear();
  }

  private async change(places: readonly Place[], written: WrittenFile | undefined, tokens: readonly Token[]): Promise<TableChange> {
    const deletes = new Map<string, RoaringBitmap>();
    if (places.length > 0) {
      const present = new Map((await this.table.files()).map(file => [file.path, file.deleted]));
      for (const { path, row } of places) {
        let bitmap = deletes.get(path);
        if (bitmap === undefined) {
          bitmap = new RoaringBitmap();
          const old = present.get(path);
          if (old !== undefined) bitmap.or(old);
          deletes.set(path, bitmap);
        }
        bitmap.add(row);
      }
    }
    return { added: written === undefined ? [] : [written], deletes, deletedRows: places.length, replaceAll: this.replaceAll, tokens, commitId: randomUUID() };
  }

  private committed(places: readonly Place[], written: WrittenFile | undefined, rows: Int32Array): void {
    if (this.options.upsert) this.locator.apply({ places, written: written?.path, rows, last: this.last, replaceAll: this.replaceAll });
    // After a conflict the table may have columns that others added or widened.
    if (this.columns === this.table.columns) this.clear(); else this.reset();
  }

  /** A token of ours that moved without us: another worker has had the task meanwhile, or has it now. The table's position counts; from there a new start goes on. */
  private checkTokens(base: readonly Token[], ours: readonly Token[]): void {
    for (const token of ours) {
      const same = (one: Token): boolean => one.connector === token.connector && one.topicId === token.topicId && one.partition === token.partition && one.epoch === token.epoch;
      const before = base.find(same)?.offset ?? 0, now = this.table.tokens().find(same)?.offset ?? 0;
      if (now > before) throw new RetriableError(`Another writer has moved the position of ${token.topic} in table ${this.table.name.join('.')}`, { code: 'TWO_WRITERS', hint: 'The task starts again from the table\'s position; when that comes back, two clusters run this connector over one table: stop one of them.' });
    }
  }
}

/** Copies one cell between two buffers of the same type. */
export function takeCell(to: ColumnBuffer, row: number, from: ColumnBuffer, at: number): void {
  if (from.state[at] !== 1) { to.setNull(row); return; }
  if (to.width < 0) to.setNested(row, from.nested[at] ?? null);
  else if (to.width === 0) to.setBytes(row, from.slice(at));
  else { to.state[row] = 1; to.bytes.set(from.bytes.subarray(at * to.width, (at + 1) * to.width), row * to.width); }
}
