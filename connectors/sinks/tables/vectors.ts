/** Column buffers ↔ vectors of DuckDB, by copying memory where the layout is the same. */
import { DuckDBBlobVector, type DuckDBDataChunk, DuckDBVarCharVector } from '@duckdb/node-api';
import duckdb from '@duckdb/node-bindings';
import { type ColumnBuffer, NULL, PRESENT } from './column-buffer.ts';

/** Rows of a DuckDB vector. */
export const VECTOR_ROWS = 2048;
const scratch = new ArrayBuffer(VECTOR_ROWS * 16);
const scratchWords = new Int32Array(scratch), scratchBytes = new Uint8Array(scratch);
const validity = new ArrayBuffer(VECTOR_ROWS / 8);
const validityBytes = new Uint8Array(validity);

/** Fills column `index` of `chunk` (its row count is set) with the given rows of a buffer. */
export function writeVector(chunk: DuckDBDataChunk, index: number, cell: ColumnBuffer, rows: Int32Array): void {
  if (cell.width < 0) { writeNested(chunk, index, cell, rows); return; }
  const vector = duckdb.data_chunk_get_vector(chunk.chunk, index);
  let nulls = false;
  validityBytes.fill(0xff);
  for (let i = 0; i < rows.length; i++) if (cell.state[rows[i] ?? 0] !== PRESENT) { nulls = true; validityBytes[i >> 3] = (validityBytes[i >> 3] ?? 0) & ~(1 << (i & 7)); }
  if (cell.width === 0) {
    const { words, arena, state } = cell;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i] ?? 0;
      if (state[row] !== PRESENT) continue;
      const start = words[row * 2] ?? 0;
      duckdb.vector_assign_string_element_len(vector, i, arena.subarray(start, start + (words[row * 2 + 1] ?? 0)));
    }
  } else {
    gather(cell, rows);
    duckdb.copy_data_to_vector(vector, 0, scratch, 0, rows.length * cell.width);
  }
  if (nulls) {
    duckdb.vector_ensure_validity_writable(vector);
    duckdb.copy_data_to_vector_validity(vector, 0, validity, 0, Math.ceil(rows.length / 64) * 8);
  }
}

function gather({ width, words, bytes }: ColumnBuffer, rows: Int32Array): void {
  if (width >= 4) {
    const step = width >> 2;
    let to = 0;
    for (let i = 0; i < rows.length; i++) for (let word = (rows[i] ?? 0) * step, end = word + step; word < end; word++) scratchWords[to++] = words[word] ?? 0;
    return;
  }
  let to = 0;
  for (let i = 0; i < rows.length; i++) for (let byte = (rows[i] ?? 0) * width, end = byte + width; byte < end; byte++) scratchBytes[to++] = bytes[byte] ?? 0;
}

function writeNested(chunk: DuckDBDataChunk, index: number, cell: ColumnBuffer, rows: Int32Array): void {
  const values = Array.from(rows, row => (cell.state[row] === PRESENT ? cell.nested[row] ?? null : null));
  chunk.setColumnValues(index, values);
}

/** Takes rows 0 … of column `index` of a chunk into a buffer, from row `to` on. */
export function readVector(chunk: DuckDBDataChunk, index: number, count: number, cell: ColumnBuffer, to = 0): void {
  cell.reserve(to + count);
  const column = chunk.getColumnVector(index);
  if (cell.width > 0) {
    const vector = duckdb.data_chunk_get_vector(chunk.chunk, index);
    cell.bytes.set(duckdb.vector_get_data(vector, count * cell.width), to * cell.width);
    const valid = duckdb.vector_get_validity(vector, Math.ceil(count / 64) * 8) as Uint8Array | null;
    for (let i = 0; i < count; i++) cell.state[to + i] = valid === null || ((valid[i >> 3] ?? 0) & (1 << (i & 7))) !== 0 ? PRESENT : NULL;
    return;
  }
  for (let i = 0; i < count; i++) {
    if (column instanceof DuckDBBlobVector) {
      const value = column.getItemBytes(i);
      if (value === null) cell.setNull(to + i); else cell.setBytes(to + i, value);
      continue;
    }
    const value = column.getItem(i);
    if (value === null) cell.setNull(to + i);
    else if (column instanceof DuckDBVarCharVector) cell.setText(to + i, value as string);
    else cell.setNested(to + i, value);
  }
}
