/** Reads a table back through its own metadata and DuckDB: files less deleted positions. */
import { DuckDBInstance } from '@duckdb/node-api';
import { literal } from '../../../../connectors/sinks/tables/column-types.ts';
import type { TableFormat } from '../../../../connectors/sinks/tables/table.ts';
import { never } from './batches.ts';

export async function tableRows(format: TableFormat, name: readonly string[], order: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const table = await format.open(name, never);
  if (table === undefined) return [];
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const rows: Record<string, unknown>[] = [];
  for (const file of await table.files()) {
    const reader = await connection.runAndReadAll(`SELECT * FROM read_parquet(${literal(file.path)}, file_row_number = true) ORDER BY file_row_number`);
    for (const row of reader.getRowObjectsJson()) {
      const { file_row_number: position, ...values } = row;
      if (file.deleted?.has(Number(position)) !== true) rows.push({ ...Object.fromEntries(table.columns.map(column => [column.name, null])), ...values });
    }
  }
  connection.closeSync();
  instance.closeSync();
  return rows.sort((a, b) => Number(a[order]) - Number(b[order]));
}
