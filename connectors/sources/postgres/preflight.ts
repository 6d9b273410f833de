/**
 * What must be true of the server, looked at before a connector is made and when it starts. Each finding has a stable
 * code and the statement that mends it. Errors stop a connector; warnings say what will hurt later.
 */
import type { Client } from 'pg';
import { TributaryError } from '../../../runtime/api/errors.ts';
import type { Problem } from '../../../runtime/api/config.ts';
import { CapturedTables } from './captured-tables.ts';
import type { PostgresConfig } from './config.ts';
import { close, connect, queryOn } from './connection.ts';
import { type Check, type Finding, found, type ServerFacts } from './preflight-finding.ts';
import { slotFindings } from './preflight-slot.ts';
import { tableFindings } from './preflight-tables.ts';
import { identifier, literal } from './replication.ts';
import type { Query } from './schema.ts';
import { verifiesServer } from './tls.ts';

/** All findings of one configuration. A server that cannot be reached is a finding too; only a bug throws. */
export async function findings(config: PostgresConfig): Promise<readonly Finding[]> {
  let client: Client;
  try { client = await connect(config, false); } catch (error) { return [unreachable(error)]; }
  try {
    const query = queryOn(client, config);
    const facts = await serverFacts(query, config);
    const results: Finding[] = [];
    for (const check of [...serverChecks, ...slotFindings, ...tableFindings]) results.push(...await check(facts));
    return results;
  } catch (error) { return [unreachable(error)]; } finally { await close(client); }
}

/** What Debezium looks at before it lets a connector be made; a server that cannot be reached goes with it. */
const BEFORE_CREATION = new Set(['POSTGRES_WAL_LEVEL', 'POSTGRES_ROLE_REPLICATION']);

/** The plugin's `preflight`: the errors, at the options that they belong to. */
export async function preflight(config: PostgresConfig): Promise<readonly Problem[]> {
  return (await findings(config)).filter(({ severity }) => severity === 'error').map(({ option, message, mend, code, unreached }) => ({ option, message: code === 'POSTGRES_LOGIN' ? message : `${message} [${code}] ${mend}`, ...(unreached !== true && !BEFORE_CREATION.has(code) && { later: true }) }));
}

function unreachable(error: unknown): Finding {
  const known = error instanceof TributaryError ? error : undefined;
  const cause = known?.cause instanceof Error ? known.cause.message : (error as Error).message;
  return { code: known?.code ?? 'POSTGRES_ERROR', severity: 'error', option: 'database.hostname', message: `Error while validating connector config: ${known?.code === 'POSTGRES_LOGIN' || known?.code === 'POSTGRES_DATABASE' ? `FATAL: ${cause}` : known?.message ?? cause}`, mend: known?.hint ?? '', unreached: true };
}

async function serverFacts(query: Query, config: PostgresConfig): Promise<ServerFacts> {
  const [row] = await query(`SELECT current_setting('server_version_num'), current_user, r.rolsuper, r.rolreplication OR EXISTS (SELECT 1 FROM pg_roles g WHERE g.rolname IN ('rds_superuser', 'rdsadmin', 'rdsrepladmin', 'rds_replication') AND pg_has_role(r.oid, g.oid, 'MEMBER')), pg_is_in_recovery() FROM pg_roles r WHERE r.rolname = current_user`);
  const [version = '0', user = '', superuser, replication, standby] = row ?? [];
  const tables = await new CapturedTables(query, config, {} as never).catalogue();
  return { query, config, version: Number(version), user: user ?? '', superuser: superuser === 't', replication: superuser === 't' || replication === 't', standby: standby === 't', tables };
}

async function setting(query: Query, name: string): Promise<string> { return (await query(`SELECT current_setting(${literal(name)}, true)`))[0]?.[0] ?? ''; }

