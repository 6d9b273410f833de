/** The topics that the PostgreSQL source keeps beside its tables', on Kafka and in transactions: heartbeats, transactions, notifications. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestCluster } from '../kit/cluster.ts';
import { until } from '../kit/condition.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { consumeAll } from '../kit/kafka-consumer.ts';
import { type KafkaCluster, startKafka } from '../kit/kafka.ts';
import { type PostgresServer, startPostgres } from '../kit/postgres.ts';

const PLAIN = { 'key.converter': 'org.apache.kafka.connect.json.JsonConverter', 'key.converter.schemas.enable': 'false', 'value.converter': 'org.apache.kafka.connect.json.JsonConverter', 'value.converter.schemas.enable': 'false' };
type Json = Readonly<Record<string, unknown>>;

describe('beside the tables', () => {
  let kafka: KafkaCluster, postgres: PostgresServer, workers: TestCluster;
  const scratch = temporaryDirectory();
  beforeAll(async () => {
    [kafka, postgres] = await Promise.all([startKafka(), startPostgres()]);
    await postgres.sql('CREATE TABLE items (id int PRIMARY KEY, n int); INSERT INTO items VALUES (1, 0)');
    workers = new TestCluster({ bootstrap: kafka.bootstrap, directory: scratch.path, name: 'beside', properties: { 'exactly.once.source.support': 'enabled', ...PLAIN } });
    await workers.start('a');
    const config = {
      'connector.class': 'io.debezium.connector.postgresql.PostgresConnector', 'database.hostname': postgres.host, 'database.port': String(postgres.port), 'database.user': postgres.user, 'database.password': postgres.password, 'database.dbname': 'postgres',
      'topic.prefix': 'shop', 'table.include.list': 'public.items', 'slot.name': 'beside', 'plugin.name': 'pgoutput', 'exactly.once.support': 'required',
      'provide.transaction.metadata': 'true', // Further apart than the consumer's patience, which would never end otherwise.
      'heartbeat.interval.ms': '5000', 'notification.enabled.channels': 'sink', 'notification.sink.topic.name': 'shop.notifications',
    };
    const answer = await workers.ask('POST', '/connectors', { name: 'shop', config });
    expect(answer, JSON.stringify(answer)).toMatchObject({ status: 201 });
    await workers.running(['shop']);
  }, 300_000);
  afterAll(async () => {
    await workers[Symbol.asyncDispose]();
    await Promise.all([kafka[Symbol.asyncDispose](), postgres[Symbol.asyncDispose]()]);
    scratch[Symbol.dispose]();
  });

  /** Keys and values of the committed records, parsed; none while the topic is not there. */
  const records = async (topic: string): Promise<readonly { readonly key: Json; readonly value: Json }[]> => (await consumeAll(kafka, topic, { idleMs: 2_000 }).catch(() => [])).map(({ key, value }) => ({ key: JSON.parse(key ?? 'null') as Json, value: JSON.parse(value ?? 'null') as Json }));
  const ofTable = async (): Promise<readonly Json[]> => (await records('shop.public.items')).map(({ value }) => value);

  test('heartbeats go to their topic while the tables are silent', async () => {
    const found = await until('two heartbeats', async () => { const all = await records('__debezium-heartbeat.shop'); return all.length >= 2 && all; }, 120_000);
    expect(found[0]).toEqual({ key: { serverName: 'shop' }, value: { ts_ms: expect.any(Number) as number } });
    expect(await ofTable()).toHaveLength(1);
  }, 150_000);

  test('a transaction has its beginning and its end in the transaction topic, and its number on each event', async () => {
    await postgres.sql('BEGIN; INSERT INTO items VALUES (2, 0); UPDATE items SET n = 1 WHERE id = 2; COMMIT');
    await until('the two events', async () => (await ofTable()).length === 3, 120_000);
    const events = (await ofTable()).slice(1);
    // The transaction's number and, behind the colon, the position of the event.
    const [number = ''] = String((events[0]?.['transaction'] as Json | undefined)?.['id']).split(':');
    const id = expect.stringMatching(new RegExp(`^${number}:\\d+$`)) as string;
    expect(events.map(event => event['transaction'])).toEqual([1, 2].map(order => ({ id, total_order: order, data_collection_order: order })));
    const found = await until('the end of the transaction', async () => { const all = (await records('shop.transaction')).filter(({ key }) => String(key['id']).startsWith(`${number}:`)); return all.length === 2 && all; }, 120_000);
    expect(found.map(({ value }) => value)).toEqual([
      { status: 'BEGIN', id, event_count: null, data_collections: null, ts_ms: expect.any(Number) as number },
      { status: 'END', id, event_count: 2, data_collections: [{ data_collection: 'public.items', event_count: 2 }], ts_ms: expect.any(Number) as number },
    ]);
  }, 200_000);

  test('notifications of the snapshot go to the topic that is named for them', async () => {
    const found = await until('the end of the snapshot', async () => { const all = await records('shop.notifications'); return all.some(({ value }) => value['type'] === 'COMPLETED') && all; }, 120_000);
    expect(found.map(({ value }) => value['aggregate_type'])).toEqual(found.map(() => 'Initial Snapshot'));
    expect(found.at(0)?.value).toMatchObject({ type: 'STARTED', additional_data: { connector_name: 'shop' } });
  }, 150_000);
});
