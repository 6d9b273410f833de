/**
 * The read of whole tables, for a first snapshot, one that goes on after a stop, or tables that join later.
 *
 * It begins in one transaction over the snapshot that the slot exported, and while that lasts the stream waits. What is
 * not read after `snapshot.stream.after.ms`, and everything after a restart, is read beside the stream in short
 * transactions (`snapshot/beside.ts`). Why no row is lost, repeated or shown in a wrong order: docs/decisions/0027.
 */
import type { Client } from 'pg';
import type { Logger } from '../../../runtime/api/logger.ts';
import type { Metrics } from '../../../runtime/api/metrics.ts';
import type { Notifier } from '../capture/notifications.ts';
import type { ChangeBatch } from './batch.ts';
import type { CapturedTables } from './captured-tables.ts';
import type { PostgresConfig } from './config.ts';
import { close } from './connection.ts';
import { parseLsn } from './lsn.ts';
import { createSlot, literal, type MadeSlot, qualified } from './replication.ts';
import type { CatalogueTable, Query } from './schema.ts';
import { tableSizes } from './snapshot/chunks.ts';
import type { SnapshotProgress } from './snapshot/progress.ts';
import { nameOf, Rounds, type ServerFacts } from './snapshot/rounds.ts';

export interface Connection { readonly client: Client; readonly query: Query }

export interface SnapshotParts {
  readonly config: PostgresConfig;
  readonly extra: Readonly<Record<string, string>>;
  /** Describes tables; its own connection is not part of the snapshot. */
  readonly tables: CapturedTables;
  /** The tables to be read, in their order, as this connection sees the catalogue. */
  readonly list: (query: Query) => Promise<readonly CatalogueTable[]>;
  /** Names of all captured tables, for notifications. */
  readonly captured: readonly string[];
  readonly open: (replication: boolean) => Promise<Connection>;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly notifier: Notifier;
  readonly progress: SnapshotProgress;
  /** A stream follows, which has what is changed meanwhile. */
  readonly streams: boolean;
}

/** Statement that opens a transaction over one state of the database, read only. */
export const BEGIN = 'BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY';
const POSITION = 'CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END';

export async function serverFacts(query: Query): Promise<ServerFacts> {
  const [row] = await query("SELECT current_setting('server_version_num'), current_setting('block_size')");
  return { version: Number(row?.[0] ?? 0), blockBytes: Number(row?.[1] ?? 8192) };
}

/** Reader connections, as many as `snapshot.max.threads` says. */
export async function openReaders({ config, open }: SnapshotParts): Promise<Connection[]> {
  return await Promise.all(Array.from({ length: config['snapshot.max.threads'] }, () => open(false)));
}
export async function closeAll(connections: readonly Connection[]): Promise<void> { await Promise.all(connections.map(({ client }) => close(client))); }

/** Opens a transaction on every reader, all over the same state: the exported one where there is one, else a state of now. */
export async function beginTogether(readers: readonly Connection[], exported: string): Promise<void> {
  const [first, ...others] = readers;
  if (first === undefined) return;
  await first.query(BEGIN);
  if (exported !== '') await first.query(`SET TRANSACTION SNAPSHOT ${literal(exported)}`);
  if (others.length === 0) return;
  const shared = exported !== '' ? exported : (await first.query('SELECT pg_export_snapshot()'))[0]?.[0] ?? '';
  await Promise.all(others.map(async ({ query }) => { await query(BEGIN); await query(`SET TRANSACTION SNAPSHOT ${literal(shared)}`); }));
}

/** What the transaction of `query` sees, as an origin. `lsn` 0 asks for the present position. */
export async function originOf(query: Query, lsn: bigint): Promise<{ readonly xids: string; readonly lsn: bigint; readonly txId: bigint; readonly timeUs: bigint }> {
  const [row] = await query(`SELECT txid_current_snapshot()::text, txid_snapshot_xmin(txid_current_snapshot()), (extract(epoch FROM now()) * 1000000)::bigint, ${POSITION}`);
  const [xids = '', txId = '0', timeUs = '0', position = '0/0'] = row ?? [];
  return { xids: xids ?? '', txId: BigInt(txId ?? '0'), timeUs: BigInt(timeUs ?? '0'), lsn: lsn === 0n ? parseLsn(position ?? '0/0') : lsn };
}

