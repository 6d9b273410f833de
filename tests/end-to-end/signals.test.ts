/** Signals over REST to a running worker, and how far what they ask for has come: the built program, the embedded log, a real server. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../kit/condition.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { startPostgres } from '../kit/postgres.ts';
import { program, startWorker } from '../kit/worker.ts';

const ROWS = 20_000;
interface Progress { readonly incremental_snapshot: { readonly paused: boolean; readonly tables_remaining: number; readonly rows_total: number; readonly rows_done: number; readonly seconds_left: number | null } | null }

test('an incremental snapshot is asked for, paused, seen in the status and finished over REST, without a signal table', async () => {
  await using server = await startPostgres({ version: 17 });
  using home = temporaryDirectory('rest-signals-');
  await server.sql(`CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, ${ROWS}) g; ANALYZE t; CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u SELECT generate_series(1, 10)`);
  const log = join(home.path, 'log');
  await using worker = await startWorker({
    directory: home.path, properties: { 'log.dir': log, 'log.level': 'warn' },
    connectors: [{ 'name': 'shop', 'connector.class': 'postgres', 'database.hostname': server.host, 'database.port': String(server.port), 'database.user': server.user, 'database.password': server.password, 'database.dbname': 'postgres', 'topic.prefix': 'cdc', 'plugin.name': 'pgoutput', 'snapshot.mode': 'no_data', 'signal.poll.interval.ms': '100', 'incremental.snapshot.chunk.size': '50' }],
  });
  const url = `${worker.rest}/connectors/shop`;
  const send = async (type: string, data: object = {}): Promise<number> => (await fetch(`${url}/signals`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ type, data }) })).status;
  const progress = async (): Promise<Progress | undefined> => ((await (await fetch(`${url}/status?progress=true`)).json()) as { tasks: { progress: Progress }[] }).tasks[0]?.progress;
  const metric = async (name: string): Promise<number> => Number(new RegExp(`^tributary_${name}\\{[^}]*\\} (\\S+)`, 'm').exec(await (await fetch(`${worker.rest}/metrics`)).text())?.[1] ?? Number.NaN);
  await until('the stream', async () => (await server.sql('SELECT 1 FROM pg_replication_slots WHERE active')).rowCount === 1);

  expect(await send('execute-snapshot', { 'data-collections': ['public.t'] })).toBe(202);
  expect(await send('pause-snapshot')).toBe(202);
  const paused = await until('the pause', async () => { const one = (await progress())?.incremental_snapshot; return one?.paused === true && one; });
  expect(paused).toMatchObject({ tables_remaining: 1, rows_total: ROWS });
  expect(paused.rows_done).toBeLessThan(ROWS);
  expect(await send('resume-snapshot')).toBe(202);
  const going = await until('a time left', async () => { const one = (await progress())?.incremental_snapshot; return one?.paused === false && one.seconds_left !== null && one.rows_done > paused.rows_done && one; });
  expect(going.seconds_left).toBeGreaterThanOrEqual(0);
  await until('the end', async () => (await metric('incremental_snapshot_rows_done')) === ROWS && (await progress())?.incremental_snapshot === null, 120_000);

  const read = (table = 't'): string[] => spawnSync(process.execPath, [program, 'read', `cdc.public.${table}`, '--log-dir', log, '--from', '0'], { encoding: 'utf8', maxBuffer: 1 << 30 }).stdout.trim().split('\n').filter(line => line !== '');
  await until('all rows in the log', () => read().length === ROWS);
  const ids = read().map(line => (JSON.parse(line) as { payload: { op: string; after: { id: number } } }).payload).filter(({ op }) => op === 'r').map(({ after }) => after.id);
  expect(ids).toEqual(Array.from({ length: ROWS }, (_, i) => i + 1));

  // A signal that the task has and did not come to before it was restarted is not lost.
  expect(await send('execute-snapshot', { 'data-collections': ['public.u'] })).toBe(202);
  expect((await fetch(`${url}/restart?includeTasks=true`, { method: 'POST' })).status).toBe(202);
  await until('the rows of the second table', () => read('u').length >= 10, 120_000);
  expect(read('u').length).toBe(10);

  expect((await fetch(`${url}/stop`, { method: 'PUT' })).status).toBe(204);
  expect(await send('log', { message: 'too late' })).toBe(409);
}, 240_000);
