/** `tributary doctor` over a real server: findings, mends that mend, exit statuses, JSON, and no secret in what it prints. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { temporaryDirectory } from '../kit/directories.ts';
import { type PostgresServer, startPostgres } from '../kit/postgres.ts';
import { program } from '../kit/worker.ts';

interface Report { readonly file: string; readonly kind: string; readonly findings: readonly { readonly code: string; readonly severity: string; readonly option: string; readonly message: string; readonly mend: string }[] }
const home = temporaryDirectory('doctor-');
const SECRET = 'canary-of-a-password';
let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ version: 17 });
  await server.sql(`CREATE ROLE reader LOGIN PASSWORD '${SECRET}'; CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION pub FOR TABLE t`);
}, 120_000);
afterAll(async () => { await server[Symbol.asyncDispose](); home[Symbol.dispose](); });

function doctor(...args: string[]): { readonly status: number | null; readonly text: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, 'doctor', ...args], { encoding: 'utf8', timeout: 60_000 });
  return { status, text: `${stdout}${stderr}` };
}
const write = (name: string, properties: Readonly<Record<string, string>>): string => {
  const file = join(home.path, name);
  writeFileSync(file, name.endsWith('.json') ? JSON.stringify({ name: properties['name'], config: properties }) : Object.entries(properties).map(([key, value]) => `${key}=${value}\n`).join(''));
  return file;
};
const source = (more: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  'name': 'shop', 'connector.class': 'io.debezium.connector.postgresql.PostgresConnector', 'database.hostname': server.host, 'database.port': String(server.port), 'database.user': 'reader', 'database.password': SECRET,
  'database.dbname': 'postgres', 'topic.prefix': 'cdc', 'plugin.name': 'pgoutput', 'publication.name': 'pub', 'publication.autocreate.mode': 'disabled', 'table.include.list': 'public.t', ...more,
});

test('finds what is wrong, and nothing that hinders once its mends were run', async () => {
  for (const name of ['source.properties', 'source.json']) {
    const { status, text } = doctor('--json', write(name, source()));
    expect(text).not.toContain(SECRET);
    const [report] = JSON.parse(text) as Report[];
    const errors = report?.findings.filter(({ severity }) => severity === 'error') ?? [];
    expect(errors.map(({ code }) => code).sort()).toEqual(['POSTGRES_ROLE_REPLICATION', 'POSTGRES_TABLE_SELECT']);
    expect(status).toBe(1);
    if (name === 'source.json') for (const { mend } of errors) await server.sql(mend);
  }
  const { status, text } = doctor(write('source.properties', source()));
  expect(text).toMatch(/^\S+source\.properties {2}\(connector shop\)\n/);
  expect(text).toMatch(/warning {2}POSTGRES_WAL_UNLIMITED {2}slot\.name\n.*\n\s+ALTER SYSTEM SET max_slot_wal_keep_size/);
  expect(text).toMatch(/0 errors, \d+ warnings/);
  expect(status).toBe(0);
});

test('says so of a login that is refused, a server that is not there, an option that is misspelt', () => {
  const wrong = doctor(write('wrong.properties', source({ 'database.password': `${SECRET}-wrong`, 'slot.nmae': 'x' })));
  expect(wrong.text).toMatch(/POSTGRES_LOGIN/);
  expect(wrong.text).toMatch(/warning {2}OPTION_UNKNOWN {2}slot\.nmae\n.*\n\s+Did you mean slot\.name\?/);
  expect(wrong.text).not.toContain(SECRET);
  expect(wrong.status).toBe(1);
  const nobody = doctor('--json', write('nobody.properties', source({ 'database.port': '1' })));
  expect((JSON.parse(nobody.text) as Report[])[0]?.findings.map(({ code }) => code)).toEqual(['POSTGRES_REFUSED']);
  const invalid = doctor(write('invalid.properties', source({ 'max.batch.size': 'many', 'transforms': 'x' })));
  expect(invalid.text).toMatch(/error {4}CONFIG_INVALID {2}max\.batch\.size/);
  expect(invalid.status).toBe(1);
});

test('looks at sinks and worker files too', () => {
  const worker = write('worker.properties', { 'log.dir': join(home.path, 'log') });
  const sink = write('sink.properties', { 'name': 'lake', 'connector.class': 'iceberg', 'topics': 't', 'warehouse': join(worker, 'below-a-file') });
  const { status, text } = doctor(worker, sink);
  expect(text).toMatch(/worker\.properties {2}\(worker\)\n {2}nothing found/);
  expect(text).toMatch(/error {4}\S+ {2}warehouse/);
  expect(status).toBe(1);
  expect(doctor(write('bad-worker.properties', { 'log.dri': '/tmp' })).text).toMatch(/OPTION_UNKNOWN {2}log\.dri\n.*\n\s+Did you mean log\.dir\?/);
});

test('wrong usage and unreadable files are 2', () => {
  expect(doctor().status).toBe(2);
  const missing = doctor(join(home.path, 'no-such.properties'));
  expect(missing.status).toBe(2);
  expect(missing.text).toMatch(/FILE_UNREADABLE/);
});
