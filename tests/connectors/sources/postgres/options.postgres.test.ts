/** Options of the connection, the slot and the stream that change what a user can see on the server or in the records. */
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { close, connect, queryOn } from '../../../../connectors/sources/postgres/connection.ts';
import { postgresConfig } from '../../../../connectors/sources/postgres/config.ts';
import { parseConfig } from '../../../../runtime/api/config-parse.ts';
import type { TributaryError } from '../../../../runtime/api/errors.ts';
import { until } from '../../../kit/condition.ts';
import { type PostgresServer, startPostgres } from '../../../kit/postgres.ts';
import { run, type Taken } from './source.ts';

let server: PostgresServer;
beforeAll(async () => { server = await startPostgres({ version: 17, settings: { wal_keep_size: '16MB', max_wal_size: '64MB', max_slot_wal_keep_size: '4GB' } }); }, 180_000);
afterAll(async () => { await server[Symbol.asyncDispose](); });

const ids = (records: readonly Taken[]): number[] => records.filter(({ topic, payload }) => topic === 't.public.t' && payload?.after != null).map(({ payload }) => Number(payload?.after?.['id']));
const beats = (records: readonly Taken[]): number => records.filter(({ topic }) => topic.startsWith('__debezium-heartbeat')).length;
const streaming = { when: (records: readonly Taken[]): boolean => beats(records) > 0 };
const heartbeat = { 'heartbeat.interval.ms': '200' };
async function fresh(name: string): Promise<string> {
  await server.sql(`CREATE DATABASE ${name}`);
  await server.sql('CREATE TABLE t (id int PRIMARY KEY, v text)', name);
  return name;
}
const confirmed = async (database: string): Promise<bigint> => BigInt((await server.sql(`SELECT (confirmed_flush_lsn - '0/0')::text AS at FROM pg_replication_slots WHERE slot_name = 'slot_${database}'`)).rows[0]?.['at'] as string);

it('the session has what database.initial.statements and the options of the driver say', async () => {
  const { config } = parseConfig(postgresConfig, {
    'database.hostname': server.host, 'database.port': String(server.port), 'database.user': server.user, 'database.password': server.password, 'database.dbname': 'postgres', 'topic.prefix': 't',
    'database.initial.statements': "SET work_mem = '5MB'; SET application_name = 'semi;;colon'", 'driver.ApplicationName': 'mine', 'driver.options': '-c lock_timeout=7s', 'driver.currentSchema': 'one,two', 'driver.connectTimeout': '9',
  });
  if (config === undefined) throw new Error('the options do not parse');
  const show = async (replication: boolean, names: readonly string[]): Promise<(string | null | undefined)[]> => {
    const client = await connect(config, replication);
    try { const shown = []; for (const name of names) shown.push((await queryOn(client, config)(`SHOW ${name}`))[0]?.[0]); return shown; } finally { await close(client); }
  };
  expect(await show(false, ['work_mem', 'application_name', 'lock_timeout', 'search_path', 'TimeZone'])).toEqual(['5MB', 'semi;colon', '7s', 'one,two', 'UTC']);
  expect(await show(true, ['application_name', 'lock_timeout'])).toEqual(['mine', '7s']);
});

const parsed = (options: Readonly<Record<string, string>>): NonNullable<ReturnType<typeof parseConfig<typeof postgresConfig>>['config']> => {
  const { config, problems } = parseConfig(postgresConfig, { 'database.hostname': server.host, 'database.port': String(server.port), 'database.user': server.user, 'database.password': server.password, 'database.dbname': 'postgres', 'topic.prefix': 't', ...options });
  if (config === undefined) throw new Error(JSON.stringify(problems));
  return config;
};

it.each(['driver.loginTimeout', 'driver.connectTimeout'])('%s ends the wait for a server that takes the connection and says nothing', async option => {
  const mute = createServer(() => { /* says nothing */ });
  await new Promise<void>(done => { mute.listen(0, '127.0.0.1', done); });
  try {
    const began = performance.now();
    await expect(connect(parsed({ 'database.hostname': '127.0.0.1', 'database.port': String((mute.address() as AddressInfo).port), [option]: '1', 'database.sslmode': 'disable' }), false)).rejects.toMatchObject({ name: 'RetriableError', code: 'POSTGRES_CONNECTION' });
    expect(performance.now() - began).toBeLessThan(50_000);
  } finally { mute.close(); }
}, 70_000);

