/** The quickstart's database: a throwaway PostgreSQL from npm, or a database of its own on the server of DATABASE_URL. */
import pg from 'pg';
import { until } from '../../tests/kit/condition.ts';
import { startPostgres } from '../../tests/kit/postgres.ts';

export const SLOT = 'tributary_quickstart';
const OWN_DATABASE = 'tributary_quickstart';
export const ORDERS = 100_000;
export const CUSTOMERS = 10_000;

export interface Database extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly name: string;
  /** As `database.sslmode` takes it. */
  readonly sslMode: string;
  /** For the screen: whose server it is. */
  readonly description: string;
  connect(): Promise<pg.Client>;
}

/** Starts or connects; leaves nothing behind when it is disposed of: server, or database, slot and publication, go away. */
export async function openDatabase(url: string | undefined): Promise<Database> {
  if (url !== undefined && url !== '') return visit(url);
  const server = await startPostgres({ version: 17, settings: { fsync: 'on' } });
  const { host, port, user, password } = server;
  return {
    host, port, user, password, name: 'postgres', sslMode: 'prefer', description: `throwaway PostgreSQL 17 on port ${port}`,
    connect: () => connected({ host, port, user, password, database: 'postgres' }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** Refuses, with what to do, before anything is made. */
async function visit(url: string): Promise<Database> {
  const own = parsed(url);
  const facts = { host: own.hostname.replace(/^\[|\]$/g, ''), port: Number(own.port === '' ? 5432 : own.port), user: decodeURIComponent(own.username), password: decodeURIComponent(own.password), sslMode: own.searchParams.get('sslmode') ?? 'prefer' };
  own.pathname = `/${OWN_DATABASE}`;
  const admin = await connected({ connectionString: url }).catch((error: Error) => { throw new Error(`The server of DATABASE_URL (${facts.host}:${facts.port}) cannot be reached as ${facts.user}: ${error.message}`, { cause: error }); });
  try {
    const { rows } = await admin.query<{ wal_level: string; database: boolean; slot: boolean; replication: boolean; createdb: boolean }>(`
      SELECT current_setting('wal_level') AS wal_level, EXISTS (SELECT 1 FROM pg_database WHERE datname = $1) AS database, EXISTS (SELECT 1 FROM pg_replication_slots WHERE slot_name = $2) AS slot,
        rolsuper OR rolreplication AS replication, rolsuper OR rolcreatedb AS createdb FROM pg_roles WHERE rolname = current_user`, [OWN_DATABASE, SLOT]);
    const [found] = rows;
    if (found?.wal_level !== 'logical') throw new Error(`The server of DATABASE_URL has wal_level=${found?.wal_level ?? '?'}. Run: ALTER SYSTEM SET wal_level = logical; and restart the server.`);
    if (!found.replication || !found.createdb) throw new Error(`The user of DATABASE_URL may not ${found.replication ? 'make a database' : 'replicate'}. Run: ALTER ROLE ${pg.escapeIdentifier(facts.user)} REPLICATION CREATEDB;`);
    const left = [found.slot ? `slot ${SLOT}` : undefined, found.database ? `database ${OWN_DATABASE}` : undefined].filter(one => one !== undefined).join(' and a ');
    if (left !== '') throw new Error(`The server of DATABASE_URL already has a ${left}, and the quickstart takes no other's. If it is left over: SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '${SLOT}'; DROP DATABASE IF EXISTS ${OWN_DATABASE};`);
    await admin.query(`CREATE DATABASE ${OWN_DATABASE} TEMPLATE template0 ENCODING 'UTF8'`);
  } finally { await admin.end(); }
  return { ...facts, name: OWN_DATABASE, description: `database ${OWN_DATABASE} on ${facts.host}:${facts.port}`, connect: () => connected({ connectionString: own.href }), [Symbol.asyncDispose]: () => leave(url) };
}

function parsed(url: string): URL {
  let own: URL | undefined;
  try { own = new URL(url); } catch { /* told below */ }
  if (own === undefined || !/^postgres(ql)?:$/.test(own.protocol) || own.hostname === '') throw new Error('DATABASE_URL is no address of a PostgreSQL. Write postgres://USER:PASSWORD@HOST:PORT/DATABASE.');
  return own;
}

/** The publication goes with the database; the slot has to go first, and the connection that reads it before that. */
async function leave(url: string): Promise<void> {
  const admin = await connected({ connectionString: url });
  try {
    await until('the slot to be free', async () => {
      const { rowCount } = await admin.query('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active', [SLOT]);
      return rowCount === 0;
    });
    await admin.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND database = $2', [SLOT, OWN_DATABASE]);
    // FORCE is younger than PostgreSQL 12.
    await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [OWN_DATABASE]);
    await admin.query(`DROP DATABASE IF EXISTS ${OWN_DATABASE}`);
  } finally { await admin.end(); }
}

async function connected(config: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client(config);
  client.on('error', () => { /* the server going away ends the next query, which tells */ });
  await client.connect();
  return client;
}

/** The two tables, filled. */
export async function fill(client: pg.Client): Promise<void> {
  await client.query(`
    CREATE TABLE public.customers (
      id integer PRIMARY KEY, name text NOT NULL, email text, tier varchar(16) NOT NULL, balance numeric(12,2) NOT NULL,
      born date, active boolean NOT NULL, profile jsonb, reference uuid NOT NULL, score double precision);
    CREATE TABLE public.orders (
      id bigint PRIMARY KEY, customer_id integer NOT NULL, status varchar(16) NOT NULL, amount numeric(12,2) NOT NULL,
      quantity integer NOT NULL, note text, created_at timestamptz NOT NULL, updated_at timestamp);
    INSERT INTO public.customers SELECT i, 'Customer ' || i, CASE WHEN i % 11 = 0 THEN NULL ELSE 'c' || i || '@example.org' END, (ARRAY['basic','silver','gold'])[1 + i % 3],
      (i * 37 % 100000) / 100.0, date '1950-01-01' + (i % 20000), i % 5 <> 0, jsonb_build_object('visits', i % 97, 'tags', jsonb_build_array('a', i)), md5(i::text)::uuid, i / 7.0
      FROM generate_series(1, ${CUSTOMERS}) i;
    INSERT INTO public.orders SELECT i, 1 + i % ${CUSTOMERS}, (ARRAY['new','paid','sent','done'])[1 + i % 4], (i * 13 % 1000000) / 100.0, 1 + i % 9,
      CASE WHEN i % 7 = 0 THEN NULL ELSE repeat('note ', (i % 5)::int) || 'äöü€ ' || i END, timestamptz '2024-01-01 00:00:00+00' + i * interval '1 minute' + i * interval '1 microsecond',
      CASE WHEN i % 3 = 0 THEN NULL ELSE timestamp '2024-06-01' + i * interval '1 second' END
      FROM generate_series(1, ${ORDERS}) i;
    ANALYZE`);
}
