/** Tables that change while they are written: every event has the columns and the types of its time. */
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type PostgresServer, startPostgres } from '../../../kit/postgres.ts';
import { run, type Taken } from './source.ts';

let server: PostgresServer;
beforeAll(async () => { server = await startPostgres({ version: 17 }); }, 120_000);
afterAll(async () => { await server[Symbol.asyncDispose](); });

const marked = (records: readonly Taken[]): boolean => records.some(({ topic }) => topic === 't.public.zz');
const beaten = (records: readonly Taken[]): boolean => records.some(({ topic }) => topic.startsWith('__debezium-heartbeat'));
const events = (records: readonly Taken[], topic: string): readonly Taken[] => records.filter(one => one.topic === topic && one.payload !== null && one.payload.op !== 't');
async function database(name: string, setup: string): Promise<pg.Client> {
  await server.sql(`CREATE DATABASE ${name}`);
  await server.sql(`${setup}; CREATE TABLE zz (id int PRIMARY KEY)`, name);
  const client = new pg.Client({ connectionString: server.url.replace(/postgres$/, name) });
  await client.connect();
  return client;
}
const seeded = (seed: number) => () => { seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0; return seed / 4_294_967_296; };

it('columns come, go and change their names and types, tables are truncated, rewritten and made again, under load', async () => {
  const seed = Date.now() % 1_000_000, random = seeded(seed);
  process.stdout.write(`schema changes: seed ${seed}\n`);
  const client = await database('changing', 'CREATE TABLE t (id int PRIMARY KEY, a int, b text)');
  let columns = ['a', 'b'], named = 0, id = 0, changes = 0;
  const written: unknown[] = [];
  const any = (): string => columns[Math.floor(random() * columns.length)] ?? 'a';
  const change = (): string => {
    const kind = Math.floor(random() * 7), column = any();
    if (kind === 0) { const name = `n${++named}`; columns.push(name); return `ALTER TABLE t ADD COLUMN ${name} int DEFAULT ${named}`; }
    if (kind === 1 && columns.length > 1) { columns = columns.filter(one => one !== column); return `ALTER TABLE t DROP COLUMN ${column}`; }
    if (kind === 2) { const name = `n${++named}`; columns = columns.map(one => (one === column ? name : one)); return `ALTER TABLE t RENAME COLUMN ${column} TO ${name}`; }
    if (kind === 3) return `ALTER TABLE t ALTER COLUMN ${column} DROP DEFAULT, ALTER COLUMN ${column} TYPE text USING ${column}::text`;
    if (kind === 4) return 'TRUNCATE t';
    if (kind === 5) { columns = ['a', 'b']; return 'DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, a int, b text)'; }
    return 'VACUUM FULL t';
  };
  const write = async (): Promise<void> => {
    const column = any();
    const inserted = await client.query(`INSERT INTO t (id, ${column}) VALUES (${++id}, '${id}') RETURNING to_jsonb(t) AS row`);
    const updated = await client.query(`UPDATE t SET ${any()} = '${id + 1}' WHERE id = ${id} RETURNING to_jsonb(t) AS row`);
    written.push(...[...inserted.rows, ...updated.rows].map(({ row }: { row: unknown }) => row));
  };
  try {
    const got = await run({
      server, database: 'changing', options: { 'heartbeat.interval.ms': '100' }, until: marked, when: beaten, after: async () => {
        for (; changes < 120; changes++) {
          for (let i = 0; i < 3; i++) await write();
          await client.query(change());
          // A change in the middle of a transaction, too.
          if (changes % 5 === 0) { await client.query('BEGIN'); await write(); await client.query(`ALTER TABLE t ADD COLUMN n${++named} text`); columns.push(`n${named}`); await write(); await client.query('COMMIT'); }
        }
        await client.query('INSERT INTO zz VALUES (1)');
      },
    });
    expect(got.failure).toBeUndefined();
    expect(got.unequal).toEqual([]);
    const seen = events(got.records, 't.public.t').map(({ payload }) => payload?.after);
    expect(seen.length).toBe(written.length);
    seen.forEach((row, i) => { expect(row, `event ${i}, seed ${seed}`).toEqual(written[i]); });
  } finally { await client.end(); }
}, 180_000);

