/** Tables of the sinks as engines that we did not write read them: PyIceberg, delta-rs, DuckDB and Polars. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { deltaFormat } from '../../connectors/sinks/delta/table.ts';
import { icebergFormat } from '../../connectors/sinks/iceberg/table.ts';
import type { TableFormat } from '../../connectors/sinks/tables/table.ts';
import { openLakeReader } from '../kit/lake-reader.ts';
import { lakePython } from '../kit/python.ts';
import { type Item, runScenario } from './lake-scenario.ts';

const COMMON = `
import sys, json, polars
plain = lambda value: value if value is None or isinstance(value, (int, float, str, bool, list)) else str(value)
names = ['id', 'name', 'price', 'seen', 'count', 'tags', 'extra']
rows = lambda found: [[plain(row.get(name)) for name in names] for row in sorted(found, key=lambda row: row['id'])]
`;
const ICEBERG = `${COMMON}
from pyiceberg.table import StaticTable
table = StaticTable.from_metadata(sys.argv[1])
print(json.dumps({
  'pyiceberg': rows(table.scan().to_arrow().to_pylist()),
  'pyiceberg filtered': rows(table.scan(row_filter='id >= 5000 and name is not null').to_arrow().to_pylist()),
  'polars': rows(polars.scan_iceberg(table).collect().to_dicts()),
}))
`;
const DELTA = `${COMMON}
from deltalake import DeltaTable, QueryBuilder
import pyarrow
table = DeltaTable(sys.argv[1])
query = lambda where: pyarrow.table(QueryBuilder().register('items', table).execute('select * from items ' + where).read_all()).to_pylist()
print(json.dumps({'delta-rs': rows(query('')), 'delta-rs filtered': rows(query('where id >= 5000 and name is not null')), 'polars': rows(polars.scan_delta(sys.argv[1]).collect().to_dicts())}))
`;

const tables: readonly (readonly [name: string, format: 'iceberg' | 'delta', formatOf: (warehouse: string) => TableFormat])[] = [
  ['Iceberg format version 3', 'iceberg', warehouse => icebergFormat(warehouse)],
  ['Iceberg format version 2', 'iceberg', warehouse => icebergFormat(warehouse, { version: 2 })],
  ['Delta', 'delta', deltaFormat],
];
for (const [name, format, formatOf] of tables) {
  test(`${name} is read as it was written by every reader: updates, deletes, moved keys, new and wider columns, restarts, truncates`, async () => {
    const python = lakePython();
    using duckdb = await openLakeReader();
    // A space in the path, where the readers take one: Polars 2.1.0 does not find a Delta table's files below such a path.
    const warehouse = await mkdtemp(join(tmpdir(), format === 'delta' ? 'lake-readers-' : 'lake readers-'));
    const folder = join(warehouse, 'public', 'items');
    const checked: string[] = [];
    try {
      await runScenario(warehouse, () => formatOf(warehouse), async (expected, hasExtra) => {
        const argument = format === 'delta' ? folder : join(folder, 'metadata', `v${await readFile(join(folder, 'metadata', 'version-hint.text'), 'utf8')}.metadata.json`);
        const seen = python.run(format === 'delta' ? DELTA : ICEBERG, [argument]) as Readonly<Record<string, readonly Item[]>>;
        for (const [reader, rows] of Object.entries(seen)) {
          expect({ reader, rows }).toEqual({ reader, rows: reader.endsWith(' filtered') ? expected.filter(([id, text]) => id >= 5000 && text !== null) : expected });
          checked.push(reader);
        }
        const rows = await duckdb.rows(`SELECT id, name, price, seen, count, array_to_string(list_transform(tags, lambda tag: coalesce(tag, 'null')), ','), ${hasExtra ? 'extra' : 'NULL'} FROM ${duckdb.scan(format, folder)} ORDER BY id`);
        expect(rows).toEqual(expected.map(([id, text, price, at, count, tags, extra]) => [String(id), text, price, at, String(count), tags === null ? null : tags.map(tag => tag ?? 'null').join(','), extra === null ? null : String(extra)]));
        checked.push('duckdb');
      });
      expect(checked.length).toBe(24);
    } finally { await rm(warehouse, { recursive: true, force: true }); }
  });
}