/** Whether the system probes the connection: the timer that Linux shows for it (`02` = keep-alive). */
function probed(localPort: number): boolean {
  const hex = localPort.toString(16).toUpperCase().padStart(4, '0');
  const line = readFileSync('/proc/net/tcp', 'utf8').split('\n').find(text => new RegExp(`^\\s*\\d+: [0-9A-F]+:${hex} `).test(text)) ?? '';
  return line.trim().split(/\s+/)[5]?.startsWith('02:') === true;
}
it.each<readonly [Readonly<Record<string, string>>, boolean]>([[{}, true], [{ 'database.tcpKeepAlive': 'false' }, false], [{ 'driver.tcpKeepAlive': 'false' }, false], [{ 'database.tcpKeepAlive': 'false', 'driver.tcpKeepAlive': 'true' }, true]])('keep-alive with %o: %s', async (options, expected) => {
  const client = await connect(parsed(options), false);
  try {
    const { localPort } = (client as unknown as { readonly connection: { readonly stream: { readonly localPort: number } } }).connection.stream;
    // While data is on its way another timer runs.
    if (expected) await until('the timer of the probe', () => probed(localPort)); else expect(probed(localPort)).toBe(false);
  } finally { await close(client); }
});

describe('the slot', () => {
  it.each<readonly [Readonly<Record<string, string>>, boolean]>([[{}, true], [{ 'lsn.flush.mode': 'connector_and_driver' }, true], [{ 'lsn.flush.mode': 'manual' }, false], [{ 'flush.lsn.source': 'false' }, false]])('with %o is confirmed: %s', async (options, moves) => {
    const database = await fresh(`flush${Math.floor(Math.random() * 1e9)}`);
    let before = 0n;
    const got = await run({ server, database, options: { ...options, ...heartbeat }, ...streaming, until: records => ids(records).length > 0 && beats(records) > 5, after: async () => { before = await confirmed(database); await server.sql("INSERT INTO t VALUES (1, 'a')", database); } });
    expect(got.failure).toBeUndefined();
    const commit = BigInt(String(got.offset?.['lsn_commit'] ?? 0));
    if (moves) expect(await confirmed(database)).toBeGreaterThan(before); else expect(await confirmed(database)).toBe(before);
    expect(await confirmed(database)).toBeLessThanOrEqual(commit);
  }, 60_000);

  it('is guarded: beyond slot.guard.bytes the task fails, or goes on with a warning; its figures are there', async () => {
    const database = await fresh('guarded');
    const failing = await run({ server, database, options: { ...heartbeat, 'slot.guard.bytes': '1', 'slot.guard.action': 'fail' }, until: records => beats(records) > 100 });
    expect((failing.failure as TributaryError).code).toBe('POSTGRES_SLOT_GUARD');
    expect((failing.failure as TributaryError).hint).toContain('pg_drop_replication_slot');
    const warnings: string[] = [];
    const logger = { debug: () => undefined, info: () => undefined, error: () => undefined, warn: (_fields: object, phrase: string) => { warnings.push(phrase); }, child: () => logger };
    const going = await run({ server, database, stored: failing.offset, logger, options: { ...heartbeat, 'slot.guard.bytes': '1' }, until: records => beats(records) > 5 });
    expect(going.failure).toBeUndefined();
    expect(warnings).toContain('slot holds back more wal than slot.guard.bytes');
    const named = JSON.stringify({ slot: 'slot_guarded' });
    expect(going.figures.get(`slot_retained_bytes${named}`)).toBeGreaterThan(0);
    expect(going.figures.get(`slot_safe_wal_bytes${named}`)).toBeGreaterThan(1e9);
    expect(going.figures.get(`slot_wal_status${JSON.stringify({ slot: 'slot_guarded', status: 'reserved' })}`)).toBe(1);
  }, 60_000);

  it('does not fill the disk while the captured tables are idle', async () => {
    const database = await fresh('idle');
    await server.sql('CREATE TABLE busy (v text)', database);
    const long = process.env['TRIBUTARY_LONG'] === '1', rounds = long ? 400 : 60;
    let worst = 0, written = 0, running: Promise<void> | undefined, over = false;
    const write = async (): Promise<void> => {
      for (let i = 0; i < rounds; i++) {
        await server.sql("INSERT INTO busy SELECT repeat('x', 1000) FROM generate_series(1, 5000)", database);
        const { rows: [row] } = await server.sql("SELECT pg_current_wal_lsn() - restart_lsn AS kept, pg_current_wal_lsn() - '0/0' AS at FROM pg_replication_slots WHERE slot_name = 'slot_idle'");
        worst = Math.max(worst, Number(row?.['kept']));
        written = Number(row?.['at']);
      }
      over = true;
    };
    const before = Number((await server.sql("SELECT pg_current_wal_lsn() - '0/0' AS at")).rows[0]?.['at']);
    const got = await run({ server, database, options: { ...heartbeat, 'table.include.list': 'public.t', 'publication.autocreate.mode': 'filtered' }, ...streaming, until: () => over, after: async () => { running = write(); } });
    await running;
    expect(got.failure).toBeUndefined();
    expect(written - before).toBeGreaterThan(long ? 2e9 : 300e6);
    // Each round is 5 MB in one transaction, which the slot has to keep until it ends; the bar is 64 MiB.
    expect(worst).toBeLessThan(64 * 1024 * 1024);
  }, 900_000);
});

