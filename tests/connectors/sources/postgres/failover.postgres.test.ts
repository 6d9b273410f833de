/** Another server than before: restored from a backup, promoted with and without what we had taken. Complete, or refused with the way out. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { FatalError } from '../../../../runtime/api/errors.ts';
import type { SourceMemory } from '../../../../runtime/api/plugin.ts';
import { until } from '../../../kit/condition.ts';
import { cacheDirectory, type PostgresServer, startPostgres } from '../../../kit/postgres.ts';
import { run, type Taken } from './source.ts';

const ids = (records: readonly Taken[]): number[] => records.filter(({ topic, payload }) => topic === 't.public.t' && payload?.after != null).map(({ payload }) => Number(payload?.after?.['id']));
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
const code = (failure: unknown): string | undefined => (failure as FatalError | undefined)?.code;
function memory(): SourceMemory {
  let text: string | undefined;
  return { get: async () => text, put: async value => { text = value; } };
}
const rows = (from: number, to: number): string => `INSERT INTO t SELECT g, 'v' FROM generate_series(${from}, ${to}) g`;
/** A copy of a stopped server's data directory. */
function backup(server: PostgresServer): { readonly path: string } & Disposable {
  const folder = mkdtempSync(join(cacheDirectory(), 'backup-'));
  const path = join(folder, 'data');
  execFileSync('cp', ['-a', server.data, path]);
  return { path, [Symbol.dispose]: () => { rmSync(folder, { recursive: true, force: true }); } };
}

it('a server restored from a backup is refused, also when it has written past our position', async () => {
  await using server = await startPostgres({ version: 17 });
  await server.sql('CREATE TABLE t (id int PRIMARY KEY, v text)');
  const kept = memory(), common = { database: 'postgres', memory: kept };
  const first = await run({ ...common, server, until: records => ids(records).length >= 10, after: async () => { await server.sql(rows(1, 10)); } });
  await server.stop();
  using copy = backup(server);
  await server.start();
  await server.sql('SELECT pg_log_standby_snapshot(); CHECKPOINT');
  const second = await run({ ...common, server, stored: first.offset, until: records => ids(records).length >= 10, when: () => true, after: async () => { await server.sql(rows(11, 20)); } });
  await server.sql('SELECT pg_log_standby_snapshot()');
  const third = await run({ ...common, server, stored: second.offset, until: records => ids(records).length >= 1, when: () => true, after: async () => { await server.sql(rows(21, 21)); } });
  expect([...ids(first.records), ...ids(second.records), ...ids(third.records)]).toEqual(upTo(21));
  await server.stop();
  await using restored = await startPostgres({ version: 17, from: copy.path });
  const behind = await run({ ...common, server: restored, stored: third.offset, until: () => false });
  expect(code(behind.failure)).toBe('POSTGRES_SERVER_BEHIND');
  expect((behind.failure as FatalError).hint).toContain('offsets');
  for (let i = 0; i < 40; i++) await restored.sql(`${rows(100 + i * 500, 599 + i * 500)}; SELECT pg_switch_wal()`);
  const past = await run({ ...common, server: restored, stored: third.offset, until: () => false });
  expect(code(past.failure)).toBe('POSTGRES_SERVER_DIVERGED');
  const gone = await run({ ...common, server: restored, stored: third.offset, options: { 'offset.mismatch.strategy': 'trust_slot' }, until: records => ids(records).length >= 20_000 });
  expect(gone.failure).toBeUndefined();
  await using other = await startPostgres({ version: 17 });
  await other.sql('CREATE TABLE t (id int PRIMARY KEY, v text)');
  await other.sql("SELECT pg_create_logical_replication_slot('slot_postgres', 'pgoutput')");
  const elsewhere = await run({ ...common, server: other, stored: first.offset, until: () => false });
  expect(code(elsewhere.failure)).toBe('POSTGRES_OTHER_SERVER');
}, 180_000);

it('a failover slot goes on at the promoted standby; a promoted one that lacks what was taken is refused', async () => {
  await using primary = await startPostgres({ version: 17, settings: { synchronous_standby_names: '' }, hba: ['host replication all 127.0.0.1/32 password'] });
  await primary.sql("CREATE TABLE t (id int PRIMARY KEY, v text); SELECT pg_create_physical_replication_slot('standby')");
  await primary.stop();
  using copy = backup(primary);
  await primary.start();
  const following = { version: 17, from: copy.path, standbyOf: primary, settings: { sync_replication_slots: 'on', hot_standby_feedback: 'on', primary_slot_name: 'standby' } };
  await using standby = await startPostgres(following);
  const kept = memory(), options = { 'slot.failover': 'true' }, common = { database: 'postgres', memory: kept, options };
  // The slot on the standby lasts only once the one on the primary has moved past where the standby began to keep WAL.
  let synced = false;
  const looked = async (): Promise<void> => {
    if (synced) return;
    await primary.sql('SELECT pg_log_standby_snapshot()');
    synced = (await standby.sql("SELECT 1 FROM pg_replication_slots WHERE slot_name = 'slot_postgres' AND synced AND NOT temporary")).rowCount === 1;
  };
  const first = await run({ ...common, server: primary, options: { ...options, 'heartbeat.interval.ms': '200' }, each: looked, until: records => synced && ids(records).length >= 5, after: async () => { await primary.sql(rows(1, 5)); } });
  expect(first.failure).toBeUndefined();
  expect((await primary.sql("SELECT failover FROM pg_replication_slots WHERE slot_name = 'slot_postgres'")).rows).toEqual([{ failover: true }]);
  await primary.sql(rows(6, 8));
  await until('the rows on the standby', async () => (await standby.sql('SELECT count(*)::int AS n FROM t')).rows[0]?.['n'] === 8, 60_000);
  await primary.stop('immediate');
  await standby.sql('SELECT pg_promote()');
  await standby.sql(rows(9, 9));
  const second = await run({ ...common, server: standby, stored: first.offset, until: records => ids(records).length >= 4 });
  expect(second.failure).toBeUndefined();
  expect([...ids(first.records), ...ids(second.records)]).toEqual(upTo(9));
  // The old primary comes back alone: it is on the timeline that was left.
  await primary.start();
  const old = await run({ ...common, server: primary, stored: second.offset, until: () => false });
  expect(['POSTGRES_SERVER_BEHIND', 'POSTGRES_SERVER_DIVERGED']).toContain(code(old.failure));
}, 180_000);
