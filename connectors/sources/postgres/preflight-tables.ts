/** Preflight checks of the captured tables and of the tables that signals come through. */
import { type Check, fitsNothing, found } from './preflight-finding.ts';
import { identifier, literal, qualified } from './replication.ts';
import type { CatalogueTable, Query } from './schema.ts';

const nameOf = ({ schema, table }: CatalogueTable): string => `${schema}.${table}`;
const some = (tables: readonly CatalogueTable[]): string => `${tables.slice(0, 3).map(nameOf).join(', ')}${tables.length > 3 ? ` and ${tables.length - 3} more` : ''}`;

/** The captured tables for which a condition over `c` (pg_class) holds. */
async function where(query: Query, tables: readonly CatalogueTable[], condition: string): Promise<CatalogueTable[]> {
  if (tables.length === 0) return [];
  const oids = new Set((await query(`SELECT c.oid FROM pg_class c WHERE c.oid IN (${tables.map(({ oid }) => oid).join(', ')}) AND ${condition}`)).map(([oid]) => Number(oid)));
  return tables.filter(({ oid }) => oids.has(oid));
}

export const tableFindings: readonly Check[] = [
  async ({ tables }) => (tables.length > 0 ? [] : found('POSTGRES_NO_TABLES', 'warning', 'table.include.list', 'No table fits the filters', 'Check table.include.list and schema.include.list; names are schema.table.')),
  async ({ config, tables }) => {
    const wrong = (config['table.include.list'] ?? []).filter(pattern => fitsNothing(pattern, tables.map(nameOf)));
    return wrong.length === 0 || tables.length === 0 ? [] : found('POSTGRES_PATTERN_UNUSED', 'warning', 'table.include.list', `No table fits ${wrong.join(', ')}`, 'Correct the expression, or make the table.');
  },
  async ({ query, tables, user }) => {
    const closed = await where(query, tables, "NOT has_schema_privilege(c.relnamespace, 'USAGE')");
    return closed[0] === undefined ? [] : found('POSTGRES_SCHEMA_USAGE', 'error', 'schema.include.list', `Role '${user}' may not use schema '${closed[0].schema}'`, [...new Set(closed.map(({ schema }) => `GRANT USAGE ON SCHEMA ${identifier(schema)} TO ${identifier(user)};`))].join(' '));
  },
  async ({ query, tables, user }) => {
    const closed = await where(query, tables, "has_schema_privilege(c.relnamespace, 'USAGE') AND NOT has_table_privilege(c.oid, 'SELECT')");
    return closed.length === 0 ? [] : found('POSTGRES_TABLE_SELECT', 'error', 'table.include.list', `Role '${user}' may not read ${some(closed)}`, closed.map(table => `GRANT SELECT ON ${qualified(table)} TO ${identifier(user)};`).join(' '));
  },
  async ({ tables, query }) => {
    const keyless = await where(query, tables.filter(({ key, replicaIdentity }) => key.length === 0 && replicaIdentity === 'd'), "c.relkind = 'r'");
    return keyless.length === 0 ? [] : found('POSTGRES_TABLE_KEY', 'warning', 'table.include.list', `${some(keyless)} have no key: once published, their updates and deletes are refused by the server`, keyless.map(table => `ALTER TABLE ${qualified(table)} REPLICA IDENTITY FULL;`).join(' '));
  },
  async ({ tables }) => {
    const nothing = tables.filter(({ replicaIdentity }) => replicaIdentity === 'n');
    return nothing.length === 0 ? [] : found('POSTGRES_IDENTITY_NOTHING', 'warning', 'table.include.list', `${some(nothing)} have REPLICA IDENTITY NOTHING: once published, their updates and deletes are refused by the server`, nothing.map(table => `ALTER TABLE ${qualified(table)} REPLICA IDENTITY DEFAULT;`).join(' '));
  },
  async ({ config, tables }) => {
    if (!config['skip.messages.without.change']) return [];
    const partial = tables.filter(({ replicaIdentity }) => replicaIdentity !== 'f');
    return partial.length === 0 ? [] : found('POSTGRES_IDENTITY_FULL', 'warning', 'skip.messages.without.change', `${some(partial)} do not send full old rows, so updates without change cannot be told`, partial.map(table => `ALTER TABLE ${qualified(table)} REPLICA IDENTITY FULL;`).join(' '));
  },
  async ({ query, tables, superuser }) => {
    if (superuser) return [];
    const secured = await where(query, tables, "c.relrowsecurity AND row_security_active(c.oid)");
    return secured.length === 0 ? [] : found('POSTGRES_ROW_SECURITY', 'warning', 'table.include.list', `Row security hides rows of ${some(secured)} from the snapshot, though not from the stream`, `ALTER ROLE current_user BYPASSRLS, or: ${secured.map(table => `ALTER TABLE ${qualified(table)} DISABLE ROW LEVEL SECURITY;`).join(' ')}`);
  },
  async ({ query, config }) => {
    const patterns = config['table.include.list'] ?? [];
    if (patterns.length === 0) return [];
    const unlogged = (await query("SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND c.relpersistence = 'u'")).filter(([schema, table]) => patterns.some(pattern => !fitsNothing(pattern, [`${schema}.${table}`])));
    return unlogged.length === 0 ? [] : found('POSTGRES_TABLE_UNLOGGED', 'warning', 'table.include.list', `${unlogged.map(row => row.join('.')).join(', ')} are unlogged, and have no changes in the WAL`, unlogged.map(([schema, table]) => `ALTER TABLE ${identifier(schema ?? '')}.${identifier(table ?? '')} SET LOGGED;`).join(' '));
  },
  async ({ query, config }) => {
    const patterns = config['table.include.list'] ?? [];
    const views = (await query("SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')")).filter(([schema, table]) => patterns.some(pattern => pattern === `${schema}.${table}`));
    return views.length === 0 ? [] : found('POSTGRES_NOT_A_TABLE', 'warning', 'table.include.list', `${views.map(row => row.join('.')).join(', ')} are views or foreign tables, which have no changes`, 'Name the tables behind them.');
  },
  async ({ tables, version }) => {
    const generated = tables.filter(({ columns }) => columns.some(column => column.generated));
    return generated.length === 0 || version >= 180_000 ? [] : found('POSTGRES_GENERATED_COLUMNS', 'warning', 'table.include.list', `Generated columns of ${some(generated)} are in the snapshot and not in the stream`, 'Leave them out by column.exclude.list.');
  },
  async ({ config, tables }) => {
    const wrong = (config['message.key.columns'] ?? '').split(';').filter(part => part.includes(':')).flatMap(part => {
      const colon = part.lastIndexOf(':');
      const columns = part.slice(colon + 1).split(',').map(column => column.trim());
      return tables.filter(table => !fitsNothing(part.slice(0, colon).trim(), [nameOf(table)])).flatMap(table => columns.filter(name => !table.columns.some(column => column.name === name)).map(name => `${nameOf(table)}.${name}`));
    });
    return wrong.length === 0 ? [] : found('POSTGRES_KEY_COLUMN', 'error', 'message.key.columns', `There is no column ${wrong.join(', ')}`, 'Correct message.key.columns.');
  },
  async ({ query, config, user }) => {
    const name = config['signal.data.collection']?.[0];
    if (name === undefined) return [];
    const [schema = '', table = ''] = name.split('.').slice(-2);
    const regclass = `${identifier(schema)}.${identifier(table)}`;
    const make = `CREATE TABLE ${regclass} (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048));`;
    const [row] = await query(`SELECT c.oid, (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), has_table_privilege(c.oid, 'INSERT') FROM pg_class c WHERE c.oid = to_regclass(${literal(regclass)})`);
    if (row === undefined) return found('POSTGRES_SIGNAL_TABLE', 'error', 'signal.data.collection', `There is no table ${name}`, make);
    if (Number(row[1]) !== 3) return found('POSTGRES_SIGNAL_COLUMNS', 'error', 'signal.data.collection', `Table ${name} has to have the three columns id, type and data`, `DROP TABLE ${regclass}; ${make}`);
    return row[2] === 't' || config['read.only'] ? [] : found('POSTGRES_SIGNAL_INSERT', 'error', 'signal.data.collection', `Role '${user}' may not write to ${name}`, `GRANT INSERT, DELETE ON ${regclass} TO ${identifier(user)};`);
  },
  async ({ config, version }) => (config['read.only'] && version < 130_000 ? found('POSTGRES_READ_ONLY', 'error', 'read.only', 'Incremental snapshots without a signal table need version 13 or later', 'Set read.only=false and signal.data.collection.') : []),
];
