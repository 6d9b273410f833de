/**
 * The worker is killed with SIGKILL at random instants, from the snapshot on, under changes; the database restarts twice.
 * After each kill the slot is compared with the offset that the log holds durably: what the server was told to forget must
 * lie in the log. At the end both tables equal the source, row by row: nothing is lost, nothing is there that should not
 * be. The seed is printed; TRIBUTARY_KILLS and
 * TRIBUTARY_SEED choose others.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { join } from 'node:path';
import pg from 'pg';
import { expect, test } from 'vitest';
import { COMPARED, compareTable, sourceRows } from '../../examples/quickstart/comparison.ts';
import { fill } from '../../examples/quickstart/database.ts';
import { openEmbeddedLog } from '../../runtime/log/embedded/embedded-log.ts';
import { until } from '../kit/condition.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { openLakeReader } from '../kit/lake-reader.ts';
import { type PostgresServer, startPostgres } from '../kit/postgres.ts';
import { type RunningWorker, startWorker } from '../kit/worker.ts';

const kills = Number(process.env['TRIBUTARY_KILLS'] ?? (process.env['TRIBUTARY_LONG'] === '1' ? 200 : 20));
const seed = Number(process.env['TRIBUTARY_SEED'] ?? Date.now() % 1_000_000);

function generator(from: number): () => number {
  let state = from >>> 0;
  return () => { state = Math.imul(state, 1_664_525) + 1_013_904_223 >>> 0; return state / 4_294_967_296; };
}

async function connect(server: PostgresServer): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: server.url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** Transactions without end; when the database goes away it connects anew. */
function changes(server: PostgresServer, random: () => number): { stop(): Promise<number> } {
  let stopped = false, committed = 0;
  const between = (below: number): number => 1 + Math.floor(random() * below);
  const transaction = (): string => {
    const at = between(100_000);
    return `BEGIN;
      INSERT INTO orders SELECT nextval('ids'), 1, 'new', 1.25, 1, repeat('n', ${between(3000)}), clock_timestamp(), NULL FROM generate_series(1, 5);
      UPDATE orders SET amount = amount + 0.01, note = note || 'ü' WHERE id BETWEEN ${at} AND ${at + 20};
      DELETE FROM orders WHERE id BETWEEN ${at + 30} AND ${at + 31};
      UPDATE orders SET id = nextval('ids') WHERE id = ${at + 40};
      UPDATE customers SET balance = balance - 1.25, active = NOT active WHERE id = ${between(10_000)};
      ${random() < 0.05 ? 'ROLLBACK' : 'COMMIT'}`;
  };
  const run = async (): Promise<void> => {
    let client: pg.Client | undefined;
    while (!stopped) {
      try {
        client ??= await connect(server);
        await client.query(transaction());
        committed++;
        await pause(10);
      } catch {
        await client?.end().catch(() => undefined);
        client = undefined;
        await pause(100);
      }
    }
    await client?.end();
  };
  const running = run();
  return { stop: async () => { stopped = true; await running; return committed; } };
}

/**
 * The slot must not stand behind what the log holds: the server forgets what lies before it. False before there is a slot
 * and an offset.
 */
async function slotWithinLog(server: PostgresServer, directory: string): Promise<boolean> {
  const { rows: [slot] } = await server.sql("SELECT confirmed_flush_lsn - '0/0'::pg_lsn AS confirmed FROM pg_replication_slots WHERE slot_name = 'crash'") as { rows: { confirmed: string | null }[] };
  await using log = await openEmbeddedLog(directory, { mode: 'reader' });
  const [stored] = await log.sourceOffsets('shop');
  if (slot?.confirmed == null || stored === undefined) return false;
  const { lsn, lsn_commit: commit = lsn } = stored.offset;
  expect(BigInt(slot.confirmed), `slot ahead of the durable offset ${JSON.stringify(stored.offset, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}`).toBeLessThanOrEqual(BigInt(String(commit)));
  return true;
}

