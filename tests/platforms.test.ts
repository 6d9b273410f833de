/** Every native dependency comes ready-made for the platforms that the README names; nothing is compiled on a user's machine. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { projectRoot } from './kit/worker.ts';

interface Package { readonly dev?: boolean; readonly os?: readonly string[]; readonly cpu?: readonly string[]; readonly optionalDependencies?: Readonly<Record<string, string>>; readonly hasInstallScript?: boolean }
const { packages } = JSON.parse(readFileSync(join(projectRoot, 'package-lock.json'), 'utf8')) as { readonly packages: Readonly<Record<string, Package>> };
const at = (parent: string, name: string): Package | undefined => packages[`${parent}/node_modules/${name}`] ?? packages[`node_modules/${name}`];
const fits = ({ os, cpu }: Package, platform: string, processor: string): boolean => (os?.includes(platform) ?? true) && (cpu?.includes(processor) ?? true);

const native = Object.entries(packages).filter(([, { dev }]) => dev !== true).flatMap(([path, { optionalDependencies = {} }]) => {
  const builds = Object.keys(optionalDependencies).flatMap(name => at(path, name) ?? []).filter(({ os, cpu }) => os !== undefined || cpu !== undefined);
  return builds.length === 0 ? [] : [[path.replace('node_modules/', ''), builds] as const];
});

describe.each(native)('%s', (_name, builds) => {
  test.each([['linux', 'x64'], ['linux', 'arm64'], ['darwin', 'x64'], ['darwin', 'arm64']])('is built for %s %s', (platform, processor) => {
    expect(builds.some(build => fits(build, platform, processor))).toBe(true);
  });
});

test('the native dependencies are the known ones', () => {
  expect(native.map(([name]) => name).sort()).toEqual(['@duckdb/node-bindings', '@node-rs/crc32', '@toondepauw/node-zstd', 'lmdb', 'lz4-napi', 'msgpackr-extract', 'snappy']);
});

/** lmdb and msgpackr-extract ask for a build only where no ready one fits. */
test('nothing else runs a script when it is installed', () => {
  expect(Object.entries(packages).filter(([, { dev, hasInstallScript }]) => dev !== true && hasInstallScript === true).map(([path]) => path.replace('node_modules/', '')).sort()).toEqual(['lmdb', 'msgpackr-extract']);
});
