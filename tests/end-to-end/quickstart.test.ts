/** The README's first command as a process of its own: exit status 0 only when both tables equal the source, and a visited server is left as it was. */
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../kit/condition.ts';
import { type PostgresServer, startPostgres } from '../kit/postgres.ts';
import { projectRoot } from '../kit/worker.ts';

const start = [join(projectRoot, 'tests', 'start.mjs'), 'examples/quickstart/run.js'], built = join(projectRoot, '.cache', 'tests', 'examples', 'quickstart', 'run.js');

test('the quickstart ends with every row and value equal, after progress on the snapshot, the pace and the commits', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...start, '--seconds', '8'], { cwd: projectRoot, encoding: 'utf8', timeout: 300_000 });
  expect(`${stdout}${stderr}`).toContain('Every row and every value of the source is in both tables, and nothing else is.');
  expect(stdout.match(/^ {2}equal {4}(iceberg|delta)/gm)).toHaveLength(4);
  expect(stdout).toMatch(/^snapshot .*public\.orders [\d,]+.* rows/m);
  expect(stdout).toMatch(/iceberg +[\d,]+\/s +[\d,]+ behind +lag [\d.]+ s +last commit [\d.]+ s ago/);
  expect(status).toBe(0);
});

test('--help tells the options, a wrong one is refused', () => {
  const run = (...args: string[]) => spawnSync(process.execPath, [...start, ...args], { cwd: projectRoot, encoding: 'utf8', timeout: 120_000 });
  const help = run('--help'), wrong = run('--second', '3'), bad = run('--seconds', 'soon');
  expect([help.status, wrong.status, bad.status]).toEqual([0, 2, 2]);
  expect(help.stdout).toContain('--seconds N');
  expect(wrong.stderr).toMatch(/Unknown option '--second'/);
  expect(bad.stderr).toContain("--seconds needs a whole number from 1, not 'soon'");
});

describe('with DATABASE_URL', () => {
  let server: PostgresServer;
  beforeAll(async () => { server = await startPostgres({ version: 12 }); });
  afterAll(async () => { await server[Symbol.asyncDispose](); });

  /** Runs it as a group of processes, which is what Ctrl-C on a terminal reaches. */
  function quickstart(url: string, ...args: string[]): { readonly ended: Promise<number | null>; output(): string; interrupt(): void } {
    const child = spawn(process.execPath, [built, ...args], { cwd: projectRoot, detached: true, env: { ...process.env, DATABASE_URL: url }, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => { text += chunk.toString(); });
    return { ended: new Promise(resolve => { child.once('close', resolve); }), output: () => text, interrupt: () => { if (child.pid !== undefined) process.kill(-child.pid, 'SIGINT'); } };
  }
  const left = async (): Promise<unknown> => (await server.sql(`SELECT (SELECT count(*)::int FROM pg_database WHERE datname = 'tributary_quickstart') AS databases, (SELECT count(*)::int FROM pg_replication_slots) AS slots, (SELECT count(*)::int FROM pg_publication) AS publications,
    (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type IN ('client backend', 'walsender') AND pid <> pg_backend_pid()) AS connections`)).rows[0];
  const NOTHING = { databases: 0, slots: 0, publications: 0, connections: 0 };

  test('it works in a database of its own and leaves nothing behind', async () => {
    const run = quickstart(server.url, '--seconds', '3');
    expect(await run.ended, run.output()).toBe(0);
    expect(run.output()).toContain(`database tributary_quickstart on ${server.host}:${server.port}`);
    expect(run.output()).toContain('Every row and every value of the source is in both tables');
    expect(await left()).toEqual(NOTHING);
  });

  test('Ctrl-C in the middle leaves nothing behind either', async () => {
    const run = quickstart(server.url, '--seconds', '600');
    await until('the slot to be in use', async () => (await server.sql('SELECT 1 FROM pg_replication_slots WHERE active')).rowCount === 1, 120_000);
    run.interrupt();
    expect(await run.ended, run.output()).toBe(130);
    expect(run.output()).toContain('stopped; its database is gone');
    expect(await left()).toEqual(NOTHING);
  });

  test('it refuses what it cannot have, and touches nothing', async () => {
    const refused = async (url: string): Promise<string> => {
      const run = quickstart(url);
      expect(await run.ended, run.output()).toBe(1);
      expect(run.output()).not.toMatch(/^\s+at /m);
      return run.output();
    };
    expect(await refused('localhost/shop')).toContain('Write postgres://USER:PASSWORD@HOST:PORT/DATABASE.');
    expect(await refused(server.url.replace(':postgres@', ':secret-9131@'))).toMatch(/cannot be reached as postgres: password authentication failed(?![\s\S]*secret-9131)/);
    await server.sql("CREATE ROLE small LOGIN PASSWORD 'small'");
    expect(await refused(server.url.replace('postgres:postgres@', 'small:small@'))).toContain('ALTER ROLE "small" REPLICATION CREATEDB;');
    await server.sql('CREATE DATABASE tributary_quickstart');
    await server.sql('CREATE TABLE kept (id int)', 'tributary_quickstart');
    expect(await refused(server.url)).toMatch(/already has a database tributary_quickstart.*DROP DATABASE/);
    expect((await server.sql('SELECT count(*)::int AS n FROM kept', 'tributary_quickstart')).rows).toEqual([{ n: 0 }]);
    await server.sql('DROP DATABASE tributary_quickstart');
    expect(await left()).toEqual(NOTHING);
  });
});
