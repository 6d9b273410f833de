/** What a user reads whose database is not ready for change data capture, or whose tables do not fit the sink: what is missing and the statement that mends it; with it, everything goes on. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../kit/condition.ts';
import { temporaryDirectory, type TemporaryDirectory } from '../kit/directories.ts';
import { openLakeReader } from '../kit/lake-reader.ts';
import { type PostgresServer, startPostgres } from '../kit/postgres.ts';
import { type RunningWorker, startWorker } from '../kit/worker.ts';

type Config = Readonly<Record<string, string>>;
interface TaskStatus { readonly state: string; readonly trace?: string }

let logical: PostgresServer, replica: PostgresServer, home: TemporaryDirectory, worker: RunningWorker;
beforeAll(async () => {
  [logical, replica] = await Promise.all([startPostgres({ version: 17 }), startPostgres({ version: 17, settings: { wal_level: 'replica' } })]);
  home = temporaryDirectory();
  worker = await startWorker({ directory: home.path, properties: { 'log.dir': join(home.path, 'log') }, connectors: [] });
  await logical.sql(`CREATE TABLE shop (id int PRIMARY KEY, name text); INSERT INTO shop VALUES (1, 'a'), (2, 'b');
    CREATE TABLE keyless (id int, name text); INSERT INTO keyless VALUES (1, 'a'), (2, 'b');
    CREATE ROLE blind LOGIN REPLICATION PASSWORD 'blind'; CREATE ROLE still LOGIN PASSWORD 'still'; GRANT SELECT ON shop TO still;
    CREATE PUBLICATION ready FOR TABLE shop`);
  await replica.sql('CREATE TABLE shop (id int PRIMARY KEY)');
});
afterAll(async () => { await worker?.stop(); home?.[Symbol.dispose](); await logical?.[Symbol.asyncDispose](); await replica?.[Symbol.asyncDispose](); });

const source = (name: string, server: PostgresServer, more: Config): Config => ({
  name, 'connector.class': 'postgres', 'database.hostname': server.host, 'database.port': String(server.port), 'database.user': server.user, 'database.password': server.password,
  'database.dbname': 'postgres', 'topic.prefix': name, 'slot.name': name, 'plugin.name': 'pgoutput', 'publication.name': 'ready', 'publication.autocreate.mode': 'disabled', ...more,
});
const send = async (method: string, path: string, body?: unknown): Promise<unknown> => {
  const answer = await fetch(`${worker.rest}${path}`, { method, ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }) });
  return (answer.headers.get('content-type') ?? '').includes('json') ? answer.json() : answer.text();
};
async function inState(name: string, state: string): Promise<TaskStatus> {
  let status: TaskStatus = { state: 'unknown' };
  try {
    return await until(`${name} to be ${state}`, async () => {
      status = await send('GET', `/connectors/${name}/tasks/0/status`) as TaskStatus;
      return status.state === state && status;
    });
  } catch (error) { throw new Error(`${(error as Error).message}, it is ${JSON.stringify(status)}\n${worker.output().slice(-2000)}`, { cause: error }); }
}
/** Messages of `config/validate` at an option. */
async function said(config: Config, option: string): Promise<string> {
  const { configs } = await send('PUT', '/connector-plugins/PostgresConnector/config/validate', config) as { readonly configs: readonly { readonly value: { readonly name: string; readonly errors: readonly string[] } }[] };
  return configs.filter(({ value }) => value.name === option).flatMap(({ value }) => value.errors).join('\n');
}
const put = (config: Config): Promise<unknown> => send('PUT', `/connectors/${config['name'] ?? ''}/config`, config);
/** What no connector can start with is refused when it is made, and nothing is kept of it. */
async function refused(config: Config, ...parts: readonly RegExp[]): Promise<void> {
  const { error_code: status, message } = await put(config) as { readonly error_code: number; readonly message: string };
  expect(status).toBe(400);
  for (const part of parts) expect(message).toMatch(part);
  expect(message).not.toMatch(/^\s+at /m);
  expect(await send('GET', '/connectors')).not.toContain(config['name']);
}
async function recordsOf(name: string): Promise<void> {
  await until('records of both rows', async () => {
    const text = await (await fetch(`${worker.rest}/metrics`)).text();
    return new RegExp(`^tributary_source_records_total\\{connector="${name}",task="0"\\} [1-9]`, 'm').test(text);
  });
}

test('a server without logical WAL', async () => {
  const config = source('walless', replica, { 'publication.autocreate.mode': 'filtered', 'table.include.list': 'public.shop' });
  expect(await said(config, 'database.hostname')).toMatch(/wal_level is not logical.*\[POSTGRES_WAL_LEVEL\] ALTER SYSTEM SET wal_level = 'logical'; then restart the server\./);
  await refused(config, /wal_level is not logical/, /ALTER SYSTEM SET wal_level = 'logical'/);
});

test('a role that may not replicate', async () => {
  const config = source('still', logical, { 'database.user': 'still', 'database.password': 'still', 'table.include.list': 'public.shop' });
  expect(await said(config, 'database.user')).toMatch(/Role 'still' may not replicate.*\[POSTGRES_ROLE_REPLICATION\] ALTER ROLE "still" REPLICATION;/);
  await refused(config, /may not replicate/, /ALTER ROLE "?still"? (WITH )?REPLICATION/);
  await logical.sql('ALTER ROLE still REPLICATION');
  await put(config);
  await recordsOf('still');
});

test('a role that may not read a table', async () => {
  const config = source('blind', logical, { 'database.user': 'blind', 'database.password': 'blind', 'table.include.list': 'public.shop' });
  expect(await said(config, 'table.include.list')).toMatch(/GRANT SELECT ON (TABLE )?"?public"?\."?shop"? TO "?blind"?/);
  await put(config);
  const { trace } = await inState('blind', 'FAILED');
  expect(trace).toMatch(/shop/);
  expect(trace).toMatch(/GRANT SELECT/);
  expect(trace).not.toMatch(/^\s+at /m);
  await logical.sql('GRANT SELECT ON shop TO blind');
  await send('POST', '/connectors/blind/restart?includeTasks=true&onlyFailed=true');
  await recordsOf('blind');
});

test('a table without a key: an upsert sink says so and loses nothing, an append sink takes it', async () => {
  const sink = { 'name': 'keyless-lake', 'connector.class': 'delta', 'topics': 'keyless.public.keyless', 'warehouse': join(home.path, 'lake'), 'commit.interval.ms': '200' };
  await send('PUT', '/connectors/keyless/config', source('keyless', logical, { 'publication.name': 'keyless', 'publication.autocreate.mode': 'filtered', 'table.include.list': 'public.keyless' }));
  await send('PUT', '/connectors/keyless-lake/config', sink);
  const { trace } = await inState('keyless-lake', 'FAILED');
  expect(trace).toMatch(/Records of keyless\.public\.keyless have no key, so table public\.keyless cannot be kept equal to its source \[KEYLESS_TABLE\]/);
  expect(trace).toMatch(/primary key.*message\.key\.columns.*mode=append/);
  await send('PUT', '/connectors/keyless-lake/config', { ...sink, mode: 'append' });
  using reader = await openLakeReader();
  await until('both rows in the table', async () => {
    const rows = await reader.rows(`SELECT id::VARCHAR, name FROM ${reader.scan('delta', join(home.path, 'lake/public/keyless'))} t ORDER BY t.id`).catch(() => []);
    return JSON.stringify(rows) === '[["1","a"],["2","b"]]';
  });
});
