/**
 * The road that people are on, over our topics: a worker on Kafka fills them over SASL_SSL, and Spark, Flink and Debezium's
 * JDBC sink in a real Connect worker read them as they read Debezium's. Every table equals the source at the end.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../kit/condition.ts';
import { connectPlugin, startConnect } from '../kit/connect.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { runFlinkSql } from '../kit/flink.ts';
import { javaMissing } from '../kit/jvm.ts';
import { type KafkaCluster, startKafka } from '../kit/kafka.ts';
import { KEY_PASSWORD } from '../kit/kafka-keys.ts';
import { type LakeReader, openLakeReader } from '../kit/lake-reader.ts';
import { type PostgresServer, startPostgres } from '../kit/postgres.ts';
import { runSpark } from '../kit/spark.ts';
import { projectRoot, type RunningWorker, startWorker } from '../kit/worker.ts';

const EVENTS = 200;
const SOURCE = { 'connector.class': 'io.debezium.connector.postgresql.PostgresConnector', 'plugin.name': 'pgoutput', 'table.include.list': 'public.orders', 'decimal.handling.mode': 'string' };
/** Microseconds as a timestamp's text, in the session's UTC. */
const COLUMNS = ['id', 'customer_id', 'product', 'amount', 'updated_at'] as const;

let postgres: PostgresServer, kafka: KafkaCluster, worker: RunningWorker, reader: LakeReader;
const folder = temporaryDirectory('road-');

async function fillOrders(): Promise<void> {
  await postgres.sql('CREATE TABLE orders (id bigint PRIMARY KEY, customer_id int, product text, amount numeric(12,2), updated_at timestamp)');
  await postgres.sql('ALTER TABLE orders REPLICA IDENTITY FULL');
  await postgres.sql("INSERT INTO orders SELECT g, g % 50, 'product ' || g, g * 1.25, timestamp '2026-01-01' + g * interval '1 second' FROM generate_series(1, 500) g");
}
async function changeOrders(): Promise<void> {
  await postgres.sql("UPDATE orders SET amount = amount + 1, product = product || E' \\u00e9 \"quoted\"' WHERE id % 3 = 0");
  await postgres.sql('UPDATE orders SET customer_id = NULL WHERE id % 7 = 0');
  await postgres.sql('DELETE FROM orders WHERE id % 10 = 0');
  await postgres.sql('UPDATE orders SET id = id + 10000 WHERE id % 11 = 0');
  await postgres.sql("INSERT INTO orders SELECT g, 1, NULL, NULL, NULL FROM generate_series(601, 650) g");
  await postgres.sql('DELETE FROM orders WHERE id BETWEEN 601 AND 610');
  await postgres.sql("INSERT INTO orders SELECT g, 2, 'again', 3.5, timestamp '2026-02-01' FROM generate_series(601, 605) g");
}
async function sendEvents(): Promise<void> {
  const producer = new Kafka({ brokers: kafka.bootstrap.split(','), logLevel: logLevel.NOTHING }).producer();
  await producer.connect();
  await producer.send({ topic: 'user-events', messages: Array.from({ length: EVENTS }, (_, i) => ({ value: JSON.stringify({ event_id: i % 4 === 0 ? null : `e${i}`, user_id: `u${i % 9}`, action: 'click', amount: i / 4, event_time: '2026-03-01T10:00:00Z' }) })) });
  await producer.disconnect();
}

const sourceRows = async (server: PostgresServer): Promise<unknown> => (await server.sql(`SELECT id::text, customer_id::text, product, amount::numeric(12,2)::text, updated_at::timestamp(3)::text FROM orders ORDER BY orders.id`)).rows.map(row => COLUMNS.map(name => (row as Record<string, string | null>)[name] ?? null));
const tableRows = (path: string): Promise<(string | null)[][]> => reader.rows(`SELECT id::text, customer_id::text, product, amount::decimal(12,2)::text, rtrim(rtrim(strftime(updated_at::timestamp, '%Y-%m-%d %H:%M:%S.%g'), '0'), '.') FROM ${reader.scan('iceberg', path)} AS found ORDER BY found.id`);