it('xmin.fetch.interval.ms puts the slot\'s xmin into the source block', async () => {
  const database = await fresh('xmin');
  const got = await run({ server, database, options: { ...heartbeat, 'xmin.fetch.interval.ms': '100' }, ...streaming, until: records => ids(records).length > 0, after: async () => { await server.sql("INSERT INTO t VALUES (1, 'a')", database); } });
  expect(Number(got.records.find(({ payload }) => payload?.after?.['id'] === 1)?.payload?.source?.['xmin'])).toBeGreaterThan(0);
}, 60_000);

it('heartbeat.action.query runs; one that fails or waits for a lock holds nothing up', async () => {
  const database = await fresh('beating');
  await server.sql('CREATE TABLE beat (at timestamptz)', database);
  const good = await run({ server, database, options: { ...heartbeat, 'heartbeat.action.query': 'INSERT INTO beat VALUES (now())' }, until: records => beats(records) > 3 });
  expect(good.failure).toBeUndefined();
  expect(Number((await server.sql('SELECT count(*) AS n FROM beat', database)).rows[0]?.['n'])).toBeGreaterThan(0);
  let stored = good.offset;
  for (const action of ['INSERT INTO no_such_table VALUES (1)', 'SELECT pg_sleep(3)']) {
    const bad = await run({ server, database, stored, options: { ...heartbeat, 'heartbeat.action.query': action }, until: records => beats(records) > 6 });
    expect(bad.failure).toBeUndefined();
    stored = bad.offset;
  }
}, 60_000);

it('messages outside of a transaction come once, also over a restart, and prefixes are filtered', async () => {
  const database = await fresh('messages');
  const emit = (from: number, to: number): string => `SELECT pg_logical_emit_message(false, CASE WHEN g % 2 = 0 THEN 'even' ELSE 'odd' END, 'm' || g) FROM generate_series(${from}, ${to}) g`;
  const contents = (records: readonly Taken[]): string[] => records.filter(({ topic }) => topic === 't.message').map(({ payload }) => Buffer.from((payload as unknown as { message: { content: string } }).message.content, 'base64').toString());
  const first = await run({ server, database, options: heartbeat, ...streaming, until: records => contents(records).length >= 4, after: async () => { await server.sql(emit(1, 4), database); } });
  await server.sql(emit(5, 8), database);
  const second = await run({ server, database, stored: first.offset, options: { ...heartbeat, 'message.prefix.include.list': 'ev.*' }, until: records => contents(records).length >= 2 });
  expect([...contents(first.records), ...contents(second.records)]).toEqual(['m1', 'm2', 'm3', 'm4', 'm6', 'm8']);
}, 60_000);
