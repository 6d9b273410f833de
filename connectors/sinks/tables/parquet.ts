/** Parquet files through DuckDB: writing buffered rows, scanning key columns, fetching single rows. */
import { DuckDBDataChunk, DuckDBInstance, type DuckDBConnection, type DuckDBType } from '@duckdb/node-api';
import { FatalError, RetriableError, TributaryError } from '../../../runtime/api/errors.ts';
import { ColumnBuffer, type RowBuffer } from './column-buffer.ts';
import { duckType, identifier, literal } from './column-types.ts';
import { syncFile } from './local-files.ts';
import type { Column, ColumnStats, ColumnType, WrittenFile } from './table.ts';
import { readVector, VECTOR_ROWS, writeVector } from './vectors.ts';

/** Called with rows of one scanned stretch: buffers in the order of the asked columns, then how many rows and their positions in the file. */
export type OnRows = (cells: readonly ColumnBuffer[], count: number, positions: BigInt64Array) => void;

/** What DuckDB may free before it gives memory back to the system. */
const FLUSH = '1MiB';

/** A private in-memory DuckDB. One per sink task; its calls do not overlap. */
export class Parquet implements AsyncDisposable {
  private readonly instance: DuckDBInstance;
  private readonly connection: DuckDBConnection;
  private readonly chunkTypes = new Map<string, readonly DuckDBType[]>();

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection) { this.instance = instance; this.connection = connection; }

  /**
   * `memoryBytes` bounds what DuckDB keeps. One thread: files are written row group by row group and the work beside it is a
   * task's own, so a second thread brought no time and a third more memory. Its allocator gives memory back at once: left to
   * itself it held 60 MB between commits of 130,000 rows.
   */
  static async open(memoryBytes: number): Promise<Parquet> {
    const instance = await DuckDBInstance.create(':memory:', {
      threads: '1', memory_limit: `${Math.max(64, Math.floor(memoryBytes / 1_048_576))}MiB`, autoinstall_known_extensions: 'false', autoload_known_extensions: 'false',
      allocator_flush_threshold: FLUSH, allocator_bulk_deallocation_flush_threshold: FLUSH,
    });
    const connection = await instance.connect();
    await connection.run("SET TimeZone = 'UTC'").catch(() => undefined);
    return new Parquet(instance, connection);
  }
  [Symbol.asyncDispose](): Promise<void> {
    this.connection.closeSync();
    this.instance.closeSync();
    return Promise.resolve();
  }

  /** Writes the given rows of the buffer, in that order, as one durable file. */
  async write(buffer: RowBuffer, rows: Int32Array, columns: readonly Column[], path: string): Promise<WrittenFile> {
    const layout = columns.map(column => `${identifier(column.name)} ${duckType(column.type)}`).join(', ');
    await this.connection.run(`CREATE OR REPLACE TABLE pending (${layout})`);
    try {
      await this.append(buffer, rows, layout);
      return await this.copy('pending', columns, path);
    } catch (error) {
      throw new RetriableError('A data file could not be written', { code: 'PARQUET_WRITE', hint: 'See whether the disk of the warehouse is full.', cause: error });
    } finally { await this.connection.run('DROP TABLE IF EXISTS pending'); }
  }

  private async copy(from: string, columns: readonly Column[], path: string): Promise<WrittenFile> {
    const ids = fieldIds(columns);
    const reader = await this.connection.runAndReadAll(`COPY ${from} TO ${literal(path)} (FORMAT parquet, COMPRESSION zstd, RETURN_STATS${ids === '' ? '' : `, FIELD_IDS ${ids}`})`);
    const [row] = reader.getRowsJson();
    await syncFile(path);
    return { path, rows: Number(row?.[1] ?? 0), bytes: Number(row?.[2] ?? 0), stats: statsOf(row?.[4]) };
  }

  /** Copies the rows of a file that are not deleted into a new one with these columns, in their order. */
  async rewrite(from: string, deleted: Iterable<number>, columns: readonly Column[], to: string): Promise<WrittenFile> {
    await this.fillPositions('gone', deleted);
    const names = columns.map(({ name }) => identifier(name));
    const values = await this.select(from, columns, names);
    const file = await this.copy(`(SELECT ${values} FROM read_parquet(${literal(from)}, file_row_number = true) AS f WHERE file_row_number NOT IN (SELECT position FROM gone) ORDER BY file_row_number)`, columns, to);
    await this.connection.run('DROP TABLE gone');
    return file;
  }

  private async fillPositions(table: string, positions: Iterable<number>): Promise<void> {
    await this.connection.run(`CREATE OR REPLACE TABLE ${table} (position BIGINT)`);
    const appender = await this.connection.createAppender(table);
    for (const position of positions) { appender.appendBigInt(BigInt(position)); appender.endRow(); }
    appender.closeSync();
  }

  private async append(buffer: RowBuffer, rows: Int32Array, layout: string): Promise<void> {
    let types = this.chunkTypes.get(layout);
    if (types === undefined) { types = (await this.connection.run('SELECT * FROM pending LIMIT 0')).columnTypes(); this.chunkTypes.set(layout, types); }
    const appender = await this.connection.createAppender('pending');
    const chunk = DuckDBDataChunk.create(types);
    for (let from = 0; from < rows.length; from += VECTOR_ROWS) {
      const part = rows.subarray(from, from + VECTOR_ROWS);
      chunk.reset();
      chunk.rowCount = part.length;
      buffer.columns.forEach((cell, index) => { writeVector(chunk, index, cell, part); });
      appender.appendDataChunk(chunk);
    }
    appender.closeSync();
  }

  /** Reads the columns of a whole file, in file order. */
  async scan(path: string, columns: readonly Column[], onRows: OnRows): Promise<void> {
    await readable(path, async () => {
      const select = await this.select(path, columns);
      await this.stream(`SELECT file_row_number, ${select} FROM read_parquet(${literal(path)}, file_row_number = true) AS f`, columns, onRows);
    });
  }

  /** Reads the columns of single rows of a file, in any order. */
  async readAt(path: string, positions: readonly number[], columns: readonly Column[], onRows: OnRows): Promise<void> {
    await this.fillPositions('wanted', positions);
    const least = positions.reduce((a, b) => Math.min(a, b), Infinity), most = positions.reduce((a, b) => Math.max(a, b), 0);
    await readable(path, async () => {
      const select = await this.select(path, columns);
      await this.stream(`SELECT file_row_number, ${select} FROM read_parquet(${literal(path)}, file_row_number = true) AS f WHERE file_row_number BETWEEN ${least} AND ${most} AND file_row_number IN (SELECT position FROM wanted)`, columns, onRows);
    });
    await this.connection.run('DROP TABLE wanted');
  }

  /** Columns that the file was written without read null. */
  private async select(path: string, columns: readonly Column[], names?: readonly string[]): Promise<string> {
    const reader = await this.connection.runAndReadAll(`DESCRIBE SELECT * FROM read_parquet(${literal(path)})`);
    const present = new Set(reader.getRowsJson().map(row => String(row[0])));
    const value = ({ name, type }: Column): string => `CAST(${present.has(name) ? `f.${identifier(name)}` : 'NULL'} AS ${duckType(type)})`;
    return columns.map((column, i) => (names === undefined ? value(column) : `${value(column)} AS ${names[i] ?? ''}`)).join(', ');
  }

  private async stream(sql: string, columns: readonly Column[], onRows: OnRows): Promise<void> {
    const position: Column = { name: 'position', type: { kind: 'long' }, required: true };
    const result = await this.connection.stream(sql);
    for (;;) {
      const chunk = await result.fetchChunk();
      if (chunk === null || chunk.rowCount === 0) return;
      const count = chunk.rowCount;
      const cells = [position, ...columns].map((column, index) => {
        const cell = new ColumnBuffer(column);
        readVector(chunk, index, count, cell);
        return cell;
      });
      const [first, ...rest] = cells;
      if (first !== undefined) onRows(rest, count, new BigInt64Array(first.bytes.buffer, 0, count));
    }
  }

  /** Runs a statement and returns its rows as DuckDB's JSON-friendly values; for a format's own Parquet (checkpoints). */
  async query(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    return (await this.connection.runAndReadAll(sql)).getRowObjectsJson();
  }
}

