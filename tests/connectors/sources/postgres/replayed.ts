/** Records applied one after the other, and what is wrong with their order. */
import type { Taken } from './source.ts';

/** What stands for a value that was not sent. */
export const UNSENT = '__debezium_unavailable_value';

export interface Replayed {
  /** Rows by key, as a consumer of all records has them at the end. */
  readonly rows: ReadonlyMap<string, Record<string, unknown>>;
  /** Records that show an older state of a row than one before them; the column `seq` counts the states. */
  readonly back: readonly string[];
  /** How often rows were read. */
  readonly reads: number;
}

/** `topic` of a table with the key `id` and a column `seq` that grows with every write to the table. */
export function replayed(records: readonly Taken[], topic: string): Replayed {
  const rows = new Map<string, Record<string, unknown>>(), newest = new Map<string, number>(), back: string[] = [];
  let reads = 0;
  for (const record of records) {
    const { payload } = record;
    if (record.topic !== topic || payload === null) continue;
    if (payload.op === 'r') reads++;
    const row = payload.after ?? payload.before;
    const id = String(row?.['id']);
    if (payload.op === 'd') { rows.delete(id); continue; }
    const seq = Number(row?.['seq']);
    if (seq < (newest.get(id) ?? 0)) back.push(`${id}: ${payload.op} ${seq} after ${newest.get(id)}`);
    newest.set(id, seq);
    // A value that the server did not send is the one that was there; under a new key only the server knows it.
    const before = rows.get(id);
    rows.set(id, Object.fromEntries(Object.entries(row ?? {}).map(([name, value]) => [name, value === UNSENT ? before?.[name] ?? UNSENT : value])));
  }
  return { rows, back, reads };
}
