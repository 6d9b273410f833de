/** Signals and the incremental snapshots that they ask for, on the real server. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openEmbeddedLog } from '../../../../runtime/log/embedded/embedded-log.ts';
import type { Log } from '../../../../runtime/log/log.ts';
import type { SourceContext } from '../../../../runtime/api/plugin.ts';
import type { TaskOrder } from '../../../../runtime/worker/task-messages.ts';
import { openFeed } from '../../../../runtime/worker/topic-feed.ts';
import { until } from '../../../kit/condition.ts';
import { bodyOf } from '../../../kit/log-values.ts';
import { quietLogger } from '../../../kit/quiet-logger.ts';
import { temporaryDirectory } from '../../../kit/directories.ts';
import { type PostgresServer, startPostgres } from '../../../kit/postgres.ts';
import { replayed } from './replayed.ts';
import { run, type Run, type Taken } from './source.ts';

let server: PostgresServer;
beforeAll(async () => { server = await startPostgres({ version: 17 }); }, 120_000);
afterEach(async () => { await server.sql('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active'); });
afterAll(async () => { await server[Symbol.asyncDispose](); });

const SETUP = `CREATE TABLE signals (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048));
  CREATE TABLE a (id int PRIMARY KEY, seq bigint); INSERT INTO a SELECT g, g FROM generate_series(1, 40) g;
  CREATE TABLE pair (k1 int, k2 text, seq bigint, id text, PRIMARY KEY (k1, k2)); INSERT INTO pair SELECT g % 3, 'k' || g, g, g FROM generate_series(1, 20) g;
  CREATE TABLE texts (id text PRIMARY KEY, seq bigint); INSERT INTO texts SELECT chr(64 + g) || '''"' || g, g FROM generate_series(1, 20) g;
  CREATE TABLE uuids (id uuid PRIMARY KEY, seq bigint); INSERT INTO uuids SELECT md5(g::text)::uuid, g FROM generate_series(1, 20) g;
  CREATE TABLE keyless (id int NOT NULL, seq bigint); INSERT INTO keyless SELECT g, g FROM generate_series(1, 20) g;
  CREATE TABLE zz (id int PRIMARY KEY)`;
const OPTIONS = { 'snapshot.mode': 'no_data', 'signal.data.collection': 'public.signals', 'incremental.snapshot.chunk.size': '4', 'heartbeat.interval.ms': '50', 'signal.poll.interval.ms': '50', 'notification.enabled.channels': 'sink', 'notification.sink.topic.name': 'notes' };
let databases = 0;
async function database(): Promise<string> { const name = `signals_${++databases}`; await server.sql(`CREATE DATABASE ${name}`); await server.sql(SETUP, name); return name; }

const read = (records: readonly Taken[], table: string): string[] => records.filter(({ topic, payload }) => topic === `t.public.${table}` && payload?.op === 'r').map(({ payload }) => String(payload?.after?.['id']));
interface Note { readonly id: string; readonly type: string; readonly additional_data: Readonly<Record<string, string>> }
const notes = (records: readonly Taken[]): Note[] => records.filter(({ topic }) => topic === 'notes').map(({ payload }) => payload as unknown as Note);
const noted = (type: string) => (records: readonly Taken[]): boolean => notes(records).some(note => note.type === type);
const signal = (id: string, type: string, data: object | string): string => `INSERT INTO signals VALUES ('${id}', '${type}', '${typeof data === 'string' ? data : JSON.stringify(data).replaceAll("'", "''")}')`;
const streaming = (records: readonly Taken[]): boolean => records.some(({ topic }) => topic.startsWith('__debezium-heartbeat'));

async function asked(name: string, statements: string, until: (records: readonly Taken[]) => boolean, options: Readonly<Record<string, string>> = {}): Promise<Run> {
  const got = await run({ server, database: name, options: { ...OPTIONS, ...options }, until, when: streaming, after: async () => { await server.sql(statements, name); } });
  if (got.failure !== undefined) throw got.failure as Error;
  expect(got.unequal).toEqual([]);
  return got;
}
const upTo = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i + 1));

describe('an incremental snapshot', () => {
  it.each([['insert_insert', {}], ['insert_delete', {}], ['read only', { 'read.only': 'true' }]] as const)('%s: reads whatever the key is, chunk by chunk', async (strategy, more) => {
    const name = await database();
    const tables = ['a', 'pair', 'texts', 'uuids'];
    const { records } = await asked(name, signal('s1', 'execute-snapshot', { type: 'incremental', 'data-collections': tables.map(table => `public.${table}`) }), noted('COMPLETED'), strategy === 'insert_delete' ? { 'incremental.snapshot.watermarking.strategy': 'insert_delete' } : more);
    expect(read(records, 'a')).toEqual(upTo(40));
    for (const table of ['pair', 'texts', 'uuids']) expect([...read(records, table)].sort()).toEqual((await server.sql(`SELECT id::text AS id FROM ${table}`, name)).rows.map((row: { id: string }) => row.id).sort());
    const scans = notes(records).filter(({ type }) => type === 'TABLE_SCAN_COMPLETED').map(({ additional_data: data }) => [data['scanned_collection'], data['total_rows_scanned'], data['status']]);
    expect(scans).toEqual([['public.a', '40', 'SUCCEEDED'], ['public.pair', '20', 'SUCCEEDED'], ['public.texts', '20', 'SUCCEEDED'], ['public.uuids', '20', 'SUCCEEDED']]);
    const own = notes(records).filter(({ type }) => type !== 'SKIPPED');
    expect(own.map(({ id }) => id)).toEqual(own.map(() => 's1'));
    if (strategy === 'read only') expect((await server.sql("SELECT 1 FROM signals WHERE type LIKE 'snapshot-window%'", name)).rowCount).toBe(0);
  }, 60_000);

  it.each([['signal table', {}], ['read only', { 'read.only': 'true' }]] as const)('%s: under writes no row goes back', async (_title, more) => {
    const name = await database();
    let stop = false, seq = 1000;
    const load = (async () => { while (!stop) { await server.sql(`UPDATE a SET seq = ${++seq} WHERE id = ${1 + seq % 40}`, name); await pause(2); } })();
    try {
      const { records } = await asked(name, signal('s1', 'execute-snapshot', { 'data-collections': ['public.a'] }), noted('COMPLETED'), more);
      const { rows, back } = replayed(records, 't.public.a');
      expect(back).toEqual([]);
      expect([...rows.keys()].sort()).toEqual(upTo(40).sort());
    } finally { stop = true; await load; }
  }, 60_000);

  it('reads what additional-conditions say, and by a surrogate key where there is none', async () => {
    const name = await database();
    const { records } = await asked(name, `${signal('s1', 'execute-snapshot', { 'data-collections': ['public.a'], 'additional-conditions': [{ 'data-collection': 'public.a', filter: 'id > 30' }] })}; ${signal('s2', 'execute-snapshot', { 'data-collections': ['public.keyless'], 'surrogate-key': 'id' })}`, all => read(all, 'keyless').length >= 20 && noted('COMPLETED')(all));
    expect(read(records, 'a')).toEqual(upTo(40).slice(30));
    expect(read(records, 'keyless')).toEqual(upTo(20));
  }, 60_000);

  it('goes on while its table changes: columns come and go, the key gets another type', async () => {
    const name = await database();
    await server.sql('INSERT INTO a SELECT g, g FROM generate_series(41, 600) g', name);
    const changes = ['ALTER TABLE a ADD COLUMN extra int DEFAULT 7', 'ALTER TABLE a DROP COLUMN seq', 'ALTER TABLE a RENAME COLUMN extra TO other', 'ALTER TABLE a ALTER COLUMN id TYPE bigint', 'ALTER TABLE a ADD COLUMN seq text'];
    let done = 0;
    const { records, failure, unequal } = await run({
      server, database: name, options: OPTIONS, when: streaming, after: async () => { await server.sql(signal('s1', 'execute-snapshot', { 'data-collections': ['public.a'] }), name); }, until: all => { seen = read(all, 'a').length; return noted('COMPLETED')(all); },
      each: async () => { if (done < changes.length && seen > 100 * done) await server.sql(changes[done++] ?? '', name); },
    });
    expect(failure).toBeUndefined();
    expect(unequal).toEqual([]);
    expect(done).toBe(changes.length);
    expect(read(records, 'a')).toEqual(upTo(600));
    expect(notes(records).filter(({ type }) => type === 'TABLE_SCAN_COMPLETED').map(({ additional_data: data }) => data['status'])).toEqual(['SUCCEEDED']);
    expect(Object.keys(records.filter(({ topic, payload }) => topic === 't.public.a' && payload?.op === 'r').at(-1)?.payload?.after ?? {})).toEqual(['id', 'other', 'seq']);
  }, 120_000);
  let seen = 0;

  it('says of a table without key, and of an empty one, why it was not read', async () => {
    const name = await database();
    const { records } = await asked(name, signal('s1', 'execute-snapshot', { 'data-collections': ['public.keyless', 'public.zz'] }), noted('COMPLETED'));
    expect(notes(records).filter(({ type }) => type === 'TABLE_SCAN_COMPLETED').map(({ additional_data: data }) => data['status'])).toEqual(['NO_PRIMARY_KEY', 'EMPTY']);
  }, 60_000);

  it('is paused, goes on, and is stopped', async () => {
    const name = await database();
    await server.sql('INSERT INTO a SELECT g, g FROM generate_series(41, 4000) g', name);
    let step = 0;
    const { records } = await run({
      server, database: name, options: OPTIONS, when: streaming, after: async () => { await server.sql(signal('s1', 'execute-snapshot', { 'data-collections': ['public.a', 'public.texts'] }), name); },
      each: async () => {
        if (step === 0 && current > 40) { step = 1; await server.sql(signal('s2', 'pause-snapshot', {}), name); }
      },
      until: all => {
        current = read(all, 'a').length;
        if (step === 1 && noted('PAUSED')(all)) { step = 2; pausedAt = current; setTimeout(() => { void server.sql(signal('s3', 'resume-snapshot', {}), name); }, 300); }
        if (step === 2 && noted('RESUMED')(all) && current > pausedAt + 20) { step = 3; void server.sql(signal('s4', 'stop-snapshot', {}), name); }
        return noted('ABORTED')(all);
      },
    });
    expect(step).toBe(3);
    expect(read(records, 'texts')).toEqual([]);
    expect(read(records, 'a').length).toBeLessThan(4000);
  }, 90_000);
  let current = 0, pausedAt = 0;

  it('goes on after a stop behind its last chunk', async () => {
    const name = await database();
    const first = await asked(name, signal('s1', 'execute-snapshot', { 'data-collections': ['public.a', 'public.pair'] }), all => read(all, 'a').length >= 12);
    const got = read(first.records, 'a').length;
    expect(got).toBeLessThan(40);
    const second = await run({ server, database: name, options: OPTIONS, stored: first.offset, until: noted('COMPLETED') });
    expect(second.failure).toBeUndefined();
    expect([...new Set([...read(first.records, 'a'), ...read(second.records, 'a')])].sort()).toEqual(upTo(40).sort());
    expect(read(second.records, 'a').length).toBeLessThanOrEqual(40 - got + 4);
    expect(read(second.records, 'pair').length).toBe(20);
  }, 60_000);
});

/** A topic of a log for whoever asks for one. */
async function signalTopic(log: Log, records: readonly (readonly [string, string])[]): Promise<void> {
  await using writer = await log.writer('test');
  for (const [key, value] of records) await writer.append([{ topic: 't-signal', partition: 0, body: bodyOf([value], key) }], undefined, AbortSignal.timeout(60_000));
}

