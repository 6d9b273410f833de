/** Protocol 2: transactions that come while they are open, spilled to files, aborted in part, cut by restarts. */
import { readdirSync, readlinkSync } from 'node:fs';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FatalError } from '../../../../runtime/api/errors.ts';
import { temporaryDirectory } from '../../../kit/directories.ts';
import { type PostgresServer, startPostgres } from '../../../kit/postgres.ts';
import { run, type Taken } from './source.ts';

let server: PostgresServer;
const spill = temporaryDirectory('spill-');
const streaming = { 'slot.stream.params': 'proto_version=2;streaming=true', 'slot.stream.spill.directory': spill.path };
beforeAll(async () => { server = await startPostgres({ version: 17, settings: { logical_decoding_work_mem: '64kB' } }); }, 180_000);
afterAll(async () => { await server[Symbol.asyncDispose](); spill[Symbol.dispose](); });

const ids = (records: readonly Taken[]): number[] => records.filter(({ topic, payload }) => topic === 't.public.t' && payload?.after != null).map(({ payload }) => Number(payload?.after?.['id']));
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
async function fresh(name: string): Promise<string> {
  await server.sql(`CREATE DATABASE ${name}`);
  await server.sql('CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY, v text)', name);
  return name;
}
/** Spill files that this process holds open. */
const open = (): number => readdirSync('/proc/self/fd').filter(fd => { try { return readlinkSync(`/proc/self/fd/${fd}`).includes('tributary-spill-'); } catch { return false; } }).length;
/** True when the server says that it streamed something of this slot. */
const streamed = async (database: string): Promise<boolean> => Number((await server.sql(`SELECT stream_txns FROM pg_stat_replication_slots WHERE slot_name = 'slot_${database}'`)).rows[0]?.['stream_txns'] ?? 0) > 0;

describe('open transactions that the server streams', () => {
  it('come out as they would by protocol 1, in the order of their commits', async () => {
    const records: Record<string, readonly Taken[]> = {};
    for (const [protocol, options] of [['one', {}], ['two', streaming]] as const) {
      const database = await fresh(`order_${protocol}`);
      const got = await run({
        server, database, options: { ...options, 'provide.transaction.metadata': 'true' }, until: all => all.some(({ value }) => value?.includes('"END"') === true) && ids(all).includes(999_999),
        after: async () => {
          const [one, two] = [new pg.Client({ connectionString: server.url.replace(/postgres$/, database) }), new pg.Client({ connectionString: server.url.replace(/postgres$/, database) })];
          await Promise.all([one.connect(), two.connect()]);
          await one.query("BEGIN; INSERT INTO t SELECT g, repeat('a', 200) FROM generate_series(1, 3000) g");
          await two.query("BEGIN; INSERT INTO u SELECT g, repeat('b', 200) FROM generate_series(3001, 6000) g");
          await one.query("SAVEPOINT s; INSERT INTO t SELECT g, repeat('c', 200) FROM generate_series(10001, 13000) g; SAVEPOINT inner_one; INSERT INTO t SELECT g, 'd' FROM generate_series(20001, 20100) g; ROLLBACK TO s");
          await one.query("SAVEPOINT kept; UPDATE t SET v = repeat('u', 100) WHERE id <= 1000; RELEASE kept; ALTER TABLE t ADD COLUMN w int DEFAULT 7; INSERT INTO t SELECT g, 'after alter', g FROM generate_series(30001, 30010) g");
          await one.query("SELECT pg_logical_emit_message(true, 'p', 'inside'); DELETE FROM t WHERE id <= 10");
          await one.query('COMMIT');
          await two.query("INSERT INTO u SELECT g, 'e' FROM generate_series(6001, 6010) g; COMMIT");
          await server.sql("BEGIN; INSERT INTO t SELECT g, repeat('never', 100) FROM generate_series(40001, 44000) g; ROLLBACK", database);
          await server.sql("INSERT INTO t VALUES (999999, 'last')", database);
          await Promise.all([one.end(), two.end()]);
        },
      });
      expect(got.failure).toBeUndefined();
      expect(got.unequal).toEqual([]);
      records[protocol] = got.records;
      expect(await streamed(database)).toBe(protocol === 'two');
      expect(open()).toBe(0);
    }
    // LSNs, transaction ids and times differ between two databases; everything else has to be the same.
    const shape = (list: readonly Taken[] = []) => list.map(({ topic, key, payload }) => JSON.stringify([topic, topic.endsWith('transaction') ? '' : key, payload?.op, payload?.after, (payload as { before?: unknown } | null)?.before]));
    expect(shape(records['two'])).toEqual(shape(records['one']));
    expect(ids(records['two'] ?? [])).not.toContain(10_001);
    expect(ids(records['two'] ?? [])).not.toContain(40_001);
  }, 120_000);

  it('go on in the middle after a restart, nothing twice, also when the protocol changes', async () => {
    const database = await fresh('cut');
    let stored: Awaited<ReturnType<typeof run>>['offset'];
    const got: number[] = [];
    for (const [i, options] of [streaming, streaming, {}, streaming].entries()) {
      const part = await run({ server, database, options, stored, until: records => ids(records).length > (i === 3 ? 12_000 - got.length - 1 : 2000), ...(i === 0 && { after: async () => { await server.sql("INSERT INTO t SELECT g, repeat('x', 300) FROM generate_series(1, 12000) g", database); } }) });
      expect(part.failure).toBeUndefined();
      got.push(...ids(part.records));
      stored = part.offset;
      expect(open()).toBe(0);
    }
    expect(got).toEqual(upTo(12_000));
    expect(await streamed(database)).toBe(true);
  }, 120_000);

  it('fail with a way out when the files would become too large', async () => {
    const database = await fresh('too_much');
    const got = await run({ server, database, options: { ...streaming, 'slot.stream.spill.max.bytes': '500000' }, until: () => false, after: async () => { await server.sql("INSERT INTO t SELECT g, repeat('x', 300) FROM generate_series(1, 12000) g", database); } });
    expect((got.failure as FatalError).code).toBe('POSTGRES_SPILL_FULL');
    expect(open()).toBe(0);
    const after = await run({ server, database, stored: got.offset, until: records => ids(records).length === 12_000 });
    expect(ids(after.records)).toEqual(upTo(12_000));
  }, 120_000);
});
