/** Values that an update left alone and the server therefore did not send, for rows that no one has been shown yet. */
import type { CapturedTable } from '../captured-tables.ts';
import { NULL_VALUE, type RowImage, UNCHANGED_TOAST } from '../change.ts';
import { identifier, literal, qualified } from '../replication.ts';
import type { Query } from '../schema.ts';

/**
 * Fills them from the row as it stands now, found by its key: if it has been changed since, later events say so. A row
 * that is gone keeps its gaps, and a table without key has none (its old rows come whole).
 */
export async function fillUnchanged(query: Query, table: CapturedTable, image: RowImage): Promise<RowImage> {
  const { catalogue, schema } = table;
  const missing = image.start.flatMap((at, position) => (at === UNCHANGED_TOAST ? [position] : []));
  const keys = catalogue.key.map(name => schema.columns.findIndex(column => column.wireName === name));
  return (keys.length === 0 ? undefined : await valuesNow(query, table, image, missing, keys)) ?? image;
}

/** The image with the present values at `wanted` positions; undefined when no row has its values at `keys`. */
export async function valuesNow(query: Query, { catalogue, schema }: CapturedTable, image: RowImage, wanted: readonly number[], keys: readonly number[]): Promise<RowImage | undefined> {
  const textAt = (position: number): string | null => { const at = image.start[position] ?? -1; return at < 0 ? null : image.buffer.toString('utf8', at, image.end[position]); };
  const key = keys.map(position => ({ name: schema.columns[position]?.wireName ?? '', text: textAt(position) }));
  if (key.some(({ text }) => text === null)) return undefined;
  const [row] = await query(`SELECT ${wanted.map(position => identifier(schema.columns[position]?.wireName ?? '')).join(', ')} FROM ${qualified(catalogue)} WHERE ${key.map(({ name, text }) => `${identifier(name)} = ${literal(text ?? '')}`).join(' AND ')}`);
  if (row === undefined) return undefined;
  const start = [...image.start], end = [...image.end], parts: Buffer[] = [image.buffer];
  let at = image.buffer.length;
  wanted.forEach((position, i) => {
    const value = row[i];
    if (value === null || value === undefined) { start[position] = NULL_VALUE; end[position] = 0; return; }
    const bytes = Buffer.from(value);
    parts.push(bytes);
    start[position] = at;
    at += bytes.length;
    end[position] = at;
  });
  return { buffer: Buffer.concat(parts), start, end };
}
