/** Publication and slot: found or made, as Debezium does it, the publication first. */
import { ConfigError, FatalError, RetriableError } from '../../../runtime/api/errors.ts';
import type { Logger } from '../../../runtime/api/logger.ts';
import { anchored } from '../capture/table-filter.ts';
import type { PostgresConfig } from './config.ts';
import { parseLsn } from './lsn.ts';
import type { CatalogueTable, Query } from './schema.ts';

/** A name, quoted for statements. */
export const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;
/** A text, quoted for statements. */
export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
/** `"schema"."table"`, for statements. */
export const qualified = ({ schema, table }: CatalogueTable): string => `${identifier(schema)}.${identifier(table)}`;

/** Operations that are skipped by choice need not be published at all. */
function publicationOptions(config: PostgresConfig): string {
  const skipped = config['skipped.operations'].map(name => name.toLowerCase());
  const published = ([['c', 'insert'], ['u', 'update'], ['d', 'delete'], ['t', 'truncate']] as const).filter(([letter]) => !skipped.includes(letter)).map(([, name]) => name);
  const chosen = skipped.join() !== 't' && !skipped.includes('none') && published.length < 4;
  const options = [...(chosen ? [`publish = '${published.join(', ')}'`] : []), ...(config['publish.via.partition.root'] ? ['publish_via_partition_root = true'] : [])];
  return options.length === 0 ? '' : ` WITH (${options.join(', ')})`;
}

/** Makes or mends the publication. Throws FatalError POSTGRES_PUBLICATION when it is missing and may not be made. */
export async function ensurePublication(query: Query, config: PostgresConfig, tables: readonly CatalogueTable[], logger: Logger): Promise<void> {
  const name = config['publication.name'];
  const mode = config['publication.autocreate.mode'];
  const [found] = await query(`SELECT puballtables FROM pg_publication WHERE pubname = ${literal(name)}`);
  const root = publicationOptions(config);
  const listed = tables.map(qualified).join(', ');
  if (found !== undefined) {
    if (mode !== 'filtered') return;
    if (found[0] === 't') throw new FatalError(`Publication '${name}' covers all tables and cannot be narrowed`, { code: 'POSTGRES_PUBLICATION', hint: `DROP PUBLICATION ${identifier(name)}; or set publication.autocreate.mode=all_tables.` });
    const present = await query(`SELECT schemaname, tablename FROM pg_publication_tables WHERE pubname = ${literal(name)}`);
    const same = new Set(present.map(([schema, table]) => `${schema}.${table}`));
    if (tables.length > 0 && (same.size !== tables.length || tables.some(({ schema, table }) => !same.has(`${schema}.${table}`)))) await query(`ALTER PUBLICATION ${identifier(name)} SET TABLE ${listed}`);
    return;
  }
  if (mode === 'disabled') throw new FatalError(`There is no publication '${name}' and publication.autocreate.mode is disabled`, { code: 'POSTGRES_PUBLICATION', hint: `CREATE PUBLICATION ${identifier(name)} FOR ALL TABLES;` });
  if (mode === 'filtered' && tables.length === 0) throw new FatalError('No table fits the filters, so no publication can be made', { code: 'POSTGRES_NO_TABLES', hint: 'Check table.include.list and schema.include.list.' });
  const scope = mode === 'all_tables' ? ' FOR ALL TABLES' : mode === 'filtered' ? ` FOR TABLE ${listed}` : '';
  await query(`CREATE PUBLICATION ${identifier(name)}${scope}${root}`);
  logger.info({ publication: name, mode }, 'publication made');
}

const IDENTITIES: Readonly<Record<string, string>> = { d: 'DEFAULT', f: 'FULL', n: 'NOTHING' };

