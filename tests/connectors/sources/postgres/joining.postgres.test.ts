/** Tables that are captured only since the configuration changed: their rows come by themselves, once, in step with the stream. */
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SourceMemory, SourceOffset } from '../../../../runtime/api/plugin.ts';
import { type PostgresServer, startPostgres } from '../../../kit/postgres.ts';
import { replayed } from './replayed.ts';
import { run, type Taken } from './source.ts';

let server: PostgresServer;
beforeAll(async () => { server = await startPostgres({ version: 17 }); }, 120_000);
afterAll(async () => { await server[Symbol.asyncDispose](); });

const SETUP = `CREATE TABLE a (id int PRIMARY KEY, seq bigint); INSERT INTO a SELECT g, g FROM generate_series(1, 50) g;
  CREATE TABLE b (id int PRIMARY KEY, seq bigint, v text); INSERT INTO b SELECT g, g, repeat('b', 300) FROM generate_series(1, 5000) g;
  CREATE TABLE c (id int, seq bigint); INSERT INTO c SELECT g, g FROM generate_series(1, 300) g;
  CREATE TABLE zz (id int PRIMARY KEY, seq bigint)`;
const NARROW = { 'table.include.list': 'public.a,public.zz', 'snapshot.chunk.pages': '16' };
const WIDE = { 'table.include.list': 'public.a,public.b,public.c,public.zz', 'snapshot.chunk.pages': '16' };
const from = (records: readonly Taken[], table: string): readonly Taken[] => records.filter(({ topic }) => topic === `t.public.${table}`);
const reads = (records: readonly Taken[], table: string): number => from(records, table).filter(({ payload }) => payload?.op === 'r').length;
const kept = (): SourceMemory & { text: string | undefined } => { const memory = { text: undefined as string | undefined, get: async () => memory.text, put: async (text: string) => { memory.text = text; } }; return memory; };
const marked = (id: number) => (records: readonly Taken[]): boolean => from(records, 'zz').some(({ payload }) => payload?.after?.['id'] === id);
const published = async (name: string): Promise<string[]> => (await server.sql("SELECT tablename FROM pg_publication_tables WHERE pubname = 'pub' ORDER BY 1", name)).rows.map((row: { tablename: string }) => row.tablename);

async function first(name: string, mode: string, memory: SourceMemory): Promise<SourceOffset | undefined> {
  await server.sql(`CREATE DATABASE ${name}`);
  await server.sql(SETUP, name);
  const got = await run({ server, database: name, memory, options: { ...NARROW, 'publication.autocreate.mode': mode }, until: marked(1), after: async () => { await server.sql('INSERT INTO zz VALUES (1, 1)', name); } });
  expect(got.failure).toBeUndefined();
  expect(reads(got.records, 'a')).toBe(50);
  // While it stops, and is not captured.
  await server.sql('UPDATE b SET seq = seq + 10000 WHERE id <= 100; DELETE FROM b WHERE id = 101; INSERT INTO a VALUES (51, 51)', name);
  return got.offset;
}

