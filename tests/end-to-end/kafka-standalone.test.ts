/**
 * A standalone worker on Kafka: PostgreSQL → topics → an Iceberg table, while the broker is killed, paused and started
 * again and the worker is killed. Judged by Kafka's own Java consumer (nothing lost, order kept per key), by the tools for
 * consumer groups, and by DuckDB's reader of the table.
 */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { until } from '../kit/condition.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { javaMissing } from '../kit/jvm.ts';
import { consumeAll } from '../kit/kafka-consumer.ts';
import { startKafka } from '../kit/kafka.ts';
import { openLakeReader } from '../kit/lake-reader.ts';
import { startPostgres } from '../kit/postgres.ts';
import { type RunningWorker, startWorker } from '../kit/worker.ts';

const PAUSE_MS = process.env['TRIBUTARY_LONG'] === '1' ? 90_000 : 12_000;
interface Envelope { readonly op: string; readonly after: { readonly id: number; readonly n: number } | null; readonly before: { readonly id: number } | null; readonly source: { readonly lsn: number } }

describe.skipIf(javaMissing() !== undefined)('standalone on Kafka', () => {
  test('survives what happens to broker and worker: nothing lost, order kept, the table equals the source', async () => {
    await using postgres = await startPostgres({ version: 17 });
    await using kafka = await startKafka();
    using home = temporaryDirectory('kafka-standalone-');
    using lake = await openLakeReader();
    const [broker] = kafka.brokers;
    await postgres.sql('CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL); INSERT INTO items SELECT i, 0 FROM generate_series(1, 2000) i');
    const source = { name: 'shop', 'connector.class': 'io.debezium.connector.postgresql.PostgresConnector', 'database.hostname': postgres.host, 'database.port': String(postgres.port), 'database.user': postgres.user, 'database.password': postgres.password, 'database.dbname': 'postgres', 'topic.prefix': 'shop', 'table.include.list': 'public.items', 'slot.name': 'shop', 'plugin.name': 'pgoutput', 'producer.override.compression.type': 'lz4', 'topic.creation.default.replication.factor': '1', 'topic.creation.default.partitions': '3' };
    const sink = { name: 'lake', 'connector.class': 'iceberg', topics: 'shop.public.items', warehouse: join(home.path, 'lake'), 'commit.interval.ms': '1000' };
    const start = (): Promise<RunningWorker> => startWorker({ directory: home.path, connectors: [source, sink], properties: { 'bootstrap.servers': kafka.bootstrap, 'log.dir': join(home.path, 'state'), 'offset.storage.file.filename': join(home.path, 'offsets') } });
    let worker = await start();
    try {
      expect(await (await fetch(`${worker.rest}/`)).json()).toMatchObject({ kafka_cluster_id: kafka.id });
      let round = 0;
      const changes = async (): Promise<void> => {
        round++;
        await postgres.sql(`UPDATE items SET n = ${round} WHERE id % 7 = ${round}; DELETE FROM items WHERE id = ${round * 10}; INSERT INTO items VALUES (${10_000 + round}, ${round})`);
      };
      const table = lake.scan('iceberg', join(home.path, 'lake', 'public', 'items'));
      const equal = (what: string): Promise<unknown> => until(`the table to equal the source ${what}`, async () => {
        const expected = (await postgres.sql('SELECT id::text, n::text FROM items ORDER BY items.id')).rows.map((row: { id: string; n: string }) => [row.id, row.n]);
        return lake.rows(`SELECT id, n FROM ${table} ORDER BY id`).then(rows => JSON.stringify(rows) === JSON.stringify(expected), () => false);
      }, 60_000);
      await equal('after the snapshot');
      await changes();
      await broker?.kill();
      await changes();
      await broker?.start();
      await equal('after the broker was killed');
      broker?.pause();
      await changes();
      await pause(PAUSE_MS);
      broker?.resume();
      await equal('after the broker was paused');
      await changes();
      await worker.kill();
      await changes();
      worker = await start();
      await equal('after the worker was killed');

      const records = await consumeAll(kafka, 'shop.public.items', { idleMs: 3_000 });
      const last = new Map<string, { readonly lsn: number; readonly n: number | null }>();
      for (const { key, value } of records) {
        if (key === null || value === null) continue;
        const { payload: { after, source: { lsn } } } = JSON.parse(value) as { readonly payload: Envelope };
        expect(lsn, `order of key ${key}`).toBeGreaterThanOrEqual(last.get(key)?.lsn ?? 0);
        last.set(key, { lsn, n: after?.n ?? null });
      }
      const live = [...last].flatMap(([key, { n }]) => (n === null ? [] : [[(JSON.parse(key) as { readonly payload: { readonly id: number } }).payload.id, n]])).sort(([a = 0], [b = 0]) => a - b);
      expect(live).toEqual((await postgres.sql('SELECT id, n FROM items ORDER BY id')).rows.map((row: { id: number; n: number }) => [row.id, row.n]));
      expect(new Set(records.map(({ partition }) => partition)).size).toBe(3);
      const groups = await kafka.java('org.apache.kafka.tools.consumer.group.ConsumerGroupCommand', ['--bootstrap-server', kafka.bootstrap, '--describe', '--group', 'connect-lake']);
      const lags = [...groups.matchAll(/^connect-lake\s+shop\.public\.items\s+\d+\s+(\d+)\s+(\d+)\s+(\d+)/gm)].map(([, , , lag]) => Number(lag));
      expect(lags).toEqual([0, 0, 0]);
      expect(await worker.stop()).toBe(0);
    } catch (error) {
      process.stderr.write(worker.output());
      throw error;
    } finally { await worker[Symbol.asyncDispose](); }
  });
});
