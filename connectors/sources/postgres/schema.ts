/** Catalogue → table schemas. A schema is one version of a table: an ALTER TABLE makes another. */
import { envelopeSchema } from '../../../envelopes/change-event.ts';
import { optional, STRING } from '../../../envelopes/logical/schemas.ts';
import type { Field, Schema, StructSchema, Value } from '../../../envelopes/schema.ts';
import { defaultValue } from './default-value.ts';
import type { EncodingOptions } from './encoding-options.ts';
import { sourceSchema } from './source-info.ts';
import { sourceTypeParameters } from './source-type.ts';
import { type ColumnCodec, codecFor, rewritten, type TypeInfo } from './values.ts';

/** Runs one statement; rows of text values. */
export type Query = (sql: string) => Promise<readonly (readonly (string | null)[])[]>;

/** A column as the catalogue has it. */
export interface CatalogueColumn {
  readonly name: string;
  readonly typeOid: number;
  readonly typmod: number;
  readonly notNull: boolean;
  readonly defaultExpression: string | null;
  readonly generated: boolean;
}
export interface CatalogueTable {
  readonly oid: number;
  readonly schema: string;
  readonly table: string;
  readonly columns: readonly CatalogueColumn[];
  /** Names of the primary key, else of the unique index over plain columns that is first by name, INCLUDE columns with it; empty = no key. */
  readonly key: readonly string[];
  readonly replicaIdentity: string;
}

/** One column of the wire, `name` as options adjust it; `codec` undefined = left out of the record. */
export interface TableColumn { readonly name: string; readonly wireName: string; readonly codec: ColumnCodec | undefined; readonly schema: Schema; readonly missing: Value }

export interface TableSchema {
  readonly schema: string;
  readonly table: string;
  readonly topic: string;
  /** In wire order, the order of a RowImage. */
  readonly columns: readonly TableColumn[];
  /** Wire positions of the key columns, in key order. */
  readonly keyPositions: readonly number[];
  /** The key columns, parallel to `keyPositions`: never masked, never left out. */
  readonly keyColumns: readonly TableColumn[];
  /** Last member of the key when several tables share the topic. */
  readonly keyField: string | undefined;
  readonly keySchema: StructSchema | null;
  readonly rowSchema: StructSchema;
  readonly envelope: StructSchema;
}

export async function loadTypes(query: Query): Promise<ReadonlyMap<number, TypeInfo>> {
  const rows = await query(`SELECT t.oid, t.typname, t.typtype, CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END, t.typbasetype, t.typtypmod,
    (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)::text FROM pg_type t`);
  const raw = new Map(rows.map(row => [Number(row[0]), row]));
  const types = new Map<number, TypeInfo>();
  const build = (oid: number): TypeInfo | undefined => {
    const known = types.get(oid);
    const row = raw.get(oid);
    if (known !== undefined || row === undefined) return known;
    const [, name, kind, element, base, typmod, labels] = row;
    const baseType = Number(base) === 0 ? undefined : build(Number(base));
    const type: TypeInfo = {
      oid, name: name ?? '', kind: kind ?? 'b', element: Number(element) === 0 ? undefined : build(Number(element)),
      allowed: labels === null || labels === undefined ? undefined : JSON.parse(labels) as string[],
      base: baseType === undefined ? undefined : { type: baseType, typmod: Number(typmod) },
    };
    types.set(oid, type);
    return type;
  };
  for (const oid of raw.keys()) build(oid);
  return types;
}

/** Tables that satisfy `where` (over `n`, the schema, and `c`, the table), with columns and keys, in one statement. */
export async function loadTables(query: Query, where: string): Promise<CatalogueTable[]> {
  const rows = await query(`SELECT c.oid, n.nspname, c.relname, c.relreplident,
    (SELECT json_agg(json_build_array(a.attname, a.atttypid::bigint, a.atttypmod, a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attgenerated <> '') ORDER BY a.attnum)
       FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)::text,
    (SELECT json_agg(a.attname ORDER BY k.ord) FROM (
        SELECT i.indkey, CASE WHEN i.indisprimary THEN i.indnkeyatts ELSE i.indnatts END AS width FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisunique AND i.indexprs IS NULL
        ORDER BY i.indisprimary DESC, i.indisclustered DESC, x.relname LIMIT 1) i
      CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, ord) JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum WHERE k.ord <= i.width)::text
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${where} ORDER BY n.nspname, c.relname`);
  return rows.map(([oid, schema, table, replicaIdentity, columns, key]) => ({
    oid: Number(oid), schema: schema ?? '', table: table ?? '', replicaIdentity: replicaIdentity ?? 'd',
    columns: (JSON.parse(columns ?? '[]') as [string, number, number, boolean, string | null, boolean][]).map(([name, typeOid, typmod, notNull, defaultExpression, generated]) => ({ name, typeOid, typmod, notNull, defaultExpression, generated })),
    key: key === null || key === undefined ? [] : JSON.parse(key) as string[],
  }));
}

/** A column as the wire announces it. */
export interface WireColumn { readonly name: string; readonly typeOid: number; readonly typmod: number; readonly isKey: boolean }

