/**
 * Every value of a lake table in one canonical form, whichever engine read it: numbers of days, micro- or nanoseconds as
 * text, bytes and UUIDs as hex, floats as JavaScript prints them, members of nested values inside. Null stays null.
 */
import { DuckDBBlobValue, type DuckDBConnection, DuckDBDateValue, DuckDBDecimalValue, DuckDBListValue, DuckDBMapValue, DuckDBStructValue, DuckDBTimestampNanosecondsValue, DuckDBTimestampTZValue, DuckDBTimestampValue, DuckDBTimeValue, DuckDBUUIDValue, type DuckDBValue } from '@duckdb/node-api';
import type { PythonEnvironment } from './python.ts';

export type Canonical = string | null | readonly Canonical[] | { readonly [name: string]: Canonical };
/** Rows of a table by column name, in order of their `id`. */
export type CanonicalRows = readonly Readonly<Record<string, Canonical>>[];

const SCRIPT = `
import sys, json
import pyarrow as pa
def canon(array):
    if isinstance(array, pa.ChunkedArray): return [value for chunk in array.chunks for value in canon(chunk)]
    if isinstance(array, pa.ExtensionArray): array = array.storage
    kind = array.type
    if pa.types.is_dictionary(kind): return canon(array.dictionary_decode())
    if pa.types.is_time64(kind) and kind.unit == 'ns': return canon(array.cast(pa.time64('us')))
    if pa.types.is_timestamp(kind) or pa.types.is_time64(kind): return canon(array.cast(pa.int64()))
    if pa.types.is_date32(kind): return canon(array.cast(pa.int32()))
    if pa.types.is_struct(kind):
        members = [canon(array.field(i)) for i in range(kind.num_fields)]
        valid = array.is_valid().to_pylist()
        return [{kind.field(i).name: members[i][row] for i in range(kind.num_fields)} if valid[row] else None for row in range(len(array))]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        return [None if not cell.is_valid else ([] if cell.values is None else canon(cell.values)) for cell in array]
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind) or str(kind) == 'binary_view':
        return [None if cell.as_py() is None else cell.as_py().hex() for cell in array]
    if pa.types.is_floating(kind): return [None if value is None else {'float': repr(value)} for value in array.to_pylist()]
    if pa.types.is_boolean(kind): return [None if value is None else ('true' if value else 'false') for value in array.to_pylist()]
    return [None if value is None else (format(value, 'f') if pa.types.is_decimal(kind) else str(value)) for value in array.to_pylist()]
def table(found):
    columns = {name: canon(found.column(name)) for name in found.column_names}
    return sorted(({name: values[row] for name, values in columns.items()} for row in range(found.num_rows)), key=lambda row: int(row['id']))
def read(engine, folder):
    if engine == 'pyiceberg' or engine == 'polars iceberg':
        from pyiceberg.table import StaticTable
        version = open(folder + '/metadata/version-hint.text').read()
        static = StaticTable.from_metadata(folder + '/metadata/v' + version + '.metadata.json')
        if engine == 'pyiceberg': return static.scan().to_arrow()
        import polars
        return polars.scan_iceberg(static).collect().to_arrow(compat_level=polars.CompatLevel.oldest())
    if engine == 'delta-rs':
        from deltalake import DeltaTable, QueryBuilder
        return pa.table(QueryBuilder().register('found', DeltaTable(folder)).execute('select * from found').read_all())
    import polars
    return polars.scan_delta(folder).collect().to_arrow(compat_level=polars.CompatLevel.oldest())
print(json.dumps([table(read(engine, folder)) for engine, folder in json.loads(sys.argv[1])]))
`;

type Raw = string | null | readonly Raw[] | { readonly [name: string]: Raw };

/** A table in `folder` as one of the Python engines reads its newest snapshot. */
export interface PythonRead { readonly engine: 'pyiceberg' | 'polars iceberg' | 'delta-rs' | 'polars delta'; readonly folder: string }

/** The answers of several reads, in one process: its start takes longer than a read. */
export function pythonRows(python: PythonEnvironment, reads: readonly PythonRead[]): readonly CanonicalRows[] {
  return (python.run(SCRIPT, [JSON.stringify(reads.map(({ engine, folder }) => [engine, folder]))]) as readonly (readonly Raw[])[]).map(rows => rows.map(row => cooked(row) as Readonly<Record<string, Canonical>>));
}
function cooked(value: Raw): Canonical {
  if (value === null || typeof value === 'string') return value;
  if (Array.isArray(value)) return pairsSorted((value as readonly Raw[]).map(cooked));
  const members = value as { readonly [name: string]: Raw };
  if (typeof members['float'] === 'string' && Object.keys(members).length === 1) return floatText(members['float']);
  return Object.fromEntries(Object.entries(members).map(([name, member]) => [name, cooked(member)]));
}
/** `inf`, `nan` and digits of any engine → as JavaScript prints the number. */
export function floatText(text: string): string {
  const named = /^([+-]?)inf(inity)?$/i.exec(text);
  return named === null ? (/^nan$/i.test(text) ? 'NaN' : String(Number(text))) : `${named[1] === '-' ? '-' : ''}Infinity`;
}
/** Maps come as pairs in any order. */
function pairsSorted(items: readonly Canonical[]): readonly Canonical[] {
  const pairs = items.filter((item): item is { readonly key: string; readonly value: Canonical } => item !== null && typeof item === 'object' && !Array.isArray(item) && 'key' in item && 'value' in item && Object.keys(item).length === 2);
  return items.length > 0 && pairs.length === items.length ? [...pairs].sort((a, b) => (a.key < b.key ? -1 : 1)) : items;
}

/** As DuckDB reads `source`, a table function over the table. */
export async function duckRows(connection: DuckDBConnection, source: string): Promise<CanonicalRows> {
  const reader = await connection.runAndReadAll(`SELECT * FROM ${source} ORDER BY id`);
  const names = reader.columnNames();
  return reader.getRows().map(row => Object.fromEntries(row.map((value, i) => [names[i] ?? '', fromDuck(value)])));
}
function fromDuck(value: DuckDBValue): Canonical {
  if (value === null) return null;
  if (value instanceof DuckDBDateValue) return String(value.days);
  if (value instanceof DuckDBTimeValue || value instanceof DuckDBTimestampValue || value instanceof DuckDBTimestampTZValue) return String(value.micros);
  if (value instanceof DuckDBTimestampNanosecondsValue) return String(value.nanos);
  if (value instanceof DuckDBBlobValue) return Buffer.from(value.bytes).toString('hex');
  if (value instanceof DuckDBUUIDValue) return value.toString().replaceAll('-', '');
  if (value instanceof DuckDBDecimalValue) return value.toString();
  if (value instanceof DuckDBListValue) return value.items.map(fromDuck);
  if (value instanceof DuckDBMapValue) return pairsSorted(value.entries.map(({ key, value: member }) => ({ key: fromDuck(key), value: fromDuck(member) })));
  if (value instanceof DuckDBStructValue) return Object.fromEntries(Object.entries(value.entries).map(([name, member]) => [name, fromDuck(member)]));
  return typeof value === 'number' ? String(value) : String(value);
}
