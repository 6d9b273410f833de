/** Post processors and custom converters on the real server: what they read again, and what they make of columns. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { TributaryError } from '../../../../runtime/api/errors.ts';
import { type PostgresServer, startPostgres } from '../../../kit/postgres.ts';
import { run, type Run, type Taken } from './source.ts';

let server: PostgresServer;
beforeAll(async () => { server = await startPostgres({ version: 17 }); }, 120_000);
afterEach(async () => { await server.sql('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active'); });
afterAll(async () => { await server[Symbol.asyncDispose](); });

const BIG = "repeat('0123456789abcdef', 500)";
const big = '0123456789abcdef'.repeat(500);
const SETUP = `CREATE TABLE wide (id int PRIMARY KEY, n int, body text, note text, kind text DEFAULT 'plain'); ALTER TABLE wide ALTER body SET STORAGE EXTERNAL;
  CREATE TABLE bare (id int, body text, n int); ALTER TABLE bare REPLICA IDENTITY FULL; CREATE TABLE zz (id int PRIMARY KEY)`;
const RESELECT = { 'post.processors': 'again', 'again.type': 'io.debezium.processors.reselect.ReselectColumnsPostProcessor' };
let databases = 0;

async function streamed(statements: string, options: Readonly<Record<string, string>>): Promise<Run & { readonly rows: readonly Taken[] }> {
  const database = `reselect_${++databases}`;
  await server.sql(`CREATE DATABASE ${database}`);
  await server.sql(SETUP, database);
  const got = await run({ server, database, options: { 'snapshot.mode': 'no_data', 'heartbeat.interval.ms': '50', ...options }, when: records => records.some(({ topic }) => topic.startsWith('__debezium-heartbeat')), until: records => records.some(({ topic }) => topic === 't.public.zz'), after: async () => { await server.sql(`${statements}; INSERT INTO zz VALUES (1)`, database); } });
  expect(got.unequal).toEqual([]);
  return { ...got, rows: got.records.filter(({ topic }) => topic === 't.public.wide' || topic === 't.public.bare') };
}
const shown = ({ payload }: Taken): Readonly<Record<string, unknown>> | null => payload?.after ?? null;
const UNSENT = `INSERT INTO wide VALUES (1, 1, ${BIG}, 'a'); UPDATE wide SET n = 2 WHERE id = 1`;

describe('ReselectColumnsPostProcessor', () => {
  it('reads what an update left alone, where without it a placeholder stands', async () => {
    const without = await streamed(UNSENT, {});
    expect(without.rows.map(row => shown(row)?.['body'])).toEqual([big, '__debezium_unavailable_value']);
    const { rows, failure } = await streamed(UNSENT, RESELECT);
    expect(failure).toBeUndefined();
    expect(rows.map(shown)).toEqual([{ id: 1, n: 1, body: big, note: 'a', kind: 'plain' }, { id: 1, n: 2, body: big, note: 'a', kind: 'plain' }]);
  }, 60_000);

  it('reads nulls as they are now, but for columns with a default', async () => {
    const { rows } = await streamed("BEGIN; INSERT INTO wide (id, kind) VALUES (1, NULL); UPDATE wide SET note = 'later', kind = 'other' WHERE id = 1; COMMIT", RESELECT);
    expect(rows.map(shown).map(row => [row?.['note'], row?.['kind'], row?.['n']])).toEqual([['later', 'plain', null], ['later', 'other', null]]);
  }, 60_000);

  it.each<readonly [string, Readonly<Record<string, string>>, readonly unknown[]]>([
    ['no unavailable values', { 'again.reselect.unavailable.values': 'false' }, ['__debezium_unavailable_value', 'later']],
    ['no nulls', { 'again.reselect.null.values': 'false' }, [big, null]],
    ['only listed columns', { 'again.reselect.columns.include.list': 'public.wide:no.*' }, ['__debezium_unavailable_value', 'later']],
    ['all but listed columns', { 'again.reselect.columns.exclude.list': 'public.wide:note' }, [big, null]],
    ['the key of the event', { 'again.reselect.use.event.key': 'true', 'message.key.columns': 'public.wide:id' }, [big, 'later']],
  ])('takes options: %s', async (_name, options, expected) => {
    const { rows, failure } = await streamed(`INSERT INTO wide VALUES (1, 1, ${BIG}, NULL); BEGIN; UPDATE wide SET n = 2 WHERE id = 1; UPDATE wide SET note = 'later' WHERE id = 1; COMMIT`, { ...RESELECT, ...options });
    expect(failure).toBeUndefined();
    expect([shown(rows[1] as Taken)?.['body'], shown(rows[1] as Taken)?.['note']]).toEqual(expected);
  }, 60_000);

  it('leaves the event of a row that is gone as it came, or fails, as asked', async () => {
    const gone = 'BEGIN; INSERT INTO wide (id) VALUES (1); DELETE FROM wide WHERE id = 1; COMMIT';
    const { rows, failure } = await streamed(gone, RESELECT);
    expect(failure).toBeUndefined();
    expect(shown(rows[0] as Taken)).toEqual({ id: 1, n: null, body: null, note: null, kind: 'plain' });
    const failed = await streamed(gone, { ...RESELECT, 'again.reselect.error.handling.mode': 'fail' });
    expect((failed.failure as TributaryError).code).toBe('POSTGRES_RESELECT');
  }, 60_000);

  it('leaves tables without key alone, and rows that a snapshot reads', async () => {
    const { rows, failure } = await streamed('INSERT INTO bare VALUES (1, NULL, 1); UPDATE bare SET n = 2', RESELECT);
    expect(failure).toBeUndefined();
    expect(rows.map(row => shown(row)?.['body'])).toEqual([null, null]);
  }, 60_000);
});

describe('converters', () => {
  it('give columns their form in snapshot and stream alike', async () => {
    const database = `converted_${++databases}`;
    await server.sql(`CREATE DATABASE ${database}`);
    const row = (id: number): string => `INSERT INTO c VALUES (${id}, '2024-02-03', '04:05:06.789123', '2024-02-03 04:05:06.789123', '2024-02-03 04:05:06.789123+00', '(1,2)', '10.0.0.1/24', NULL)`;
    await server.sql(`CREATE TABLE c (id int PRIMARY KEY, d date NOT NULL, t time, ts timestamp, tz timestamptz, p point, i inet, e date); ${row(1)}`, database);
    const options = { converters: 'dates,texts', 'dates.type': 'oryanmoshe.kafka.connect.util.TimestampConverter', 'dates.format.date': 'dd/MM/yyyy', 'dates.format.datetime': "yyyy-MM-dd'T'HH:mm:ss", 'texts.type': 'org.tributary.converters.TextConverter', 'texts.selector': 'point, public.c.i', 'texts.schema.name': 'shop.Text' };
    const { records, unequal, failure } = await run({ server, database, options, until: all => all.length >= 2, after: async () => { await server.sql(row(2), database); } });
    expect(failure).toBeUndefined();
    expect(unequal).toEqual([]);
    for (const record of records) expect(shown(record)).toMatchObject({ d: '03/02/2024', t: '04:05:06.789', ts: '2024-02-03T04:05:06', tz: '2024-02-03T04:05:06.789123Z', p: '(1,2)', i: '10.0.0.1/24', e: null });
    const schema = (JSON.parse(records[0]?.value ?? '{}') as { schema: { fields: { field: string; fields: { field: string; type: string; optional: boolean; name?: string }[] }[] } }).schema.fields.find(({ field }) => field === 'after')?.fields;
    expect(schema?.filter(({ field }) => 'dp'.includes(field)).map(({ field, type, optional, name }) => [field, type, optional, name])).toEqual([['d', 'string', true, undefined], ['p', 'string', true, 'shop.Text']]);
  }, 60_000);
});
