/** The statements of docs/operations.md, run as they stand there; what they grant is enough for a connector. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { postgresConfig } from '../../connectors/sources/postgres/config.ts';
import { findings } from '../../connectors/sources/postgres/preflight.ts';
import { parseConfig } from '../../runtime/api/config-parse.ts';
import { run } from '../connectors/sources/postgres/source.ts';
import { type PostgresServer, startPostgres } from '../kit/postgres.ts';
import { projectRoot } from '../kit/worker.ts';

/** The SQL block behind `<!-- tested: NAME -->`. */
function statements(name: string): string {
  const page = readFileSync(join(projectRoot, 'docs/operations.md'), 'utf8');
  const sql = new RegExp(`<!-- tested: ${name} -->\\n\`\`\`sql\\n([\\s\\S]*?)\`\`\``).exec(page)?.[1];
  if (sql === undefined) throw new Error(`docs/operations.md has no block ${name}`);
  return sql;
}

let server: PostgresServer;
beforeAll(async () => { server = await startPostgres({ version: 17 }); });
afterAll(async () => { await server[Symbol.asyncDispose](); });
beforeEach(async () => {
  await server.sql('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active');
  await server.sql('DROP DATABASE IF EXISTS shop WITH (FORCE)');
  await server.sql('DROP ROLE IF EXISTS tributary; DROP ROLE IF EXISTS captured');
  await server.sql('CREATE DATABASE shop');
  // Nobody has rights by PUBLIC here, so that each of the grants counts.
  await server.sql('REVOKE ALL ON SCHEMA public FROM PUBLIC; CREATE TABLE orders (id int PRIMARY KEY, v text); CREATE TABLE customers (id int PRIMARY KEY); INSERT INTO orders VALUES (1, \'a\'); INSERT INTO customers VALUES (1)', 'shop');
});

const role = { 'database.user': 'tributary', 'database.password': 'change-me', 'publication.name': 'dbz_publication', 'slot.name': 'debezium', 'table.include.list': 'public.orders,public.customers' };

async function errors(options: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const { config } = parseConfig(postgresConfig, { 'database.hostname': server.host, 'database.port': String(server.port), 'database.dbname': 'shop', 'topic.prefix': 't', 'plugin.name': 'pgoutput', ...options });
  if (config === undefined) throw new Error('the options do not parse');
  return (await findings(config)).filter(({ severity }) => severity === 'error').map(({ code }) => code);
}
/** Snapshot of both tables, then one change of each. */
async function captures(options: Readonly<Record<string, string>>): Promise<void> {
  const { records, failure } = await run({ server, database: 'shop', options, after: async () => { await server.sql('UPDATE orders SET v = \'b\'; INSERT INTO customers VALUES (2)', 'shop'); }, until: list => list.length >= 4 });
  expect(failure).toBeUndefined();
  expect(records.map(({ topic, payload }) => `${topic} ${payload?.op ?? ''}`).sort()).toEqual(['t.public.customers c', 't.public.customers r', 't.public.orders r', 't.public.orders u']);
}

describe('privileges', () => {
  it('of a role that only reads are enough', async () => {
    await server.sql(statements('reader'), 'shop');
    const options = { ...role, 'publication.autocreate.mode': 'disabled' };
    expect(await errors(options)).toEqual([]);
    await captures(options);
    // What the page says of tables that are made later.
    await server.sql('CREATE TABLE later (id int PRIMARY KEY)', 'shop');
    const client = new pg.Client({ host: server.host, port: server.port, database: 'shop', user: 'tributary', password: 'change-me' });
    await client.connect();
    try { expect((await client.query('SELECT * FROM later')).rows).toEqual([]); } finally { await client.end(); }
  });
  it('of a role that publishes are enough, also to widen the publication', async () => {
    await server.sql(statements('publisher'), 'shop');
    // Rights on the schema come with the ownership of tables in it only where PUBLIC has them, as by default.
    await server.sql('GRANT USAGE ON SCHEMA public TO PUBLIC', 'shop');
    const options = { ...role, 'publication.autocreate.mode': 'filtered' };
    expect(await errors(options)).toEqual([]);
    const narrow = await run({ server, database: 'shop', options: { ...options, 'table.include.list': 'public.orders' }, until: list => list.length >= 1 });
    expect(narrow.failure).toBeUndefined();
    await server.sql("SELECT pg_drop_replication_slot('debezium')");
    await captures(options);
    expect((await server.sql("SELECT tablename FROM pg_publication_tables WHERE pubname = 'dbz_publication' ORDER BY 1", 'shop')).rows).toEqual([{ tablename: 'customers' }, { tablename: 'orders' }]);
  });
  it('each of the reader’s grants is needed', async () => {
    const all = statements('reader').split(';').map(text => text.trim()).filter(text => text !== '');
    for (const left of ['GRANT USAGE', 'GRANT SELECT', 'CREATE PUBLICATION']) {
      await server.sql(all.filter(text => !text.startsWith(left) && !text.startsWith('ALTER DEFAULT')).join(';'), 'shop');
      expect([left, (await errors({ ...role, 'publication.autocreate.mode': 'disabled' })).length > 0]).toEqual([left, true]);
      await server.sql('DROP PUBLICATION IF EXISTS dbz_publication; DROP OWNED BY tributary; DROP ROLE tributary', 'shop');
    }
  });
});

describe('watching', () => {
  it('shows the slot and the transactions that hold it back, to a role in pg_monitor', async () => {
    await server.sql("SELECT pg_create_logical_replication_slot('debezium', 'pgoutput')", 'shop');
    await server.sql("CREATE ROLE tributary LOGIN PASSWORD 'change-me'; GRANT pg_monitor TO tributary");
    const client = new pg.Client({ host: server.host, port: server.port, database: 'shop', user: 'tributary', password: 'change-me' });
    await client.connect();
    try {
      expect((await client.query(statements('slots'))).rows).toMatchObject([{ slot_name: 'debezium', active: false, wal_status: 'reserved' }]);
      await client.query('BEGIN');
      expect((await client.query(statements('transactions'))).rows).toEqual(expect.arrayContaining([expect.objectContaining({ usename: 'tributary' })]));
    } finally { await client.end(); }
  });
});

it('removing leaves neither slot nor publication', async () => {
  await server.sql('CREATE PUBLICATION dbz_publication FOR ALL TABLES', 'shop');
  await server.sql("SELECT pg_create_logical_replication_slot('debezium', 'pgoutput')", 'shop');
  for (const statement of statements('removing').split(';').filter(text => text.trim() !== '')) await server.sql(statement, 'shop');
  expect((await server.sql("SELECT slot_name FROM pg_replication_slots")).rows).toEqual([]);
  expect((await server.sql('SELECT pubname FROM pg_publication', 'shop')).rows).toEqual([]);
});

it('a database upgrade in the way of the page: no snapshot, no change lost', async () => {
  await server.sql(statements('reader'), 'shop');
  const options = { ...role, 'publication.autocreate.mode': 'disabled' };
  await run({ server, database: 'shop', options, until: list => list.length >= 2 });
  // The server has been replaced here: the slot is gone, the offsets are reset.
  await server.sql("SELECT pg_drop_replication_slot('debezium')");
  const { records, failure } = await run({ server, database: 'shop', options: { ...options, 'snapshot.mode': 'no_data' }, after: async () => { await server.sql('INSERT INTO orders VALUES (2, \'after\')', 'shop'); }, until: list => list.length >= 1 });
  expect(failure).toBeUndefined();
  expect(records.map(({ payload }) => [payload?.op, payload?.after])).toEqual([['c', { id: 2, v: 'after' }]]);
});
