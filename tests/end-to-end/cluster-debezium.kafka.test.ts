/**
 * Migration in place with the real Debezium: one connector goes from our workers to a Kafka Connect worker with Debezium's
 * PostgreSQL connector and back, over the same internal topics, slot and publication, while the table is written to.
 */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestCluster } from '../kit/cluster.ts';
import { until } from '../kit/condition.ts';
import { connectPlugin, type ConnectWorker, startConnect } from '../kit/connect.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { consumeAll } from '../kit/kafka-consumer.ts';
import { type KafkaCluster, startKafka } from '../kit/kafka.ts';
import { startWitness, type Witness } from '../kit/kafka-witness.ts';
import { type PostgresServer, startPostgres } from '../kit/postgres.ts';

const DEBEZIUM = 'io.debezium:debezium-connector-postgres:3.6.1.Final';
/** What Debezium 3.6 stores; ours may add one more in the middle of several events of one LSN. */
const OFFSET_KEYS = ['lsn', 'lsn_commit', 'lsn_proc', 'messageType', 'ts_usec', 'txId'];
const FIRST = 200;
const TOPIC = 'cdc.public.items';

interface Change { readonly op: string; readonly before: { readonly id: number } | null; readonly after: { readonly id: number; readonly n: number } | null; readonly source: { readonly lsn: number; readonly txId: number } }
interface Status { readonly connector?: { readonly state: string }; readonly tasks?: readonly { readonly state: string; readonly worker_id: string; readonly trace?: string }[] }

