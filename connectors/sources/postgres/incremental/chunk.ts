/** One chunk of an incremental snapshot: the next rows of a table by its key, and where the table ends. */
import type { CapturedTable, CapturedTables } from '../captured-tables.ts';
import type { RowImage } from '../change.ts';
import { identifier, literal, qualified } from '../replication.ts';
import type { Query } from '../schema.ts';
import type { KeyTexts } from './java-keys.ts';
import type { IncrementalState } from './state.ts';

/** `rows` by {@link keyOf}, in the order of the key. */
export interface Chunk { readonly table: CapturedTable; readonly rows: Map<string, RowImage>; readonly last: KeyTexts; readonly max: KeyTexts; readonly types: readonly string[] }
/** Why there is none: the status of the notification that says so. */
export type NoChunk = 'SUCCEEDED' | 'EMPTY' | 'NO_PRIMARY_KEY' | 'UNKNOWN_SCHEMA';

export async function readChunk(query: Query, tables: CapturedTables, state: IncrementalState, size: number): Promise<Chunk | NoChunk> {
  const [collection] = state.collections;
  if (collection === undefined) return 'SUCCEEDED';
  const dot = collection.name.indexOf('.');
  const catalogue = await tables.find(0, collection.name.slice(0, dot), collection.name.slice(dot + 1));
  if (catalogue.columns.length === 0) return 'UNKNOWN_SCHEMA';
  const key = collection.surrogate === undefined ? catalogue.key : [collection.surrogate];
  if (key.length === 0) return 'NO_PRIMARY_KEY';
  const columns = key.map(identifier), where = collection.filter === undefined ? [] : [`(${collection.filter})`];
  let { max } = state;
  if (max === undefined) {
    const [row] = await query(`SELECT ${columns.map(column => `${column}::text`).join(', ')} FROM (SELECT ${columns.join(', ')} FROM ${qualified(catalogue)}${where.length === 0 ? '' : ` WHERE ${where.join(' AND ')}`} ORDER BY ${columns.map(column => `${column} DESC`).join(', ')} LIMIT 1) AS highest`);
    if (row === undefined) return 'EMPTY';
    max = row.map(String);
  }
  const tuple = (values: KeyTexts): string => `(${values.map(literal).join(', ')})`;
  const bounds = [...where, `(${columns.join(', ')}) <= ${tuple(max)}`, ...(state.last === undefined ? [] : [`(${columns.join(', ')}) > ${tuple(state.last)}`])];
  const wire = catalogue.columns.map(({ name, typeOid, typmod }) => ({ name, typeOid, typmod, isKey: catalogue.key.includes(name) }));
  const table = await tables.describe(catalogue, wire, 'stream');
  const found = await query(`SELECT ${catalogue.columns.map(({ name }) => identifier(name)).join(', ')} FROM ${qualified(catalogue)} WHERE ${bounds.join(' AND ')} ORDER BY ${columns.join(', ')} LIMIT ${Math.max(1, size)}`);
  const end = found.at(-1);
  if (end === undefined) return 'SUCCEEDED';
  const rows = new Map(found.map(row => { const image = imageOf(row); return [keyOf(table, image), image]; }));
  const column = (name: string): number => catalogue.columns.findIndex(one => one.name === name);
  return { table, rows, max, last: key.map(name => String(end[column(name)])), types: key.map(name => tables.baseType(catalogue.columns[column(name)]?.typeOid ?? 0)) };
}

/** Text that stands for a row's key; for the whole row where there is none. */
export function keyOf({ schema }: CapturedTable, image: RowImage): string {
  const positions = schema.keyPositions.length > 0 ? schema.keyPositions : image.start.map((_, i) => i);
  return positions.map(position => { const at = image.start[position] ?? -1; return at < 0 ? '\u0001' : image.buffer.toString('utf8', at, image.end[position]); }).join('\u0000');
}

function imageOf(row: readonly (string | null)[]): RowImage {
  const parts = row.map(value => (value === null ? null : Buffer.from(value)));
  const start: number[] = [], end: number[] = [];
  let at = 0;
  for (const part of parts) { start.push(part === null ? -1 : at); at += part?.length ?? 0; end.push(part === null ? 0 : at); }
  return { buffer: Buffer.concat(parts.filter(part => part !== null)), start, end };
}