/** `replica.identity.autoset.values`; a table that refuses is left with a warning. */
export async function setReplicaIdentities(query: Query, config: PostgresConfig, tables: readonly CatalogueTable[], logger: Logger): Promise<void> {
  const rules = (config['replica.identity.autoset.values'] ?? '').split(',').filter(part => part.includes(':')).map(part => {
    const colon = part.lastIndexOf(':');
    return { pattern: anchored(part.slice(0, colon).trim()), identity: part.slice(colon + 1).trim() };
  });
  for (const table of tables) {
    const rule = rules.find(({ pattern }) => pattern.test(`${table.schema}.${table.table}`));
    if (rule === undefined) continue;
    const index = /^INDEX\s+(.+)$/i.exec(rule.identity)?.[1];
    const wanted = index === undefined ? rule.identity.toUpperCase() : `USING INDEX ${identifier(index)}`;
    if (index === undefined && !/^(DEFAULT|FULL|NOTHING)$/.test(wanted)) throw new ConfigError(`replica.identity.autoset.values: '${rule.identity}' is no replica identity`, { code: 'REPLICA_IDENTITY', hint: 'Use DEFAULT, FULL, NOTHING or INDEX name.' });
    if (IDENTITIES[table.replicaIdentity] === wanted) continue;
    await query(`ALTER TABLE ${qualified(table)} REPLICA IDENTITY ${wanted}`).catch((error: Error) => { logger.warn({ table: `${table.schema}.${table.table}`, reason: error.message }, 'replica identity not set'); });
  }
}

export interface SlotState { readonly confirmedLsn: bigint; readonly active: boolean }

/** Undefined: there is no such slot. Throws FatalError when it cannot serve us. */
export async function findSlot(query: Query, config: PostgresConfig): Promise<SlotState | undefined> {
  const name = config['slot.name'];
  const [row] = await query(`SELECT plugin, database, confirmed_flush_lsn, active, wal_status FROM (SELECT plugin, database, confirmed_flush_lsn::text, active, coalesce(to_jsonb(s)->>'wal_status', '') AS wal_status FROM pg_replication_slots s WHERE slot_name = ${literal(name)}) x`);
  if (row === undefined) return undefined;
  const [plugin, database, confirmed, active, walStatus] = row;
  const drop = `SELECT pg_drop_replication_slot(${literal(name)});`;
  if (plugin !== 'pgoutput') throw new FatalError(`Replication slot '${name}' was made for ${plugin === null || plugin === undefined ? 'physical replication' : `the plugin ${plugin}`}`, { code: 'POSTGRES_SLOT_PLUGIN', hint: `Choose another slot.name, or drop it: ${drop}` });
  if (database !== config['database.dbname']) throw new FatalError(`Replication slot '${name}' belongs to database '${database}'`, { code: 'POSTGRES_SLOT_DATABASE', hint: 'Choose another slot.name.' });
  if (walStatus === 'lost') throw new FatalError(`The server has removed WAL that replication slot '${name}' still needed`, { code: 'POSTGRES_SLOT_LOST', hint: `Changes are lost since ${confirmed}. Drop the slot (${drop}), reset the connector's offsets and let it take a new snapshot; raise max_slot_wal_keep_size.` });
  return { confirmedLsn: parseLsn(confirmed ?? '0/0'), active: active === 't' };
}

export interface MadeSlot { readonly consistentLsn: bigint; readonly snapshot: string }

/** Makes a slot on a replication connection and exports the snapshot of its consistent point, which all transactions that are open now have to end before. Throws RetriableError POSTGRES_SLOT_WAITS. */
export async function createSlot(replicationQuery: Query, name: string, temporary: boolean, failover = false): Promise<MadeSlot> {
  const options = failover ? "(SNAPSHOT 'export', FAILOVER)" : 'EXPORT_SNAPSHOT';
  const made = replicationQuery(`CREATE_REPLICATION_SLOT ${identifier(name)}${temporary ? ' TEMPORARY' : ''} LOGICAL pgoutput ${options}`);
  const [row] = await made.catch((error: unknown) => {
    if (!(error instanceof RetriableError) || error.code !== 'POSTGRES_QUERY_TIMEOUT') throw error;
    throw new RetriableError(`Replication slot '${name}' could not be made in time: a transaction that was open before does not end`, {
      code: 'POSTGRES_SLOT_WAITS', hint: "Find it and end it: SELECT pid, xact_start, state, query FROM pg_stat_activity WHERE xact_start IS NOT NULL ORDER BY xact_start; prepared ones: SELECT * FROM pg_prepared_xacts;", cause: error,
    });
  });
  return { consistentLsn: parseLsn(row?.[1] ?? '0/0'), snapshot: row?.[2] ?? '' };
}
