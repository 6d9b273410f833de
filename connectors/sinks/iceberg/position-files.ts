/**
 * Position delete files of format version 2 (Iceberg specification, "Position Delete Files"): Parquet rows
 * (file_path, pos) with reserved field ids, sorted by both. One file may speak of many data files.
 */
import { DuckDBDataChunk, type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { FatalError, RetriableError } from '../../../runtime/api/errors.ts';
import { ColumnBuffer } from '../tables/column-buffer.ts';
import { literal } from '../tables/column-types.ts';
import { diskError, syncFile } from '../tables/local-files.ts';
import { RoaringBitmap } from '../tables/roaring.ts';
import { readVector, VECTOR_ROWS, writeVector } from '../tables/vectors.ts';
import { dirname } from 'node:path';

/** Reserved ids of the two columns. */
export const PATH_FIELD = 2_147_483_546, POSITION_FIELD = 2_147_483_545;
const MEMORY = '128MiB';
const ORDINAL = { name: 'ordinal', type: { kind: 'int' }, required: true } as const, POSITION = { name: 'pos', type: { kind: 'long' }, required: true } as const;

/** Size and rows of a file that was written. */
export interface PositionFile { readonly bytes: number; readonly rows: number }

async function withDuck<T>(use: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1', memory_limit: MEMORY, autoinstall_known_extensions: 'false', autoload_known_extensions: 'false' });
  try {
    const connection = await instance.connect();
    try { return await use(connection); } finally { connection.closeSync(); }
  } finally { instance.closeSync(); }
}

/** Writes one durable file. `deletes`: positions by data file, paths in the order of their UTF-8 bytes. */
export async function writePositions(path: string, deletes: ReadonlyMap<string, RoaringBitmap>): Promise<PositionFile> {
  try {
    return await withDuck(async connection => {
      // The paths lie there once and are looked up while the file is written: a row of the table has 12 bytes.
      await connection.run('CREATE TABLE paths (ordinal INTEGER, path VARCHAR); CREATE TABLE deletes (ordinal INTEGER, pos BIGINT)');
      const paths = await connection.createAppender('paths');
      [...deletes.keys()].forEach((name, ordinal) => { paths.appendInteger(ordinal + 1); paths.appendVarchar(name); paths.endRow(); });
      paths.closeSync();
      await connection.run('SET VARIABLE paths = (SELECT list(path ORDER BY ordinal) FROM paths)');
      await append(connection, [...deletes.values()]);
      const reader = await connection.runAndReadAll(`COPY (SELECT list_extract(getvariable('paths'), ordinal) AS file_path, pos FROM deletes) TO ${literal(path)} (FORMAT parquet, COMPRESSION zstd, FIELD_IDS {file_path: ${PATH_FIELD}, pos: ${POSITION_FIELD}}, RETURN_STATS)`);
      const [row] = reader.getRowsJson();
      await syncFile(path);
      return { rows: Number(row?.[1] ?? 0), bytes: Number(row?.[2] ?? 0) };
    });
  } catch (error) {
    throw new RetriableError('A position delete file could not be written', { code: 'PARQUET_WRITE', hint: 'See whether the disk of the warehouse is full.', cause: diskError(error, dirname(path)) });
  }
}

async function append(connection: DuckDBConnection, bitmaps: readonly RoaringBitmap[]): Promise<void> {
  const types = (await connection.run('SELECT * FROM deletes LIMIT 0')).columnTypes();
  const appender = await connection.createAppender('deletes'), chunk = DuckDBDataChunk.create(types);
  const ordinal = new ColumnBuffer(ORDINAL), position = new ColumnBuffer(POSITION), rows = Int32Array.from({ length: VECTOR_ROWS }, (_, row) => row);
  for (const cell of [ordinal, position]) cell.reserve(VECTOR_ROWS);
  let count = 0;
  const flush = (): void => {
    chunk.reset();
    chunk.rowCount = count;
    [ordinal, position].forEach((cell, index) => { writeVector(chunk, index, cell, rows.subarray(0, count)); });
    appender.appendDataChunk(chunk);
    count = 0;
  };
  bitmaps.forEach((bitmap, i) => {
    for (const row of bitmap.iterate()) {
      ordinal.setInt(count, i + 1);
      position.setSafeLong(count, row);
      if (++count === VECTOR_ROWS) flush();
    }
  });
  if (count > 0) flush();
  appender.closeSync();
}

/** Positions by data file, the paths as they stand in the files, all files together. Throws FatalError when one cannot be read. */
export async function readPositions(files: readonly string[]): Promise<ReadonlyMap<string, RoaringBitmap>> {
  const found = new Map<string, RoaringBitmap>();
  try {
    await withDuck(async connection => {
      const from = `read_parquet([${files.map(literal).join(', ')}], union_by_name = true)`;
      await connection.run(`CREATE TABLE paths AS SELECT (row_number() OVER ())::INTEGER AS ordinal, path FROM (SELECT DISTINCT file_path AS path FROM ${from})`);
      const bitmaps = (await connection.runAndReadAll('SELECT path FROM paths ORDER BY ordinal')).getRowsJson().map(([name]) => {
        const bitmap = new RoaringBitmap();
        found.set(String(name), bitmap);
        return bitmap;
      });
      const result = await connection.stream(`SELECT ordinal, f.pos::BIGINT FROM ${from} AS f JOIN paths ON path = f.file_path`);
      for (;;) {
        const chunk = await result.fetchChunk();
        if (chunk === null || chunk.rowCount === 0) return;
        take(chunk, bitmaps);
      }
    });
  } catch (error) {
    throw new FatalError('Position delete files of an Iceberg table cannot be read', { code: 'ICEBERG_DAMAGED', hint: `See whether ${files.join(', ')} are there and readable; restore what is missing from a backup.`, cause: error });
  }
  return found;
}

function take(chunk: DuckDBDataChunk, bitmaps: readonly RoaringBitmap[]): void {
  const ordinals = new ColumnBuffer(ORDINAL), positions = new ColumnBuffer(POSITION), count = chunk.rowCount;
  readVector(chunk, 0, count, ordinals);
  readVector(chunk, 1, count, positions);
  const values = new BigInt64Array(positions.bytes.buffer, 0, count);
  for (let i = 0; i < count; i++) bitmaps[(ordinals.words[i] ?? 0) - 1]?.add(Number(values[i] ?? 0n));
}
