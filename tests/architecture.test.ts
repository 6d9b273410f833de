/**
 * Who may import whom: the table of docs/architecture.md as data. Any other import, of ours or of a third party's, fails.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, normalize, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

interface Wall {
  /** Files that the wall stands around: the first wall that matches a path holds for it. */
  readonly of: RegExp;
  /** Other files of ours that these may import. Files of the same folder (the match of `of`) always may. */
  readonly ours: readonly RegExp[];
  /** Packages that these may import, node's own modules aside. */
  readonly packages: readonly string[];
  /** Node's own modules. Pure folders have none of those that do I/O. */
  readonly node: 'all' | 'pure';
}

const API = /^runtime\/api\//, ENVELOPES = /^envelopes\//, CAPTURE = /^connectors\/sources\/capture\//, TABLES = /^connectors\/sinks\/tables\//;
/** What others may know of the log: its contract and the encoding of its unit. */
const LOG_CONTRACT = /^runtime\/log\/[^/]+\.ts$/;
const STATE_CONTRACT = /^runtime\/state\//;

const DRIVERS: Readonly<Record<string, readonly string[]>> = { postgres: ['pg'], mysql: ['mysql2'], mongodb: ['mongodb'] };
const LAKE = ['@duckdb/node-api', '@duckdb/node-bindings', 'avsc', '@node-rs/crc32'];

const walls: readonly Wall[] = [
  { of: /^envelopes\//, ours: [], packages: [], node: 'pure' },
  { of: /^runtime\/api\//, ours: [ENVELOPES], packages: [], node: 'pure' },
  { of: /^runtime\/log\/embedded\//, ours: [API, ENVELOPES, LOG_CONTRACT], packages: ['lmdb'], node: 'all' },
  { of: /^runtime\/log\/kafka\//, ours: [API, ENVELOPES, LOG_CONTRACT], packages: ['kafkajs', 'node-forge'], node: 'all' },
  { of: /^runtime\/log\/[^/]+\.ts$/, ours: [API, ENVELOPES], packages: ['lz4-napi', 'snappy', '@toondepauw/node-zstd', '@node-rs/crc32'], node: 'all' },
  { of: /^runtime\/converters\//, ours: [API, ENVELOPES], packages: [], node: 'all' },
  { of: /^runtime\/transforms\//, ours: [API, ENVELOPES], packages: [], node: 'all' },
  { of: /^runtime\/state\//, ours: [API, ENVELOPES, LOG_CONTRACT], packages: [], node: 'all' },
  { of: /^runtime\/pipeline\//, ours: [API, ENVELOPES, LOG_CONTRACT, STATE_CONTRACT], packages: [], node: 'all' },
  { of: /^runtime\/cluster\//, ours: [/^runtime\//, ENVELOPES], packages: ['kafkajs'], node: 'all' },
  { of: /^runtime\/worker\//, ours: [/^runtime\//, ENVELOPES], packages: ['prom-client', 'pino', 'commander'], node: 'all' },
  { of: /^runtime\/[^/]+\.ts$/, ours: [API, ENVELOPES], packages: [], node: 'all' },
  { of: /^connectors\/sources\/capture\//, ours: [API, ENVELOPES], packages: [], node: 'all' },
  { of: /^connectors\/sinks\/tables\//, ours: [API, ENVELOPES], packages: LAKE, node: 'all' },
  { of: /^connectors\/sources\/([^/]+)\//, ours: [CAPTURE, API, ENVELOPES], packages: [], node: 'all' },
  { of: /^connectors\/sinks\/([^/]+)\//, ours: [TABLES, API, ENVELOPES], packages: LAKE, node: 'all' },
  { of: /^connectors\/index\.ts$/, ours: [/^connectors\/(sources|sinks)\/[^/]+\/index\.ts$/, API], packages: [], node: 'pure' },
  { of: /^rest\//, ours: [API, /^runtime\/worker\//], packages: ['fastify', 'prom-client'], node: 'all' },
  { of: /^main\.ts$/, ours: [/./], packages: ['commander', 'pino'], node: 'all' },
];
/** Node modules that reach outside the process. */
const OUTSIDE = new Set(['fs', 'fs/promises', 'net', 'tls', 'http', 'http2', 'https', 'dgram', 'dns', 'child_process', 'worker_threads', 'cluster']);

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const files = ['envelopes', 'runtime', 'connectors', 'rest'].flatMap(folder => readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).filter(path => path.endsWith('.ts')).map(path => `${folder}/${path.split(sep).join('/')}`))
  .concat(readdirSync(root).filter(name => name === 'main.ts'));

/** Every module that a file names: static, dynamic and type imports, and re-exports. */
function importsOf(path: string): string[] {
  const text = readFileSync(join(root, path), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
  return [...text.matchAll(/(?:^|[\n;])\s*(?:import|export)\b[^'";]*?\bfrom\s*'([^']+)'|(?:^|\n)\s*import\s*'([^']+)'|\bimport\(\s*'([^']+)'/g)].map(match => match[1] ?? match[2] ?? match[3] ?? '');
}

function violationsOf(path: string): string[] {
  const wall = walls.find(({ of }) => of.test(path));
  if (wall === undefined) return [`${path} lies in a folder that the table does not know`];
  const inside = wall.of.exec(path)?.[0] ?? '';
  const own = wall.packages.concat(DRIVERS[/^connectors\/sources\/([^/]+)\//.exec(path)?.[1] ?? ''] ?? []);
  return importsOf(path).flatMap(specifier => {
    if (specifier.startsWith('.')) {
      const target = normalize(join(dirname(path), specifier)).split(sep).join('/');
      return target.startsWith(inside) || wall.ours.some(allowed => allowed.test(target)) || wall.of.test(target) && !wall.of.source.includes('[^/]+)') ? [] : [`${path} imports ${target}`];
    }
    const bare = specifier.replace(/^node:/, '');
    if (builtinModules.includes(bare)) return wall.node === 'pure' && OUTSIDE.has(bare) ? [`${path} imports ${specifier}: this folder does no I/O`] : [];
    const name = specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
    return own.includes(name) ? [] : [`${path} imports the package ${name}`];
  });
}

describe('imports', () => {
  it('keep to the table', () => {
    expect(files.length).toBeGreaterThan(50);
    expect(files.flatMap(violationsOf)).toEqual([]);
  });

  it('are found in every form', () => {
    const form = importsOf('connectors/index.ts');
    expect(form).toContain('../runtime/api/plugin.ts');
    expect(form).toContain('./sources/postgres/index.ts');
  });
});
