/**
 * The crash matrix, second part: transactions that the server streams while they are open, kept in files of ours until they
 * commit; and incremental snapshots, signal by signal and chunk by chunk.
 */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compileChild } from '../../../kit/crash-child.ts';
import { type PostgresServer, startPostgres } from '../../../kit/postgres.ts';
import { CrashRun, death, type Death } from './crash-run.ts';

let server: PostgresServer, program: string;
beforeAll(async () => { program = compileChild('stream-crash-open'); server = await startPostgres({ version: 17, settings: { logical_decoding_work_mem: '64kB' } }); }, 180_000);
afterAll(async () => { await server[Symbol.asyncDispose](); });

/** The rows below are sent but for the last 64 kB: the parts that are rolled back are among them. */
const SENT = { notice: { matching: '^add', nth: 4400 } };
const OPEN: readonly Death[] = [
  death('a part begins', 'call', 'before', '^start'), death('a part begins', 'call', 'after', '^start'), death('a message kept', 'call', 'after', '^add', { nth: 100 }),
  death('a file written', 'call', 'before', '^spill$'), death('a file written', 'call', 'after', '^spill$'), death('a file written on', 'call', 'after', '^spill$', { nth: 2 }),
  death('a part ends', 'call', 'before', '^stop'), death('a part ends', 'call', 'after', '^stop'), death('the second part begins', 'call', 'after', '^start', { nth: 2 }),
  death('a subtransaction is rolled back', 'call', 'before', '^abort part'), death('a subtransaction is rolled back', 'call', 'after', '^abort part'),
  death('a transaction is rolled back', 'call', 'before', '^abort all'), death('a transaction is rolled back', 'call', 'after', '^abort all'),
  death('the begin at its commit', 'call', 'before', '^begin'), death('the file read', 'call', 'before', '^spilled message'), death('the file read on', 'call', 'after', '^spilled message', { nth: 2000 }), death('the rest in memory read', 'call', 'after', '^spilled message', { nth: 3005 }),
  death('a batch of it taken', 'call', 'after', '^handed \\d{3,} taken'), death('an append of it', 'append', 'before', '^[1-9]\\d* entries'), death('an append of it', 'append', 'after', '^[1-9]\\d* entries'),
  death('the file closed', 'call', 'before', '^drop'), death('the file closed', 'call', 'after', '^drop'), death('the commit', 'call', 'before', '^commit$'), death('the commit', 'call', 'after', '^commit$'),
];

describe('killed while open transactions are streamed', () => {
  let run: CrashRun;
  const expected: string[] = [];
  beforeAll(async () => {
    run = await CrashRun.open({ server, program, database: 'open', setup: 'CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY, v text)', options: { 'slot.stream.params': 'proto_version=2;streaming=true' } });
  }, 120_000);
  afterAll(() => { run[Symbol.dispose](); });

  it.each(OPEN.map((step, i) => [step.name, step, i + 1] as const))('%s', async (_name, step, number) => {
    const id = (n: number): number => number * 100_000 + n;
    const rows = (table: string, from: number, to: number): string => `INSERT INTO ${table} SELECT g, repeat('x', 200) FROM generate_series(${id(from)}, ${id(to)}) g`;
    await run.die({ ...step, ...SENT }, async noticed => {
      const url = server.url.replace(/postgres$/, 'open');
      const clients = [new pg.Client({ connectionString: url }), new pg.Client({ connectionString: url })] as const;
      const [one, two] = clients;
      await Promise.all(clients.map(client => client.connect()));
      await one.query(`BEGIN; ${rows('t', 1, 3000)}; SAVEPOINT s; ${rows('t', 3001, 5000)}`);
      await two.query(`BEGIN; ${rows('u', 1, 1000)}`);
      await noticed;
      await one.query(`ROLLBACK TO s; ${rows('t', 6001, 6010)}`);
      await two.query('ROLLBACK');
      await one.query('COMMIT');
      await Promise.all(clients.map(client => client.end()));
    });
    expected.push(...Array.from({ length: 3000 }, (_, i) => `c ${id(i + 1)}`), ...Array.from({ length: 10 }, (_, i) => `c ${id(6001 + i)}`));
    const all = await run.goOn();
    expect(all.get('u') ?? []).toEqual([]);
    const got = all.get('t') ?? [];
    expect(got.length).toBe(expected.length);
    expect(got.findIndex((one, i) => one !== expected[i])).toBe(-1);
  }, 240_000);
});

