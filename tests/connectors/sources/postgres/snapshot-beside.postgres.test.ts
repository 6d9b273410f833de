/**
 * The snapshot beside the stream, under writes: the slot goes on, no row is lost or shown in a wrong order, and after a
 * stop at any batch it goes on behind the last finished chunk.
 */
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SourceOffset } from '../../../../runtime/api/plugin.ts';
import { type PostgresServer, startPostgres } from '../../../kit/postgres.ts';
import { replayed, UNSENT } from './replayed.ts';
import { run, type Taken } from './source.ts';

let server: PostgresServer;
beforeAll(async () => { server = await startPostgres({ version: 17 }); }, 120_000);
afterAll(async () => { await server[Symbol.asyncDispose](); });

const SETUP = `
  CREATE SEQUENCE writes START 100000; CREATE SEQUENCE ids START 100000;
  CREATE TABLE t (id int PRIMARY KEY, seq bigint, v text, big text);
  ALTER TABLE t ALTER COLUMN big SET STORAGE EXTERNAL;
  INSERT INTO t SELECT g, g, repeat('x', 400), CASE WHEN g % 10 = 0 THEN repeat(md5(g::text), 100) END FROM generate_series(1, 12000) g;
  CREATE TABLE append (id int, seq bigint, v text);
  INSERT INTO append SELECT g, g, repeat('y', 400) FROM generate_series(1, 4000) g;
  CREATE TABLE whole (id int, seq bigint, v text); ALTER TABLE whole REPLICA IDENTITY FULL;
  INSERT INTO whole SELECT g, g, repeat('z', 400) FROM generate_series(1, 3000) g;
  CREATE TABLE zz (id int PRIMARY KEY, seq bigint)`;
const OPTIONS = { 'snapshot.stream.after.ms': '0', 'snapshot.chunk.pages': '8', 'table.include.list': 'public.t,public.append,public.whole,public.zz', 'publication.autocreate.mode': 'filtered' };
const TABLES = ['t', 'append', 'whole'] as const;

async function database(name: string, setup = SETUP): Promise<string> { await server.sql(`CREATE DATABASE ${name}`); await server.sql(setup, name); return name; }

/** Transactions without end, all over the tables: versions move between pages, large values stay as they are, keys change. */
function writes(name: string): { stop(): Promise<number> } {
  let stopped = false, done = 0;
  const running = (async () => {
    const client = new pg.Client({ host: server.host, port: server.port, user: server.user, password: server.password, database: name });
    await client.connect();
    for (; !stopped; done++) {
      const at = 1 + Math.floor(Math.random() * 12_000);
      await client.query(`BEGIN; UPDATE t SET seq = nextval('writes'), v = v || 'u' WHERE id BETWEEN ${at} AND ${at + 15};
        DELETE FROM t WHERE id = ${at + 20}; INSERT INTO t VALUES (${at + 20}, nextval('writes'), 'again', NULL) ON CONFLICT DO NOTHING;
        UPDATE t SET id = nextval('ids'), seq = nextval('writes') WHERE id = ${at + 30}; DELETE FROM t WHERE id = ${at + 40};
        SAVEPOINT s; INSERT INTO append SELECT nextval('ids'), nextval('writes'), 'new' FROM generate_series(1, 5); ${done % 7 === 3 ? 'ROLLBACK TO s;' : 'RELEASE s;'}
        UPDATE whole SET seq = nextval('writes') WHERE id = ${1 + at % 3000}; DELETE FROM whole WHERE id = ${1 + at % 1000};
        ${done % 11 === 5 ? 'ROLLBACK' : 'COMMIT'}`);
      await pause(3);
    }
    await client.end();
  })();
  return { stop: async () => { stopped = true; await running; return done; } };
}

async function expectEqual(name: string, records: readonly Taken[]): Promise<void> {
  for (const table of TABLES) {
    const { rows, back } = replayed(records, `t.public.${table}`);
    expect(back, table).toEqual([]);
    const source = await server.sql(`SELECT * FROM ${table} ORDER BY id`, name);
    const got: Record<string, unknown>[] = [...rows.values()].sort((a, b) => Number(a['id']) - Number(b['id'])).map(row => ({ ...row, seq: String(row['seq']) }));
    expect(got.length, table).toBe(source.rows.length);
    const expected = (source.rows as Record<string, unknown>[]).map((row, i) => ({ ...row, seq: String(row['seq']), ...(Number(row['id']) >= 100_000 && got[i]?.['big'] === UNSENT && { big: UNSENT }) }));
    expect(got.findIndex((row, i) => JSON.stringify(row) !== JSON.stringify(expected[i])), table).toBe(-1);
  }
  // A row of a table without key is shown once: read, or inserted, and each update of it once.
  const shown = new Map<string, number>();
  for (const { topic, payload } of records) if (topic === 't.public.append' && payload?.after != null) shown.set(String(payload.after['id']), (shown.get(String(payload.after['id'])) ?? 0) + 1);
  expect([...shown].filter(([, times]) => times > 1)).toEqual([]);
}

