/** What every reader of a batch's payload keeps to: how much it may decode to, and what is said when it cannot be read. */
import { DataError } from '../api/errors.ts';

/** A text of this size is the longest that V8 can hold, so no record behind it could be read: a batch that claims more is damage or a bomb. */
export const MOST_DECODED_BYTES = 512 * 1024 * 1024;

export function corruptBatch(what: string): DataError {
  return new DataError(`Record batch is corrupt: ${what}`, { code: 'BATCH_CORRUPT', hint: 'Check the disk; restore the log directory from a copy, or read on behind this batch.' });
}
