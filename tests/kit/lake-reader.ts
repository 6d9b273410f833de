/**
 * Reads the tables back with an engine that is not ours: DuckDB's own Iceberg and Delta readers. Their extension files
 * come out of the wheels of the same version that pip fetches; without Python, DuckDB's INSTALL fetches them.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance, version } from '@duckdb/node-api';
import { cacheDirectory } from './postgres.ts';

/** In the order in which they load: iceberg needs avro and parquet. */
const EXTENSIONS = ['parquet', 'avro', 'httpfs', 'iceberg', 'delta'] as const;

export interface LakeReader extends Disposable {
  /** For a verdict: `DuckDB 1.5.5 (iceberg_scan, delta_scan)`. */
  readonly name: string;
  readonly connection: DuckDBConnection;
  /** Table function over the newest snapshot of a table's folder, to stand in FROM. */
  scan(format: 'iceberg' | 'delta', folder: string): string;
  /** Rows as arrays of text (null stays null). */
  rows(sql: string): Promise<(string | null)[][]>;
}

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

export async function openLakeReader(): Promise<LakeReader> {
  const release = version().replace(/^v/, '');
  const folder = extensionFiles(release);
  const instance = await DuckDBInstance.create(':memory:', { allow_unsigned_extensions: 'true' });
  const connection = await instance.connect();
  for (const name of EXTENSIONS) {
    const file = folder === undefined ? undefined : join(folder, `${name}.duckdb_extension`);
    if (file !== undefined && existsSync(file)) await connection.run(`LOAD ${quoted(file)}`);
    else await connection.run(`INSTALL ${name}; LOAD ${name};`);
  }
  await connection.run("SET TimeZone='UTC'");
  return {
    name: `DuckDB ${release} (iceberg_scan, delta_scan)`,
    connection,
    scan: (format, path) => (format === 'iceberg' ? `iceberg_scan(${quoted(path)})` : `delta_scan(${quoted(path)})`),
    rows: async sql => (await connection.runAndReadAll(sql)).getRows().map(row => row.map(value => (value === null ? null : String(value)))),
    [Symbol.dispose]: () => { connection.closeSync(); instance.closeSync(); },
  };
}

/** Folder of the extension files, fetched once; undefined where there is no pip or it cannot fetch them. */
function extensionFiles(release: string): string | undefined {
  const folder = join(cacheDirectory(), `duckdb-extensions-${release}`);
  const missing = EXTENSIONS.filter(name => !existsSync(join(folder, `${name}.duckdb_extension`)));
  if (missing.length === 0) return folder;
  mkdirSync(folder, { recursive: true });
  const python = (args: readonly string[]): boolean => spawnSync('python3', args, { cwd: folder, stdio: 'ignore' }).status === 0;
  if (!python(['--version'])) return undefined;
  process.stderr.write(`fetching DuckDB's readers (${missing.join(', ')} ${release})\n`);
  if (!python(['-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary=:all:', '--dest', folder, ...missing.map(name => `duckdb_extension_${name}==${release}`)])) return undefined;
  const unzip = 'import zipfile,glob,os\nfor wheel in glob.glob("*.whl"):\n  archive=zipfile.ZipFile(wheel)\n  for name in archive.namelist():\n    if name.endswith(".duckdb_extension"): open(os.path.basename(name),"wb").write(archive.read(name))\n  archive.close(); os.remove(wheel)\n';
  return python(['-c', unzip]) && readdirSync(folder).length > 0 ? folder : undefined;
}