const scratch = temporaryDirectory('debezium-');
let kafka: KafkaCluster, postgres: PostgresServer;
beforeAll(async () => {
  [kafka, postgres] = await Promise.all([startKafka(), startPostgres({ version: 16 })]);
  connectPlugin(join(scratch.path, 'plugins'), 'postgres', [DEBEZIUM]);
}, 600_000);
afterAll(async () => {
  await postgres?.[Symbol.asyncDispose]();
  await kafka?.[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
}, 60_000);

async function get(rest: string, path: string): Promise<unknown> { return (await fetch(`${rest}${path}`, { signal: AbortSignal.timeout(60_000) })).json(); }
const statusOf = (rest: string): Promise<Status> => get(rest, '/connectors/shop/status') as Promise<Status>;
async function runs(rest: string, workerId: string): Promise<void> {
  let last: Status = {};
  await until('the connector to run', async () => {
    last = await statusOf(rest);
    return last.connector?.state === 'RUNNING' && last.tasks?.length === 1 && last.tasks.every(task => task.state === 'RUNNING' && task.worker_id === workerId);
  }, 180_000).catch((error: unknown) => { throw new Error(`${(error as Error).message}: ${JSON.stringify(last)}`, { cause: error }); });
}

/** Inserts one row after the other; every second one is updated later, every seventh deleted, in one transaction with others. */
class Writer {
  private on = true;
  private next = FIRST;
  private readonly over: Promise<void>;
  constructor() { this.over = this.run(); }
  private async run(): Promise<void> {
    while (this.on) {
      const [a, b, c] = [this.next, this.next + 1, this.next + 2];
      await postgres.sql(`BEGIN; INSERT INTO items VALUES (${a}, 0), (${b}, 0), (${c}, 0); UPDATE items SET n = n + 1 WHERE id IN (${a - 3}, ${b - 3}); ${c % 7 === 0 ? `DELETE FROM items WHERE id = ${c - 3};` : ''} COMMIT`);
      this.next += 3;
      await pause(30);
    }
  }
  /** The newest id that is committed. */
  get last(): number { return this.next - 1; }
  async stop(): Promise<void> { this.on = false; await this.over; }
}

const parsed = (values: readonly (string | null)[]): readonly Change[] => values.flatMap(value => (value === null ? [] : [JSON.parse(value) as Change]));
/** Waits until rows that are written from now on have come through; answers the newest id of the time of the call. */
async function streams(writer: Writer, { values }: Witness): Promise<number> {
  const mark = writer.last;
  let looked = 0;
  await until(`row ${mark + 1} in ${TOPIC}`, () => {
    const some = parsed(values.slice(looked)).some(({ op, after }) => op === 'c' && (after?.id ?? 0) > mark);
    looked = values.length;
    return some;
  }, 180_000);
  return mark;
}

/** Every row change of the table's history, once or, between the marks, exactly once; in the order of commits but for repetitions. */
function judge(found: readonly Change[], clean: { readonly from: number; readonly to: number }, last: number): void {
  const inserts = new Map<number, number>();
  for (const { op, after } of found) if (op === 'c' || op === 'r') inserts.set(after?.id ?? -1, (inserts.get(after?.id ?? -1) ?? 0) + 1);
  const missing = Array.from({ length: last }, (_, i) => i + 1).filter(id => !inserts.has(id));
  expect(missing, 'rows that never came').toEqual([]);
  const doubled = [...inserts].filter(([id, count]) => id > clean.from && id <= clean.to && count > 1).map(([id]) => id);
  expect(doubled, 'rows that came twice over clean hand-overs').toEqual([]);
  expect(clean.to - clean.from).toBeGreaterThan(30);
  // What comes again is a run of what came before: after a step back each position was seen already, until it is passed.
  let highest = 0;
  const seen = new Set<string>();
  for (const { op, source: { lsn, txId }, before, after } of found) {
    if (op === 'r') continue;
    const id = `${lsn}/${txId}/${op}/${after?.id ?? before?.id ?? -1}`;
    if (lsn < highest) expect(seen.has(id), `${id} behind ${highest}, for the first time`).toBe(true);
    highest = Math.max(highest, lsn);
    seen.add(id);
  }
}

describe('a PostgreSQL connector', () => {
  test('goes from ours to Debezium in Kafka Connect and back, after clean ends and after kills: no gap, no double over the clean ones', async () => {
    await postgres.sql(`CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL); ALTER TABLE items REPLICA IDENTITY FULL; INSERT INTO items SELECT i, 0 FROM generate_series(1, ${FIRST - 1}) i`);
    await using cluster = new TestCluster({ bootstrap: kafka.bootstrap, directory: join(scratch.path, 'ours'), name: 'shop', properties: { 'plugin.path': join(scratch.path, 'plugins'), 'key.converter': 'org.apache.kafka.connect.json.JsonConverter', 'key.converter.schemas.enable': 'false', 'value.converter': 'org.apache.kafka.connect.json.JsonConverter', 'value.converter.schemas.enable': 'false', 'rest.mask.passwords': 'false' } });
    const connect = (name: string): Promise<ConnectWorker> => startConnect(kafka, join(scratch.path, name), { ...cluster.properties, 'offset.flush.interval.ms': '500' });
    const config = {
      'connector.class': 'io.debezium.connector.postgresql.PostgresConnector', 'tasks.max': '1', 'plugin.name': 'pgoutput', 'topic.prefix': 'cdc', 'table.include.list': 'public.items', 'slot.name': 'shop', 'publication.autocreate.mode': 'filtered',
      'database.hostname': postgres.host, 'database.port': String(postgres.port), 'database.user': postgres.user, 'database.password': postgres.password, 'database.dbname': 'postgres', 'topic.creation.default.replication.factor': '1', 'topic.creation.default.partitions': '1',
    };
    const offsets = async (rest: string): Promise<{ readonly partition: object; readonly offset: Readonly<Record<string, unknown>> }> => {
      const [found = { partition: {}, offset: {} }] = ((await get(rest, '/connectors/shop/offsets')) as { readonly offsets: readonly { readonly partition: object; readonly offset: Readonly<Record<string, unknown>> }[] }).offsets;
      return found;
    };
    // Ours begins: snapshot, slot and publication are made here.
    await cluster.start('a');
    expect((await cluster.ask('POST', '/connectors', { name: 'shop', config })).status).toBe(201);
    await runs(cluster.rest('a'), cluster.workerId('a'));
    await using witness = await startWitness(kafka, TOPIC);
    const writer = new Writer();
    const kinds: string[] = [];
    try {
      await streams(writer, witness);
      await cluster.kill('a');

      const first = await connect('first');
      let from: number;
      try {
        await runs(first.rest, first.workerId);
        expect(await get(first.rest, '/connectors/shop')).toMatchObject({ name: 'shop', config: { ...config, name: 'shop' }, tasks: [{ connector: 'shop', task: 0 }], type: 'source' });
        from = await streams(writer, witness);
        kinds.push(JSON.stringify((await offsets(first.rest)).partition));
      } finally { await first.stop(); }

      await cluster.start('a');
      await runs(cluster.rest('a'), cluster.workerId('a'));
      await streams(writer, witness);
      const ours = await offsets(cluster.rest('a'));
      kinds.push(JSON.stringify(ours.partition));
      expect(Object.keys(ours.offset).filter(key => !OFFSET_KEYS.includes(key) && key !== 'lsn_events_processed')).toEqual([]);
      expect(await cluster.stop('a'), cluster.logs()).toBe(0);

      const second = await connect('second');
      let to: number;
      try {
        await runs(second.rest, second.workerId);
        to = writer.last;
        const { rows: [{ lsn } = { lsn: '0' }] } = (await postgres.sql("SELECT (pg_current_wal_lsn() - '0/0')::text AS lsn")) as { readonly rows: readonly { readonly lsn: string }[] };
        await streams(writer, witness);
        // What Debezium sent behind its last stored offset comes again after a kill: all up to the mark must be stored.
        await until('the offset to be stored', async () => Number((await offsets(second.rest)).offset['lsn']) > Number(lsn), 120_000);
      } finally { await second[Symbol.asyncDispose](); }

      await cluster.start('a');
      await runs(cluster.rest('a'), cluster.workerId('a'));
      await streams(writer, witness);
      await writer.stop();
      await until('the last row', () => parsed(witness.values).some(({ op, after }) => op === 'c' && after?.id === writer.last), 120_000);
      expect(kinds).toEqual(['{"server":"cdc"}', '{"server":"cdc"}']);
      // The judge is Kafka's own consumer.
      const found = parsed((await consumeAll(kafka, TOPIC, { idleMs: 10_000 })).map(({ value }) => value));
      expect(found.filter(({ op }) => op === 'r')).toHaveLength(FIRST - 1);
      judge(found, { from, to }, writer.last);
      await equal(found);
      expect((await postgres.sql("SELECT slot_name, active FROM pg_replication_slots")).rows).toEqual([{ slot_name: 'shop', active: true }]);
    } finally { await writer.stop(); }
  }, 900_000);
});

/** The records played in their order end in what the table holds. */
async function equal(found: readonly Change[]): Promise<void> {
  const rows = new Map<number, number>();
  for (const { op, before, after } of found) if (op === 'd') rows.delete(before?.id ?? -1); else if (after !== null) rows.set(after.id, after.n);
  const { rows: wanted } = await postgres.sql('SELECT id, n FROM items ORDER BY id');
  expect([...rows].sort(([a], [b]) => a - b)).toEqual((wanted as readonly { readonly id: number; readonly n: number }[]).map(({ id, n }) => [id, n]));
}
