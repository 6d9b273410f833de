/** Migration in place, both ways: a real Kafka Connect worker and ours over the same internal topics, one after the other and side by side. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestCluster } from '../kit/cluster.ts';
import { until } from '../kit/condition.ts';
import { startConnect } from '../kit/connect.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { consumeAll } from '../kit/kafka-consumer.ts';
import { type KafkaCluster, startKafka } from '../kit/kafka.ts';

let kafka: KafkaCluster;
const scratch = temporaryDirectory();
beforeAll(async () => { kafka = await startKafka(); }, 300_000);
afterAll(async () => {
  await kafka[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
});

const strings = { 'key.converter': 'org.apache.kafka.connect.storage.StringConverter', 'value.converter': 'org.apache.kafka.connect.storage.StringConverter' };
async function ask(rest: string, method: string, path: string, body?: unknown): Promise<{ readonly status: number; readonly body: unknown }> {
  const answer = await fetch(`${rest}${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }), signal: AbortSignal.timeout(120_000) });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) as unknown };
}
async function runs(rest: string, name: string, workerId?: string): Promise<void> {
  await until(`${name} to run`, async () => {
    const { body } = await ask(rest, 'GET', `/connectors/${name}/status`);
    const { connector, tasks = [] } = body as { readonly connector?: { readonly state: string }; readonly tasks?: readonly { readonly state: string; readonly worker_id: string }[] };
    return connector?.state === 'RUNNING' && tasks.length === 1 && tasks.every(task => task.state === 'RUNNING' && (workerId === undefined || task.worker_id === workerId));
  }, 120_000);
}

describe('a cluster of Kafka Connect', () => {
  it('is taken over by ours, and given back: connectors, states and offsets go on where they were', async () => {
    await using cluster = new TestCluster({ bootstrap: kafka.bootstrap, directory: join(scratch.path, 'ours'), name: 'migrate' });
    const file = join(scratch.path, 'lines.txt');
    writeFileSync(file, 'one\ntwo\n');
    const config = { 'connector.class': 'org.apache.kafka.connect.file.FileStreamSourceConnector', 'tasks.max': '1', file, topic: 'migrated', ...strings };
    const values = async (): Promise<readonly (string | null)[]> => (await consumeAll(kafka, 'migrated')).map(({ value }) => value);

    const first = await startConnect(kafka, join(scratch.path, 'first'), { ...cluster.properties, 'offset.flush.interval.ms': '500' });
    try {
      expect((await ask(first.rest, 'POST', '/connectors', { name: 'fs', config })).status).toBe(201);
      expect((await ask(first.rest, 'POST', '/connectors', { name: 'paused', config: { ...config, topic: 'other' }, initial_state: 'PAUSED' })).status).toBe(201);
      await runs(first.rest, 'fs');
      await until('the offset to be stored', async () => JSON.stringify((await ask(first.rest, 'GET', '/connectors/fs/offsets')).body).includes('"position":8'), 60_000);
    } finally { await first.stop(); }

    appendFileSync(file, 'three\n');
    await cluster.start('a');
    await runs(cluster.rest('a'), 'fs', cluster.workerId('a'));
    expect((await cluster.ask('GET', '/connectors')).body).toEqual(['fs', 'paused']);
    expect((await cluster.ask('GET', '/connectors/paused/status')).body).toMatchObject({ connector: { state: 'PAUSED' } });
    await until('the third line', async () => (await values()).length === 3, 60_000);
    expect(await values()).toEqual(['one', 'two', 'three']);
    expect((await cluster.ask('PUT', '/connectors/paused/stop')).status).toBe(204);
    expect((await cluster.ask('PUT', '/connectors/ours/config', { ...config, topic: 'ours' })).status).toBe(201);
    await runs(cluster.rest('a'), 'ours');
    await until('the offset to be stored', async () => JSON.stringify((await cluster.ask('GET', '/connectors/fs/offsets')).body).includes('"position":14'), 60_000);
    expect(await cluster.stop('a')).toBe(0);

    appendFileSync(file, 'four\n');
    const second = await startConnect(kafka, join(scratch.path, 'second'), { ...cluster.properties, 'offset.flush.interval.ms': '500' });
    try {
      await runs(second.rest, 'fs');
      await runs(second.rest, 'ours');
      expect((await ask(second.rest, 'GET', '/connectors')).body).toEqual(expect.arrayContaining(['fs', 'paused', 'ours']));
      expect((await ask(second.rest, 'GET', '/connectors/paused/status')).body).toMatchObject({ connector: { state: 'STOPPED' }, tasks: [] });
      await until('the fourth line', async () => (await values()).length === 4, 60_000);
      expect(await values()).toEqual(['one', 'two', 'three', 'four']);
    } finally { await second.stop(); }
  }, 600_000);

  it('has both kinds of worker at once: they share the work, and a request to either reaches the leader', async () => {
    await using cluster = new TestCluster({ bootstrap: kafka.bootstrap, directory: join(scratch.path, 'mixed'), name: 'mixed' });
    const file = join(scratch.path, 'mixed.txt');
    writeFileSync(file, 'x\n');
    const config = (topic: string): Readonly<Record<string, string>> => ({ 'connector.class': 'org.apache.kafka.connect.file.FileStreamSourceConnector', 'tasks.max': '1', file, topic, ...strings });
    const connect = await startConnect(kafka, join(scratch.path, 'beside'), cluster.properties);
    try {
      await cluster.start('a');
      const names = ['m0', 'm1', 'm2', 'm3'];
      for (const [i, name] of names.entries()) expect(await ask(i % 2 === 0 ? connect.rest : cluster.rest('a'), 'POST', '/connectors', { name, config: config(`mixed-${name}`) })).toMatchObject({ status: 201 });
      for (const name of names) await runs(cluster.rest('a'), name);
      const owners = async (): Promise<ReadonlySet<string>> => new Set(await Promise.all(names.map(async name => ((await cluster.ask('GET', `/connectors/${name}/status`)).body as { readonly tasks: readonly { readonly worker_id: string }[] }).tasks[0]?.worker_id ?? '')));
      expect(await owners()).toEqual(new Set([connect.workerId, cluster.workerId('a')]));
      for (const name of names) await until(`the line of ${name}`, async () => (await consumeAll(kafka, `mixed-${name}`, { idleMs: 2_000 })).length === 1, 60_000);
      // A configuration that our worker's leader, or Connect's, hands on by signed requests.
      expect((await ask(cluster.rest('a'), 'PUT', '/connectors/m0/config', { ...config('mixed-m0'), 'batch.size': '7' })).status).toBe(200);
      await until('the new task configuration', async () => JSON.stringify((await ask(connect.rest, 'GET', '/connectors/m0/tasks')).body).includes('"batch.size":"7"'), 60_000);
      await connect.stop();
      await cluster.running(names);
      expect(await owners()).toEqual(new Set([cluster.workerId('a')]));
    } finally { await connect[Symbol.asyncDispose](); }
  }, 600_000);
});
