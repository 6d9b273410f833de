/** The only file that opens a connection, and the only one that says what a driver's or server's error means. */
import { readFileSync } from 'node:fs';
import { Client, type ClientConfig } from 'pg';
import { FatalError, RetriableError, TributaryError } from '../../../runtime/api/errors.ts';
import type { PostgresConfig } from './config.ts';
import type { Query } from './schema.ts';

/** Text values in, text values out: nothing passes through the driver's type parsers. */
const TEXT_TYPES = { getTypeParser: () => (value: string) => value } as unknown as NonNullable<ClientConfig['types']>;
const SESSION = "SET TimeZone='UTC'; SET DateStyle='ISO, MDY'; SET IntervalStyle='postgres'; SET extra_float_digits=3; SET bytea_output='hex'; SET lc_monetary='C'; SET client_encoding='UTF8'; SET statement_timeout=0; SET idle_in_transaction_session_timeout=0";

function tls(config: PostgresConfig, host: string): ClientConfig['ssl'] {
  const mode = config['database.sslmode'];
  if (mode === 'disable' || mode === 'allow') return false;
  const read = (path: string | undefined): string | undefined => (path === undefined ? undefined : readFileSync(path, 'utf8'));
  const ca = read(config['database.sslrootcert']), cert = read(config['database.sslcert']), key = read(config['database.sslkey']), passphrase = config['database.sslpassword'];
  return {
    rejectUnauthorized: mode === 'verify-ca' || mode === 'verify-full' || ca !== undefined, ...(mode === 'verify-full' ? { servername: host } : { checkServerIdentity: () => undefined }),
    ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert }), ...(key !== undefined && { key }), ...(passphrase !== undefined && { passphrase }),
  };
}

/** Statements between single semicolons; a doubled one stands for itself. */
function initialStatements(config: PostgresConfig): string[] {
  return (config['database.initial.statements'] ?? '').replaceAll(';;', '\u0000').split(';').map(text => text.replaceAll('\u0000', ';').trim()).filter(text => text !== '');
}

/** Opens one connection with a session whose text formats are fixed. Throws RetriableError or FatalError. */
export async function connect(config: PostgresConfig, replication: boolean): Promise<Client> {
  const host = config['database.hostname'];
  const attempt = async (ssl: ClientConfig['ssl']): Promise<Client> => {
    const client = new Client({
      host, port: config['database.port'], user: config['database.user'], password: config['database.password'] ?? '', database: config['database.dbname'], ssl: ssl ?? false,
      keepAlive: config['database.tcpKeepAlive'], connectionTimeoutMillis: config['connection.validation.timeout.ms'], application_name: 'Tributary', types: TEXT_TYPES,
      ...(replication && { replication: 'database' }),
    } as ClientConfig);
    client.on('error', () => { /* whoever uses the connection meets the error there */ });
    await client.connect();
    await client.query(SESSION);
    if (!replication) for (const statement of initialStatements(config)) await client.query(statement);
    return client;
  };
  try {
    const ssl = tls(config, host);
    if (ssl === false || config['database.sslmode'] !== 'prefer') return await attempt(ssl);
    return await attempt(ssl).catch((error: Error) => { if (/does not support SSL/.test(error.message)) return attempt(false); throw error; });
  } catch (error) { throw mapped(error, config); }
}

/** Simple query with rows as arrays of text. Several statements in one text give the rows of the last. */
export function queryOn(client: Client, config: PostgresConfig): Query {
  return async sql => {
    try {
      const result = await client.query({ text: sql, rowMode: 'array' });
      const last = (Array.isArray(result) ? result.at(-1) : result) as { rows: (string | null)[][] };
      return last.rows;
    } catch (error) { throw mapped(error, config); }
  };
}

interface DriverError extends Error { readonly code?: string }

/** One place that turns what the driver or the server says into what to do about it. */
export function mapped(error: unknown, config: PostgresConfig): Error {
  if (error instanceof TributaryError || !(error instanceof Error)) return error as Error;
  const { code = '', message } = error as DriverError;
  const where = `${config['database.hostname']}:${config['database.port']}`;
  const user = config['database.user'], database = config['database.dbname'], slot = config['slot.name'];
  const fatal = (what: string, name: string, hint: string): FatalError => new FatalError(what, { code: name, hint, cause: error });
  const passing = (what: string, name: string, hint: string): RetriableError => new RetriableError(what, { code: name, hint, cause: error });
  if (code === '28P01' || code === '28000') return fatal(`PostgreSQL at ${where} refused role '${user}': ${message}`, 'POSTGRES_LOGIN', 'Check database.user and database.password, and that pg_hba.conf lets this host in, for replication too.');
  if (code === '3D000') return fatal(`PostgreSQL at ${where} has no database '${database}'`, 'POSTGRES_DATABASE', 'Check database.dbname.');
  if (code === '42501') return fatal(`PostgreSQL refused role '${user}' a privilege: ${message}`, 'POSTGRES_PRIVILEGE', `Grant it, for example: ALTER ROLE "${user}" REPLICATION; GRANT SELECT ON ALL TABLES IN SCHEMA public TO "${user}";`);
  if (code === '55006') return passing(`Replication slot '${slot}' is in use by another connection`, 'POSTGRES_SLOT_ACTIVE', 'Stop the other reader, or give this connector a slot.name of its own.');
  if (code === '53400' && /replication slots/.test(message)) return fatal(`All replication slots of ${where} are taken`, 'POSTGRES_SLOTS_FULL', 'Drop one that nobody needs (SELECT pg_drop_replication_slot(...)) or raise max_replication_slots and restart the server.');
  if (code === '53300') return passing(`PostgreSQL at ${where} has no free connection or walsender: ${message}`, 'POSTGRES_CONNECTIONS', 'Raise max_connections or max_wal_senders, or close idle connections.');
  if (/wal_level/.test(message)) return fatal(`PostgreSQL at ${where} does not write logical WAL: ${message}`, 'POSTGRES_WAL_LEVEL', "ALTER SYSTEM SET wal_level = 'logical'; then restart the server.");
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return passing(`Host '${config['database.hostname']}' is not known: ${message}`, 'POSTGRES_HOST', 'Check database.hostname.');
  if (code === 'ECONNREFUSED') return passing(`Nothing listens at ${where}`, 'POSTGRES_REFUSED', 'Check database.hostname and database.port, and that the server runs.');
  if (/^(08|57P|53|40|55P03|58)/.test(code) || /^E[A-Z]+$/.test(code) || /terminat|timeout|closed|ended|Connection/i.test(message)) return passing(`Connection to PostgreSQL at ${where} failed: ${message}`, 'POSTGRES_CONNECTION', 'The task tries again by itself; check the server and the network if this stays.');
  return fatal(`PostgreSQL at ${where} answered an error: ${message}${code === '' ? '' : ` (SQLSTATE ${code})`}`, 'POSTGRES_ERROR', 'See the message; mend the cause and restart the task.');
}
