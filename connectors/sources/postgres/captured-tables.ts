/** Which tables are captured, and the schema and encoder of each in its present version. */
import { nameFilter } from '../capture/table-filter.ts';
import type { TableEncoder } from './change.ts';
import type { PostgresConfig } from './config.ts';
import { compileTable } from './encoder.ts';
import type { EncodingOptions } from './encoding-options.ts';
import { literal } from './replication.ts';
import { type CatalogueTable, loadTables, loadTypes, type Query, tableSchema, type TableSchema, type WireColumn } from './schema.ts';
import type { TypeInfo } from './values.ts';

export interface CapturedTable { readonly catalogue: CatalogueTable; readonly schema: TableSchema; readonly encoder: TableEncoder }

const USER_TABLES = "c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')";

export class CapturedTables {
  private readonly query: Query;
  private readonly options: EncodingOptions;
  private types: ReadonlyMap<number, TypeInfo> = new Map();
  readonly captures: (schema: string, table: string) => boolean;

  constructor(query: Query, config: PostgresConfig, options: EncodingOptions) {
    this.query = query;
    this.options = options;
    const schemas = nameFilter({ include: config['schema.include.list'], exclude: config['schema.exclude.list'] });
    const tables = nameFilter({ include: config['table.include.list'], exclude: config['table.exclude.list'] });
    this.captures = (schema, table) => schemas(schema) && tables(`${schema}.${table}`);
  }

  async loadTypes(): Promise<void> { this.types = await loadTypes(this.query); }

  /** All captured tables of the catalogue, by schema and name. */
  async catalogue(): Promise<CatalogueTable[]> {
    return (await loadTables(this.query, USER_TABLES)).filter(({ schema, table }) => this.captures(schema, table));
  }

  /** Schema and encoder for columns as the wire announces them; types that are new since the start are looked up. */
  async describe(catalogue: CatalogueTable, wire: readonly WireColumn[]): Promise<CapturedTable> {
    if (wire.some(({ typeOid }) => !this.types.has(typeOid))) await this.loadTypes();
    const schema = tableSchema(wire, catalogue, this.types, this.options);
    return { catalogue, schema, encoder: compileTable(schema, this.options) };
  }

  /** The catalogue's present view of one table, or a bare one when it is gone already. */
  async find(oid: number, schema: string, table: string): Promise<CatalogueTable> {
    const [found] = await loadTables(this.query, `n.nspname = ${literal(schema)} AND c.relname = ${literal(table)}`);
    return found ?? { oid, schema, table, columns: [], key: [], replicaIdentity: 'd' };
  }
}
