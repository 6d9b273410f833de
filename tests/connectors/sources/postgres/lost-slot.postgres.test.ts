/** A slot whose WAL the server has given up: the task fails and says so, never goes on past the gap; a new snapshot mends it. */
import { expect, it } from 'vitest';
import { FatalError } from '../../../../runtime/api/errors.ts';
import { until } from '../../../kit/condition.ts';
import { startPostgres } from '../../../kit/postgres.ts';
import { run, type Taken } from './source.ts';

const ids = (records: readonly Taken[]): number[] => records.filter(({ topic, payload }) => topic === 't.public.t' && payload?.after != null).map(({ payload }) => Number(payload?.after?.['id']));

it('max_slot_wal_keep_size exceeded while stopped', async () => {
  await using server = await startPostgres({ version: 17, settings: { max_slot_wal_keep_size: '16MB', max_wal_size: '32MB', min_wal_size: '32MB' } });
  await server.sql('CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE busy (v text)');
  const first = await run({ server, database: 'postgres', until: records => ids(records).length > 0, after: async () => { await server.sql("INSERT INTO t VALUES (1, 'a')"); } });
  expect(first.failure).toBeUndefined();
  await server.sql("INSERT INTO t VALUES (2, 'only in the WAL that goes')");
  await until('the slot to be lost', async () => {
    await server.sql("INSERT INTO busy SELECT repeat('x', 1000) FROM generate_series(1, 20000); SELECT pg_switch_wal()");
    await server.sql('CHECKPOINT');
    return (await server.sql("SELECT 1 FROM pg_replication_slots WHERE slot_name = 'slot_postgres' AND wal_status = 'lost'")).rowCount === 1;
  }, 120_000);
  const lost = await run({ server, database: 'postgres', stored: first.offset, until: () => false });
  expect(lost.records).toEqual([]);
  expect(lost.failure).toBeInstanceOf(FatalError);
  expect((lost.failure as FatalError).code).toBe('POSTGRES_SLOT_LOST');
  expect((lost.failure as FatalError).hint).toContain("pg_drop_replication_slot('slot_postgres')");
  // What the hint says.
  await server.sql("SELECT pg_drop_replication_slot('slot_postgres')");
  const anew = await run({ server, database: 'postgres', until: records => ids(records).length >= 2 });
  expect(ids(anew.records)).toEqual([1, 2]);
}, 240_000);
