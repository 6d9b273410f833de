/** Several tasks of one sink: they divide what there is to read, begin anew together when their number changes, and lose and double nothing. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestCluster } from '../kit/cluster.ts';
import { until } from '../kit/condition.ts';
import { startConnect } from '../kit/connect.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { type KafkaCluster, startKafka } from '../kit/kafka.ts';
import { openLakeReader } from '../kit/lake-reader.ts';

const scratch = temporaryDirectory('tasks-');
let kafka: KafkaCluster;
beforeAll(async () => { kafka = await startKafka(); }, 300_000);
afterAll(async () => {
  await kafka?.[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
}, 60_000);

const strings = { 'key.converter': 'org.apache.kafka.connect.storage.StringConverter', 'value.converter': 'org.apache.kafka.connect.storage.StringConverter' };

async function withProducer(work: (send: (topic: string, messages: readonly { readonly key: string; readonly value: string }[]) => Promise<unknown>) => Promise<void>): Promise<void> {
  const producer = new Kafka({ brokers: kafka.bootstrap.split(','), logLevel: logLevel.NOTHING }).producer({ allowAutoTopicCreation: false });
  await producer.connect();
  try { await work((topic, messages) => producer.send({ topic, messages: [...messages] })); } finally { await producer.disconnect(); }
}
const makeTopic = (topic: string, partitions: number): Promise<string> => kafka.java('org.apache.kafka.tools.TopicCommand', ['--bootstrap-server', kafka.bootstrap, '--create', '--topic', topic, '--partitions', String(partitions)]);

describe('the tasks of a file sink', () => {
  test('divide the partitions; three become two and four while records come, and a worker leaves: each record is written once', async () => {
    await makeTopic('divided', 8);
    await using cluster = new TestCluster({ bootstrap: kafka.bootstrap, directory: join(scratch.path, 'divided'), name: 'divided' });
    await cluster.start('a', 'b');
    const file = join(scratch.path, 'divided.txt');
    const config = (tasks: number): Readonly<Record<string, string>> => ({ 'connector.class': 'org.apache.kafka.connect.file.FileStreamSinkConnector', 'tasks.max': String(tasks), topics: 'divided', file, ...strings });
    const tasks = async (): Promise<readonly { readonly id: number; readonly state: string; readonly worker_id: string }[]> => ((await cluster.ask('GET', '/connectors/sink/status')).body as { readonly tasks: readonly { readonly id: number; readonly state: string; readonly worker_id: string }[] }).tasks;
    expect(await cluster.ask('POST', '/connectors', { name: 'sink', config: config(3) })).toMatchObject({ status: 201 });
    await cluster.running(['sink'], 90_000, 3);
    expect((await tasks()).map(({ id }) => id)).toEqual([0, 1, 2]);
    expect(new Set((await tasks()).map(({ worker_id }) => worker_id)).size).toBe(2);
    expect((await cluster.ask('GET', '/connectors/sink/tasks')).body).toHaveLength(3);

    let sent = 0;
    const state = { on: true };
    const sending = withProducer(async send => {
      while (state.on) {
        await send('divided', Array.from({ length: 20 }, () => ({ key: `k${sent % 97}`, value: String(sent++) })));
        await pause(20);
      }
    });
    // A reset of the group's positions would be seen as doubles, a change of shares without an end to the old ones too.
    const lines = (): readonly string[] => (existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : []);
    const passes = async (): Promise<void> => { const mark = sent; await until('what was sent to be written', () => lines().includes(String(mark)), 60_000); };
    try {
      await passes();
      for (const count of [2, 4, 1, 3]) {
        expect((await cluster.ask('PUT', '/connectors/sink/config', config(count))).status).toBe(200);
        await cluster.running(['sink'], 90_000, count);
        await passes();
      }
      expect(await cluster.stop('b')).toBe(0);
      await cluster.running(['sink'], 90_000, 3);
      await passes();
    } finally { state.on = false; await sending; }
    await until('everything to be written', () => new Set(lines()).size === sent, 60_000).catch(() => { /* compared below */ });
    const written = lines().map(Number);
    const counts = new Map<number, number>();
    for (const n of written) counts.set(n, (counts.get(n) ?? 0) + 1);
    expect(Array.from({ length: sent }, (_, n) => n).filter(n => !counts.has(n)), 'lost').toEqual([]);
    expect([...counts].filter(([, count]) => count > 1).map(([n]) => n), `doubled\n${cluster.logs()}`).toEqual([]);
    // Order within a key is kept over all of it.
    const last = new Map<number, number>();
    for (const n of written) { expect(n).toBeGreaterThan(last.get(n % 97) ?? -1); last.set(n % 97, n); }
    expect(cluster.overlaps(), cluster.logs()).toEqual([]);
    expect((await (await fetch(`${cluster.rest('a')}/metrics`)).text())).toMatch(/tributary_task_running\{[^}]*connector="sink"[^}]*task="2"[^}]*\} 1/);

    // Positions are Connect's own: a real worker goes on behind them with as many tasks.
    expect(await cluster.stop('a')).toBe(0);
    await withProducer(async send => { await send('divided', Array.from({ length: 50 }, () => ({ key: 'after', value: String(sent++) }))); });
    await using connect = await startConnect(kafka, join(scratch.path, 'connect'), { ...cluster.properties, 'offset.flush.interval.ms': '500' });
    await until('Connect to have written the rest', () => lines().length === sent, 120_000);
    expect((await (await fetch(`${connect.rest}/connectors/sink/status`)).json() as { readonly tasks: readonly unknown[] }).tasks).toHaveLength(3);
  }, 600_000);
});

describe('the tasks of a table sink', () => {
  test('take whole topics, and no more tasks are made than there are topics', async () => {
    const topics = ['events-a', 'events-b', 'events-c'];
    for (const topic of topics) await makeTopic(topic, 2);
    await using cluster = new TestCluster({ bootstrap: kafka.bootstrap, directory: join(scratch.path, 'tables'), name: 'tables' });
    await cluster.start('a', 'b');
    const lake = join(scratch.path, 'lake');
    expect(await cluster.ask('POST', '/connectors', { name: 'lake', config: { 'connector.class': 'delta', 'tasks.max': '8', topics: topics.join(), warehouse: lake, mode: 'append', 'commit.interval.ms': '500', 'key.converter': strings['key.converter'], 'value.converter': 'org.apache.kafka.connect.json.JsonConverter', 'value.converter.schemas.enable': 'false' } })).toMatchObject({ status: 201 });
    await withProducer(async send => { for (let n = 0; n < 30; n++) for (const topic of topics) await send(topic, [{ key: `k${n}`, value: JSON.stringify({ n, topic }) }]); });
    await cluster.running(['lake'], 90_000, 3);
    using reader = await openLakeReader();
    for (const topic of topics) await until(`the rows of ${topic}`, async () => {
      const rows = await reader.rows(`SELECT n::VARCHAR FROM ${reader.scan('delta', join(lake, topic))} t ORDER BY t.n`).catch(() => []);
      return rows.length >= 30 && rows.map(([n]) => n).join() === Array.from({ length: 30 }, (_, n) => n).join();
    }, 90_000).catch((error: unknown) => { throw new Error(`${(error as Error).message}; ${readdirSync(lake, { recursive: true }).join(' ').slice(0, 2_000)}\n${cluster.logs()}`, { cause: error }); });
    // Each task had its own topic, so nobody ever had to plan a commit again.
    expect(cluster.logs()).not.toContain('commit to be planned again');
    expect(cluster.overlaps()).toEqual([]);
  }, 240_000);
});
