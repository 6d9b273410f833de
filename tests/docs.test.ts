/** The pages say what the program says: the reference is current, links lead somewhere, metrics and commands exist. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { connectors } from '../connectors/index.ts';
import { restConfig } from '../rest/config.ts';
import { metricTexts } from '../rest/metric-texts.ts';
import { adminRoutes, mainRoutes } from '../rest/routes.ts';
import { distributedConfig } from '../runtime/cluster/distributed-config.ts';
import { sinkConnectorConfig, sourceConnectorConfig } from '../runtime/worker/connector-config.ts';
import { workerConfig } from '../runtime/worker/worker-config.ts';
import { referencePages } from './docs/pages.ts';
import { projectRoot } from './kit/worker.ts';

const read = (path: string): string => readFileSync(join(projectRoot, path), 'utf8');
const below = (folder: string, ending: string): string[] => readdirSync(join(projectRoot, folder), { recursive: true, encoding: 'utf8' }).filter(path => path.endsWith(ending)).map(path => join(folder, path));

describe('docs/reference', async () => {
  const pages = await referencePages(projectRoot);
  it.each(pages)('$name is current (npm run docs)', ({ name, text }) => { expect(read(`docs/reference/${name}`)).toBe(text); });
  it('has no other pages', () => { expect(readdirSync(join(projectRoot, 'docs/reference')).sort()).toEqual(pages.map(({ name }) => name).sort()); });
});

describe('metrics', () => {
  it('have a text each, and each text a metric', () => {
    const named = [...below('connectors', '.ts'), ...below('runtime', '.ts'), ...below('rest', '.ts')].flatMap(path => [...read(path).matchAll(/metrics\??\.(?:set|add)\('([a-z_]+)'|name: '([a-z_]+)', kind: '|one\('([a-z_]+)', \{/g)].map(match => match[1] ?? match[2] ?? match[3] ?? ''));
    expect([...new Set(named)].sort()).toEqual(Object.keys(metricTexts).sort());
  });
});

/** Anchors that GitHub makes of a page's headings. */
function anchorsOf(path: string): ReadonlySet<string> {
  const headings = [...readFileSync(path, 'utf8').replace(/```[\s\S]*?```/g, '').matchAll(/^#+\s+(.*)$/gm)].map(match => (match[1] ?? '').toLowerCase());
  return new Set(headings.map(heading => heading.replace(/[^\p{L}\p{N}\s_-]/gu, '').trim().replace(/\s/g, '-')));
}

describe('links', () => {
  const pages = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...below('docs', '.md'), ...below('bench', '.md'), ...below('tests', '.md'), ...below('connectors', '.md'), ...below('examples', '.md')];
  it.each(pages)('of %s lead to files and headings that are there', page => {
    const from = dirname(join(projectRoot, page));
    const broken = [...read(page).replace(/```[\s\S]*?```/g, '').matchAll(/\]\(([^)\s]+)\)/g)].flatMap(match => {
      const [path = '', anchor] = (match[1] ?? '').split('#');
      if (/^[a-z]+:/.test(path)) return [];
      const target = path === '' ? join(projectRoot, page) : join(from, decodeURIComponent(path));
      if (!existsSync(target) || relative(projectRoot, target).startsWith('..')) return [match[1]];
      return anchor === undefined || !target.endsWith('.md') || anchorsOf(target).has(anchor) ? [] : [match[1]];
    });
    expect(broken).toEqual([]);
  });
});

it('files and folders that the pages name are there', () => {
  const pages = ['README.md', 'CONTRIBUTING.md', ...below('docs', '.md').filter(path => !path.startsWith('docs/reference'))];
  const missing = pages.flatMap(page => [...read(page).matchAll(/`((?:connectors|runtime|rest|envelopes|tests|bench|examples|docs|docker)\/[\w./-]+)`/g)].map(match => match[1] ?? '').filter(path => !existsSync(join(projectRoot, path)) && !existsSync(join(projectRoot, `${path}.ts`))).map(path => `${page}: ${path}`));
  expect(missing).toEqual([]);
});

describe('what the guides name exists', async () => {
  const guides = ['README.md', ...below('docs', '.md').filter(path => !/^docs\/(reference|decisions)\//.test(path))];
  const text = guides.map(read).join('\n');
  const plugins = await Promise.all(connectors.map(load => load()));
  it('metrics', () => {
    const known = new Set(Object.entries(metricTexts).map(([name, { kind }]) => `tributary_${name}${kind === 'counter' ? '_total' : ''}`));
    expect([...new Set(text.match(/\btributary_[a-z]+_[a-z_]+/g) ?? [])].filter(name => !known.has(name) && !/^tributary_(process|nodejs)_/.test(name))).toEqual([]);
  });
  it('codes of errors', () => {
    // A code that is chosen from several stands in the sources all the same.
    const sources = [...below('connectors', '.ts'), ...below('runtime', '.ts'), ...below('rest', '.ts')].map(read).join('\n');
    const known = { has: (code: string): boolean => sources.includes(`'${code}'`) };
    expect([...new Set(text.match(/`(?:POSTGRES|LOG|ICEBERG|DELTA|FILE|LISTENER)_[A-Z_]+`/g) ?? [])].map(code => code.slice(1, -1)).filter(code => !known.has(code))).toEqual([]);
  });
  it('options in blocks of properties', () => {
    const defs = [workerConfig, distributedConfig, restConfig, sourceConnectorConfig, sinkConnectorConfig, ...plugins.map(({ config }) => config)];
    const known = (key: string): boolean => defs.some(({ options, families }) => key in options || Object.values(options).some(({ aliases }) => aliases.includes(key)) || families.some(family => family.test(key)));
    const keys = [...text.matchAll(/```properties\n([\s\S]*?)```/g)].flatMap(match => [...(match[1] ?? '').matchAll(/(?:^|\s{2,}|\s)([a-z][a-z0-9.]*\.[a-z0-9.]+|name|mode|topics|warehouse|listeners)=/gm)].map(found => found[1] ?? ''));
    expect(keys.length).toBeGreaterThan(10);
    expect(keys.filter(key => !known(key))).toEqual([]);
  });
  it('paths of REST', () => {
    const routes = [...mainRoutes, ...adminRoutes];
    const called = [...text.matchAll(/(?:-X (\w+)\s[^\n]*|curl )\s*\S*?http:\/\/[^/\s]+(\/[^\s"'`)]*)/g)].map(match => ({ method: match[1] ?? 'GET', path: (match[2] ?? '').split('?')[0] ?? '' }));
    expect(called.length).toBeGreaterThan(5);
    const fits = (path: string, route: string): boolean => new RegExp(`^${route.replace(/:\w+/g, '[^/]+')}/?$`).test(path);
    expect(called.filter(({ method, path }) => !routes.some(route => route.method === method && fits(path, route.path)))).toEqual([]);
  });
});
