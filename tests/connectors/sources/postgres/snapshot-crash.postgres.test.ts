/**
 * The crash matrix of the snapshot: a real process over a real log dies by SIGKILL between each two adjacent steps; what
 * is changed meanwhile, and all that was before, is in the log after the next start, once and in order.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openEmbeddedLog } from '../../../../runtime/log/embedded/embedded-log.ts';
import { until } from '../../../kit/condition.ts';
import { compileChild, type CrashStep, startChild } from '../../../kit/crash-child.ts';
import { temporaryDirectory } from '../../../kit/directories.ts';
import { valuesOf } from '../../../kit/log-suite.ts';
import { type PostgresServer, startPostgres } from '../../../kit/postgres.ts';
import { quietLogger } from '../../../kit/quiet-logger.ts';
import { runSource } from '../../../kit/source-over-log.ts';
import { replayed } from './replayed.ts';
import type { Taken } from './source.ts';

let server: PostgresServer;
let program: string;
beforeAll(async () => {
  program = compileChild('snapshot-crash');
  server = await startPostgres({ version: 17 });
}, 180_000);
afterAll(async () => { await server[Symbol.asyncDispose](); });

type Step = readonly [name: string, at: CrashStep['at'], when: CrashStep['when'], matching: string, nth?: number];

/** In the order in which they come. */
const FIRST: readonly Step[] = [
  ['the filters remembered', 'memory', 'after', 'put'],
  ['the publication made', 'statement', 'before', '^CREATE PUBLICATION'], ['the slot made', 'statement', 'before', '^CREATE_REPLICATION_SLOT'], ['the snapshot taken up', 'statement', 'before', '^SET TRANSACTION SNAPSHOT'],
  ['the origin known', 'statement', 'after', 'txid_current_snapshot'],
  ['the first chunk durable', 'append', 'before', 'tables'], ['the second chunk read', 'append', 'after', 'tables'], ['the second chunk durable', 'append', 'before', 'tables', 2],
  ['the fourth chunk read', 'statement', 'before', 'pg_relation_filenode', 4], ['the fourth chunk looked after', 'statement', 'after', 'pg_relation_filenode', 4],
  ['the first table finished', 'append', 'before', 'done'], ['the next table begun', 'append', 'after', 'done'],
  ['the transaction ended', 'statement', 'before', '^COMMIT'], ['the end durable', 'append', 'before', '"snapshot_completed":true'], ['the stream begun', 'append', 'after', '"snapshot_completed":true'], ['the first commit durable', 'append', 'before', 'lsn_commit'], ['the slot told', 'append', 'after', 'lsn_commit'],
];
/** An offset of the stream that says nothing of a snapshot any more. */
const ALONE = '^(?!.*snapshot).*lsn_commit';
const BESIDE: readonly Step[] = [
  ['the first round', 'statement', 'before', '^BEGIN', 2], ['what it sees', 'statement', 'before', '^SELECT txid_current_snapshot', 2], ['its first chunk', 'statement', 'before', 'pg_relation_filenode'],
  ['a chunk beside the stream durable', 'append', 'before', 'lsn_commit.*tables'], ['the next chunk', 'append', 'after', 'lsn_commit.*tables', 3], ['the end of a round', 'statement', 'before', '^COMMIT', 2],
  ['the end durable', 'append', 'before', ALONE], ['the stream alone', 'append', 'after', ALONE],
];
const JOINING: readonly Step[] = [
  ['that tables join, durable', 'append', 'before', 'joining'], ['the filters remembered', 'append', 'after', 'joining'], ['the publication', 'memory', 'after', 'put', 1], ['the publication altered', 'statement', 'after', '^ALTER PUBLICATION'],
  ['the temporary slot made', 'statement', 'after', 'TEMPORARY LOGICAL'], ['the origin known', 'statement', 'after', 'txid_snapshot_xmin'], ['a chunk durable', 'append', 'after', 'marks'], ['the end durable', 'append', 'before', 'settled'],
];

const SETUP = `CREATE TABLE a (id int PRIMARY KEY, seq bigint, v text); INSERT INTO a SELECT g, g, repeat('a', 500) FROM generate_series(1, 600) g;
  CREATE TABLE b (id int, seq bigint, v text); INSERT INTO b SELECT g, g, repeat('b', 500) FROM generate_series(1, 600) g;
  CREATE TABLE zz (id int PRIMARY KEY, seq bigint); INSERT INTO zz VALUES (0, 0)`;
/** Pages of 8192 bytes hold 14 of the rows. */
const PAGES = 8, CHUNK_ROWS = PAGES * 15;
const CHANGES = "UPDATE a SET seq = seq + 10000 WHERE id % 50 = 7; DELETE FROM a WHERE id % 50 = 8; INSERT INTO a VALUES (9001, 9001, 'new'); INSERT INTO b VALUES (9001, 9001, 'new')";