/** Where the columns were announced: the two give some facts of the source's types differently. */
export type Reading = 'snapshot' | 'stream';

/** Wire columns (their order, names and types rule) with the catalogue's knowledge of optionality, defaults and keys. */
export function tableSchema(wire: readonly WireColumn[], catalogue: CatalogueTable, types: ReadonlyMap<number, TypeInfo>, options: EncodingOptions, reading: Reading): TableSchema {
  const { schema, table } = catalogue;
  const { topic, keyField } = options.topic(schema, table);
  const chosen = chosenKey(options, `${schema}.${table}`, wire);
  const keyNames = chosen.length > 0 ? chosen : catalogue.key;
  const bare = wire.map(column => bareColumn(column, catalogue, types, options));
  const columns = wire.map((column, position) => ruledColumn(column, bare[position] as TableColumn, catalogue, types, options, reading));
  const keyPositions = keyNames.map(name => wire.findIndex(column => column.name === name)).filter(position => position >= 0 && bare[position]?.codec !== undefined);
  const keyColumns = keyPositions.map(position => keyColumn(bare[position] as TableColumn, columns[position]?.codec === undefined && reading === 'stream'));
  const fields = (of: readonly TableColumn[]): Field[] => of.flatMap(column => (column.codec === undefined ? [] : [{ name: column.name, schema: column.schema }]));
  const named = (suffix: string): string => options.schemaName(`${topic}.${suffix}`);
  const rowSchema: StructSchema = { type: 'struct', fields: fields(columns), optional: false, name: named('Value') };
  const keyFields = [...fields(keyColumns), ...(keyField === undefined ? [] : [{ name: keyField.name, schema: STRING }])];
  return {
    schema, table, topic, columns, keyPositions, keyColumns, rowSchema, keyField: keyField?.value,
    keySchema: keyFields.length === 0 ? null : { type: 'struct', fields: keyFields, optional: false, name: named('Key') },
    envelope: envelopeSchema(named('Envelope'), rowSchema, sourceSchema),
  };
}

/** A key column that the row leaves out is optional in the stream, as Debezium has it. */
function keyColumn(column: TableColumn, leftOut: boolean): TableColumn { return leftOut ? { ...column, schema: optional(column.schema) } : column; }

/** message.key.columns: all that fit, in the order of the option; none means the table's own key. */
function chosenKey(options: EncodingOptions, table: string, wire: readonly WireColumn[]): string[] {
  const names = options.keyColumns.filter(rule => rule.table.test(table)).flatMap(rule => rule.columns.flatMap(column => wire.filter(({ name }) => column.test(name)).map(({ name }) => name)));
  return [...new Set(names)];
}

function bareColumn(wire: WireColumn, catalogue: CatalogueTable, types: ReadonlyMap<number, TypeInfo>, options: EncodingOptions): TableColumn {
  const name = options.fieldName(wire.name);
  const type = types.get(wire.typeOid);
  const converted = type === undefined ? undefined : options.converter(`${catalogue.schema}.${catalogue.table}.${wire.name}`, type);
  const codec = converted?.codec ?? (type === undefined ? undefined : codecFor(type, wire.typmod, options));
  if (type === undefined || codec === undefined) return { name, wireName: wire.name, codec: undefined, schema: optional({ type: 'string', optional: true }), missing: null };
  const known = catalogue.columns.find(column => column.name === wire.name);
  const isOptional = converted?.optional === true || !(known?.notNull ?? wire.isKey);
  const fallback = defaultValue(known === undefined || known.generated ? null : known.defaultExpression, type, codec);
  const schema: Schema = { ...codec.schema, optional: isOptional, ...(fallback !== undefined && { default: fallback }) };
  return { name, wireName: wire.name, codec, schema, missing: null };
}

/** The column as it stands in the row: left out, masked, cut or described as the options say. */
function ruledColumn(wire: WireColumn, bare: TableColumn, catalogue: CatalogueTable, types: ReadonlyMap<number, TypeInfo>, options: EncodingOptions, reading: Reading): TableColumn {
  const qualified = `${catalogue.schema}.${catalogue.table}.${wire.name}`;
  const type = types.get(wire.typeOid);
  if (bare.codec === undefined || type === undefined) return bare;
  if (!options.columns.captures(qualified)) return { ...bare, codec: undefined };
  const { codec, parameters } = rewritten(type, wire.typmod, bare.codec, length => options.columns.textRule(qualified, length));
  const known = catalogue.columns.find(column => column.name === wire.name);
  // A column that is masked or cut tells nothing else.
  const described = parameters === undefined && options.columns.describes(qualified, type.name)
    ? sourceTypeParameters({ name: wire.name, type, typmod: wire.typmod, defaultExpression: known?.defaultExpression ?? null }, reading === 'snapshot') : {};
  const all = { ...bare.schema.parameters, ...parameters, ...described };
  return { ...bare, codec, schema: Object.keys(all).length === 0 ? bare.schema : { ...bare.schema, parameters: all } };
}
