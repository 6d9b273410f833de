/**
 * A worker through a bad time, untouched by anybody: its walsender is terminated, the server restarts fast and at once (and
 * with TRIBUTARY_LONG=1 is down for ten minutes), the worker is frozen, the network resets and turns into a black hole. It goes on by itself, says meanwhile when it will try again, and its log has
 * every row once, in order; a large transaction on top takes a bounded amount of memory.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { until } from '../kit/condition.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { startProxy } from '../kit/fault-proxy.ts';
import { startPostgres } from '../kit/postgres.ts';
import { program, startWorker } from '../kit/worker.ts';

const long = process.env['TRIBUTARY_LONG'] === '1';
const BULK = long ? 1_000_000 : 100_000;
const DOWN_MS = 600_000;

test('it heals by itself, and nothing is lost or doubled', async () => {
  await using server = await startPostgres({ version: 17, settings: { wal_sender_timeout: '5s' } });
  await using proxy = await startProxy({ host: server.host, port: server.port });
  using home = temporaryDirectory('heals-');
  await server.sql('CREATE TABLE t (id int PRIMARY KEY, v text)');
  const log = join(home.path, 'log');
  await using worker = await startWorker({
    directory: home.path, properties: { 'log.dir': log, 'log.level': 'warn' },
    connectors: [{ 'name': 'shop', 'connector.class': 'io.debezium.connector.postgresql.PostgresConnector', 'database.hostname': proxy.host, 'database.port': String(proxy.port), 'database.user': server.user, 'database.password': server.password, 'database.dbname': 'postgres', 'topic.prefix': 'cdc', 'plugin.name': 'pgoutput', 'connection.validation.timeout.ms': '3000', 'status.update.interval.ms': '500', 'value.converter': 'org.apache.kafka.connect.json.JsonConverter', 'value.converter.schemas.enable': 'false' }],
  });
  const task = async (): Promise<{ readonly state: string; readonly trace?: string }> => ((await (await fetch(`${worker.rest}/connectors/shop/status`)).json()) as { tasks: { state: string; trace?: string }[] }).tasks[0] ?? { state: 'none' };
  const streams = (): Promise<true> => until('the slot to be read', async () => { try { return (await server.sql("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming' AND application_name = 'Tributary'")).rowCount === 1; } catch { return false; } }, 120_000) as Promise<true>;
  let next = 1;
  const write = async (count = 50): Promise<void> => { await server.sql(`INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(${next}, ${next + count - 1}) g`); next += count; };
  const troubles: readonly (() => Promise<void>)[] = [
    async () => { await server.sql('SELECT pg_terminate_backend(pid) FROM pg_stat_replication'); },
    async () => { await server.stop('fast'); await until('the next attempt in the status', async () => /next one is at 20/.test((await task()).trace ?? '')); expect((await task()).state).toBe('RESTARTING'); await server.start(); },
    async () => { await server.stop('immediate'); await server.start(); },
    // Frozen until the server has given it up: what it then does with its old connections must not count.
    async () => { process.kill(worker.pid, 'SIGSTOP'); await until('the frozen worker to be given up', async () => (await server.sql('SELECT 1 FROM pg_replication_slots WHERE active')).rowCount === 0, 60_000); await write(); process.kill(worker.pid, 'SIGCONT'); },
    ...(long ? [async () => { await server.stop('fast'); await pause(DOWN_MS); expect((await task()).state).toBe('RESTARTING'); await server.start(); }] : []),
    async () => { proxy.reset(); },
    async () => { proxy.hold(); await write(); await until('the dead network to be noticed', async () => (await task()).state === 'RESTARTING', 60_000); proxy.reset(); proxy.release(); },
  ];
  await streams();
  for (const trouble of troubles) {
    await write();
    await trouble();
    await write();
    await streams();
  }
  await write(BULK);
  const end = next - 1;
  const records = (): string[] => spawnSync(process.execPath, [program, 'read', 'cdc.public.t', '--log-dir', log, '--from', '0'], { encoding: 'utf8', maxBuffer: 1 << 30 }).stdout.trim().split('\n');
  const done = async (): Promise<boolean> => { const answer = await fetch(`${worker.rest}/metrics`); return Number(/^tributary_source_records(?:_total)?\{[^}]*\} (\d+)/m.exec(await answer.text())?.[1] ?? 0) >= BULK; };
  await until('the large transaction', done, 300_000);
  let ids: number[] = [];
  await until('every row in the log', () => { ids = records().map(line => (JSON.parse(line) as { after: { id: number } }).after.id); return ids.length >= end; }, 120_000);
  expect(ids.length).toBe(end);
  expect(ids.every((id, i) => id === i + 1)).toBe(true);
  expect((await task()).state).toBe('RUNNING');
  const kilobytes = Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${worker.pid}/status`, 'utf8'))?.[1] ?? 0);
  process.stdout.write(`heals: ${end} rows, RssAnon ${Math.round(kilobytes / 1024)} MB\n`);
  expect(kilobytes).toBeLessThan(400 * 1024);
}, 600_000 + (long ? DOWN_MS : 0));