/** Waits as `until` does; a wait in vain says how the worker's connectors are. */
async function untilWorker(what: string, condition: () => Promise<boolean>, limitMs: number): Promise<void> {
  await until(what, condition, limitMs).catch(async (error: unknown) => {
    const status = await fetch(`${worker.rest}/connectors?expand=status`).then(answer => answer.text(), String);
    throw new Error(`${(error as Error).message}\n${status}\n${worker.output().slice(-3000)}`, { cause: error });
  });
}

const secure = (): Record<string, string> => ({
  'bootstrap.servers': kafka.secure('SASL_SSL'), 'security.protocol': 'SASL_SSL', 'sasl.mechanism': 'SCRAM-SHA-512',
  'sasl.jaas.config': 'org.apache.kafka.common.security.scram.ScramLoginModule required username="alice" password="alice-secret";',
  'ssl.truststore.location': kafka.keys.trustJks, 'ssl.truststore.password': KEY_PASSWORD, 'ssl.truststore.type': 'JKS',
});
const sparkEnvironment = (): Record<string, string> => ({
  WAREHOUSE: join(folder.path, 'spark'), CHECKPOINTS: join(folder.path, 'checkpoints'), UNTIL_NOW: '1', KAFKA_MAX_OFFSETS: '400',
  KAFKA_BOOTSTRAP: kafka.secure('SASL_SSL'), KAFKA_USER: 'alice', KAFKA_PASSWORD: 'alice-secret', KAFKA_TRUSTSTORE: kafka.keys.trustJks, KAFKA_TRUSTSTORE_PASSWORD: KEY_PASSWORD,
});