describe('the channel kafka', () => {
  it('follows a topic of the log, and goes on behind what is done with', async () => {
    using folder = temporaryDirectory('signal-log-');
    const name = await database();
    await using log = await openEmbeddedLog(folder.path, { mode: 'writer' });
    const order = { connector: 'test', task: 0, worker: {} } as unknown as TaskOrder;
    const feed: NonNullable<SourceContext['feed']> = request => openFeed(log, order, request, quietLogger);
    const options = { ...OPTIONS, 'signal.enabled.channels': 'kafka', 'read.only': 'true' };
    const ask = (id: string, table: string): string => JSON.stringify({ id, type: 'execute-snapshot', data: { 'data-collections': [`public.${table}`] } });
    await signalTopic(log, [['someone', ask('x', 'pair')], ['t', 'no json'], ['t', ask('k1', 'a')]]);
    const first = await run({ server, database: name, options, feed, until: all => noted('COMPLETED')(all) });
    expect(first.failure).toBeUndefined();
    expect(read(first.records, 'a')).toEqual(upTo(40));
    expect(read(first.records, 'pair')).toEqual([]);
    // Done with is what a stored offset covers: the next start takes only what came after it.
    await until('the position of the group', async () => (await log.positions('kafka-signal-test'))[0]?.offset === 3);
    await signalTopic(log, [['"t"', ask('k2', 'uuids')]]);
    const second = await run({ server, database: name, options, feed, stored: first.offset, until: all => noted('COMPLETED')(all) });
    expect([read(second.records, 'uuids').length, read(second.records, 'a').length]).toEqual([20, 0]);
  }, 90_000);
});