describe.each([['filtered'], ['all_tables']])('with a publication of the kind %s', mode => {
  it('reads the rows of the tables that joined, and only theirs, while the stream goes on', async () => {
    const name = `joined_${mode}`, memory = kept();
    const stored = await first(name, mode, memory);
    let seq = 20_000, stop = false;
    const load = (async () => { for (; !stop; seq++) { await server.sql(`UPDATE b SET seq = ${seq} WHERE id = ${1 + seq % 5000}; INSERT INTO c VALUES (${seq}, ${seq})`, name); await pause(5); } })();
    const figures = new Map<string, number>();
    const got = await run({
      server, database: name, memory, stored, figures, options: { ...WIDE, 'publication.autocreate.mode': mode }, each: () => pause(3), until: marked(2),
      when: records => reads(records, 'c') > 0 && figures.get('snapshot_running') === 0, after: async () => { stop = true; await load; await server.sql('INSERT INTO zz VALUES (2, 2)', name); },
    });
    stop = true;
    await load;
    expect(got.failure).toBeUndefined();
    if (mode === 'filtered') expect(await published(name)).toEqual(['a', 'b', 'c', 'zz']);
    expect(reads(got.records, 'a')).toBe(0);
    expect(from(got.records, 'a').map(({ payload }) => payload?.after?.['id'])).toEqual([51]);
    for (const table of ['b', 'c']) {
      const { rows, back } = replayed(got.records, `t.public.${table}`);
      expect(back).toEqual([]);
      const source = (await server.sql(`SELECT id, seq FROM ${table}`, name)).rows as { id: number; seq: string }[];
      expect(new Map([...rows].map(([id, row]) => [id, Number(row['seq'])]))).toEqual(new Map(source.map(row => [String(row.id), Number(row.seq)])));
    }
    // Table c has no key: each of its rows comes once, read or inserted.
    const c = from(got.records, 'c').map(({ payload }) => payload?.after?.['id']);
    expect(c.length).toBe(new Set(c).size);
    const again = await run({ server, database: name, memory, stored: got.offset, options: { ...WIDE, 'publication.autocreate.mode': mode }, until: marked(3), when: () => true, after: async () => { await server.sql('INSERT INTO zz VALUES (3, 3)', name); } });
    expect(again.records.filter(({ payload }) => payload?.op === 'r')).toEqual([]);
  }, 120_000);

  it('goes on after a stop at any point of it, the first included', async () => {
    const name = `stopped_${mode}`, memory = kept();
    const options = { ...WIDE, 'publication.autocreate.mode': mode, 'heartbeat.interval.ms': '50' };
    let stored = await first(name, mode, memory);
    const records: Taken[] = [];
    for (let stops = 1; ; stops++) {
      let batches = 0;
      const part = await run({ server, database: name, memory, stored, options, each: () => pause(2), until: all => ++batches >= stops * 2 - 1 || (stops > 40 && all.length > 0) });
      if (part.failure !== undefined) throw part.failure;
      records.push(...part.records);
      stored = part.offset ?? stored;
      if (stored?.['snapshot_completed'] === undefined && reads(records, 'c') > 0) break;
      expect(stops).toBeLessThan(60);
    }
    await server.sql('INSERT INTO zz VALUES (2, 2)', name);
    const rest = await run({ server, database: name, memory, stored, options, until: marked(2) });
    records.push(...rest.records);
    expect(replayed(records, 't.public.b').rows.size).toBe(4999);
    expect(replayed(records, 't.public.b').back).toEqual([]);
    expect(replayed(records, 't.public.c').rows.size).toBe(300);
  }, 120_000);

  it('takes only changes where the option says so', async () => {
    const name = `unread_${mode}`, memory = kept();
    const stored = await first(name, mode, memory);
    const got = await run({ server, database: name, memory, stored, options: { ...WIDE, 'publication.autocreate.mode': mode, 'snapshot.new.tables': 'no_data' }, until: marked(2), when: () => true, after: async () => { await server.sql('UPDATE b SET seq = 0 WHERE id = 1; INSERT INTO zz VALUES (2, 2)', name); } });
    expect(got.failure).toBeUndefined();
    expect(got.records.filter(({ payload }) => payload?.op === 'r')).toEqual([]);
    expect(from(got.records, 'b').at(-1)?.payload?.after?.['id']).toBe(1);
  }, 60_000);
});

it('a table that leaves has no more events, and is read anew when it comes back', async () => {
  const name = 'left_and_back', memory = kept();
  const options = { ...WIDE, 'publication.autocreate.mode': 'filtered' };
  await server.sql(`CREATE DATABASE ${name}`);
  await server.sql(SETUP, name);
  const one = await run({ server, database: name, memory, options, until: marked(1), after: async () => { await server.sql('INSERT INTO zz VALUES (1, 1)', name); } });
  const two = await run({ server, database: name, memory, stored: one.offset, options: { ...options, ...NARROW }, until: marked(2), when: () => true, after: async () => { await server.sql('DELETE FROM c WHERE id > 10; INSERT INTO zz VALUES (2, 2)', name); } });
  expect(from(two.records, 'c')).toEqual([]);
  expect(await published(name)).toEqual(['a', 'zz']);
  const three = await run({ server, database: name, memory, stored: two.offset, options, until: records => reads(records, 'b') >= 5000 && reads(records, 'c') >= 10, when: () => false });
  expect(three.failure).toBeUndefined();
  expect(reads(three.records, 'c')).toBe(10);
}, 120_000);
