/** Bad networks, busy slots and servers that do not answer: noticed in time, named, and nothing lost or doubled after it. */
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { close, connect, queryOn } from '../../../../connectors/sources/postgres/connection.ts';
import { postgresConfig } from '../../../../connectors/sources/postgres/config.ts';
import { parseConfig } from '../../../../runtime/api/config-parse.ts';
import { RetriableError, type TributaryError } from '../../../../runtime/api/errors.ts';
import type { SourceOffset } from '../../../../runtime/api/plugin.ts';
import { type FaultProxy, startProxy } from '../../../kit/fault-proxy.ts';
import { type PostgresServer, startPostgres } from '../../../kit/postgres.ts';
import { run, type Taken } from './source.ts';

let server: PostgresServer, proxy: FaultProxy;
beforeAll(async () => {
  server = await startPostgres({ settings: { wal_sender_timeout: '2s' } });
  proxy = await startProxy({ host: server.host, port: server.port });
}, 120_000);
afterAll(async () => { await proxy[Symbol.asyncDispose](); await server[Symbol.asyncDispose](); });

const ids = (records: readonly Taken[]): number[] => records.filter(({ topic, payload }) => topic === 't.public.t' && payload?.after != null).map(({ payload }) => Number(payload?.after?.['id']));
afterEach(() => { proxy.reset(); proxy.release(); });
async function fresh(name: string): Promise<string> {
  await server.sql(`CREATE DATABASE ${name}`);
  await server.sql('CREATE TABLE t (id int PRIMARY KEY, v text)', name);
  return name;
}
const through = (): Record<string, string> => ({ 'database.port': String(proxy.port), 'connection.validation.timeout.ms': '2000', 'slot.retry.delay.ms': '5000' });
const codeOf = (failure: unknown): string => (failure as TributaryError | undefined)?.code ?? 'none';

describe('the network', () => {
  it('a black hole is noticed within the time that is set, and healed', async () => {
    const database = await fresh('hole');
    const since: number[] = [];
    const hole = async (): Promise<void> => { await server.sql("INSERT INTO t VALUES (1, 'a')", database); since.push(performance.now()); proxy.hold(); };
    // Once while it streams, once between snapshot and stream, when statements are under way.
    const first = await run({ server, database, options: { ...through(), 'heartbeat.interval.ms': '200' }, until: () => false, when: records => records.some(({ topic }) => topic.startsWith('__debezium-heartbeat')), after: hole });
    // Whichever connection notices first.
    expect(['POSTGRES_SILENT', 'POSTGRES_CONNECTION']).toContain(codeOf(first.failure));
    expect(first.failure).toBeInstanceOf(RetriableError);
    expect(performance.now() - (since[0] ?? 0)).toBeLessThan(20_000);
    proxy.reset();
    proxy.release();
    await server.sql('DELETE FROM t', database);
    const between = await run({ server, database, options: { ...through(), 'slot.name': 'between' }, until: () => false, after: hole });
    expect(between.failure).toBeInstanceOf(RetriableError);
    expect(performance.now() - (since[1] ?? 0)).toBeLessThan(30_000);
    const dark = await run({ server, database, options: through(), stored: first.offset, until: () => false });
    expect(codeOf(dark.failure)).toBe('POSTGRES_CONNECTION');
    proxy.reset();
    proxy.release();
    const second = await run({ server, database, options: through(), stored: first.offset, until: records => ids(records).length > 1 });
    expect(ids(second.records)).toEqual([1, 1]);
  }, 120_000);

  it('an idle connection is not taken for a dead one', async () => {
    const database = await fresh('idle');
    const began = performance.now();
    const got = await run({ server, database, options: { ...through(), 'heartbeat.interval.ms': '500' }, until: () => performance.now() - began > 7000 });
    expect(got.failure).toBeUndefined();
  }, 60_000);

  it('a log that takes nothing for a while does not cost the connection', async () => {
    const database = await fresh('slow_log');
    let begun = false, waited = false;
    const got = await run({
      server, database, options: { 'heartbeat.interval.ms': '200' }, until: records => ids(records).length >= 30_000, when: records => records.some(({ topic }) => topic.startsWith('__debezium-heartbeat')),
      after: async () => { begun = true; await server.sql("INSERT INTO t SELECT g, repeat('x', 500) FROM generate_series(1, 30000) g", database); },
      // Three times the server's wal_sender_timeout, with more at hand than any buffer holds.
      each: async () => { if (!waited && begun) { waited = true; await pause(6000); } },
    });
    expect(waited).toBe(true);
    expect(got.failure).toBeUndefined();
    expect(ids(got.records).length).toBe(30_000);
  }, 60_000);

  it('resets in the middle of messages lose and double nothing', async () => {
    const database = await fresh('resets');
    const got: number[] = [];
    let stored: SourceOffset | undefined, resets = 0;
    const first = await run({ server, database, options: through(), until: records => ids(records).length > 100, after: async () => {
      await server.sql("INSERT INTO t SELECT g, repeat('x', 200) FROM generate_series(1, 5000) g", database);
      await server.sql("INSERT INTO t SELECT g, repeat('y', 200) FROM generate_series(5001, 10000) g", database);
    } });
    got.push(...ids(first.records));
    stored = first.offset;
    for (let i = 1; got.length < 10_000 && i < 20; i++) {
      proxy.resetAfter(150_000 + 77_777 * i);
      const part = await run({ server, database, options: through(), stored, until: records => got.length + ids(records).length >= 10_000 });
      if (part.failure !== undefined) { resets++; expect(part.failure).toBeInstanceOf(RetriableError); }
      got.push(...ids(part.records));
      stored = part.offset ?? stored;
    }
    expect(codeOf(first.failure)).toBe('none');
    expect(resets).toBeGreaterThan(1);
    expect(got.length).toBe(10_000);
    expect(got.every((id, i) => id === i + 1)).toBe(true);
  }, 120_000);

  it('bytes that come one by one are put together', async () => {
    const database = await fresh('drops');
    await server.sql("INSERT INTO t VALUES (1, 'snapshot')", database);
    proxy.trickle(3);
    try {
      const got = await run({ server, database, options: { ...through(), 'connection.validation.timeout.ms': '60000' }, until: records => ids(records).length >= 2, after: async () => { await server.sql("INSERT INTO t VALUES (2, 'stream')", database); } });
      expect(got.failure).toBeUndefined();
      expect(ids(got.records)).toEqual([1, 2]);
    } finally { proxy.release(); }
  }, 120_000);

  it('a statement on a dead connection is given up', async () => {
    const { config } = parseConfig(postgresConfig, { 'database.hostname': proxy.host, 'database.port': String(proxy.port), 'database.user': server.user, 'database.password': server.password, 'database.dbname': 'postgres', 'topic.prefix': 't', 'connection.validation.timeout.ms': '1000' });
    if (config === undefined) throw new Error('the options do not parse');
    const [client, slow] = [await connect(config, false), await connect(config, false)];
    await expect(queryOn(slow, config, 300)('SELECT pg_sleep(60)')).rejects.toMatchObject({ code: 'POSTGRES_QUERY_TIMEOUT' });
    expect(await queryOn(slow, config)('SELECT 1')).toEqual([['1']]);
    proxy.hold();
    await expect(queryOn(client, config, 300)('SELECT 1')).rejects.toBeInstanceOf(RetriableError);
    await Promise.all([close(client), close(slow)]);
    proxy.reset();
    proxy.release();
  }, 60_000);
});