let databases = 0;
afterEach(async () => { await server.sql('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active'); });
const settings = (name: string, tables: string, more: Readonly<Record<string, string>>): Record<string, string> => ({
  'database.hostname': server.host, 'database.port': String(server.port), 'database.user': server.user, 'database.password': server.password, 'database.dbname': name, 'topic.prefix': 't', 'plugin.name': 'pgoutput',
  'slot.name': `slot_${name}`, 'publication.name': 'pub', 'publication.autocreate.mode': 'filtered', 'table.include.list': tables, 'snapshot.chunk.pages': String(PAGES), 'heartbeat.interval.ms': '100', 'tombstones.on.delete': 'false', 'status.update.interval.ms': '100', ...more,
});

const dies = (directory: string, config: Readonly<Record<string, string>>, [name, at, when, matching, nth = 1]: Step): Promise<void> => startChild(program, directory, config, name, { at, when, matching, nth }).dead;

/** Runs it in this process until row `mark` of the table zz is in the log. */
async function goesOn(directory: string, config: Readonly<Record<string, string>>, mark: number, done: (records: readonly Taken[]) => boolean): Promise<Taken[]> {
  await using log = await openEmbeddedLog(directory, { mode: 'writer' });
  const stop = new AbortController();
  let failure: unknown;
  const running = runSource(log, config, quietLogger, stop.signal).catch((error: unknown) => { failure = error; });
  const all = async (): Promise<Taken[]> => {
    const records: Taken[] = [];
    for (const { name } of await log.topics()) for (const value of await valuesOf(log, name)) records.push({ topic: name, key: null, value, payload: JSON.parse(value) as Taken['payload'] });
    return records;
  };
  try {
    await server.sql(`INSERT INTO zz VALUES (${mark}, ${mark})`, config['database.dbname']);
    return await until('the records', async () => {
      if (failure !== undefined) throw failure;
      const marked = (await all()).some(({ topic, payload }) => topic === 't.public.zz' && payload?.after?.['id'] === mark);
      // Topics are read one after the other: what came before the mark is surely there only when read after it.
      const records = marked ? await all() : [];
      return marked && done(records) && records;
    }, 60_000);
  } finally { stop.abort(); await running; }
}

async function expectAll(name: string, records: readonly Taken[], again: number): Promise<void> {
  for (const table of ['a', 'b']) {
    const { rows, back } = replayed(records, `t.public.${table}`);
    expect(back).toEqual([]);
    const source = (await server.sql(`SELECT id, seq FROM ${table}`, name)).rows as { id: number; seq: string }[];
    expect(new Map([...rows].map(([id, row]) => [id, Number(row['seq'])]))).toEqual(new Map(source.map(row => [String(row.id), Number(row.seq)])));
  }
  const reads = records.filter(({ topic, payload }) => payload?.op === 'r' && topic !== 't.public.zz').map(({ topic, payload }) => `${topic} ${String(payload?.after?.['id'])}`);
  expect(reads.length - new Set(reads).size).toBeLessThanOrEqual(again);
}

/** The mark may come with a round of the snapshot while the changes still come with the stream. */
const complete = (records: readonly Taken[]): boolean => {
  const { rows } = replayed(records, 't.public.a');
  return rows.size <= 589 && rows.has('9001') && replayed(records, 't.public.b').rows.size >= 601;
};

describe.each([
  ['under one snapshot', FIRST, {}], ['beside the stream', BESIDE, { 'snapshot.stream.after.ms': '0' }],
] as readonly (readonly [string, readonly Step[], Readonly<Record<string, string>>])[])('killed %s', (_title, steps, more) => {
  it.each(steps.map(step => [`${step[2]} ${step[0]}`, step] as const))('%s', async (_name, step) => {
    using home = temporaryDirectory('snapshot-crash-');
    const name = `crash_${++databases}`;
    await server.sql(`CREATE DATABASE ${name}`);
    await server.sql(SETUP, name);
    const config = settings(name, 'public.a,public.b,public.zz', more);
    const died = dies(home.path, config, step);
    // A step that only comes with a change has one; the same statements come again while nothing runs.
    if (/lsn_commit/.test(step[3]) && more['snapshot.stream.after.ms'] === undefined) { await until('the slot', async () => (await server.sql(`SELECT 1 FROM pg_replication_slots WHERE slot_name = 'slot_${name}'`)).rowCount === 1); await server.sql('INSERT INTO zz VALUES (1, 1)', name); }
    await died;
    await server.sql(CHANGES, name);
    await expectAll(name, await goesOn(home.path, config, 2, complete), CHUNK_ROWS);
  }, 120_000);
});

describe('killed while tables join', () => {
  it.each(JOINING.map(step => [`${step[2]} ${step[0]}`, step] as const))('%s', async (_name, step) => {
    using home = temporaryDirectory('snapshot-crash-');
    const name = `crash_${++databases}`;
    await server.sql(`CREATE DATABASE ${name}`);
    await server.sql(SETUP, name);
    await goesOn(home.path, settings(name, 'public.zz', {}), 1, () => true);
    const config = settings(name, 'public.a,public.b,public.zz', { 'snapshot.stream.after.ms': '3000' });
    await dies(home.path, config, step);
    await server.sql(CHANGES, name);
    await expectAll(name, await goesOn(home.path, config, 2, complete), CHUNK_ROWS);
  }, 120_000);
});
