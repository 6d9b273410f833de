/** The pages say what the program says: the reference is current, links lead somewhere, metrics and commands exist. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { metricTexts } from '../rest/metric-texts.ts';
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
