/**
 * Which transactions a snapshot sees. `pg_current_snapshot()` gives `xmin:xmax:running,…`: what is below `xmax` and not
 * in the list was committed (PostgreSQL manual, "Transaction ID and Snapshot Information Functions"). Its numbers have
 * an epoch; those of the stream and of the column `xmin` are their lower 32 bits.
 *
 * The list of an ordinary snapshot leaves subtransactions out, that of one exported by a slot has them; only the latter
 * says exactly which row versions were there.
 */
const LOW = 0xffff_ffffn;

export interface Visibility { readonly text: string; readonly xmin: bigint; readonly xmax: bigint; readonly running: readonly bigint[] }

/** Throws RangeError for text that is no snapshot. */
export function parseVisibility(text: string): Visibility {
  const match = /^(\d+):(\d+):([\d,]*)$/.exec(text);
  if (match === null) throw new RangeError(`'${text}' is no snapshot`);
  const [, xmin = '0', xmax = '0', running = ''] = match;
  return { text, xmin: BigInt(xmin), xmax: BigInt(xmax), running: running === '' ? [] : running.split(',').map(BigInt) };
}

/** True when the snapshot sees the top transaction with these lower 32 bits; it is less than 2³¹ transactions away. */
export function sees({ xmax, running }: Visibility, xid: bigint): boolean {
  if (BigInt.asIntN(32, xid - (xmax & LOW)) >= 0n) return false;
  return !running.some(one => (one & LOW) === xid);
}

/**
 * Condition over a row version: it was written by a transaction that the snapshot sees. `age` counts back from now and
 * is negative, or beyond all bounds, for versions that are older than 2³¹ transactions: those are not new.
 */
export function writtenBefore({ xmax, running }: Visibility): string {
  const bound = (xmax & LOW) < 3n ? 3n : xmax & LOW;
  const listed = running.length === 0 ? '' : ` AND xmin <> ALL ('{${running.map(xid => xid & LOW).join(',')}}'::xid[])`;
  return `age(xmin) NOT BETWEEN 0 AND (SELECT age('${bound}'::xid))${listed}`;
}
