/**
 * Rows waiting for their commit, column by column, in the layout that DuckDB's vectors have: flushing copies memory.
 * Physical forms: numbers little-endian in 1, 2, 4, 8 or 16 bytes; text and bytes in one arena; nested values as DuckDB's objects.
 */
import type { DuckDBValue } from '@duckdb/node-api';
import type { Column, ColumnType } from './table.ts';

export const NULL = 0, PRESENT = 1;
/** The source did not send this value (TOAST): it is in the table, and is fetched from there. */
export const UNAVAILABLE = 2;

/** Bytes a value takes in a DuckDB vector; 0 = variable, -1 = nested. */
export function widthOf(type: ColumnType): number {
  switch (type.kind) {
    case 'boolean': return 1;
    case 'int': case 'date': case 'float': return 4;
    case 'long': case 'double': case 'time': case 'timestamp': case 'timestamptz': case 'timestamp_ns': case 'timestamptz_ns': return 8;
    case 'uuid': return 16;
    case 'decimal': return type.precision <= 4 ? 2 : type.precision <= 9 ? 4 : type.precision <= 18 ? 8 : 16;
    case 'string': case 'binary': return 0;
    default: return -1;
  }
}

/** Cells marked {@link UNAVAILABLE} so far, in all buffers: a parser sees by it whether a row has one. */
export const unavailable = { cells: 0 };

const FIRST_ROWS = 256;
const FIRST_ARENA = 8 * 1024;

export class ColumnBuffer {
  readonly column: Column;
  readonly width: number;
  /** One of NULL, PRESENT, UNAVAILABLE for each row. */
  state = new Uint8Array(FIRST_ROWS);
  /** Fixed widths: the values. Variable: pairs of start and length in the arena. */
  bytes: Uint8Array;
  private view: DataView;
  /** The same memory as `bytes`, by four bytes; undefined for narrower widths. */
  words: Int32Array;
  arena: Buffer = Buffer.allocUnsafe(0);
  arenaEnd = 0;
  readonly nested: (DuckDBValue | undefined)[] = [];
  private rows = FIRST_ROWS;

  constructor(column: Column) {
    this.column = column;
    this.width = widthOf(column.type);
    const memory = new ArrayBuffer(FIRST_ROWS * this.stride);
    this.bytes = new Uint8Array(memory);
    this.view = new DataView(memory);
    this.words = new Int32Array(memory, 0, memory.byteLength >> 2);
    if (this.width === 0) this.arena = Buffer.allocUnsafe(FIRST_ARENA);
  }

  /** Takes all rows out. Memory is kept for the next ones; of the arena only what these had a use for. */
  clear(): void {
    if (roomFor(this.arenaEnd, FIRST_ARENA) < this.arena.length / 4) this.arena = Buffer.allocUnsafe(FIRST_ARENA);
    this.arenaEnd = 0;
    this.nested.length = 0;
  }

  private get stride(): number { return this.width === 0 ? 8 : Math.max(this.width, 0); }

  /** Makes room for `rows` rows. */
  reserve(rows: number): void {
    if (rows <= this.rows) return;
    const capacity = roomFor(rows, this.rows);
    const state = new Uint8Array(capacity);
    state.set(this.state);
    this.state = state;
    const memory = new ArrayBuffer(capacity * this.stride);
    const bytes = new Uint8Array(memory);
    bytes.set(this.bytes);
    this.bytes = bytes;
    this.view = new DataView(memory);
    this.words = new Int32Array(memory, 0, memory.byteLength >> 2);
    this.rows = capacity;
  }

  /** Memory that the values in room for `rows` rows need, in bytes. Nested values are estimated. */
  sizeFor(rows: number): number { return rows * (this.stride + 1) + (this.width === 0 ? roomFor(this.arenaEnd, FIRST_ARENA) : 0) + this.nested.length * 64; }

