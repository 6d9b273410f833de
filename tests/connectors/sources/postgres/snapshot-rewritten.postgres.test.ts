/** Tables that are moved, changed or partitioned while the snapshot reads them beside the stream; servers without ranges of row addresses. */
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SourceOffset } from '../../../../runtime/api/plugin.ts';
import { type PostgresServer, startPostgres } from '../../../kit/postgres.ts';
import { replayed } from './replayed.ts';
import { run, type Run, type Taken } from './source.ts';

const BESIDE = { 'snapshot.stream.after.ms': '0', 'snapshot.chunk.pages': '8', 'heartbeat.interval.ms': '100' };
const ROWS = 4000;
const SETUP = `CREATE SEQUENCE writes START 100000;
  CREATE TABLE t (id int PRIMARY KEY, seq bigint, n int, v text); INSERT INTO t SELECT g, g, g, repeat('x', 400) FROM generate_series(1, ${ROWS}) g; DELETE FROM t WHERE id % 3 = 0;
  CREATE TABLE k (id int, seq bigint, n int, v text); INSERT INTO k SELECT g, g, g, repeat('y', 400) FROM generate_series(1, ${ROWS}) g; DELETE FROM k WHERE id % 3 = 0;
  CREATE TABLE p (id int, seq bigint, part int, v text, PRIMARY KEY (id, part)) PARTITION BY LIST (part); CREATE TABLE p0 PARTITION OF p FOR VALUES IN (0); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
  INSERT INTO p SELECT g, g, g % 2, repeat('z', 400) FROM generate_series(1, ${ROWS}) g;
  CREATE TABLE zz (id int PRIMARY KEY, seq bigint)`;
const WRITES = "UPDATE t SET seq = nextval('writes') WHERE id % 10 = 1; DELETE FROM t WHERE id % 100 = 2";
const reads = (records: readonly Taken[], table: string): number[] => records.filter(({ topic, payload }) => topic === `t.public.${table}` && payload?.op === 'r').map(({ payload }) => Number(payload?.after?.['id']));
const marked = (records: readonly Taken[]): boolean => records.some(({ topic }) => topic === 't.public.zz');