describe('slot.guard.action=pause', () => {
  it('holds a snapshot while the slot holds back too much, and lets it go on after that', async () => {
    const name = await database();
    let confirmed = false, atHold = -1;
    const figures = new Map<string, number>();
    const got = await run({
      server, database: name, figures, confirm: () => confirmed, when: streaming,
      options: { ...OPTIONS, 'slot.guard.bytes': String(24 * 1024 * 1024), 'slot.guard.action': 'pause' },
      after: async () => { await server.sql("SELECT pg_logical_emit_message(true, 'fill', repeat('x', 1000000)) FROM generate_series(1, 30)", name); },
      each: async () => {
        if (atHold < 0 && figures.get('snapshot_held') === 1) { atHold = 0; await server.sql(signal('s1', 'execute-snapshot', { 'data-collections': ['public.a'] }), name); }
        if (confirmed) await server.sql('SELECT pg_log_standby_snapshot()', name);
      },
      until: all => {
        // Held, it says that it begins, and reads nothing.
        if (!confirmed && atHold === 0 && noted('STARTED')(all)) { expect(read(all, 'a')).toEqual([]); expect(figures.get('snapshot_held')).toBe(1); confirmed = true; }
        return noted('COMPLETED')(all);
      },
    });
    expect(got.failure).toBeUndefined();
    expect(atHold).toBe(0);
    expect(read(got.records, 'a')).toEqual(upTo(40));
    expect(figures.get('snapshot_held')).toBe(0);
  }, 120_000);
});