/** `snapshot.locking.mode=shared`, until the transaction ends. */
async function lockTables({ config }: SnapshotParts, query: Query, tables: readonly CatalogueTable[]): Promise<void> {
  if (config['snapshot.locking.mode'] !== 'shared') return;
  await query(`SET LOCAL lock_timeout = ${config['snapshot.lock.timeout.ms']}`);
  for (const table of tables) await query(`LOCK TABLE ${qualified(table)} IN ACCESS SHARE MODE`);
}

/** A snapshot on a slot that stands already: a temporary slot has one with its exact position. It ends with the connection. */
export async function exportSnapshot({ config, open }: Pick<SnapshotParts, 'config' | 'open'>): Promise<MadeSlot & { readonly connection: Connection }> {
  const connection = await open(true);
  const suffix = Math.random().toString(36).slice(2, 8);
  return { ...await createSlot(connection.query, `${config['slot.name'].slice(0, 48)}_tmp_${suffix}`, true), connection };
}

/**
 * Reads all tables, or as many as `budgetMs` allows, under one snapshot. `told` says of which tables the stream has every
 * change: only those can be left for later. The batches carry no offset; the progress is that of the batch just yielded.
 */
export async function* readUnderOne(parts: SnapshotParts, made: MadeSlot, { budgetMs, told }: { readonly budgetMs: number; readonly told: (name: string) => boolean }, signal: AbortSignal): AsyncGenerator<ChangeBatch, Rounds> {
  const readers = await openReaders(parts);
  const [first] = readers;
  if (first === undefined) throw new RangeError('snapshot.max.threads is 0');
  try { return yield* readWith(parts, readers, first.query, made, { budgetMs, told }, signal); } finally { if (!signal.aborted) await closeAll(readers); }
}

async function* readWith(parts: SnapshotParts, readers: readonly Connection[], query: Query, made: MadeSlot, { budgetMs, told }: Parameters<typeof readUnderOne>[2], signal: AbortSignal): AsyncGenerator<ChangeBatch, Rounds> {
  const { progress, logger, config } = parts;
  await beginTogether(readers, made.snapshot);
  const origin = await originOf(query, made.consistentLsn);
  const facts = await serverFacts(query);
  const list = await parts.list(query);
  await lockTables(parts, query, list);
  const sizes = await tableSizes(query, list, facts.blockBytes);
  for (const { oid } of list) { const size = sizes.get(oid); if (size?.chunked === true && Number(size.node) !== oid) progress.nodes.set(oid, size.node); }
  const rounds = new Rounds({ ...parts, config }, facts);
  progress.addOrigin(origin);
  rounds.begin(list, sizes);
  logger.info({ tables: list.length, readers: readers.length }, 'snapshot begins');
  const until = performance.now() + budgetMs;
  yield* rounds.read({ readers: readers.map(({ client }) => client), wants: table => performance.now() < until || !told(nameOf(table)), later: false, over: () => false, signal });
  if (!signal.aborted) await Promise.all(readers.map(one => one.query('COMMIT')));
  return rounds;
}

/**
 * The tables of which the stream has every insert and update, so that a row which the read no longer finds as it was
 * comes with the stream. A publication that leaves operations, rows or columns out does not tell them.
 */
export async function toldTables(query: Query, config: PostgresConfig): Promise<ReadonlySet<string>> {
  const skipped = new Set(config['skipped.operations'].map(operation => operation.trim().toLowerCase()));
  if (skipped.has('c') || skipped.has('u')) return new Set();
  const name = literal(config['publication.name']);
  const [row] = await query(`SELECT p.pubinsert AND p.pubupdate, EXISTS (SELECT 1 FROM pg_publication_rel r WHERE r.prpubid = p.oid AND (to_jsonb(r)->>'prqual' IS NOT NULL OR to_jsonb(r)->>'prattrs' IS NOT NULL)) FROM pg_publication p WHERE p.pubname = ${name}`);
  if (row === undefined || row[0] !== 't' || row[1] === 't') return new Set();
  return new Set((await query(`SELECT schemaname || '.' || tablename FROM pg_publication_tables WHERE pubname = ${name}`)).map(([table]) => table ?? ''));
}

/** True for a table whose rows can be told by their writer, and whose changes all come with the stream. */
export function tellable(told: ReadonlySet<string>, extra: Readonly<Record<string, string>>): (name: string) => boolean {
  return name => told.has(name) && extra[`snapshot.select.statement.overrides.${name}`] === undefined;
}
