/** The quickstart's database: a throwaway PostgreSQL from npm, or a database of its own on the server of DATABASE_URL. */
import pg from 'pg';
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
    host, port, user, password, name: 'postgres', description: `throwaway PostgreSQL 17 on port ${port}`,
    connect: () => connected({ host, port, user, password, database: 'postgres' }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function visit(url: string): Promise<Database> {
  const { hostname, port, username, password } = new URL(url);
  const facts = { host: hostname, port: Number(port === '' ? 5432 : port), user: decodeURIComponent(username), password: decodeURIComponent(password) };
  const admin = await connected({ connectionString: url });
  try {
    const { rows } = await admin.query<{ wal_level: string; taken: boolean }>(`SELECT current_setting('wal_level') AS wal_level, EXISTS (SELECT 1 FROM pg_database WHERE datname = $1) AS taken`, [OWN_DATABASE]);
    if (rows[0]?.wal_level !== 'logical') throw new Error(`The server of DATABASE_URL has wal_level=${rows[0]?.wal_level ?? '?'}. Run: ALTER SYSTEM SET wal_level = logical; and restart the server.`);
    if (rows[0].taken) throw new Error(`The server of DATABASE_URL already has a database ${OWN_DATABASE}, and the quickstart takes no other's. If it is left over: DROP DATABASE ${OWN_DATABASE};`);
    await admin.query(`CREATE DATABASE ${OWN_DATABASE}`);
  } finally { await admin.end(); }
  return { ...facts, name: OWN_DATABASE, description: `database ${OWN_DATABASE} on ${facts.host}:${facts.port}`, connect: () => connected({ ...facts, database: OWN_DATABASE }), [Symbol.asyncDispose]: () => leave(url) };
}

/** The publication goes with the database; the slot has to go first. */
async function leave(url: string): Promise<void> {
  const admin = await connected({ connectionString: url });
  try {
    await admin.query('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active', [SLOT]);
    for (let attempt = 0; attempt < 50; attempt++) {
      const { rowCount } = await admin.query('SELECT 1 FROM pg_replication_slots WHERE slot_name = $1 AND active', [SLOT]);
      if (rowCount === 0) break;
    }
    await admin.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND database = $2', [SLOT, OWN_DATABASE]);
    await admin.query(`DROP DATABASE IF EXISTS ${OWN_DATABASE} WITH (FORCE)`);
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