describe.skipIf(javaMissing() !== undefined)('over our topics', () => {
  beforeAll(async () => {
    [postgres, kafka, reader] = await Promise.all([startPostgres(), startKafka({ listeners: ['SASL_SSL'] }), openLakeReader()]);
    await fillOrders();
    const directory = join(folder.path, 'worker');
    mkdirSync(directory);
    const login = { 'database.hostname': postgres.host, 'database.port': String(postgres.port), 'database.user': postgres.user, 'database.password': postgres.password, 'database.dbname': 'postgres' };
    const lake = { 'connector.class': 'iceberg', 'commit.interval.ms': '1000', warehouse: join(folder.path, 'lake') };
    worker = await startWorker({
      directory,
      properties: { ...secure(), 'key.converter.schemas.enable': 'false', 'value.converter.schemas.enable': 'false', 'log.dir': join(directory, 'state') },
      connectors: [
        { name: 'plain', ...SOURCE, ...login, 'topic.prefix': 'cdc', 'slot.name': 'plain', 'publication.name': 'plain' },
        { name: 'schemas', ...SOURCE, ...login, 'topic.prefix': 'typed', 'slot.name': 'typed', 'publication.name': 'typed', 'key.converter': 'org.apache.kafka.connect.json.JsonConverter', 'key.converter.schemas.enable': 'true', 'value.converter': 'org.apache.kafka.connect.json.JsonConverter', 'value.converter.schemas.enable': 'true' },
        { name: 'events', ...lake, topics: 'user-events', mode: 'append', 'table.name.format': 'shop.user_events', transforms: 'some', 'transforms.some.type': 'org.apache.kafka.connect.transforms.Filter', 'transforms.some.predicate': 'noId', predicates: 'noId', 'predicates.noId.type': 'org.tributary.transforms.predicates.FieldIsNull', 'predicates.noId.field': 'event_id' },
        { name: 'orders', ...lake, topics: 'typed.public.orders', 'table.name.format': 'shop.orders', 'key.converter': 'org.apache.kafka.connect.json.JsonConverter', 'key.converter.schemas.enable': 'true', 'value.converter': 'org.apache.kafka.connect.json.JsonConverter', 'value.converter.schemas.enable': 'true' },
      ],
    });
    await untilWorker('both slots to stream', async () => (await postgres.sql('SELECT 1 FROM pg_replication_slots WHERE active')).rows.length === 2, 120_000);
    await changeOrders();
    await sendEvents();
    // Our own sink is the clock: when its table is equal, every record of the last transaction is in its topic.
    const wanted = JSON.stringify(await sourceRows(postgres));
    await untilWorker('our table to equal the source', async () => JSON.stringify(await tableRows(join(folder.path, 'lake/shop/orders')).catch(() => [])) === wanted, 120_000);
    await untilWorker('the other topic to be confirmed', async () => (await postgres.sql("SELECT 1 FROM pg_replication_slots WHERE confirmed_flush_lsn >= (SELECT max(confirmed_flush_lsn) FROM pg_replication_slots)")).rows.length > 0, 60_000);
  }, 400_000);
  afterAll(async () => {
    await worker?.stop();
    await kafka?.[Symbol.asyncDispose]();
    await postgres?.[Symbol.asyncDispose]();
    reader?.[Symbol.dispose]();
    folder[Symbol.dispose]();
  }, 120_000);

  test('Spark merges cdc.public.orders into a table that equals the source', async () => {
    await runSpark(join(projectRoot, 'examples/spark/orders_merge.py'), sparkEnvironment());
    expect(await tableRows(join(folder.path, 'spark/shop/orders'))).toEqual(await sourceRows(postgres));
  });

  test('Spark and our sink append the same events', async () => {
    await runSpark(join(projectRoot, 'examples/spark/user_events.py'), sparkEnvironment());
    const events = (path: string): Promise<(string | null)[][]> => reader.rows(`SELECT event_id, user_id, action, amount::double::text FROM ${reader.scan('iceberg', path)} ORDER BY event_id`);
    const bySpark = await events(join(folder.path, 'spark/shop/user_events'));
    expect(bySpark).toHaveLength(EVENTS - EVENTS / 4);
    await until('our events', async () => (await events(join(folder.path, 'lake/shop/user_events')).catch(() => [])).length === bySpark.length, 60_000);
    expect(await events(join(folder.path, 'lake/shop/user_events'))).toEqual(bySpark);
  });

  test("Flink's debezium-json keeps a table that equals the source", async () => {
    await runFlinkSql(join(projectRoot, 'examples/flink/orders.sql'), { KAFKA_BOOTSTRAP: kafka.bootstrap, WAREHOUSE: `file://${join(folder.path, 'flink')}`, SCAN_BOUNDED_MODE: 'latest-offset' });
    expect(await tableRows(join(folder.path, 'flink/shop/orders_flink'))).toEqual(await sourceRows(postgres));
  });

  test("Debezium's JDBC sink in a real Connect worker applies typed.public.orders to a second PostgreSQL", async () => {
    await using second = await startPostgres();
    const plugins = join(folder.path, 'plugins');
    connectPlugin(plugins, 'jdbc', ['io.debezium:debezium-connector-jdbc:3.5.0.Final']);
    await using connect = await startConnect(kafka, join(folder.path, 'connect'), {
      'bootstrap.servers': kafka.bootstrap, 'group.id': 'road', 'plugin.path': plugins,
      ...Object.fromEntries(['config', 'offset', 'status'].flatMap(kind => [[`${kind}.storage.topic`, `road-${kind}s`], [`${kind}.storage.replication.factor`, '1']])),
    });
    const answer = await fetch(`${connect.rest}/connectors/jdbc/config`, {
      method: 'PUT', headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        'connector.class': 'io.debezium.connector.jdbc.JdbcSinkConnector', topics: 'typed.public.orders', 'connection.url': `jdbc:postgresql://${second.host}:${second.port}/postgres`,
        'connection.username': second.user, 'connection.password': second.password, 'insert.mode': 'upsert', 'delete.enabled': 'true', 'primary.key.mode': 'record_key', 'schema.evolution': 'basic', 'collection.name.format': 'orders',
      }),
    });
    expect(answer.status).toBe(201);
    const wanted = await sourceRows(postgres);
    await until('the second database to equal the first', async () => JSON.stringify(await sourceRows(second).catch(() => [])) === JSON.stringify(wanted), 180_000);
    expect(await sourceRows(second)).toEqual(wanted);
  });
});
