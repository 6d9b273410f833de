/** Which tables are captured, and the schema and encoder of each in its present version. */
import { anchored, nameFilter } from '../capture/table-filter.ts';
import type { TableEncoder } from './change.ts';
import type { PostgresConfig } from './config.ts';
import { compileTable } from './encoder.ts';
import type { EncodingOptions } from './encoding-options.ts';
import { literal, qualified } from './replication.ts';
import { type CatalogueTable, loadTables, loadTypes, type Query, type Reading, tableSchema, type TableSchema, type WireColumn } from './schema.ts';
import type { TypeInfo } from './values.ts';

export interface CapturedTable { readonly catalogue: CatalogueTable; readonly schema: TableSchema; readonly encoder: TableEncoder }

const USER_TABLES = "c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')";

export class CapturedTables {
  private readonly query: Query;
  private readonly options: EncodingOptions;
  private readonly config: PostgresConfig;
  private types: ReadonlyMap<number, TypeInfo> = new Map();
  readonly captures: (schema: string, table: string) => boolean;

  constructor(query: Query, config: PostgresConfig, options: EncodingOptions) {
    this.query = query;
    this.config = config;
    this.options = options;
    const schemas = nameFilter({ include: config['schema.include.list'] ?? [], exclude: config['schema.exclude.list'] ?? [] });
    const tables = nameFilter({ include: config['table.include.list'] ?? [], exclude: config['table.exclude.list'] ?? [] });
    const signals = new Set(config['signal.data.collection'] ?? []);
    this.captures = (schema, table) => (schemas(schema) && tables(`${schema}.${table}`)) || signals.has(`${schema}.${table}`);
  }

  async loadTypes(): Promise<void> { this.types = await loadTypes(this.query); }

  /** All captured tables of the catalogue, by schema and name. */
  async catalogue(): Promise<CatalogueTable[]> {
    return (await loadTables(this.query, USER_TABLES)).filter(({ schema, table }) => this.captures(schema, table));
  }

  /** The tables that a snapshot reads, in its order: that of table.include.list, else by name; by size where asked. */
  async snapshotTables(): Promise<CatalogueTable[]> {
    const { config } = this;
    const only = (config['snapshot.include.collection.list'] ?? []).map(anchored), order = (config['table.include.list'] ?? []).map(anchored);
    const signals = new Set(config['signal.data.collection'] ?? []);
    const rank = (list: readonly RegExp[], { schema, table }: CatalogueTable): number => { const at = list.findIndex(pattern => pattern.test(`${schema}.${table}`)); return at < 0 ? list.length : at; };
    const tables = (await this.catalogue()).filter(table => (only.length === 0 || rank(only, table) < only.length) && !signals.has(`${table.schema}.${table.table}`));
    tables.sort((a, b) => rank(order, a) - rank(order, b));
    const bySize = config['snapshot.tables.order.by.row.count'];
    if (bySize === 'disabled') return tables;
    const counts = new Map<CatalogueTable, number>();
    for (const table of tables) counts.set(table, Number((await this.query(`SELECT count(*) FROM ${qualified(table)}`))[0]?.[0] ?? 0));
    const sign = bySize === 'ascending' ? 1 : -1;
    return tables.sort((a, b) => sign * ((counts.get(a) ?? 0) - (counts.get(b) ?? 0)));
  }

  /** Schema and encoder for columns as the wire announces them; types that are new since the start are looked up. */
  async describe(catalogue: CatalogueTable, wire: readonly WireColumn[], reading: Reading): Promise<CapturedTable> {
    if (wire.some(({ typeOid }) => !this.types.has(typeOid))) await this.loadTypes();
    const schema = tableSchema(wire, catalogue, this.types, this.options, reading);
    return { catalogue, schema, encoder: compileTable(schema, this.options) };
  }

  /** Name of a type, of a domain that of its base; empty for one that is not known. */
  baseType(oid: number): string {
    let type = this.types.get(oid);
    while (type?.base !== undefined) type = type.base.type;
    return type?.name ?? '';
  }

  /** The catalogue's present view of one table, or a bare one when it is gone already. */
  async find(oid: number, schema: string, table: string): Promise<CatalogueTable> {
    const [found] = await loadTables(this.query, `n.nspname = ${literal(schema)} AND c.relname = ${literal(table)}`);
    return found ?? { oid, schema, table, columns: [], key: [], replicaIdentity: 'd' };
  }
}