describe.each([17, 13])('PostgreSQL %i', version => {
  let server: PostgresServer;
  beforeAll(async () => { server = await startPostgres({ version }); }, 180_000);
  afterAll(async () => { await server[Symbol.asyncDispose](); });

  const fresh = async (name: string): Promise<string> => { await server.sql(`CREATE DATABASE ${name}`); await server.sql(SETUP, name); return name; };
  /** Reads until the snapshot has ended and the mark has come; `meanwhile` happens once when a third of the table is read. Tells whether the table was found rewritten. */
  async function read(name: string, table: string, meanwhile: string, options: Readonly<Record<string, string>> = {}): Promise<Run & { readonly rewritten: boolean }> {
    const figures = new Map<string, number>(), warnings: string[] = [];
    const logger = { debug: () => undefined, info: () => undefined, error: () => undefined, warn: (_fields: object, phrase: string) => { warnings.push(phrase); }, child: () => logger };
    let begun = false, done = false, changing: Promise<unknown> = Promise.resolve();
    const got = await run({
      server, database: name, figures, logger, options: { ...BESIDE, 'table.include.list': `public.${table},public.zz`, 'publication.autocreate.mode': 'filtered', ...options }, until: marked,
      // So slow that the rest takes more than one round, between two of which the change gets its lock.
      each: () => pause(begun && !done ? 120 : 1),
      when: records => {
        // Not waited for here: it waits itself until a round of the snapshot lets go of the table.
        if (!begun && reads(records, table).length > ROWS / 6) { begun = true; changing = server.sql(meanwhile, name).finally(() => { done = true; }); changing.catch(() => undefined); }
        return done && figures.get('snapshot_running') === 0;
      },
      after: async () => { await server.sql('INSERT INTO zz VALUES (1, 1)', name); },
    });
    await changing;
    if (got.failure !== undefined) throw got.failure as Error;
    return { ...got, rewritten: warnings.includes('table was rewritten while the snapshot read it, it is read anew') };
  }
  async function expectEqual(name: string, table: string, records: readonly Taken[]): Promise<void> {
    const { rows, back } = replayed(records, `t.public.${table}`);
    expect(back).toEqual([]);
    const source = (await server.sql(`SELECT id, seq FROM ${table}`, name)).rows as { id: number; seq: string }[];
    expect(new Map([...rows].map(([id, row]) => [id, Number(row['seq'])]))).toEqual(new Map(source.map(row => [String(row.id), Number(row.seq)])));
  }

  it.each([
    ['VACUUM FULL', 'VACUUM FULL t', true], ['ALTER TYPE', `ALTER TABLE t ALTER COLUMN n TYPE bigint; ${WRITES}`, true], ['CLUSTER', `CLUSTER t USING t_pkey; ${WRITES}`, true], ['a new column', `ALTER TABLE t ADD COLUMN w int DEFAULT 5; ${WRITES}`, false],
  ] as const)('a table goes through %s while it is read: its rows are those of the source', async (title, statements, rewrites) => {
    const name = await fresh(`moved_${version}_${title.toLowerCase().replaceAll(' ', '_')}`);
    const got = await read(name, 't', statements);
    expect(got.rewritten).toBe(rewrites);
    await expectEqual(name, 't', got.records);
  }, 180_000);

  it('a table without key goes through VACUUM FULL while it is read: no row is lost, and none comes more than twice', async () => {
    const name = await fresh(`keyless_${version}`);
    const { records, rewritten } = await read(name, 'k', 'VACUUM FULL k');
    expect(rewritten).toBe(true);
    const times = new Map<number, number>();
    for (const id of reads(records, 'k')) times.set(id, (times.get(id) ?? 0) + 1);
    expect([...times.keys()].sort((a, b) => a - b)).toEqual((await server.sql('SELECT id FROM k ORDER BY id', name)).rows.map(({ id }: { id: number }) => id));
    expect(Math.max(...times.values())).toBeLessThanOrEqual(2);
  }, 180_000);

  it('a partitioned table is read through its root beside the stream, under writes that move rows', async () => {
    const name = await fresh(`root_${version}`);
    const got = await read(name, 'p', "UPDATE p SET part = 1 - part, seq = nextval('writes') WHERE id % 7 = 0; UPDATE p SET seq = nextval('writes') WHERE id % 7 = 1; DELETE FROM p WHERE id % 50 = 2; INSERT INTO p VALUES (100001, nextval('writes'), 0, 'new')", { 'publish.via.partition.root': 'true' });
    await expectEqual(name, 'p', got.records);
  }, 180_000);

  it('goes on behind its last chunk after a stop, reading no page twice but those of one chunk', async () => {
    const name = await fresh(`chunks_${version}`);
    let stored: SourceOffset | undefined;
    const records: Taken[] = [];
    const options = { ...BESIDE, 'table.include.list': 'public.k,public.zz', 'publication.autocreate.mode': 'filtered' };
    for (let stops = 0; stops < 4; stops++) {
      const before = records.length;
      const part = await run({ server, database: name, stored, options, until: all => reads(all, 'k').length > 500 });
      expect(part.failure).toBeUndefined();
      const kept = part.offsets.at(-1);
      records.push(...part.records.slice(0, kept?.count));
      stored = kept?.offset ?? stored;
      expect(records.length).toBeGreaterThan(before);
    }
    await server.sql('INSERT INTO zz VALUES (1, 1)', name);
    const live = Number((await server.sql('SELECT count(*) AS n FROM k', name)).rows[0]?.['n']);
    const rest = await run({ server, database: name, stored, options, until: all => marked(all) && new Set([...reads(records, 'k'), ...reads(all, 'k')]).size === live });
    records.push(...rest.records);
    const ids = reads(records, 'k');
    expect(new Set(ids).size).toBe(live);
    // Eight pages hold at most 8 × 18 of the rows.
    expect(ids.length - live).toBeLessThanOrEqual(4 * 8 * 18);
  }, 180_000);
});
