/**
 * The crash matrix of the stream: a real process over a real log dies by SIGKILL between each two adjacent steps. After the
 * next start the log holds every event once and in order, and at no death had the server been told to forget more than
 * the log held. Open transactions and incremental snapshots: stream-crash-open.postgres.test.ts.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compileChild } from '../../../kit/crash-child.ts';
import { type PostgresServer, startPostgres } from '../../../kit/postgres.ts';
import { CrashRun, death, type Death } from './crash-run.ts';

let server: PostgresServer, program: string, databases = 0;
beforeAll(async () => { program = compileChild('stream-crash'); server = await startPostgres({ version: 17 }); }, 180_000);
afterAll(async () => { await server[Symbol.asyncDispose](); });

/** WAL in a table that nobody captures. */
const ELSEWHERE = { write: ["INSERT INTO busy SELECT repeat('x', 1000) FROM generate_series(1, 100)"] };
/** The server asks for an answer after half of this time without one. */
const ASKED = { options: { 'status.update.interval.ms': '60000', 'driver.options': '-c wal_sender_timeout=6s' } };
/** What is written may come in one append; with heartbeats there is a second one. */
const BEATEN = { options: { 'heartbeat.interval.ms': '100' } };
const BEATING = { options: { 'heartbeat.interval.ms': '100', 'heartbeat.action.query': 'INSERT INTO beats VALUES (now())' }, write: [] };
/** An append of records; one that only moves the offset has none. */
const RECORDS = '^[1-9]\\d* entries.*lsn_commit';
/** A log that is ahead of the slot. */
const AHEAD: Partial<Death> = { first: { at: 'append', when: 'after', matching: 'lsn_commit' }, options: { 'offset.mismatch.strategy': 'trust_offset' } };
/** An offset with records behind a position within a transaction. */
const WITHIN = '"lsn_proc":"(\\d+)"(?!.*"lsn_commit":"\\1")';
/** In the order in which they come. */
const STEPS: readonly Death[] = [
  death('the publication looked at', 'statement', 'after', 'FROM pg_publication WHERE'), death('the server remembered', 'memory', 'before', 'put', { nth: 2 }), death('the server remembered', 'memory', 'after', 'put', { nth: 2 }),
  death('the transaction received', 'call', 'after', '^received .*B'),
  death('begin', 'call', 'before', '^begin'), death('begin', 'call', 'after', '^begin'),
  death('the table described', 'call', 'before', '^relation public.t'), death('the table described', 'call', 'after', '^relation public.t'),
  death('the first row', 'call', 'before', '^advance INSERT'), death('the first row', 'call', 'after', '^advance INSERT'), death('the update', 'call', 'after', '^advance UPDATE'), death('the delete', 'call', 'after', '^advance DELETE'),
  death('the commit', 'call', 'before', '^commit$'), death('the commit', 'call', 'after', '^commit$'), death('the second commit', 'call', 'after', '^commit$', { nth: 2 }),
  death('a row of a COPY', 'call', 'after', '^advance INSERT', { nth: 30 }),
  death('a message in a transaction', 'call', 'before', '^logical inside'), death('a message in a transaction', 'call', 'after', '^logical inside'),
  death('a message outside of any', 'call', 'before', '^logical outside'), death('a message outside of any', 'call', 'after', '^logical outside'), death('the position behind it', 'call', 'after', '^pass'),
  death('a truncation', 'call', 'before', '^advance TRUNCATE'), death('a truncation', 'call', 'after', '^advance TRUNCATE'),
  death('the table described anew', 'call', 'before', '^relation public.t', { nth: 2 }), death('the table described anew', 'call', 'after', '^relation public.t', { nth: 2 }),
  death('the batch handed over', 'call', 'after', '^handed [1-9]\\d* over'), death('the batch taken', 'call', 'after', '^handed [1-9]\\d* taken'),
  death('the append', 'append', 'before', RECORDS), death('the append', 'append', 'after', RECORDS), death('the second append', 'append', 'before', RECORDS, { nth: 2, ...BEATEN }), death('the second append', 'append', 'after', RECORDS, { nth: 2, ...BEATEN }),
  death('the durable offset is told', 'call', 'before', '^committed'), death('the server is told', 'call', 'before', '^status moved'), death('the server is told', 'call', 'after', '^status moved'), death('the durable offset is told', 'call', 'after', '^committed'),
  death('the step over idle WAL', 'call', 'before', '^moveTo', ELSEWHERE), death('the step over idle WAL', 'call', 'after', '^moveTo', ELSEWHERE),
  death('the slot helped on', 'statement', 'before', '^SELECT pg_log_standby_snapshot', ELSEWHERE), death('the slot helped on', 'statement', 'after', '^SELECT pg_log_standby_snapshot', ELSEWHERE),
  death('a keep-alive that asks', 'call', 'before', '^keepAlive asks', ASKED), death('a keep-alive answered', 'call', 'after', '^keepAlive asks', ASKED),
  death('a heartbeat', 'append', 'before', RECORDS, BEATING), death('a heartbeat', 'append', 'after', RECORDS, BEATING),
  death('its statement', 'statement', 'before', '^INSERT INTO beats', BEATING), death('its statement', 'statement', 'after', '^INSERT INTO beats', BEATING),
  death('the slot advanced to the offset', 'statement', 'before', 'pg_replication_slot_advance', AHEAD), death('the slot advanced to the offset', 'statement', 'after', 'pg_replication_slot_advance', AHEAD),
];
/** What one step writes to the tables, statement by statement, and the records that it makes. */
function written(step: number): { readonly statements: readonly string[]; readonly records: Readonly<Record<string, readonly string[]>> } {
  const id = (n: number): number => step * 1000 + n;
  const copied = Array.from({ length: 60 }, (_, i) => `c ${id(100 + i)}`);
  return {
    statements: [
      `BEGIN; INSERT INTO t VALUES (${id(1)}, 'a'), (${id(2)}, 'b'), (${id(3)}, 'c'); UPDATE t SET v = 'd' WHERE id = ${id(1)}; DELETE FROM t WHERE id = ${id(2)}; COMMIT`,
      `COPY t (id) FROM PROGRAM 'seq ${id(100)} ${id(159)}'`,
      `BEGIN; INSERT INTO t VALUES (${id(200)}); SELECT pg_logical_emit_message(true, 'p', 'inside ${step}'); COMMIT; SELECT pg_logical_emit_message(false, 'p', 'outside ${step}')`,
      `INSERT INTO u VALUES (${id(1)}); TRUNCATE u`,
      `ALTER TABLE t ADD COLUMN c${step} int DEFAULT 7; INSERT INTO t (id) VALUES (${id(300)})`,
      `BEGIN; INSERT INTO t VALUES (${id(400)}); SAVEPOINT a; INSERT INTO t VALUES (${id(401)}); ROLLBACK TO a; INSERT INTO t VALUES (${id(402)}); COMMIT`,
    ],
    records: { t: [`c ${id(1)}`, `c ${id(2)}`, `c ${id(3)}`, `u ${id(1)}`, `d ${id(2)}`, ...copied, `c ${id(200)}`, `c ${id(300)}`, `c ${id(400)}`, `c ${id(402)}`], u: [`c ${id(1)}`, 't'], message: [`inside ${step}`, `outside ${step}`] },
  };
}

