/** Each property of Debezium's connector is accepted, and works or is named on the page of differences. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { postgresConfig } from '../../../../connectors/sources/postgres/config.ts';
import { projectRoot } from '../../../kit/worker.ts';

const read = (path: string): string => readFileSync(join(projectRoot, path), 'utf8');
const names = read('tests/connectors/sources/postgres/debezium-properties.txt').split('\n').filter(line => line !== '' && !line.startsWith('#'));
/** What reads options, the declarations aside. */
const sources = ['connectors/sources/postgres', 'connectors/sources/capture'].flatMap(folder => readdirSync(join(projectRoot, folder), { recursive: true, encoding: 'utf8' }).filter(path => path.endsWith('.ts') && !/^config\/(capture|events|server|unlisted|checks)\.ts$/.test(path)).map(path => read(join(folder, path)))).join('\n');
const differences = read('docs/compatibility.md');

/** The families are declared by one name with its pattern in it, as Debezium lists them. */
const isFamily = (name: string): boolean => name.includes('(');
const isRead = (name: string): boolean => sources.includes(`'${name}'`) || sources.includes(`\`${name}\``) || /^(schema|table|column|message\.prefix)\.(include|exclude)\.list$/.test(name);
const isNamed = (name: string): boolean => new RegExp(`\`${name.replaceAll('.', '\\.')}(=[^\`]*)?\``).test(differences);

describe('properties of Debezium', () => {
  it('are the 152 of its version 3.6.1', () => { expect([names.length, new Set(names).size]).toEqual([152, 152]); });
  it.each(names)('%s is declared', name => { expect(Object.keys(postgresConfig.options)).toContain(name); });
  it.each(names.filter(name => !isFamily(name)))('%s works, or stands in docs/compatibility.md', name => { expect(isRead(name) || isNamed(name)).toBe(true); });
  it.each(Object.entries(postgresConfig.options).filter(([, { doc }]) => /^Accepted|without effect/.test(doc)).map(([name]) => name))('%s has no effect, and the page says so', name => { expect(isNamed(name)).toBe(true); });
});
