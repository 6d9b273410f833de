/**
 * What the PostgreSQL source promises about size: very large transactions, very large rows and many tables come complete,
 * once, in order, while the worker's memory stays below 400 MB (a little more for 10,000 tables, and for a row of 100 MB). The worker is the built program, its memory the
 * kernel's own record of the most that it ever had resident (VmHWM). TRIBUTARY_LONG=1 takes the full sizes.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openEmbeddedLog } from '../../runtime/log/embedded/embedded-log.ts';
import type { Log } from '../../runtime/log/log.ts';
import { splitBatch } from '../../runtime/log/record-batch.ts';
import { until } from '../kit/condition.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { type PostgresServer, startPostgres } from '../kit/postgres.ts';
import { type RunningWorker, startWorker } from '../kit/worker.ts';

const long = process.env['TRIBUTARY_LONG'] === '1';
const BAR_KB = 400 * 1024;
const TABLES = long ? 10_000 : 5000;
const never = new AbortController().signal;

let server: PostgresServer;
beforeAll(async () => { server = await startPostgres({ version: 17, settings: { max_wal_size: '8GB', autovacuum: 'off', max_locks_per_transaction: '1024' } }); }, 180_000);
afterAll(async () => { await server[Symbol.asyncDispose](); });

/** Kilobytes that the kernel reports of a process. */
const kilobytes = (pid: number, what: 'VmHWM' | 'RssAnon' | 'RssFile'): number => Number(new RegExp(`${what}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);

function requireBar(title: string, { pid }: RunningWorker, since: number, facts: string, beyondKb = 0): void {
  const peak = kilobytes(pid, 'VmHWM');
  process.stdout.write(`${title}: ${facts}, ${((performance.now() - since) / 1000).toFixed(1)} s, peak ${Math.round(peak / 1024)} MB resident (now ${Math.round(kilobytes(pid, 'RssAnon') / 1024)} MB of its own, ${Math.round(kilobytes(pid, 'RssFile') / 1024)} MB of files)\n`);
  expect(peak).toBeLessThan(BAR_KB + beyondKb);
}

async function start(directory: string, database: string, more: Readonly<Record<string, string>> = {}): Promise<RunningWorker> {
  return startWorker({
    directory, readyMs: 180_000, properties: { 'log.dir': join(directory, 'log'), 'log.level': 'warn' },
    connectors: [{ 'name': 'source', 'connector.class': 'io.debezium.connector.postgresql.PostgresConnector', 'database.hostname': server.host, 'database.port': String(server.port), 'database.user': server.user, 'database.password': server.password, 'database.dbname': database, 'topic.prefix': 'cdc', 'plugin.name': 'pgoutput', 'slot.name': `slot_${database}`, 'value.converter': 'org.apache.kafka.connect.json.JsonConverter', 'value.converter.schemas.enable': 'false', ...more }],
  });
}
/** A slot is active while it is made, too. */
const streams = (database: string): Promise<unknown> => until('the stream', async () => (await server.sql(`SELECT 1 FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid WHERE s.slot_name = 'slot_${database}' AND r.state = 'streaming'`)).rowCount === 1, 120_000);

async function recordsIn(log: Log, topic: string): Promise<number> {
  return await log.topic(topic) === undefined ? 0 : (await log.range({ topic, partition: 0 })).end;
}
/** Waits for that many records and holds each against the beginning of the JSON that it must have. */
async function expectRows(directory: string, topic: string, count: number, beginning: (n: number) => string, bytes = 0): Promise<void> {
  await using log = await openEmbeddedLog(join(directory, 'log'), { mode: 'reader' });
  await until(`${count} records`, async () => await recordsIn(log, topic) >= count, long ? 1_800_000 : 300_000);
  await using reader = await log.reader({ topic, partition: 0 }, 0);
  let n = 0;
  while (reader.position < await recordsIn(log, topic)) {
    for (const batch of await reader.next(4 * 1024 * 1024, 1000, never)) {
      const { buffer, length, valueStart, valueEnd } = splitBatch(batch.bytes);
      for (let i = 0; i < length; i++) {
        const wanted = beginning(++n), at = valueStart[i] ?? 0, end = valueEnd[i] ?? 0;
        if (buffer.toString('latin1', at, at + wanted.length) !== wanted || end - at < bytes) throw new Error(`record ${n} is ${end - at} bytes and begins with ${buffer.toString('latin1', at, at + wanted.length)}, not ${wanted}`);
      }
    }
  }
  expect(n).toBe(count);
}
const inserted = (n: number): string => `{"before":null,"after":{"id":${n},`;
const made = async (database: string, setup: string): Promise<void> => { await server.sql(`CREATE DATABASE ${database}`); await server.sql(setup, database); };

test('1,000,000 rows in one transaction, by COPY and by INSERT, with subtransactions and a SIGKILL in the middle', async () => {
  using home = temporaryDirectory('bars-');
  await made('million', 'CREATE TABLE t (id int PRIMARY KEY, v text)');
  let worker = await start(home.path, 'million');
  try {
    await streams('million');
    const since = performance.now();
    await server.sql(`BEGIN; COPY t (id) FROM PROGRAM 'seq 1 300000'; SAVEPOINT a; INSERT INTO t SELECT g, 'never' FROM generate_series(2000001, 2020000) g; ROLLBACK TO a;
      INSERT INTO t SELECT g, 'a row' FROM generate_series(300001, 700000) g; SAVEPOINT b; INSERT INTO t SELECT g, 'a row' FROM generate_series(700001, 1000000) g; RELEASE b; COMMIT`, 'million');
    await until('a part of it', async () => { await using log = await openEmbeddedLog(join(home.path, 'log'), { mode: 'reader' }); return await recordsIn(log, 'cdc.public.t') > 100_000; }, 120_000);
    await worker.kill();
    worker = await start(home.path, 'million');
    await expectRows(home.path, 'cdc.public.t', 1_000_000, inserted);
    requireBar('1,000,000 rows', worker, since, 'each once');
  } finally { await worker[Symbol.asyncDispose](); }
}, 600_000);

test(`a transaction of ${long ? '5 GB' : '400 MB'}`, async () => {
  using home = temporaryDirectory('bars-');
  const rows = long ? 50_000 : 4000;
  await made('gigabytes', 'CREATE TABLE t (id int PRIMARY KEY, v text STORAGE EXTERNAL)');
  await using worker = await start(home.path, 'gigabytes');
  await streams('gigabytes');
  const since = performance.now();
  await server.sql(`INSERT INTO t SELECT g, repeat(md5(g::text), 3200) FROM generate_series(1, ${rows}) g`, 'gigabytes');
  await expectRows(home.path, 'cdc.public.t', rows, inserted, 102_400);
  requireBar('a large transaction', worker, since, `${rows} rows of 100 kB`);
}, 3_600_000);

test('rows of 20 MB, read by the snapshot and streamed', async () => {
  using home = temporaryDirectory('bars-');
  const rows = long ? 100 : 30;
  await made('large', `CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, repeat('20 megabytes', 1747627) FROM generate_series(1, ${rows}) g`);
  const since = performance.now();
  await using worker = await start(home.path, 'large');
  await streams('large');
  await server.sql(`INSERT INTO t SELECT g, repeat('20 megabytes', 1747627) FROM generate_series(${rows + 1}, ${2 * rows}) g`, 'large');
  await expectRows(home.path, 'cdc.public.t', 2 * rows, inserted, 20_971_520);
  requireBar('large rows', worker, since, `${rows} read and ${rows} streamed, of 20 MB each`);
}, 3_600_000);

test('one row of 100 MB', async () => {
  using home = temporaryDirectory('bars-');
  await made('huge', 'CREATE TABLE t (id int PRIMARY KEY, v text)');
  await using worker = await start(home.path, 'huge');
  await streams('huge');
  const since = performance.now();
  await server.sql(`INSERT INTO t SELECT 1, repeat('100 megabytes ', 7489829)`, 'huge');
  await expectRows(home.path, 'cdc.public.t', 1, inserted, 104_857_600);
  // Beyond the bar by some times the row: it lies in memory as it came, as a record, and as the batch that goes to the log.
  requireBar('one huge row', worker, since, '1 row of 100 MB', 400 * 1024);
}, 600_000);

test(`${TABLES} tables`, async () => {
  using home = temporaryDirectory('bars-');
  const tables = TABLES;
  await made('tables', 'SELECT 1');
  for (let from = 1; from <= tables; from += 1000) await server.sql(`DO $$ BEGIN FOR i IN ${from}..${from + 999} LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, v text)', i); IF i % 2 = 0 THEN EXECUTE format('INSERT INTO t%s VALUES (0, ''read'')', i); END IF; END LOOP; END $$`, 'tables');
  const since = performance.now();
  await using worker = await start(home.path, 'tables', { 'publication.autocreate.mode': 'filtered' });
  const counted = async (): Promise<number> => Number(/^tributary_source_records(?:_total)?\{[^}]*\} (\d+)/m.exec(await (await fetch(`${worker.rest}/metrics`)).text())?.[1] ?? 0);
  await until('the snapshot', async () => await counted() >= tables / 2, 300_000);
  await streams('tables');
  process.stdout.write(`${tables} tables: snapshot after ${((performance.now() - since) / 1000).toFixed(1)} s\n`);
  for (let from = 1; from <= tables; from += 1000) await server.sql(`DO $$ BEGIN FOR i IN ${from}..${from + 999} LOOP EXECUTE format('INSERT INTO t%s VALUES (1, ''streamed'')', i); END LOOP; END $$`, 'tables');
  await until('the rows', async () => await counted() >= tables * 1.5, 300_000);
  // 10,000 of them that all have events take 411 MB: a little more than the bar.
  requireBar(`${tables} tables`, worker, since, `${tables / 2} rows read and ${tables} streamed`, long ? 50 * 1024 : 0);
  expect(performance.now() - since).toBeLessThan(300_000);
  await worker.stop();
  await using log = await openEmbeddedLog(join(home.path, 'log'), { mode: 'reader' });
  for (let i = 1; i <= tables; i += 97) expect(await recordsIn(log, `cdc.public.t${i}`)).toBe(i % 2 === 0 ? 2 : 1);
}, 900_000);
