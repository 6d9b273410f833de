/** The options of the snapshot, each on the real server: what is read, in which order, under which mode. */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type PostgresServer, startPostgres } from '../../../kit/postgres.ts';
import { run, type Run, type Taken, type Wish } from './source.ts';

let server: PostgresServer;
beforeAll(async () => { server = await startPostgres({ version: 15 }); }, 120_000);
afterEach(async () => { await server.sql('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active'); });
afterAll(async () => { await server[Symbol.asyncDispose](); });

const SETUP = `CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a VALUES (1, 'a'), (2, 'b'), (3, 'c');
  CREATE TABLE b (id int PRIMARY KEY, v text); INSERT INTO b VALUES (1, 'x');
  CREATE TABLE e (id int PRIMARY KEY); CREATE TABLE zz (id int PRIMARY KEY); INSERT INTO zz VALUES (0)`;
let databases = 0;
async function database(): Promise<string> { const name = `options_${++databases}`; await server.sql(`CREATE DATABASE ${name}`); await server.sql(SETUP, name); return name; }

const read = (records: readonly Taken[]): string[] => records.filter(({ payload }) => payload?.op === 'r').map(({ topic, payload }) => `${topic.replace('t.public.', '')}${String(payload?.after?.['id'])}`);
const marked = (records: readonly Taken[]): boolean => records.some(({ topic, payload }) => topic === 't.public.zz' && payload?.op === 'c');
const beats = { 'heartbeat.interval.ms': '100' };
const beaten = (records: readonly Taken[]): boolean => records.some(({ topic }) => topic.startsWith('__debezium-heartbeat'));

/** Until a row that is inserted once the stream runs has come. */
async function streamed(name: string, options: Readonly<Record<string, string>>, more: Partial<Wish> = {}): Promise<Run> {
  const got = await run({ server, database: name, options: { ...beats, ...options }, until: marked, when: beaten, after: async () => { await server.sql('DELETE FROM zz WHERE id = 9; INSERT INTO zz VALUES (9)', name); }, ...more });
  if (got.failure !== undefined) throw got.failure as Error;
  expect(got.unequal).toEqual([]);
  return got;
}
const ALL = ['a1', 'a2', 'a3', 'b1', 'zz0'];

describe('snapshot.mode', () => {
  it.each([
    ['initial', ALL, []], ['always', ALL, [...ALL, 'zz9']], ['when_needed', ALL, []], ['no_data', [], []],
  ] as const)('%s', async (mode, first, second) => {
    const name = await database(), options = { 'snapshot.mode': mode };
    const one = await streamed(name, options);
    expect(read(one.records)).toEqual(first);
    const two = await streamed(name, options, { stored: one.offset });
    expect(read(two.records)).toEqual(second);
  }, 60_000);

  it('initial_only reads, and makes no slot', async () => {
    const name = await database();
    const got = await run({ server, database: name, options: { 'snapshot.mode': 'initial_only' }, until: records => read(records).length === 5 });
    expect(read(got.records)).toEqual(ALL);
    expect((await server.sql(`SELECT 1 FROM pg_replication_slots WHERE slot_name = 'slot_${name}'`)).rowCount).toBe(0);
  }, 60_000);

  it.each([[true, true, ALL], [false, true, []]] as const)('configuration_based: data %s, stream %s', async (data, stream, expected) => {
    const name = await database();
    const got = await streamed(name, { 'snapshot.mode': 'configuration_based', 'snapshot.mode.configuration.based.snapshot.data': String(data), 'snapshot.mode.configuration.based.start.stream': String(stream) });
    expect(read(got.records)).toEqual(expected);
  }, 60_000);

  it('configuration_based without the stream ends with the snapshot', async () => {
    const name = await database();
    const got = await run({ server, database: name, options: { 'snapshot.mode': 'configuration_based', 'snapshot.mode.configuration.based.snapshot.data': 'true' }, until: records => read(records).length === 5 });
    expect(read(got.records)).toEqual(ALL);
    expect((await server.sql(`SELECT 1 FROM pg_replication_slots WHERE slot_name = 'slot_${name}'`)).rowCount).toBe(0);
  }, 60_000);

  it.each([['when_needed', {}], ['configuration_based', { 'snapshot.mode.configuration.based.snapshot.data': 'true', 'snapshot.mode.configuration.based.start.stream': 'true', 'snapshot.mode.configuration.based.snapshot.on.data.error': 'true' }]] as const)('%s reads anew when the stored position is no longer there', async (mode, more) => {
    const name = await database(), options = { 'snapshot.mode': mode, ...more };
    const one = await streamed(name, options);
    await server.sql(`SELECT pg_drop_replication_slot('slot_${name}')`);
    const two = await streamed(name, options, { stored: one.offset });
    expect(read(two.records)).toEqual([...ALL, 'zz9']);
  }, 60_000);
});