const serverChecks: readonly Check[] = [
  async ({ version }) => (version >= 120_000 ? [] : found('POSTGRES_VERSION', 'error', 'database.hostname', `The server's version is ${Math.floor(version / 10_000)}, and 12 is the oldest that can be read`, 'Upgrade the server.')),
  async ({ query }) => ((await setting(query, 'wal_level')) === 'logical' ? [] : found('POSTGRES_WAL_LEVEL', 'error', 'database.hostname', 'wal_level is not logical, so changes cannot be decoded', "ALTER SYSTEM SET wal_level = 'logical'; then restart the server.")),
  async ({ replication, user }) => (replication ? [] : found('POSTGRES_ROLE_REPLICATION', 'error', 'database.user', `Role '${user}' may not replicate`, `ALTER ROLE ${identifier(user)} REPLICATION;`)),
  async ({ query }) => (Number(await setting(query, 'max_wal_senders')) > 0 ? [] : found('POSTGRES_WALSENDERS_NONE', 'error', 'database.hostname', 'max_wal_senders is 0', 'ALTER SYSTEM SET max_wal_senders = 10; then restart the server.')),
  async ({ query }) => {
    const most = Number(await setting(query, 'max_wal_senders'));
    const used = Number((await query('SELECT count(*) FROM pg_stat_replication'))[0]?.[0] ?? 0);
    return most === 0 || used < most ? [] : found('POSTGRES_WALSENDERS_FULL', 'error', 'database.hostname', `All ${most} walsenders are in use`, `ALTER SYSTEM SET max_wal_senders = ${most + 10}; then restart the server, or stop a reader.`);
  },
  async ({ query }) => {
    const encoding = await setting(query, 'server_encoding');
    return encoding === 'UTF8' ? [] : found('POSTGRES_ENCODING', 'warning', 'database.dbname', `The database is encoded in ${encoding}; text that is no UTF-8 cannot be carried`, 'Make the database anew with ENCODING UTF8.');
  },
  async ({ query, config }) => {
    if (config['database.sslmode'] === 'disable') return [];
    const on = (await query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()'))[0]?.[0] === 't';
    return on ? [] : found('POSTGRES_SSL_OFF', 'warning', 'database.sslmode', 'The connection is not encrypted', 'ALTER SYSTEM SET ssl = on; with a certificate, and set database.sslmode=verify-full.');
  },
  async ({ config }) => (config['database.sslrootcert'] === undefined || verifiesServer(config) ? [] : found('POSTGRES_SSL_UNVERIFIED', 'warning', 'database.sslmode', `database.sslrootcert is set, but database.sslmode=${config['database.sslmode']} does not look at the certificate`, 'Set database.sslmode=verify-full.')),
  async ({ config }) => (['', 'org.postgresql.ssl.NonValidatingFactory'].includes(config['database.sslfactory'] ?? '') ? [] : found('POSTGRES_SSL_FACTORY', 'warning', 'database.sslfactory', 'database.sslfactory names a Java class that has no effect here', 'Leave it out; database.sslmode and database.sslrootcert say what is checked.')),
  async ({ query }) => {
    const [row] = await query("SELECT count(*) >= current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int - 4 FROM pg_stat_activity WHERE backend_type = 'client backend'");
    return row?.[0] === 't' ? found('POSTGRES_CONNECTIONS', 'warning', 'database.hostname', 'Hardly any connection is free; the connector takes up to four', 'ALTER SYSTEM SET max_connections = 200; then restart the server.') : [];
  },
  async ({ query }) => {
    const ms = Number((await query("SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout'"))[0]?.[0] ?? 60_000);
    return ms > 0 && ms < 5000 ? found('POSTGRES_SENDER_TIMEOUT', 'warning', 'status.update.interval.ms', `wal_sender_timeout is only ${ms} ms`, "ALTER SYSTEM SET wal_sender_timeout = '60s'; SELECT pg_reload_conf();") : [];
  },
  async ({ query, config }) => {
    const [row] = await query("SELECT setting FROM pg_settings WHERE name = 'max_slot_wal_keep_size'");
    return row?.[0] === '-1' && config['slot.guard.bytes'] === 0 ? found('POSTGRES_WAL_UNLIMITED', 'warning', 'slot.name', 'Nothing limits the WAL that a slot holds back; a stopped connector fills the disk', "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf();") : [];
  },
  async ({ standby, version }) => (standby && version < 160_000 ? found('POSTGRES_STANDBY', 'error', 'database.hostname', 'The server is a standby, which can decode changes only from version 16 on', 'Connect to the primary.') : []),
  async ({ config, version, standby }) => (config['slot.failover'] && (version < 170_000 || standby) ? found('POSTGRES_FAILOVER', 'warning', 'slot.failover', 'Failover slots need a primary of version 17 or later', 'Set slot.failover=false.') : []),
  async ({ config }) => (config['plugin.name'] === 'decoderbufs' ? found('POSTGRES_PLUGIN', 'warning', 'plugin.name', 'The stream is read through pgoutput, not through decoderbufs', 'Set plugin.name=pgoutput.') : []),
];