it('a partition that is attached and one that is detached, through their root', async () => {
  const client = await database('attached', 'CREATE TABLE p (id int, part int, PRIMARY KEY (id, part)) PARTITION BY LIST (part); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); CREATE TABLE p2 (LIKE p INCLUDING ALL)');
  try {
    const got = await run({
      server, database: 'attached', options: { 'heartbeat.interval.ms': '100', 'publish.via.partition.root': 'true', 'table.include.list': 'public.p,public.zz', 'publication.autocreate.mode': 'filtered' }, until: marked, when: beaten, after: async () => {
        await client.query('INSERT INTO p VALUES (1, 1)');
        await client.query('ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2)');
        await client.query('INSERT INTO p VALUES (2, 2), (3, 1)');
        await client.query('UPDATE p SET part = 2 WHERE id = 3');
        await client.query('ALTER TABLE p DETACH PARTITION p1');
        await client.query('INSERT INTO p1 VALUES (9, 1)');
        await client.query('INSERT INTO p VALUES (4, 2); INSERT INTO zz VALUES (1)');
      },
    });
    expect(got.failure).toBeUndefined();
    // A row that moves to another partition is deleted there and inserted here.
    expect(events(got.records, 't.public.p').map(({ payload }) => `${payload?.op} ${String((payload?.after ?? payload?.before)?.['id'])}`)).toEqual(['c 1', 'c 2', 'c 3', 'd 3', 'c 3', 'c 4']);
    expect(got.records.some(({ topic }) => topic === 't.public.p1')).toBe(false);
  } finally { await client.end(); }
}, 120_000);

it('1,600 columns', async () => {
  const names = Array.from({ length: 1599 }, (_, i) => `c${i}`);
  const client = await database('wide', `CREATE TABLE t (id int PRIMARY KEY, ${names.map(name => `${name} smallint`).join(', ')}); INSERT INTO t (id, c0, c1598) VALUES (1, 1, 1598)`);
  try {
    const got = await run({ server, database: 'wide', options: { 'heartbeat.interval.ms': '100' }, until: marked, when: beaten, after: async () => { await client.query(`INSERT INTO t VALUES (2, ${names.map((_, i) => i).join(', ')}); UPDATE t SET c7 = 0 WHERE id = 2; INSERT INTO zz VALUES (1)`); } });
    expect(got.failure).toBeUndefined();
    expect(got.unequal).toEqual([]);
    const rows = events(got.records, 't.public.t').map(({ payload }) => payload?.after ?? {});
    expect(rows.map(row => Object.keys(row).length)).toEqual([1600, 1600, 1600]);
    expect(rows.map(row => [row['id'], row['c0'], row['c7'], row['c1598']])).toEqual([[1, 1, null, 1598], [2, 0, 7, 1598], [2, 0, 0, 1598]]);
  } finally { await client.end(); }
}, 120_000);

it('a prepared transaction comes when it is committed, over a restart, and one that is rolled back never', async () => {
  const own = await startPostgres({ version: 17, settings: { max_prepared_transactions: '5' } });
  try {
    await own.sql('CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE zz (id int PRIMARY KEY)');
    const options = { 'heartbeat.interval.ms': '100' };
    const first = await run({ server: own, database: 'postgres', options, until: marked, when: beaten, after: async () => {
      await own.sql("BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'one'");
      await own.sql("BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION 'two'");
      await own.sql('INSERT INTO t VALUES (3); INSERT INTO zz VALUES (1)');
    } });
    expect(first.failure).toBeUndefined();
    await own.stop('immediate');
    await own.start();
    await own.sql("ROLLBACK PREPARED 'two'");
    await own.sql("COMMIT PREPARED 'one'");
    await own.sql('INSERT INTO t VALUES (4)');
    const second = await run({ server: own, database: 'postgres', options, stored: first.offset, until: records => events(records, 't.public.t').some(({ payload }) => payload?.after?.['id'] === 4) });
    expect(second.failure).toBeUndefined();
    expect([first, second].map(({ records }) => events(records, 't.public.t').map(({ payload }) => payload?.after?.['id']))).toEqual([[3], [1, 4]]);
  } finally { await own[Symbol.asyncDispose](); }
}, 120_000);