test(`${kills} SIGKILLs and two restarts of the database lose and invent nothing (seed ${seed})`, async () => {
  process.stdout.write(`crash test: seed ${seed}, ${kills} kills\n`);
  const random = generator(seed);
  await using server = await startPostgres({ version: 17 });
  using home = temporaryDirectory('crash-');
  using reader = await openLakeReader();
  const client = await connect(server);
  await fill(client);
  await client.query("CREATE SEQUENCE ids START 1000000");
  const sink = { 'topics': 'cdc.public.orders,cdc.public.customers', 'commit.interval.ms': '300' };
  const options = {
    directory: home.path, properties: { 'log.dir': join(home.path, 'log'), 'log.level': 'warn', 'log.compression': 'zstd' },
    connectors: [
      { 'name': 'shop', 'connector.class': 'io.debezium.connector.postgresql.PostgresConnector', 'database.hostname': server.host, 'database.port': String(server.port), 'database.user': server.user, 'database.password': server.password, 'database.dbname': 'postgres', 'topic.prefix': 'cdc', 'plugin.name': 'pgoutput', 'table.include.list': 'public.orders,public.customers', 'slot.name': 'crash', 'publication.name': 'crash', 'publication.autocreate.mode': 'filtered' },
      { ...sink, 'name': 'ice', 'connector.class': 'iceberg', 'warehouse': join(home.path, 'iceberg') },
      { ...sink, 'name': 'delta', 'connector.class': 'delta', 'warehouse': join(home.path, 'delta') },
    ],
  };
  const workload = changes(server, random);
  let worker: RunningWorker = await startWorker(options);
  let compared = 0;
  try {
    for (let kill = 1; kill <= kills; kill++) {
      await pause(100 + random() * 4500);
      await worker.kill();
      if (await slotWithinLog(server, join(home.path, 'log'))) compared++;
      worker = await startWorker(options);
      if (kill === Math.ceil(kills / 3) || kill === Math.ceil(kills * 2 / 3)) {
        await pause(1500);
        await server.stop(kill < kills / 2 ? 'fast' : 'immediate');
        await pause(1000);
        await server.start();
      }
    }
    expect(await workload.stop()).toBeGreaterThan(kills);
    expect(compared).toBeGreaterThanOrEqual(kills / 2);
    await client.end().catch(() => undefined);
    const fresh = await connect(server);
    const expected = new Map(await Promise.all(COMPARED.map(async table => [table.name, await sourceRows(fresh, table)] as const)));
    await fresh.end();
    let last: string[] = [];
    await until('both tables to equal the source', async () => {
      await pause(1000);
      last = [];
      for (const format of ['iceberg', 'delta'] as const) {
        for (const table of COMPARED) {
          const { differences } = await compareTable(reader, format, join(home.path, format === 'iceberg' ? 'iceberg' : 'delta', 'public', table.name), table, expected.get(table.name) ?? []).catch((error: Error) => ({ differences: [error.message] }));
          last.push(...differences.slice(0, 3).map(line => `${format} ${table.name}: ${line}`));
        }
      }
      return last.length === 0;
    }, 90_000).catch((error: Error) => { throw new Error(`${error.message}\n${last.join('\n')}\n${worker.output().slice(-3000)}`); });
    const status = await (await fetch(`${worker.rest}/connectors?expand=status`)).json() as Record<string, { status: { tasks: { state: string }[] } }>;
    expect(Object.values(status).flatMap(one => one.status.tasks.map(task => task.state))).toEqual(['RUNNING', 'RUNNING', 'RUNNING']);
    expect(await worker.stop()).toBe(0);
    expect(await slotWithinLog(server, join(home.path, 'log'))).toBe(true);
    await using log = await openEmbeddedLog(join(home.path, 'log'), { mode: 'reader' });
    expect((await log.topics()).map(({ name, compression }) => [name, compression])).toEqual([['cdc.public.customers', 'zstd'], ['cdc.public.orders', 'zstd']]);
  } finally { await workload.stop(); await worker[Symbol.asyncDispose](); }
});
