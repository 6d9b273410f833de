/**
 * The database is the oracle: random values of each type are made by the server, read by snapshot and by stream, and
 * both have to give the same record; the fast way has to give the bytes of the general one; and for types that SQL can
 * express in the record's own unit, the server's figure is the one expected.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PostgresServer, startPostgres } from '../../../kit/postgres.ts';
import { run, type Taken } from './source.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
  await server.sql('CREATE DATABASE values_of');
  await server.sql("CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree; CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s, odd'); CREATE DOMAIN positive AS int CHECK (value > 0)", 'values_of');
}, 120_000);
afterAll(async () => { await server[Symbol.asyncDispose](); });

const day = "(date '0001-01-01' + (random() * 3000000)::int)";
const moment = "(timestamp '1583-01-01' + random() * interval '1000 years')";
const word = "(SELECT string_agg(chr((ARRAY[9,10,13,34,39,44,92,65,97,123,125,233,8364,128512])[1 + floor(random() * 14)::int]), '') FROM generate_series(1, 1 + (random() * 12)::int) WHERE g > 0)";

/** Type → expression for a random value; `oracle` gives the record's value as text, over the column v. */
const types: readonly (readonly [type: string, value: string, oracle?: string])[] = [
  ['boolean', 'random() < 0.5', 'v::text'], ['smallint', '(random() * 60000 - 30000)::int', 'v::text'], ['integer', '(random() * 4e9 - 2e9)::int', 'v::text'], ['bigint', '(random() * 1.8e19 - 9e18)::bigint'], ['oid', '(random() * 4e9)::bigint'],
  ['numeric(12,2)', '(random() * 2e9 - 1e9)::numeric'], ['numeric(38,9)', '(random() * 1e18 - 5e17)::numeric'], ['numeric', '(random() * 2e9 - 1e9)::numeric * (10::numeric ^ (random() * 20 - 10)::int)'], ['numeric(5,0)', '(random() * 9999)::numeric'],
  ['real', '(random() * 2 - 1) * 10 ^ (random() * 60 - 30)'], ['double precision', '(random() * 2 - 1) * 10 ^ (random() * 300 - 150)'], ['money', '((random() * 2e6 - 1e6)::numeric(12,2))::money'],
  ['text', word], ['varchar(20)', `left(${word}, 20)`], ['char(8)', "left(md5(random()::text), 5)"], ['citext', word], ['bytea', "decode(md5(random()::text), 'hex')", "encode(v, 'base64')"], ['uuid', 'md5(random()::text)::uuid', 'v::text'],
  ['date', day, "(v - date '1970-01-01')::text"], ['time', "time '00:00' + random() * interval '86399.999999 s'", '(extract(epoch FROM v) * 1000000)::bigint::text'], ['time(3)', "time '00:00' + random() * interval '86399 s'"], ['timetz', "(time '00:00' + random() * interval '86399 s')::timetz"],
  ['timestamp', moment, '(extract(epoch FROM v) * 1000000)::numeric::bigint::text'], ['timestamp(3)', moment, '(extract(epoch FROM v) * 1000)::numeric::bigint::text'], ['timestamp(0)', moment], ['timestamptz', moment], ['timestamptz(3)', moment], ['timestamptz(0)', moment],
  ['interval', "make_interval(months => (random() * 40 - 20)::int, days => (random() * 80 - 40)::int, secs => random() * 1e5 - 5e4)"],
  ['json', `json_build_object('a', ${word})`, 'v::text'], ['jsonb', `jsonb_build_object('a', ${word}, 'n', random())`, 'v::text'], ['inet', "('10.' || (random() * 255)::int || '.0.1')::inet"], ['macaddr', "'08:00:2b:01:02:03'::macaddr"], ['point', 'point(random(), -random())'],
  ['bit(1)', "(random() * 1)::int::bit(1)"], ['bit(12)', '(random() * 4095)::int::bit(12)'], ['bit varying(20)', '(random() * 4095)::int::bit(12)'], ['mood', "(ARRAY['sad', 'ok', 'it''s, odd'])[1 + floor(random() * 3)::int]::mood", 'v::text'], ['positive', '1 + (random() * 100)::int', 'v::text'],
  ['int4range', 'int4range(0, 1 + (random() * 100)::int)', 'v::text'], ['tstzrange', `tstzrange(${moment}, NULL)`], ['hstore', `hstore('k', ${word})`], ['ltree', "('a.b' || (random() * 9)::int)::ltree", 'v::text'], ['tsvector', "to_tsvector('simple', md5(random()::text))", 'v::text'], ['xml', "'<a/>'::xml"],
  ['int[]', 'ARRAY[(random() * 100)::int, NULL, -1]'], ['bigint[]', 'ARRAY[(random() * 9e18)::bigint]'], ['text[]', `ARRAY[${word}, NULL, '']`], ['numeric(8,3)[]', 'ARRAY[(random() * 1000)::numeric]'], ['timestamp[]', `ARRAY[${moment}]`], ['timestamptz[]', `ARRAY[${moment}]`], ['date[]', `ARRAY[${day}]`], ['uuid[]', 'ARRAY[md5(random()::text)::uuid]'], ['jsonb[]', `ARRAY[jsonb_build_object('a', ${word})]`], ['mood[]', "ARRAY['ok'::mood]"], ['boolean[]', 'ARRAY[true, NULL]'], ['double precision[]', 'ARRAY[random(), 1e300]'],
];
const ROWS = 25;