/** DuckDB's complaint about a data file as an error that says what to do; its own text may hold values. */
async function readable(path: string, read: () => Promise<void>): Promise<void> {
  try { await read(); } catch (error) {
    if (error instanceof TributaryError || !(error instanceof Error)) throw error;
    const [kind = ''] = error.message.split(':');
    if (kind.startsWith('Out of Memory')) throw new FatalError(`Reading the data file ${path} takes more memory than this sink has`, { code: 'SINK_MEMORY', hint: 'Raise sink.memory.bytes.', cause: error });
    throw new FatalError(`The data file ${path} cannot be read (${kind})`, { code: 'DATA_FILE_DAMAGED', hint: 'Restore the file from a backup, or roll the table back to a version without it, then restart the task.', cause: error });
  }
}

/** `{name: 1, list: {__duckdb_field_id: 2, element: 3}}`; empty when the format gives no ids. */
function fieldIds(columns: readonly Column[]): string {
  if (columns.some(column => column.id === undefined)) return '';
  return `{${columns.map(column => {
    const nested = [...(column.ids ?? [])];
    return `${literal(column.name)}: ${idOf(column.type, column.id ?? 0, () => nested.shift() ?? 0)}`;
  }).join(', ')}}`;
}
function idOf(type: ColumnType, id: number, next: () => number): string {
  const members = membersOf(type);
  if (members.length === 0) return String(id);
  return `{__duckdb_field_id: ${id}, ${members.map(([name, child]) => `${literal(name)}: ${idOf(child, next(), next)}`).join(', ')}}`;
}
function membersOf(type: ColumnType): readonly (readonly [string, ColumnType])[] {
  switch (type.kind) {
    case 'list': return [['element', type.element]];
    case 'map': return [['key', type.key], ['value', type.value]];
    case 'struct': return type.fields.map(field => [field.name, field.type] as const);
    default: return [];
  }
}

function statsOf(json: unknown): readonly ColumnStats[] {
  if (!Array.isArray(json)) return [];
  return (json as readonly { readonly key: string; readonly value: readonly { readonly key: string; readonly value: string }[] }[]).map(({ key, value }) => {
    const facts = new Map(value.map(fact => [fact.key, fact.value]));
    const usable = facts.get('has_nan') !== 'true';
    return { column: unquoted(key), nullCount: Number(facts.get('null_count') ?? 0), bytes: Number(facts.get('column_size_bytes') ?? 0), min: usable ? facts.get('min') : undefined, max: usable ? facts.get('max') : undefined };
  });
}
/** `"a"."element"` → `a.element`. */
function unquoted(path: string): string { return [...path.matchAll(/"((?:[^"]|"")*)"/g)].map(match => (match[1] ?? '').replaceAll('""', '"')).join('.') || path; }
