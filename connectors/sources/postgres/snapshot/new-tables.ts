/**
 * Tables that are captured only since the configuration changed. With a publication of the filtered kind it is the
 * publication that remembers which there were; with any other, the filters of the run before.
 */
import { nameFilter } from '../../capture/table-filter.ts';
import type { PostgresConfig } from '../config.ts';
import { literal } from '../replication.ts';
import type { Query } from '../schema.ts';
import type { SnapshotParts } from '../snapshot.ts';
import { nameOf } from './rounds.ts';

const FILTERS = ['schema.include.list', 'schema.exclude.list', 'table.include.list', 'table.exclude.list'] as const;
type Filters = Readonly<Partial<Record<typeof FILTERS[number], readonly string[]>>>;

/** The filters, to be remembered. */
export function filtersOf(config: PostgresConfig): string {
  return JSON.stringify(Object.fromEntries(FILTERS.flatMap(name => { const value = config[name]; return value === undefined ? [] : [[name, value]]; })));
}

/** Names of those whose rows have to be read; none where the options want none. */
export async function newTables(parts: SnapshotParts, query: Query, remembered: string | undefined): Promise<string[]> {
  const { config, progress } = parts;
  const mode = config['snapshot.mode'];
  const reads = mode === 'configuration_based' ? config['snapshot.mode.configuration.based.snapshot.data'] : mode !== 'no_data' && mode !== 'always';
  if (!reads || config['snapshot.new.tables'] === 'no_data') return [];
  const tables = await parts.list(query);
  const knownBefore = remembered === undefined ? () => true : capturedBy(JSON.parse(remembered) as Filters);
  const publishedBefore = await publishedTables(query, config);
  return tables.filter(table => !progress.isDone(table.oid) && !progress.joining.has(nameOf(table)) && (!knownBefore(table.schema, nameOf(table)) || publishedBefore?.has(table.oid) === false)).map(nameOf);
}

function capturedBy(filters: Filters): (schema: string, name: string) => boolean {
  const schemas = nameFilter({ include: filters['schema.include.list'] ?? [], exclude: filters['schema.exclude.list'] ?? [] });
  const tables = nameFilter({ include: filters['table.include.list'] ?? [], exclude: filters['table.exclude.list'] ?? [] });
  return (schema, name) => schemas(schema) && tables(name);
}

/** Undefined where the publication is not kept in step with the filters. */
async function publishedTables(query: Query, config: PostgresConfig): Promise<ReadonlySet<number> | undefined> {
  if (config['publication.autocreate.mode'] !== 'filtered') return undefined;
  const rows = await query(`SELECT r.prrelid FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE p.pubname = ${literal(config['publication.name'])}`);
  return rows.length === 0 ? undefined : new Set(rows.map(([oid]) => Number(oid)));
}