describe('killed while it streams', () => {
  let run: CrashRun;
  const expected = new Map<string, string[]>([['t', []], ['u', []], ['message', []]]);
  beforeAll(async () => {
    run = await CrashRun.open({ server, program, database: 'streaming', setup: 'CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY); CREATE TABLE busy (v text); CREATE TABLE beats (at timestamptz)', options: { 'skipped.operations': 'none', 'table.include.list': 'public.t,public.u,public.mark', 'publication.autocreate.mode': 'filtered' } });
  }, 120_000);
  afterAll(() => { run[Symbol.dispose](); });

  it.each(STEPS.map((step, i) => [step.name, step, i + 1] as const))('%s', async (_name, step, number) => {
    const { statements, records } = written(number);
    if (step.write === undefined) for (const [table, more] of Object.entries(records)) expected.get(table)?.push(...more);
    await run.die(step, async () => { for (const statement of step.write ?? statements) await run.sql(statement); });
    const all = await run.goOn();
    for (const [table, list] of expected) expect(all.get(table) ?? [], table).toEqual(list);
  }, 180_000);
});

const LARGE = "INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1, 60000) g";
// Many rows of a COPY share one LSN; the offset counts those that were taken.
const COPIED = "COPY t (id, v) FROM PROGRAM 'seq -f \"%.0f,xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" 1 60000' (FORMAT csv)";

describe('killed within a large transaction', () => {
  it.each([
    ['of inserts', LARGE, WITHIN, false], ['of a COPY', COPIED, 'lsn_events_processed', false],
    // Its rows lie before the commit of another, and before a place that the server was told is done with.
    ['of inserts while another commits', LARGE, WITHIN, true], ['of a COPY while another commits', COPIED, 'lsn_events_processed', true],
  ] as const)('%s, again and again', async (_title, statement, within, overlapped) => {
    using run = await CrashRun.open({ server, program, database: `large_${++databases}`, setup: 'CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY)', options: {} });
    const steps = (['before', 'after'] as const).flatMap(when => [1, 2].map(nth => death(`append ${nth} within it`, 'append', when, within, { nth })));
    if (overlapped) await whileAnother(run, statement);
    else await run.sql(statement);
    for (const step of [...steps, death('the end of it', 'call', 'before', '^commit$')]) await run.die(step, async () => { /* it lies in the WAL */ });
    const all = await run.goOn();
    expect(all.get('t')).toEqual(Array.from({ length: 60_000 }, (_, i) => `c ${i + 1}`));
    expect(all.get('u') ?? []).toEqual(overlapped ? ['c 1'] : []);
  }, 300_000);
});
/** The rows in a transaction that stays open while another commits and is taken. */
async function whileAnother(run: CrashRun, statement: string): Promise<void> {
  await using client = await run.client();
  await client.query(`BEGIN; ${statement}`);
  await run.sql('INSERT INTO u VALUES (1)');
  await run.goOn();
  await client.query('COMMIT');
}

it.each([['before', '^ALTER PUBLICATION'], ['after', '^ALTER PUBLICATION']] as const)('killed %s the publication is altered for a table that joins', async (when, matching) => {
  using run = await CrashRun.open({ server, program, database: `altered_${when}`, setup: 'CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)', options: { 'table.include.list': 'public.t,public.mark', 'publication.autocreate.mode': 'filtered', 'snapshot.new.tables': 'no_data' } });
  const wide = { 'table.include.list': 'public.t,public.u,public.mark' };
  await run.die(death('the publication is altered', 'statement', when, matching), async () => { await run.sql('INSERT INTO t VALUES (1)'); }, wide);
  await run.goOn(wide);
  await run.sql('INSERT INTO u VALUES (1); INSERT INTO t VALUES (2)');
  const all = await run.goOn(wide);
  expect([all.get('t'), all.get('u')]).toEqual([['c 1', 'c 2'], ['c 1']]);
}, 180_000);
