/** The only file that opens a connection, runs a statement on it and closes it. What an error means stands in server-errors.ts. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Socket } from 'node:net';
import { Client, type ClientConfig } from 'pg';
import { RetriableError } from '../../../runtime/api/errors.ts';
import type { PostgresConfig } from './config.ts';
import type { Query } from './schema.ts';
import { mapped } from './server-errors.ts';
import { tlsOptions, tlsPlan } from './tls.ts';

/** Text values in, text values out: nothing passes through the driver's type parsers. */
const TEXT_TYPES = { getTypeParser: () => (value: string) => value } as unknown as NonNullable<ClientConfig['types']>;
const SESSION = "SET TimeZone='UTC'; SET DateStyle='ISO, MDY'; SET IntervalStyle='postgres'; SET extra_float_digits=3; SET bytea_output='hex'; SET lc_monetary='C'; SET client_encoding='UTF8'; SET statement_timeout=0; SET idle_in_transaction_session_timeout=0";
/** How long a connection may take to say goodbye, or to be told to give a statement up. */
const PARTING_MS = 2000;

/** Statements between single semicolons; a doubled one stands for itself. */
function initialStatements(config: PostgresConfig): string[] {
  return (config['database.initial.statements'] ?? '').replaceAll(';;', '\u0000').split(';').map(text => text.replaceAll('\u0000', ';').trim()).filter(text => text !== '');
}

/** What of pgjdbc's own options has a meaning here. */
function driverOptions(config: PostgresConfig): { readonly application_name: string; readonly connectionTimeoutMillis: number; readonly options?: string } {
  const schema = config['driver.currentSchema'];
  const options = [...(config['driver.options'] === undefined ? [] : [config['driver.options']]), ...(schema === undefined ? [] : [`-c search_path=${schema.replaceAll(/[\\ ]/g, '\\$&')}`])];
  const seconds = config['driver.connectTimeout'] ?? config['driver.loginTimeout'];
  return { application_name: config['driver.ApplicationName'], connectionTimeoutMillis: seconds === undefined || seconds === 0 ? config['connection.validation.timeout.ms'] : seconds * 1000, ...(options.length > 0 && { options: options.join(' ') }) };
}

async function attempt(config: PostgresConfig, replication: boolean, tls: boolean): Promise<Client> {
  const client = new Client({
    host: config['database.hostname'], port: config['database.port'], user: config['database.user'], password: config['database.password'] ?? '', database: config['database.dbname'], ssl: tls ? tlsOptions(config) : false,
    keepAlive: config['driver.tcpKeepAlive'] ?? config['database.tcpKeepAlive'], keepAliveInitialDelayMillis: 30_000, types: TEXT_TYPES, ...driverOptions(config), ...(replication && { replication: 'database' }),
  } as ClientConfig);
  client.on('error', () => { /* whoever uses the connection meets the error there */ });
  try {
    await client.connect();
    const silent = setTimeout(() => { cut(client); }, config['connection.validation.timeout.ms']);
    try { await client.query(SESSION); } finally { clearTimeout(silent); }
    if (!replication) for (const statement of initialStatements(config)) await client.query(statement);
    return client;
  } catch (error) { await close(client); throw error; }
}

/** The other kind of connection may be let in: the server has no TLS, or pg_hba.conf wants what we did not offer. */
const refusedKind = (error: unknown): boolean => (error as { readonly code?: string }).code === '28000' || hasNoTls(error);
const hasNoTls = (error: unknown): boolean => /does not support SSL/.test((error as Error).message);

/** Opens one connection with a session whose text formats are fixed. Throws RetriableError or FatalError. */
export async function connect(config: PostgresConfig, replication: boolean): Promise<Client> {
  const { first, fallback } = tlsPlan(config);
  try {
    return await attempt(config, replication, first).catch((error: unknown) => {
      if (!fallback || !refusedKind(error)) throw error;
      return attempt(config, replication, !first).catch((second: unknown) => { throw hasNoTls(error) ? second : error; });
    });
  } catch (error) { throw mapped(error, config); }
}