  setNull(row: number): void { this.state[row] = NULL; }
  setUnavailable(row: number): void { this.state[row] = UNAVAILABLE; unavailable.cells++; }
  setBoolean(row: number, value: boolean): void { this.state[row] = PRESENT; this.bytes[row] = value ? 1 : 0; }
  setInt(row: number, value: number): void { this.state[row] = PRESENT; this.words[row] = value; }
  setFloat(row: number, value: number): void { this.state[row] = PRESENT; this.view.setFloat32(row * 4, value, true); }
  setDouble(row: number, value: number): void { this.state[row] = PRESENT; this.view.setFloat64(row * 8, value, true); }
  setLong(row: number, value: bigint): void { this.state[row] = PRESENT; this.view.setBigInt64(row * 8, value, true); }
  /** A whole number within ±2^53 as 64 bits. */
  setSafeLong(row: number, value: number): void {
    this.state[row] = PRESENT;
    this.words[row * 2] = value | 0;
    const low = value >>> 0;
    this.words[row * 2 + 1] = (value - low) / 4_294_967_296;
  }
  setHuge(row: number, value: bigint): void {
    this.state[row] = PRESENT;
    this.view.setBigUint64(row * 16, BigInt.asUintN(64, value), true);
    this.view.setBigInt64(row * 16 + 8, BigInt.asIntN(64, value >> 64n), true);
  }
  /** Unscaled value of a decimal, whatever its width. */
  setUnscaled(row: number, value: bigint): void {
    switch (this.width) {
      case 2: this.state[row] = PRESENT; this.view.setInt16(row * 2, Number(value), true); return;
      case 4: this.setInt(row, Number(value)); return;
      case 8: this.setLong(row, value); return;
      default: this.setHuge(row, value);
    }
  }
  setUnscaledSafe(row: number, value: number): void {
    switch (this.width) {
      case 2: this.state[row] = PRESENT; this.view.setInt16(row * 2, value, true); return;
      case 4: this.setInt(row, value); return;
      case 8: this.setSafeLong(row, value); return;
      default: this.setHuge(row, BigInt(value));
    }
  }
  /** 16 bytes of a UUID, big-endian as written; DuckDB keeps it with the first bit turned over, so that it sorts. */
  setUuid(row: number, first: number, second: number, third: number, fourth: number): void {
    this.state[row] = PRESENT;
    const at = row * 4;
    this.words[at] = fourth; this.words[at + 1] = third; this.words[at + 2] = second; this.words[at + 3] = first ^ 0x80000000;
  }

  /** Reserves `length` bytes of the arena for a row and returns where they begin; the caller writes them. */
  place(row: number, length: number): number {
    const start = this.arenaEnd;
    if (start + length > this.arena.length) this.growArena(start + length);
    this.state[row] = PRESENT;
    this.words[row * 2] = start;
    this.words[row * 2 + 1] = length;
    this.arenaEnd = start + length;
    return start;
  }
  /** Cuts the last placed value, when fewer bytes were needed than reserved. */
  shorten(row: number, length: number): void {
    this.words[row * 2 + 1] = length;
    this.arenaEnd = (this.words[row * 2] ?? 0) + length;
  }
  private growArena(needed: number): void {
    const arena = Buffer.allocUnsafe(roomFor(needed, Math.max(this.arena.length, FIRST_ARENA)));
    this.arena.copy(arena, 0, 0, this.arenaEnd);
    this.arena = arena;
  }
  setText(row: number, value: string): void {
    const start = this.place(row, Buffer.byteLength(value));
    this.arena.write(value, start, 'utf8');
  }
  setBytes(row: number, value: Uint8Array): void {
    // First the place: it may put a larger arena where the present one is.
    const start = this.place(row, value.length);
    this.arena.set(value, start);
  }
  setNested(row: number, value: DuckDBValue): void { this.state[row] = PRESENT; this.nested[row] = value; }

  /** Bytes of a text or binary value; valid until the next write. */
  slice(row: number): Buffer {
    const start = this.words[row * 2] ?? 0;
    return this.arena.subarray(start, start + (this.words[row * 2 + 1] ?? 0));
  }

  /** Takes over row `from` of this same column. */
  copyWithin(row: number, from: number): void {
    this.state[row] = this.state[from] ?? NULL;
    if (this.width < 0) { this.nested[row] = this.nested[from]; return; }
    // Two rows may share a stretch of the arena: it only grows until all of it is dropped.
    const stride = this.stride;
    this.bytes.copyWithin(row * stride, from * stride, (from + 1) * stride);
  }
}

/** All buffered rows of one table. */
export class RowBuffer {
  columns: readonly ColumnBuffer[];
  /** Number of rows, those that were overwritten since included. */
  rows = 0;
  /** Room that the rows so far have asked for, and the most since the memory was new. */
  private capacity = FIRST_ROWS;
  private held = FIRST_ROWS;

  constructor(columns: readonly Column[]) { this.columns = columns.map(column => new ColumnBuffer(column)); }

  /** Position of a new row; every column is to be set. */
  add(): number {
    const row = this.rows++;
    if (row >= this.capacity) {
      this.capacity *= 2;
      for (const column of this.columns) column.reserve(this.capacity);
    }
    return row;
  }
  /** Takes the newest row back. */
  drop(): void { this.rows--; }
  /** Takes all rows out. Memory is kept for the next ones, unless these had little use for it. */
  clear(): void {
    this.held = Math.max(this.held, this.capacity);
    if (this.capacity < this.held / 4) { this.columns = this.columns.map(({ column }) => new ColumnBuffer(column)); this.held = FIRST_ROWS; }
    for (const column of this.columns) column.clear();
    this.rows = 0;
    this.capacity = FIRST_ROWS;
  }
  /** Memory that the rows need, in bytes. */
  get size(): number { let sum = 0; for (const column of this.columns) sum += column.sizeFor(this.capacity); return sum; }
}

/** `first` doubled until it holds `needed`. */
export function roomFor(needed: number, first: number): number {
  let room = first;
  while (room < needed) room *= 2;
  return room;
}
