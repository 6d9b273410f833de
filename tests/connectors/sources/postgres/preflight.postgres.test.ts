/** Each misconfiguration is seeded on a real server, found, and gone after its mend. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseConfig } from '../../../../runtime/api/config-parse.ts';
import { postgresConfig } from '../../../../connectors/sources/postgres/config.ts';
import type { Finding } from '../../../../connectors/sources/postgres/preflight-finding.ts';
import { findings } from '../../../../connectors/sources/postgres/preflight.ts';
import { type PostgresServer, startPostgres } from '../../../kit/postgres.ts';

let server: PostgresServer;
const DATABASE = 'preflight';
beforeAll(async () => { server = await startPostgres(); }, 120_000);
afterAll(async () => { await server[Symbol.asyncDispose](); });
beforeEach(async () => {
  await server.sql('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active');
  await server.sql(`DROP DATABASE IF EXISTS ${DATABASE} WITH (FORCE)`);
  await server.sql(`CREATE DATABASE ${DATABASE}`);
  await server.sql("DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN REPLICATION PASSWORD 'plain'");
  await server.sql('CREATE TABLE t (id int PRIMARY KEY, v text)', DATABASE);
});

async function look(options: Record<string, string> = {}): Promise<readonly Finding[]> {
  const parsed = parseConfig(postgresConfig, {
    'database.hostname': server.host, 'database.port': String(server.port), 'database.user': server.user, 'database.password': server.password, 'database.dbname': DATABASE,
    'topic.prefix': 'p', 'plugin.name': 'pgoutput', 'slot.name': 'pre', 'publication.name': 'pre', ...options,
  });
  if (parsed.config === undefined) throw new Error(JSON.stringify(parsed.problems));
  return findings(parsed.config);
}
const codes = (list: readonly Finding[]): string[] => list.map(({ code }) => code);
const plain = { 'database.user': 'plain', 'database.password': 'plain' };
const filtered = { 'publication.autocreate.mode': 'filtered', 'table.include.list': 'public.t' };

interface Seeded { readonly code: string; readonly seed?: string; readonly options?: Record<string, string>; /** Statements of the mend are run as they stand. */ readonly mendable?: boolean }
const cases: readonly Seeded[] = [
  { code: 'POSTGRES_LOGIN', options: { 'database.password': 'wrong' } },
  { code: 'POSTGRES_DATABASE', options: { 'database.dbname': 'nowhere' } },
  { code: 'POSTGRES_REFUSED', options: { 'database.port': '1' } },
  { code: 'POSTGRES_HOST', options: { 'database.hostname': 'no-such-host.invalid' } },
  { code: 'POSTGRES_SSL_OFF' },
  { code: 'POSTGRES_SSL_UNVERIFIED', options: { 'database.sslrootcert': '/no/such/root.crt' } },
  { code: 'POSTGRES_SSL_FACTORY', options: { 'database.sslfactory': 'com.example.Factory' } },
  { code: 'POSTGRES_WAL_UNLIMITED' },
  { code: 'POSTGRES_PLUGIN', options: { 'plugin.name': 'decoderbufs' } },
  { code: 'POSTGRES_FAILOVER', options: { 'slot.failover': 'true' } },
  { code: 'POSTGRES_ROLE_REPLICATION', seed: 'ALTER ROLE plain NOREPLICATION', options: { ...plain, ...filtered }, mendable: true },
  { code: 'POSTGRES_SLOT_PHYSICAL', seed: "SELECT pg_create_physical_replication_slot('pre')", mendable: true },
  { code: 'POSTGRES_SLOT_PLUGIN', seed: "SELECT pg_create_logical_replication_slot('pre', 'test_decoding')", mendable: true },
  { code: 'POSTGRES_PUBLICATION_MISSING', options: { 'publication.autocreate.mode': 'disabled' }, mendable: true },
  { code: 'POSTGRES_PUBLICATION_ALL', seed: 'CREATE PUBLICATION pre FOR ALL TABLES', options: filtered, mendable: true },
  { code: 'POSTGRES_PUBLICATION_SUPERUSER', options: plain },
  { code: 'POSTGRES_PUBLICATION_CREATE', options: { ...plain, ...filtered }, mendable: true },
  { code: 'POSTGRES_TABLE_OWNER', seed: `GRANT CREATE ON DATABASE ${DATABASE} TO plain`, options: { ...plain, ...filtered }, mendable: true },
  { code: 'POSTGRES_PUBLICATION_TABLE', seed: 'CREATE TABLE other (id int PRIMARY KEY); CREATE PUBLICATION pre FOR TABLE other', mendable: true },
  { code: 'POSTGRES_PUBLICATION_OPERATIONS', seed: "CREATE PUBLICATION pre FOR ALL TABLES WITH (publish = 'insert')", mendable: true },
  { code: 'POSTGRES_PUBLICATION_ROOT', seed: 'CREATE PUBLICATION pre FOR ALL TABLES', options: { 'publish.via.partition.root': 'true' }, mendable: true },
  { code: 'POSTGRES_PUBLICATION_FILTER', seed: 'CREATE PUBLICATION pre FOR TABLE t WHERE (id > 1)' },
  { code: 'POSTGRES_NO_TABLES', options: { 'table.include.list': 'public.nothing' } },
  { code: 'POSTGRES_PATTERN_UNUSED', options: { 'table.include.list': 'public.t,public.nothing' } },
  { code: 'POSTGRES_SCHEMA_USAGE', seed: 'CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY); GRANT SELECT ON s.t TO plain', options: plain, mendable: true },
  { code: 'POSTGRES_TABLE_SELECT', options: plain, mendable: true },
  { code: 'POSTGRES_TABLE_KEY', seed: 'CREATE TABLE k (a int)', mendable: true },
  { code: 'POSTGRES_IDENTITY_NOTHING', seed: 'ALTER TABLE t REPLICA IDENTITY NOTHING', mendable: true },
  { code: 'POSTGRES_IDENTITY_FULL', options: { 'skip.messages.without.change': 'true' }, mendable: true },
  { code: 'POSTGRES_ROW_SECURITY', seed: 'ALTER TABLE t ENABLE ROW LEVEL SECURITY; GRANT SELECT ON t TO plain', options: plain },
  { code: 'POSTGRES_TABLE_UNLOGGED', seed: 'CREATE UNLOGGED TABLE u (id int PRIMARY KEY)', options: { 'table.include.list': 'public.t,public.u' }, mendable: true },
  { code: 'POSTGRES_NOT_A_TABLE', seed: 'CREATE VIEW w AS SELECT 1 AS a', options: { 'table.include.list': 'public.t,public.w' } },
  { code: 'POSTGRES_GENERATED_COLUMNS', seed: 'CREATE TABLE g (id int PRIMARY KEY, d int GENERATED ALWAYS AS (id * 2) STORED)' },
  { code: 'POSTGRES_KEY_COLUMN', options: { 'message.key.columns': 'public.t:nothing' } },
  { code: 'POSTGRES_SIGNAL_TABLE', options: { 'signal.data.collection': 'public.sig' }, mendable: true },
  { code: 'POSTGRES_SIGNAL_COLUMNS', seed: 'CREATE TABLE sig (id int)', options: { 'signal.data.collection': 'public.sig' }, mendable: true },
  { code: 'POSTGRES_SIGNAL_INSERT', seed: 'CREATE TABLE sig (id varchar(42) PRIMARY KEY, type varchar(32), data varchar(2048))', options: { ...plain, 'signal.data.collection': 'public.sig' }, mendable: true },
];

