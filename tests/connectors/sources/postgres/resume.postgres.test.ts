/** Stops at any batch, and goes on: nothing lost, nothing twice, the slot never ahead. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RetriableError, FatalError } from '../../../../runtime/api/errors.ts';
import { type PostgresServer, startPostgres } from '../../../kit/postgres.ts';
import { run, type Taken } from './source.ts';

let server: PostgresServer;
beforeAll(async () => { server = await startPostgres(); }, 120_000);
afterAll(async () => { await server[Symbol.asyncDispose](); });

const fresh = async (name: string, setup: string): Promise<string> => { await server.sql(`CREATE DATABASE ${name}`); await server.sql(setup, name); return name; };
const ids = (records: readonly Taken[], table = 't.public.t'): number[] => records.filter(({ topic, payload }) => topic === table && payload?.after != null).map(({ payload }) => Number(payload?.after?.['id']));
const sorted = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

describe('the stream', () => {
  it.each([['inserts', "INSERT INTO t SELECT g, repeat('x', 300) FROM generate_series(1, 40000) g"]])('goes on inside a large transaction of %s', async (_name, statement) => {
    const database = await fresh('large', 'CREATE TABLE t (id int PRIMARY KEY, v text)');
    const first = await run({ server, database, until: records => ids(records).length > 1000, after: async () => { await server.sql(statement, database); } });
    expect(first.failure).toBeUndefined();
    const got = ids(first.records);
    expect(got.length).toBeLessThan(40_000);
    const second = await run({ server, database, stored: first.offset, until: records => ids(records).length >= 40_000 - got.length });
    expect(second.failure).toBeUndefined();
    expect([...got, ...ids(second.records)]).toEqual(upTo(40_000));
  }, 60_000);

  it('fails as passing trouble when the server goes, and heals', async () => {
    const database = await fresh('gone', 'CREATE TABLE t (id int PRIMARY KEY, v text)');
    const first = await run({ server, database, until: () => false, after: async () => { await server.stop('immediate'); } });
    expect(first.failure).toBeInstanceOf(RetriableError);
    await server.start();
    await server.sql("INSERT INTO t VALUES (1, 'after')", database);
    const second = await run({ server, database, stored: first.offset, until: records => ids(records).length > 0 });
    expect(ids(second.records)).toEqual([1]);
  }, 60_000);

  it('says so when the slot was made anew, and nothing is passed over in silence', async () => {
    const database = await fresh('anew', 'CREATE TABLE t (id int PRIMARY KEY, v text)');
    const first = await run({ server, database, until: records => ids(records).length > 0, after: async () => { await server.sql("INSERT INTO t VALUES (1, 'a')", database); } });
    await server.sql(`SELECT pg_drop_replication_slot('slot_${database}')`, database);
    const gone = await run({ server, database, stored: first.offset, until: () => false });
    expect(gone.failure).toBeInstanceOf(FatalError);
    await server.sql("INSERT INTO t VALUES (2, 'lost')", database);
    await server.sql(`SELECT pg_create_logical_replication_slot('slot_${database}', 'pgoutput')`, database);
    const ahead = await run({ server, database, stored: first.offset, until: () => false });
    expect(ahead.failure).toBeInstanceOf(FatalError);
    expect((ahead.failure as FatalError).code).toBe('POSTGRES_SLOT_AHEAD');
    const again = await run({ server, database, stored: first.offset, options: { 'snapshot.mode': 'when_needed' }, until: records => ids(records).length >= 2 });
    expect(sorted(ids(again.records))).toEqual([1, 2]);
  }, 60_000);

  it('takes an offset that Debezium wrote', async () => {
    const database = await fresh('foreign_offset', 'CREATE TABLE t (id int PRIMARY KEY, v text)');
    const first = await run({ server, database, until: records => ids(records).length > 0, after: async () => { await server.sql("INSERT INTO t VALUES (1, 'a')", database); } });
    const { lsn, txId } = first.offset ?? {};
    const stored = { lsn_proc: Number(lsn), messageType: 'INSERT', lsn_commit: Number(lsn), lsn: Number(lsn), txId: Number(txId), ts_usec: 1_795_449_935_266_816 };
    await server.sql("INSERT INTO t VALUES (2, 'b')", database);
    const second = await run({ server, database, stored, until: records => ids(records).includes(2) });
    expect(ids(second.records).at(-1)).toBe(2);
  }, 60_000);
});

describe('the snapshot', () => {
  it('goes on behind its last finished chunk, also without a key, and the stream takes over', async () => {
    const database = await fresh('chunks', "CREATE TABLE t (id int, v text); INSERT INTO t SELECT g, repeat('x', 500) FROM generate_series(1, 8000) g; CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u SELECT generate_series(1, 10); CREATE TABLE zz (id int PRIMARY KEY)");
    const options = { 'snapshot.chunk.pages': '20' };
    const first = await run({ server, database, options, until: records => ids(records).length > 3000 });
    const got = ids(first.records);
    expect(got.length).toBeLessThan(8000);
    await server.sql("INSERT INTO t VALUES (8001, 'while stopped'); INSERT INTO u VALUES (11)", database);
    const second = await run({ server, database, options, stored: first.offset, until: records => ids(records, 't.public.zz').length > 0 && new Set([...got, ...ids(records)]).size === 8001 && ids(records, 't.public.u').length === 11, after: async () => { await server.sql('INSERT INTO zz VALUES (1)', database); } });
    expect(second.failure).toBeUndefined();
    const more = ids(second.records);
    expect(sorted([...new Set([...got, ...more])])).toEqual(upTo(8001));
    expect(got.length + more.length).toBeLessThan(8001 + 20 * 16 + 2);
    // Table u was read after the restart, with row 11 in it: that row comes with the stream and is not read too.
    const u = second.records.filter(({ topic }) => topic === 't.public.u').map(({ payload }) => `${payload?.op}${payload?.after?.['id'] as number}`);
    expect([...u].sort()).toEqual(['c11', ...upTo(10).map(id => `r${id}`)].sort());
  }, 60_000);

  it.each([['no_data', 0], ['always', 3], ['initial', 3]] as const)('mode %s reads %d rows and streams', async (mode, rows) => {
    const database = await fresh(`mode_${mode}`, "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')");
    const got = await run({ server, database, options: { 'snapshot.mode': mode, 'heartbeat.interval.ms': '100' }, until: records => ids(records).includes(4), when: records => records.some(({ topic }) => topic.startsWith('__debezium-heartbeat')), after: async () => { await server.sql("INSERT INTO t VALUES (4, 'd')", database); } });
    expect(got.records.filter(({ payload }) => payload?.op === 'r').length).toBe(rows);
    expect(ids(got.records).at(-1)).toBe(4);
  }, 60_000);

  it('reads what an override says', async () => {
    const database = await fresh('overridden', "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'v' FROM generate_series(1, 9) g");
    const got = await run({ server, database, options: { 'snapshot.mode': 'initial_only', 'snapshot.select.statement.overrides': 'public.t', 'snapshot.select.statement.overrides.public.t': 'SELECT * FROM public.t WHERE id > 6 ORDER BY id DESC;' }, until: records => ids(records).length >= 3 });
    expect(ids(got.records)).toEqual([9, 8, 7]);
  }, 60_000);
});