/** Holds the slot of a database as another reader would. */
async function occupy(database: string): Promise<pg.Client> {
  const client = new pg.Client({ host: server.host, port: server.port, user: server.user, password: server.password, database, replication: 'database' } as pg.ClientConfig);
  client.on('error', () => undefined);
  await client.connect();
  client.query(`START_REPLICATION SLOT slot_${database} LOGICAL 0/0 (proto_version '1', publication_names 'pub')`).catch(() => undefined);
  await expect.poll(async () => (await server.sql(`SELECT active FROM pg_replication_slots WHERE slot_name = 'slot_${database}'`)).rows[0]?.['active'] as unknown, { timeout: 20_000 }).toBe(true);
  return client;
}
const hangUp = (client: pg.Client): void => { (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy(); };

describe('a slot', () => {
  it('that is in use is waited for, and taken once it is free', async () => {
    const database = await fresh('busy');
    const first = await run({ server, database, until: records => ids(records).length > 0, after: async () => { await server.sql("INSERT INTO t VALUES (1, 'a')", database); } });
    const other = await occupy(database);
    await server.sql("INSERT INTO t VALUES (2, 'b')", database);
    const refused = await run({ server, database, stored: first.offset, options: { 'slot.max.retries': '0' }, until: () => false });
    expect(codeOf(refused.failure)).toBe('POSTGRES_SLOT_ACTIVE');
    expect(refused.failure).toBeInstanceOf(RetriableError);
    const tried = await run({ server, database, stored: first.offset, options: { 'slot.max.retries': '2', 'slot.retry.delay.ms': '200' }, until: () => false });
    expect(codeOf(tried.failure)).toBe('POSTGRES_SLOT_ACTIVE');
    const waiting = run({ server, database, stored: first.offset, until: records => ids(records).length > 0 });
    await expect.poll(async () => (await server.sql("SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'Tributary' AND query LIKE '%active FROM pg_replication_slots%'")).rows[0]?.['n'] as unknown, { timeout: 20_000 }).toBeGreaterThan(0);
    hangUp(other);
    expect(ids((await waiting).records)).toEqual([2]);
  }, 120_000);

  it('that cannot be made because a transaction stays open is named so', async () => {
    const database = await fresh('waits');
    const holder = new pg.Client({ connectionString: server.url.replace(/postgres$/, database) });
    await holder.connect();
    await holder.query("BEGIN; INSERT INTO t VALUES (1, 'open')");
    const stuck = await run({ server, database, options: { 'internal.create.slot.command.timeout': '1' }, until: () => false });
    expect(codeOf(stuck.failure)).toBe('POSTGRES_SLOT_WAITS');
    expect(stuck.failure).toBeInstanceOf(RetriableError);
    await holder.query('COMMIT');
    await holder.end();
    const got = await run({ server, database, until: records => ids(records).length > 0 });
    expect(ids(got.records)).toEqual([1]);
  }, 120_000);

  it('that is dropped while it is read fails the task with the way out', async () => {
    const database = await fresh('dropped');
    const first = await run({ server, database, until: () => false, after: async () => {
      await server.sql(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 'slot_${database}'`);
      await expect.poll(async () => { try { await server.sql(`SELECT pg_drop_replication_slot('slot_${database}')`); return true; } catch { return false; } }, { timeout: 20_000 }).toBe(true);
    } });
    expect(['POSTGRES_CONNECTION', 'POSTGRES_SLOT_GONE']).toContain(codeOf(first.failure));
    const second = await run({ server, database, stored: first.offset, until: () => false });
    expect(codeOf(second.failure)).toBe('POSTGRES_SLOT_GONE');
    expect((second.failure as TributaryError).hint).toContain('offsets');
  }, 60_000);
});
