/**
 * One suite for every version of the server: the recorded `default` case, publication and slot, every kind of change,
 * resuming inside a transaction. 13, 15, 17 and 18 on every run, 12, 14 and 16 with TRIBUTARY_LONG=1.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PostgresServer, startPostgres } from '../../../kit/postgres.ts';
import { replay } from '../../../conformance/replay.ts';
import { run, type Taken } from './source.ts';

const ids = (records: readonly Taken[]): number[] => records.filter(({ topic, payload }) => topic === 't.public.t' && payload?.after != null).map(({ payload }) => Number(payload?.after?.['id']));
const versions = process.env['TRIBUTARY_LONG'] === '1' ? [12, 13, 14, 15, 16, 17, 18] : [13, 15, 17, 18];
const recorded = join(import.meta.dirname, '../../../goldens/postgres/default');

function describeSource(version: number): void {
  describe(`PostgreSQL ${version}`, () => {
    let server: PostgresServer;
    beforeAll(async () => { server = await startPostgres({ version }); }, 180_000);
    afterAll(async () => { await server[Symbol.asyncDispose](); });

    // Logical decoding messages came into pgoutput with version 14; all else is the same.
    it('gives the recorded default case', async () => { expect(await replay(recorded, server)).toEqual(version < 14 ? ['pg.message/0: 2 records recorded, 0 produced'] : []); }, 120_000);

    it('makes publication and slot, and carries every kind of change', async () => {
      await server.sql('CREATE DATABASE kinds');
      await server.sql("CREATE TABLE t (id int PRIMARY KEY, v text, n numeric(8,2), at timestamptz, tags text[]); INSERT INTO t VALUES (1, 'a', 1.5, '2020-01-01', '{x,NULL}'), (2, repeat('toast', 3000), NULL, NULL, NULL); CREATE TABLE p (id int, part int, PRIMARY KEY (id, part)) PARTITION BY RANGE (part); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)", 'kinds');
      const options = { 'publication.autocreate.mode': 'filtered', 'table.include.list': 'public.t,public.p.*', 'publish.via.partition.root': 'true', 'skipped.operations': 'none', 'slot.failover': 'true', 'heartbeat.interval.ms': '100' };
      const got = await run({
        server, database: 'kinds', options, until: records => records.some(({ payload }) => payload?.op === 't'),
        // Behind the snapshot: its transaction would hold the ALTER TABLE up.
        when: records => records.some(({ topic }) => topic.startsWith('__debezium-heartbeat')), after: async () => {
          await server.sql("UPDATE t SET n = 2 WHERE id = 2; UPDATE t SET id = 3 WHERE id = 1; DELETE FROM t WHERE id = 3; INSERT INTO p VALUES (7, 1); ALTER TABLE t ADD COLUMN extra int DEFAULT 5; ALTER TABLE t REPLICA IDENTITY FULL; UPDATE t SET v = 'short' WHERE id = 2", 'kinds');
          await server.sql("BEGIN; SAVEPOINT a; INSERT INTO t (id) VALUES (50); ROLLBACK TO a; INSERT INTO t (id) VALUES (51); COMMIT; TRUNCATE t", 'kinds');
        },
      });
      expect(got.failure).toBeUndefined();
      expect(got.unequal).toEqual([]);
      const seen = got.records.filter(({ topic }) => topic.startsWith('t.')).map(({ topic, payload }) => `${topic.replace('t.public.', '')} ${payload?.op ?? 'tombstone'} ${String(payload?.after?.['id'] ?? '')}`.trim());
      // Before version 13 a publication cannot speak for the root of a partitioned table.
      const partitioned = version < 13 ? 'p1 c 7' : 'p c 7';
      expect(seen).toEqual(['t r 1', 't r 2', 't u 2', 't d', 't tombstone', 't c 3', 't d', 't tombstone', partitioned, 't u 2', 't c 51', 't t']);
      const { rows: [slot] } = await server.sql("SELECT plugin, database, to_jsonb(s)->>'failover' AS failover FROM pg_replication_slots s WHERE slot_name = 'slot_kinds'");
      expect(slot).toEqual({ plugin: 'pgoutput', database: 'kinds', failover: version >= 17 ? 'true' : null });
    }, 120_000);

    it('goes on inside a transaction after a restart of the server', async () => {
      await server.sql('CREATE DATABASE cut');
      await server.sql('CREATE TABLE t (id int PRIMARY KEY, v text)', 'cut');
      const first = await run({ server, database: 'cut', until: records => ids(records).length > 1000, after: async () => { await server.sql("INSERT INTO t SELECT g, repeat('x', 300) FROM generate_series(1, 12000) g", 'cut'); } });
      await server.stop('immediate');
      await server.start();
      const second = await run({ server, database: 'cut', stored: first.offset, until: records => ids(first.records).length + ids(records).length >= 12_000 });
      expect(second.failure).toBeUndefined();
      const all = [...ids(first.records), ...ids(second.records)];
      expect(all.length).toBe(12_000);
      expect(all.every((id, i) => id === i + 1)).toBe(true);
    }, 120_000);
  });
}

for (const version of versions) describeSource(version);
