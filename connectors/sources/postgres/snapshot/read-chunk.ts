/** One chunk through COPY: the server's text rows, buffer by buffer, as they arrive. */
import type { Client } from 'pg';
import { RetriableError } from '../../../../runtime/api/errors.ts';
import type { RowImage } from '../change.ts';
import type { PostgresConfig } from '../config.ts';
import { mapped } from '../server-errors.ts';
import { copyRow } from '../wire/copy-text.ts';
import { CopyStream, serverError } from '../wire/copy-stream.ts';

const SILENCE_MS = 600_000;

/** Yields the rows of one received buffer and its size. Ends early, without an error, when `signal` aborts; throws RetriableError POSTGRES_TABLE_CHANGED when the table is no longer what the catalogue said. */
export async function* readRows(client: Client, config: PostgresConfig, sql: string, columns: number, signal: AbortSignal): AsyncGenerator<{ readonly rows: readonly RowImage[]; readonly bytes: number }> {
  const stream = new CopyStream(client);
  let finished = false;
  try {
    stream.query(`COPY (${sql}) TO STDOUT`);
    while (!finished) {
      const buffer = await stream.next(SILENCE_MS, signal);
      if (buffer === undefined) { if (signal.aborted) return; throw new Error('timeout: the server sent nothing for ten minutes during a snapshot'); }
      const rows: RowImage[] = [];
      for (let at = 0; at < buffer.length;) {
        const end = at + 1 + buffer.readInt32BE(at + 1);
        const type = buffer[at] as number;
        if (type === 0x64) rows.push(copyRow(buffer, at + 5, end, columns));
        else if (type === 0x45) throw failed(buffer, at + 5, end);
        else if (type === 0x5a) finished = true;
        at = end;
      }
      if (rows.length > 0) yield { rows, bytes: buffer.length };
    }
  } catch (error) { throw mapped(error, config); } finally {
    stream.release();
    if (!finished) stream.destroy();
  }
}

function failed(buffer: Buffer, start: number, end: number): Error {
  const failure = serverError(buffer, start, end);
  if (failure.code === '42P01' || failure.code === '42703') {
    return new RetriableError(`A table changed while the snapshot read it: ${failure.message}`, { code: 'POSTGRES_TABLE_CHANGED', hint: 'The task starts again by itself and reads the tables as they are then.' });
  }
  return Object.assign(new Error(failure.message), { code: failure.code });
}
