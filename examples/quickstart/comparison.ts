/** Source and tables, row by row and value by value: both sides render each value as the same text, in key order. */
import type pg from 'pg';
import type { LakeReader } from '../../tests/kit/lake-reader.ts';

interface ComparedColumn { readonly name: string; readonly source: string; readonly table: string }
export interface ComparedTable { readonly name: string; readonly columns: readonly ComparedColumn[] }

const plain = (name: string): ComparedColumn => ({ name, source: `${name}::text`, table: `${name}::VARCHAR` });
const instant = (name: string): ComparedColumn => ({ name, source: `(extract(epoch FROM ${name}) * 1000000)::bigint::text`, table: `epoch_us(${name})::VARCHAR` });
/** Bits of the number, so that no rendering of a double stands between. */
const double = (name: string): ComparedColumn => ({ name, source: `float8send(${name})`, table: `${name}` });

export const COMPARED: readonly ComparedTable[] = [
  { name: 'orders', columns: [...['id', 'customer_id', 'status', 'amount', 'quantity', 'note'].map(plain), instant('created_at'), instant('updated_at')] },
  { name: 'customers', columns: [...['id', 'name', 'email', 'tier', 'balance', 'born', 'active', 'profile', 'reference'].map(plain), double('score')] },
];

export interface Outcome { readonly table: string; readonly format: 'iceberg' | 'delta'; readonly rows: number; readonly differences: readonly string[] }

/** Rows of the source in key order: `t.id` is the column, `id` alone would be its text. */
export async function sourceRows(client: pg.Client, { name, columns }: ComparedTable): Promise<(string | null)[][]> {
  const { rows } = await client.query<(string | Buffer | null)[]>({ text: `SELECT ${columns.map(({ source }) => source).join(', ')} FROM public.${name} AS source ORDER BY source.id`, rowMode: 'array' });
  return rows.map(row => row.map(value => (Buffer.isBuffer(value) ? String(value.readDoubleBE()) : value)));
}

/** Differences in words, the first few with their values; none when equal. */
export async function compareTable(reader: LakeReader, format: 'iceberg' | 'delta', folder: string, table: ComparedTable, expected: readonly (readonly (string | null)[])[]): Promise<Outcome> {
  const actual = await reader.rows(`SELECT ${table.columns.map(({ table: expression }) => expression).join(', ')} FROM ${reader.scan(format, folder)} AS lake ORDER BY lake.id`);
  const differences: string[] = [];
  let i = 0, j = 0;
  const idOf = (row: readonly (string | null)[] | undefined): bigint => BigInt(row?.[0] ?? -1);
  while (i < expected.length || j < actual.length) {
    const wanted = expected[i], found = actual[j];
    if (wanted === undefined || (found !== undefined && idOf(found) < idOf(wanted))) { differences.push(`row ${String(found?.[0])} is in the table and not in the source`); j++; continue; }
    if (found === undefined || idOf(wanted) < idOf(found)) { differences.push(`row ${String(wanted[0])} is missing from the table`); i++; continue; }
    for (const [at, { name }] of table.columns.entries()) if (wanted[at] !== found[at]) differences.push(`row ${String(wanted[0])}: ${name} is ${String(found[at])}, the source has ${String(wanted[at])}`);
    i++;
    j++;
  }
  return { table: table.name, format, rows: actual.length, differences };
}