const socketOf = (client: Client): Socket => (client as unknown as { readonly connection: { readonly stream: Socket } }).connection.stream;

/** Says goodbye; a connection that does not answer is cut. Never throws. */
export async function close(client: Client): Promise<void> {
  const timer = setTimeout(() => { socketOf(client).destroy(); }, PARTING_MS);
  try { await client.end(); } catch { /* it was gone already */ } finally { clearTimeout(timer); }
}

function cut(client: Client): void { socketOf(client).destroy(new Error('Connection timeout: the server did not answer')); }

/** The end of what was last asked of a connection; never rejects. */
const turns = new WeakMap<Client, Promise<unknown>>();

/** One statement at a time on a connection: its watch begins with the statement, and the driver takes no second one meanwhile. */
function inTurn<T>(client: Client, work: () => Promise<T>): Promise<T> {
  const run = (turns.get(client) ?? Promise.resolve()).then(work);
  turns.set(client, run.catch(() => { /* met by its caller */ }));
  return run;
}

/** Simple query with rows as arrays of text. Several statements in one text give the rows of the last. `limitMs` 0 = no limit. */
export function queryOn(client: Client, config: PostgresConfig, limitMs: number = config['database.query.timeout.ms']): Query {
  return sql => inTurn(client, async () => {
    using _watched = watch(client, config, limitMs);
    try {
      const result = await client.query({ text: sql, rowMode: 'array' });
      const last = (Array.isArray(result) ? result.at(-1) : result) as { rows: (string | null)[][] };
      return last.rows;
    } catch (error) { throw mapped(error, config); }
  });
}

/**
 * Looks after a statement until it is disposed of. Every `connection.validation.timeout.ms` the server is asked, over
 * another connection, whether it is still at it: a network that swallows bytes shows in no other way. After `limitMs`
 * the statement is cancelled.
 */
function watch(client: Client, config: PostgresConfig, limitMs: number): Disposable {
  const statement = { running: true };
  const every = config['connection.validation.timeout.ms'];
  let waited = 0;
  let timer: NodeJS.Timeout | undefined;
  const look = async (): Promise<void> => {
    if (limitMs > 0 && waited >= limitMs) { await giveUp(client, config, statement); return; }
    const served = await isServed(client, config);
    if (!statement.running) return;
    if (served) next(); else cut(client);
  };
  const next = (): void => {
    const ms = limitMs > 0 ? Math.min(every, limitMs - waited) : every;
    waited += ms;
    timer = setTimeout(() => { void look(); }, ms);
  };
  next();
  return { [Symbol.dispose]: () => { statement.running = false; clearTimeout(timer); } };
}

const idOf = (client: Client): number => (client as unknown as { readonly processID: number }).processID;

/** False when the server does not know of a statement of `client`, or cannot be reached at all. */
async function isServed(client: Client, config: PostgresConfig): Promise<boolean> {
  try {
    const other = await connect(config, false);
    try { return (await other.query(`SELECT 1 FROM pg_stat_activity WHERE pid = ${Number(idOf(client))} AND state <> 'idle'`)).rowCount !== 0; } finally { await close(other); }
  } catch (error) { return !(error instanceof RetriableError) || error.code === 'POSTGRES_CONNECTIONS'; }
}

/** Tells the server to give up what `client` runs; where nobody answers the connection is cut, so that the caller hears of it. */
async function giveUp(client: Client, config: PostgresConfig, statement: { readonly running: boolean }): Promise<void> {
  const asked = connect(config, false).then(async other => {
    try { await other.query(`SELECT pg_cancel_backend(${Number(idOf(client))})`); } finally { await close(other); }
  }).catch(() => { /* cut below */ });
  const late = (): Promise<void> => wait(PARTING_MS, undefined, { ref: false });
  await Promise.race([asked, late()]);
  // What was cancelled ends at once; what still runs after that is on a dead connection.
  if (statement.running) await late();
  if (statement.running) cut(client);
}
