/** event.processing.failure.handling.mode over a stream that holds an event nobody can read. */
import { expect, it } from 'vitest';
import { postgresConfig } from '../../../../connectors/sources/postgres/config.ts';
import { freshPosition } from '../../../../connectors/sources/postgres/start.ts';
import { ReplicationStream } from '../../../../connectors/sources/postgres/stream.ts';
import { parseConfig } from '../../../../runtime/api/config-parse.ts';
import type { DataError } from '../../../../runtime/api/errors.ts';

/** CopyData with one XLogData message at `lsn`. */
function data(lsn: bigint, body: Buffer): Buffer {
  const message = Buffer.alloc(30 + body.length);
  message.write('d', 0);
  message.writeInt32BE(29 + body.length, 1);
  message.write('w', 5);
  message.writeBigUInt64BE(lsn, 6);
  body.copy(message, 30);
  return message;
}
function begin(): Buffer { const body = Buffer.alloc(21); body.write('B'); body.writeBigUInt64BE(200n, 1); body.writeUInt32BE(77, 17); return body; }
function commit(): Buffer { const body = Buffer.alloc(26); body.write('C'); body.writeBigUInt64BE(200n, 2); body.writeBigUInt64BE(208n, 10); return body; }

async function outcome(mode: string): Promise<{ readonly failure: DataError | undefined; readonly commit: unknown; readonly skipped: number; readonly warned: number }> {
  const { config } = parseConfig(postgresConfig, { 'database.hostname': 'h', 'database.user': 'u', 'database.dbname': 'd', 'topic.prefix': 'p', 'event.processing.failure.handling.mode': mode });
  const buffers = [Buffer.concat([data(100n, begin()), data(0x16b3748n, Buffer.from('I\0\0')), data(120n, Buffer.from('?')), data(208n, commit())])];
  let skipped = 0, warned = 0;
  const none = async function* (): AsyncGenerator<never> { /* nothing to do */ };
  const logger = { debug: () => undefined, info: () => undefined, error: () => undefined, warn: () => { warned++; }, child: () => logger };
  const stream = new ReplicationStream({
    link: { next: async () => buffers.shift(), more: false, confirmed: 0n, status: () => undefined, keepAlive: () => undefined, destroy: () => undefined },
    config, options: {}, tables: {}, partition: { server: 'p' }, from: freshPosition(90n), wantsMessage: () => true, logger, version: 170_000,
    metrics: { set: () => undefined, add: (_name: string, delta: number) => { skipped += delta; } },
    housekeeping: { tick: () => undefined, holdsSnapshots: false, xmin: null, heartbeatAction: () => undefined },
    incremental: { work: none, passed: () => undefined, observe: () => undefined, offsetKeys: () => ({}), awaited: undefined, began: () => undefined, takeSettled: () => [], waitMs: undefined, waiting: false },
    snapshot: { work: none, began: () => undefined, keys: () => ({}), awaited: undefined, waitMs: undefined },
  } as never);
  const stop = new AbortController();
  try {
    for await (const batch of stream.batches(stop.signal)) return { failure: undefined, commit: batch.offset?.offset['lsn_commit'], skipped, warned };
  } catch (error) { return { failure: error as DataError, commit: undefined, skipped, warned }; }
  throw new Error('the stream gave nothing');
}

it('fail says which event and where', async () => {
  const { failure } = await outcome('fail');
  expect(failure?.code).toBe('PGOUTPUT_MALFORMED');
  expect(failure?.message).toContain('0/16B3748');
});

it.each<readonly [string, number]>([['warn', 2], ['skip', 0], ['ignore', 0]])('%s goes on without it, and counts', async (mode, warned) => {
  expect(await outcome(mode)).toEqual({ failure: undefined, commit: 208n, skipped: 2, warned });
});