describe('what is read', () => {
  it.each<readonly [string, Readonly<Record<string, string>>, readonly string[]]>([
    ['the order of table.include.list', { 'table.include.list': 'public.zz,public.b,public.a' }, ['zz0', 'b1', 'a1', 'a2', 'a3']],
    ['snapshot.include.collection.list, in its order', { 'snapshot.include.collection.list': 'public.b,public.zz' }, ['b1', 'zz0']],
    ['the smallest first', { 'snapshot.tables.order.by.row.count': 'ascending' }, ['b1', 'zz0', 'a1', 'a2', 'a3']],
    ['the largest first', { 'snapshot.tables.order.by.row.count': 'descending' }, ['a1', 'a2', 'a3', 'b1', 'zz0']],
    ['a statement in place of a table', { 'snapshot.select.statement.overrides': 'public.a', 'snapshot.select.statement.overrides.public.a': "SELECT * FROM public.a WHERE v <> 'b' ORDER BY id DESC" }, ['a3', 'a1', 'b1', 'zz0']],
    ['select_all', { 'snapshot.query.mode': 'select_all' }, ALL],
    ['shared locks', { 'snapshot.locking.mode': 'shared' }, ALL],
    ...['serializable', 'repeatable_read', 'read_committed', 'read_uncommitted'].map(mode => [mode, { 'snapshot.isolation.mode': mode }, ALL] as const),
  ])('%s', async (_title, options, expected) => {
    const name = await database();
    expect(read((await streamed(name, options)).records)).toEqual(expected);
  }, 60_000);

  it('the last row is marked as such though the tables after it are empty', async () => {
    const name = await database();
    const { records } = await streamed(name, { 'table.include.list': 'public.a,public.zz,public.e' });
    expect(records.filter(({ payload }) => payload?.op === 'r').map(({ payload }) => payload?.source?.['snapshot'])).toEqual(['first', 'true', 'last_in_data_collection', 'last']);
  }, 60_000);

  it('with three readers: every row once, one first and one last', async () => {
    const name = await database();
    await server.sql("INSERT INTO a SELECT g, repeat('a', 500) FROM generate_series(4, 3000) g", name);
    const { records } = await streamed(name, { 'snapshot.max.threads': '3', 'snapshot.chunk.pages': '4' });
    expect(read(records).sort()).toEqual(['b1', 'zz0', ...Array.from({ length: 3000 }, (_, i) => `a${i + 1}`)].sort());
    const markers = records.filter(({ payload }) => payload?.op === 'r').map(({ payload }) => payload?.source?.['snapshot']);
    expect([markers.filter(marker => marker === 'first').length, markers.filter(marker => marker === 'last').length]).toEqual([1, 1]);
  }, 60_000);
});

describe('waiting', () => {
  it('fails as passing trouble when a lock does not come within snapshot.lock.timeout.ms', async () => {
    const name = await database();
    const locked = new pg.Client({ host: server.host, port: server.port, user: server.user, password: server.password, database: name });
    await locked.connect();
    await locked.query('BEGIN; LOCK TABLE b IN ACCESS EXCLUSIVE MODE');
    try {
      const got = await run({ server, database: name, options: { 'snapshot.mode': 'initial_only', 'snapshot.locking.mode': 'shared', 'snapshot.lock.timeout.ms': '300' }, until: () => false });
      expect(got.failure).toMatchObject({ name: 'RetriableError' });
    } finally { await locked.end(); }
  }, 60_000);

  it.each(['snapshot.delay.ms', 'streaming.delay.ms'])('%s', async option => {
    const name = await database();
    const since = performance.now();
    let readAt = 0;
    const got = await streamed(name, { [option]: '1500' }, { until: records => { if (readAt === 0 && read(records).length > 0) readAt = performance.now(); return marked(records); } });
    expect(read(got.records)).toEqual(ALL);
    if (option === 'snapshot.delay.ms') expect(readAt - since).toBeGreaterThan(1490);
    else expect(performance.now() - readAt).toBeGreaterThan(1490);
  }, 60_000);
});

it('initial_only goes on after a stop with the tables that are left', async () => {
  const name = await database();
  await server.sql("INSERT INTO b SELECT g, repeat('b', 500) FROM generate_series(2, 2000) g", name);
  const options = { 'snapshot.mode': 'initial_only', 'snapshot.chunk.pages': '8' };
  const one = await run({ server, database: name, options, until: records => read(records).length > 500 });
  await server.sql('DELETE FROM b WHERE id > 1900', name);
  const two = await run({ server, database: name, options, stored: one.offset, until: records => read(records).includes('zz0') });
  expect(two.failure).toBeUndefined();
  expect(read(two.records)).toEqual([...Array.from({ length: 1900 }, (_, i) => `b${i + 1}`), 'zz0']);
}, 60_000);
