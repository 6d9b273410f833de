/** Per-file statistics (PROTOCOL.md, "Per-file Statistics"): counts always, bounds only where they are exact in JSON. */
import type { Column, WrittenFile } from '../../tables/table.ts';

const MAX_COLUMNS = 32, MAX_TEXT = 32;

/** The `stats` text of a new file. */
export function encodeStatistics(file: WrittenFile, columns: readonly Column[]): string {
  const minValues: Record<string, unknown> = {}, maxValues: Record<string, unknown> = {}, nullCount: Record<string, number> = {};
  for (const column of columns.slice(0, MAX_COLUMNS)) {
    const found = file.stats.find(one => one.column === column.name);
    if (found === undefined) continue;
    nullCount[column.name] = found.nullCount;
    const min = bound(column, found.min), max = bound(column, found.max);
    if (min !== undefined && max !== undefined) { minValues[column.name] = min; maxValues[column.name] = max; }
  }
  return stringify({ numRecords: file.rows, minValues, maxValues, nullCount, tightBounds: true });
}

/** The same after rows were deleted: bounds hold still, but need no longer be met. */
export function loosened(stats: string | undefined): string | undefined { return stats?.replace('"tightBounds":true', '"tightBounds":false'); }

/** Rows of the file, deleted ones included; undefined when the writer did not say. */
export function rowsOf(stats: string | undefined): number | undefined {
  const found = stats === undefined ? undefined : /"numRecords":\s*(\d+)/.exec(stats)?.[1];
  return found === undefined ? undefined : Number(found);
}

/** A number that JSON carries as its digits. */
class Digits { readonly text: string; constructor(text: string) { this.text = text; } }
function bound({ type }: Column, text: string | undefined): string | Digits | undefined {
  if (text === undefined) return undefined;
  switch (type.kind) {
    case 'int': case 'long': case 'decimal': return /^-?\d+(\.\d+)?$/.test(text) ? new Digits(text) : undefined;
    case 'date': return /^\d{4}-\d\d-\d\d$/.test(text) ? text : undefined;
    case 'string': return text.length <= MAX_TEXT ? text : undefined;
    default: return undefined;
  }
}
function stringify(value: unknown): string {
  if (value instanceof Digits) return value.text;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  return `{${Object.entries(value).map(([key, member]) => `${JSON.stringify(key)}:${stringify(member)}`).join(',')}}`;
}
