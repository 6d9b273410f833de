/** reliability.md names the test of each trouble: the files are there, and no kind of trouble is without one. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const page = readFileSync(join(import.meta.dirname, 'reliability.md'), 'utf8');
const named = [...page.matchAll(/\]\(([^)]+)\)/g)].map(([, path = '']) => path);

it('names tests that are there', () => {
  expect(named.filter(path => !existsSync(join(import.meta.dirname, path)))).toEqual([]);
  expect(named.length).toBeGreaterThan(20);
});

it('has a line for each kind of trouble', () => {
  const rows = new Set([...page.matchAll(/^\| (\d+) \|/gm)].map(([, row]) => Number(row)));
  expect([...rows]).toEqual([1, 2, 3, 4, 7, 8, 9, 12, 22, 24, 25, 27]);
});