const modes: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  defaults: {},
  strings: { 'decimal.handling.mode': 'string', 'time.precision.mode': 'isostring', 'binary.handling.mode': 'hex', 'interval.handling.mode': 'string', 'hstore.handling.mode': 'map' },
  connect: { 'decimal.handling.mode': 'double', 'time.precision.mode': 'connect', 'binary.handling.mode': 'base64-url-safe' },
  nanoseconds: { 'time.precision.mode': 'microseconds', 'column.propagate.source.type': '.*', 'field.name.adjustment.mode': 'avro_unicode', 'schema.name.adjustment.mode': 'avro_unicode' },
};

const shown = ({ payload }: Taken, name: string): string => JSON.stringify(payload?.after?.[name]);

describe('values', () => {
  it.each(Object.keys(modes))('are the same in snapshot and stream, fast and general: %s', async mode => {
    const table = `v_${mode}`;
    const columns = types.map(([type], i) => `c${i} ${type}`).join(', '), names = types.map((_, i) => `c${i}`).join(', ');
    await server.sql(`CREATE TABLE ${table} (id int PRIMARY KEY, ${columns})`, 'values_of');
    await server.sql(`INSERT INTO ${table} SELECT g, ${types.map(([, value]) => value).join(', ')} FROM generate_series(1, ${ROWS}) g`, 'values_of');
    await server.sql(`INSERT INTO ${table} (id) VALUES (${ROWS + 1})`, 'values_of');
    const total = ROWS + 1;
    const got = await run({
      server, database: 'values_of', options: { 'table.include.list': `public.${table}`, 'publication.name': table, 'slot.name': table, ...modes[mode] }, until: records => records.length >= 2 * total,
      after: async () => { await server.sql(`INSERT INTO ${table} SELECT id + 1000, ${names} FROM ${table} ORDER BY id`, 'values_of'); },
    });
    expect(got.failure).toBeUndefined();
    expect(got.unequal).toEqual([]);
    types.forEach(([type], i) => {
      for (let row = 0; row < total; row++) {
        const [read, streamed] = [got.records[row], got.records[row + total]];
        if (read === undefined || streamed === undefined) throw new Error('rows are missing');
        expect(`${type}: ${shown(streamed, `c${i}`)}`).toBe(`${type}: ${shown(read, `c${i}`)}`);
      }
    });
    if (mode !== 'defaults') return;
    const oracles = types.flatMap(([type, , oracle], i) => (oracle === undefined ? [] : [{ type, name: `c${i}`, sql: oracle.replaceAll(/\bv\b/g, `c${i}`) }]));
    const { rows } = await server.sql(`SELECT ${oracles.map(({ sql, name }) => `${sql} AS ${name}`).join(', ')} FROM ${table} WHERE id <= ${ROWS} ORDER BY id`, 'values_of');
    rows.forEach((row: Record<string, string>, at: number) => {
      for (const { type, name } of oracles) expect(`${type} ${String(got.records[at]?.payload?.after?.[name])}`).toBe(`${type} ${row[name]?.replaceAll('\n', type === 'bytea' ? '' : '\n')}`);
    });
  }, 60_000);
});