const KEPT = 'tributary_incremental_snapshot';
const CHUNKS: readonly Death[] = [
  death('the signal taken', 'call', 'before', '^signalRow c'), death('the signal taken', 'call', 'after', '^signalRow c'), death('the signal durable', 'append', 'before', KEPT), death('the signal durable', 'append', 'after', KEPT),
  death('the window opened', 'statement', 'before', '^INSERT INTO .*-open'), death('the window opened', 'statement', 'after', '^INSERT INTO .*-open'),
  death('the last key asked for', 'statement', 'after', 'AS highest'), death('the chunk read', 'statement', 'before', 'LIMIT 4'), death('the chunk read', 'statement', 'after', 'LIMIT 4'),
  death('the window closed', 'statement', 'before', '^INSERT INTO .*-close'), death('the window closed', 'statement', 'after', '^INSERT INTO .*-close'),
  death('the chunk sent', 'call', 'before', '^close'), death('the chunk sent', 'call', 'after', '^close'), death('the chunk durable', 'append', 'before', `${KEPT}.*last\\\\":\\[`), death('the chunk durable', 'append', 'after', `${KEPT}.*last\\\\":\\[`),
  death('the second chunk read', 'statement', 'before', 'LIMIT 4', { nth: 2 }), death('the second chunk durable', 'append', 'after', 'last\\\\":\\[\\\\"8'), death('the third window closed', 'statement', 'after', '^INSERT INTO .*-close', { nth: 3 }),
  death('the end found', 'statement', 'after', 'LIMIT 4', { nth: 4 }),
];
/** Without marks in the signal table: a chunk waits for a place in the WAL. */
const POSITIONS: readonly Death[] = [
  death('the signal durable', 'append', 'after', KEPT), death('the chunk read', 'statement', 'after', 'LIMIT 4'), death('the place asked for', 'statement', 'after', 'pg_current_wal_flush_lsn'), death('the chunk sent', 'call', 'before', '^close'), death('the chunk sent', 'call', 'after', '^close'), death('the chunk durable', 'append', 'after', 'last\\\\":\\['),
];

describe.each([['with a signal table', CHUNKS, {}], ['read only', POSITIONS, { 'read.only': 'true' }]] as const)('killed during an incremental snapshot %s', (title, steps, more) => {
  let run: CrashRun;
  beforeAll(async () => {
    run = await CrashRun.open({
      server, program, database: title.replaceAll(' ', '_'), setup: 'CREATE TABLE signals (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048)); CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a SELECT g FROM generate_series(1, 10) g',
      options: { 'signal.data.collection': 'public.signals', 'incremental.snapshot.chunk.size': '4', 'heartbeat.interval.ms': '100', ...more },
    });
  }, 120_000);
  afterAll(() => { run[Symbol.dispose](); });

  it.each(steps.map((step, i) => [step.name, step, i + 1] as const))('%s', async (_name, step, number) => {
    await run.die(step, async () => { await run.sql(`INSERT INTO signals VALUES ('s${number}', 'execute-snapshot', '{"data-collections": ["public.a"]}')`); });
    const all = await run.goOn({}, (records, offset) => !offset.includes(KEPT) && (records.get('a')?.length ?? 0) >= (number + 1) * 10);
    // Once by the first snapshot, and once for each signal.
    expect(all.get('a')).toEqual(Array.from({ length: (number + 1) * 10 }, (_, i) => `r ${1 + i % 10}`));
  }, 180_000);
});