describe('signals', () => {
  it('that cannot be read are left out, and the stream goes on', async () => {
    const name = await database();
    const bad = [signal('b1', 'execute-snapshot', '{no json'), signal('b2', 'execute-snapshot', '[1, 2]'), signal('b3', 'execute-snapshot', 'null'), signal('b4', 'no-such-type', '{}'), signal('b5', 'execute-snapshot', { 'data-collections': 'public.a' }), signal('b6', 'execute-snapshot', { 'data-collections': ['public.nowhere'] }), signal('b7', 'stop-snapshot', '{}'), "INSERT INTO signals VALUES ('b8', 'execute-snapshot', NULL)", signal('b9', 'execute-snapshot', { 'data-collections': ['*('] }), signal('b10', 'execute-snapshot', { 'data-collections': ['public.a'], 'additional-conditions': [null, 7] })];
    const { records } = await asked(name, `${bad.join('; ')}; INSERT INTO zz VALUES (1)`, all => noted('COMPLETED')(all) && all.some(({ topic }) => topic === 't.public.zz'));
    expect(read(records, 'a')).toEqual(upTo(40));
  }, 60_000);

  it('whose statements cannot run are left out, and the stream goes on', async () => {
    const name = await database(), condition = (filter: string): object => ({ 'data-collections': ['public.a'], 'additional-conditions': [{ 'data-collection': 'public.a', filter }] });
    const bad = [signal('b1', 'execute-snapshot', condition('no_such_column > 1')), signal('b2', 'execute-snapshot', { ...condition('SELECT * FROM nowhere'), type: 'blocking' }), signal('b3', 'execute-snapshot', { ...condition('SELECT * FROM a WHERE no_such_column > 1'), type: 'blocking' })];
    const { records, offset } = await asked(name, `${bad.join('; ')}; ${signal('s1', 'execute-snapshot', { 'data-collections': ['public.texts'] })}`, all => read(all, 'texts').length === 20 && noted('COMPLETED')(all));
    expect(read(records, 'a')).toEqual([]);
    expect(notes(records).filter(({ additional_data: data }) => data['status'] === 'SQL_EXCEPTION').map(({ id }) => id)).toEqual(['b1']);
    expect(JSON.stringify(Object.values(offset ?? {}).map(String))).not.toContain('no_such_column');
  }, 60_000);

  it('come from a file, whose lines are taken out', async () => {
    using folder = temporaryDirectory('signals-');
    const name = await database(), file = join(folder.path, 'signals.txt');
    writeFileSync(file, `${JSON.stringify({ id: 'f1', type: 'execute-snapshot', data: { 'data-collections': ['public.a'], type: 'INCREMENTAL' } })}\nno json\n`);
    const { records } = await asked(name, 'SELECT 1', noted('COMPLETED'), { 'signal.enabled.channels': 'file', 'signal.file': file, 'read.only': 'true' });
    expect(read(records, 'a')).toEqual(upTo(40));
    expect(readFileSync(file, 'utf8')).toBe('');
  }, 60_000);

  it('ask for a blocking snapshot, with a statement for a table', async () => {
    const name = await database();
    const { records } = await asked(name, signal('s1', 'execute-snapshot', { type: 'blocking', 'data-collections': ['public.a', 'public.texts'], 'additional-conditions': [{ 'data-collection': 'public.a', filter: 'SELECT * FROM public.a WHERE id <= 3 ORDER BY id DESC' }] }), noted('COMPLETED'));
    expect(read(records, 'a')).toEqual(['3', '2', '1']);
    expect(read(records, 'texts').length).toBe(20);
    expect(notes(records).map(({ type }) => type)).toEqual(['SKIPPED', 'STARTED', 'IN_PROGRESS', 'TABLE_SCAN_COMPLETED', 'IN_PROGRESS', 'TABLE_SCAN_COMPLETED', 'COMPLETED']);
  }, 60_000);
});