const has = (records: readonly Taken[], id: number): boolean => records.at(-1)?.topic === 't.public.zz' && records.some(({ topic, payload }) => topic === 't.public.zz' && payload?.after?.['id'] === id);

describe('beside the stream, under writes', () => {
  it.each([1, 3])('with %d readers: no row lost, none out of order, and the slot goes on', async readers => {
    const name = await database(`beside_${readers}`);
    const figures = new Map<string, number>();
    const load = writes(name);
    const confirmed: string[] = [];
    let reading = true, marked = false;
    const watch = (async () => { while (reading) { const { rows } = await server.sql(`SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = 'slot_${name}'`); const [row] = rows as { lsn: string }[]; if (row !== undefined && confirmed.at(-1) !== row.lsn) confirmed.push(row.lsn); await pause(100); } })();
    const got = await run({
      server, database: name, options: { ...OPTIONS, 'snapshot.max.threads': String(readers) }, each: () => pause(6),
      until: records => has(records, 1),
      when: () => !marked && figures.get('snapshot_running') === 0, figures,
      after: async () => { marked = true; reading = false; await load.stop(); await server.sql('INSERT INTO zz VALUES (1, 1)', name); },
    });
    reading = false;
    await watch;
    await load.stop();
    expect(got.failure).toBeUndefined();
    expect(got.unequal).toEqual([]);
    expect(confirmed.length).toBeGreaterThan(3);
    expect(got.records.filter(({ payload }) => payload?.op === 'u').length).toBeGreaterThan(100);
    await expectEqual(name, got.records);
    expect(got.records.filter(({ payload }) => payload?.source?.['snapshot'] === 'first').length).toBe(1);
    expect(Object.keys(got.offset ?? {}).filter(key => key.startsWith('tributary') || key.startsWith('snapshot'))).toEqual([]);
  }, 120_000);

  it.each([1, 2])('with %d readers: stopped at random batches, at most a chunk per reader is read again', async readers => {
    const name = await database(`stopped_${readers}`);
    const load = writes(name);
    const records: Taken[] = [];
    let stored: SourceOffset | undefined, stops = 0, active = true;
    while (active) {
      const most = 20 + Math.floor(Math.random() * 150);
      let batches = 0;
      const part = await run({ server, database: name, options: { ...OPTIONS, 'snapshot.max.threads': String(readers) }, stored, confirm: false, each: async () => { batches++; await pause(4); }, until: () => batches > most });
      expect(part.failure).toBeUndefined();
      // What a crash leaves is the records up to a durable offset, not the newest one.
      const kept = part.offsets[Math.max(0, part.offsets.length - 1 - Math.floor(Math.random() * 4))];
      if (kept === undefined) continue;
      records.push(...part.records.slice(0, kept.count));
      stored = kept.offset;
      active = stored['snapshot_completed'] === false;
      if (active) stops++;
    }
    await load.stop();
    await server.sql('INSERT INTO zz VALUES (1, 1)', name);
    const rest = await run({ server, database: name, options: OPTIONS, stored, until: more => has(more, 1) });
    expect(rest.failure).toBeUndefined();
    records.push(...rest.records);
    expect(stops).toBeGreaterThan(2);
    for (const table of TABLES) {
      const { rows, back } = replayed(records, `t.public.${table}`);
      expect(back, table).toEqual([]);
      expect(rows.size, table).toBe(Number((await server.sql(`SELECT count(DISTINCT id) AS n FROM ${table}`, name)).rows[0].n));
    }
    // Eight pages hold at most 8 × 20 of these rows.
    const reads = records.filter(({ payload }) => payload?.op === 'r');
    const twice = reads.length - new Set(reads.map(({ topic, payload }) => `${topic} ${String(payload?.after?.['id'])}`)).size;
    expect(twice).toBeLessThanOrEqual(stops * readers * 8 * 20);
  }, 180_000);
});