describe('preflight', () => {
  it.each(cases)('finds $code', async ({ code, seed, options, mendable }) => {
    if (seed !== undefined) await server.sql(seed, DATABASE);
    const seen = await look(options);
    expect(codes(seen)).toContain(code);
    const finding = seen.find(entry => entry.code === code);
    expect(finding?.mend).not.toBe('');
    if (mendable !== true) return;
    await server.sql((finding?.mend ?? '').replace(/ or set .*$/, '').replace(/^Run as a superuser: /, ''), DATABASE);
    expect(codes(await look(options))).not.toContain(code);
  });

  it('finds a slot of another database', async () => {
    await server.sql("SELECT pg_create_logical_replication_slot('elsewhere', 'pgoutput')", 'postgres');
    expect(codes(await look({ 'slot.name': 'elsewhere' }))).toContain('POSTGRES_SLOT_DATABASE');
  });

  it('finds a server without logical WAL', async () => {
    await using other = await startPostgres({ settings: { wal_level: 'replica', max_wal_senders: '2', max_replication_slots: '1' } });
    await other.sql("SELECT pg_create_physical_replication_slot('only')");
    const seen = codes(await look({ 'database.port': String(other.port), 'database.dbname': 'postgres' }));
    expect(seen).toContain('POSTGRES_WAL_LEVEL');
    expect(seen).toContain('POSTGRES_SLOTS_FULL');
  }, 60_000);

  it('has nothing to say against a server that is ready', async () => {
    expect((await look()).filter(({ severity }) => severity === 'error')).toEqual([]);
  });
});
