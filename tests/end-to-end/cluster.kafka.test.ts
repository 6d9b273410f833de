/** Three real workers over a real broker: what a cluster promises while its workers come, go and die. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestCluster } from '../kit/cluster.ts';
import { until } from '../kit/condition.ts';
import { startConnect } from '../kit/connect.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { consumeAll } from '../kit/kafka-consumer.ts';
import { type KafkaCluster, startKafka } from '../kit/kafka.ts';
import { Lines } from '../kit/lines.ts';

const long = process.env['TRIBUTARY_LONG'] === '1';
const ROUNDS = long ? 3 : 1;
const SOURCES = 6;

let kafka: KafkaCluster;
const scratch = temporaryDirectory();
beforeAll(async () => { kafka = await startKafka(); }, 300_000);
afterAll(async () => {
  await kafka[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
});

async function createAll(cluster: TestCluster, lines: Lines): Promise<void> {
  await Promise.all(lines.names.map(async (name, i) => {
    const answer = await cluster.ask('POST', '/connectors', { name, config: lines.config(name) }, cluster.names[i % cluster.names.length]);
    expect(answer, JSON.stringify(answer)).toMatchObject({ status: 201 });
  }));
}

describe.each(['sessioned', 'compatible'] as const)('rolling restarts of three %s workers', protocol => {
  it('leave no gap; clean ones no double; no task runs on two workers at once', async () => {
    await using cluster = new TestCluster({ bootstrap: kafka.bootstrap, directory: join(scratch.path, `roll-${protocol}`), name: `roll-${protocol}`, properties: { 'connect.protocol': protocol } });
    const lines = new Lines(kafka, scratch.path, protocol, SOURCES);
    await cluster.start('a', 'b', 'c');
    await createAll(cluster, lines);
    await cluster.running(lines.names);
    lines.append(50);
    for (let round = 0; round < ROUNDS; round++) {
      for (const name of ['a', 'b', 'c']) {
        expect(await cluster.stop(name)).toBe(0);
        lines.append(20);
        await cluster.running(lines.names);
        await cluster.start(name);
        await cluster.running(lines.names);
        lines.append(20);
      }
    }
    expect(await lines.arrived()).toEqual({ missing: 0, doubled: 0, disordered: 0 });
    expect(cluster.overlaps(), cluster.logs()).toEqual([]);
    for (let round = 0; round < ROUNDS; round++) {
      const leader = await until('the leader', () => cluster.leader());
      for (const name of long ? ['a', 'b', 'c'] : [protocol === 'sessioned' ? leader : leader === 'a' ? 'b' : 'a']) {
        lines.append(20);
        const killed = Date.now();
        await cluster.kill(name);
        await cluster.running(lines.names);
        // The bar: a lost worker's tasks run elsewhere within 10 s by default; the machine of a test may be slow.
        expect(Date.now() - killed).toBeLessThan(30_000);
        await cluster.start(name);
        await cluster.running(lines.names);
      }
    }
    await lines.arrived();
    expect(cluster.overlaps(), cluster.logs()).toEqual([]);
    // The journal has the moves: else there was nothing to overlap.
    expect(cluster.spans().length).toBeGreaterThan(SOURCES + 3 * ROUNDS);
  });
});

describe('exactly-once sources', () => {
  it('leave neither gap nor double when workers are killed, or freeze and come back as zombies', async () => {
    await using cluster = new TestCluster({ bootstrap: kafka.bootstrap, directory: join(scratch.path, 'exactly'), name: 'exactly', properties: { 'exactly.once.source.support': 'enabled' } });
    const lines = new Lines(kafka, scratch.path, 'exactly', 3);
    await cluster.start('a', 'b');
    await createAll(cluster, lines);
    await cluster.running(lines.names);
    const feed = lines.feed(10);
    for (let round = 0; round < ROUNDS; round++) {
      for (const name of ['a', 'b']) {
        await cluster.kill(name);
        await cluster.running(lines.names);
        await cluster.start(name);
        await cluster.running(lines.names);
      }
      const frozen = cluster.leader() ?? 'a';
      const other = frozen === 'a' ? 'b' : 'a';
      process.kill(cluster.pid(frozen), 'SIGSTOP');
      await until('the other worker to run everything', async () => {
        const all = await Promise.all(lines.names.map(async name => (await cluster.ask('GET', `/connectors/${name}/status`, undefined, other)).body as { readonly tasks?: readonly { readonly state: string; readonly worker_id: string }[] }));
        return all.every(({ tasks = [] }) => tasks.length === 1 && tasks.every(task => task.state === 'RUNNING' && task.worker_id === cluster.workerId(other)));
      }, 90_000);
      process.kill(cluster.pid(frozen), 'SIGCONT');
      await cluster.running(lines.names);
    }
    await feed.stop();
    expect(await lines.arrived(), cluster.logs()).toEqual({ missing: 0, doubled: 0, disordered: 0 });
    // Records and offsets lie in transactions: Connect's own names for the ids, and a fencing record per connector.
    const configs = await consumeAll(kafka, 'exactly-configs', { idleMs: 10_000 });
    for (const name of lines.names) expect(configs.some(({ key, value }) => key === `tasks-fencing-${name}` && value === '{"task-count":1}')).toBe(true);
  });
});

describe('requests to all workers while the leader dies', () => {
  const COUNT = long ? 1_000 : 100;
  it('are done once or refused; the list is what was answered, and real Connect reads the same', async () => {
    await using cluster = new TestCluster({ bootstrap: kafka.bootstrap, directory: join(scratch.path, 'storm'), name: 'storm' });
    await cluster.start('a', 'b', 'c');
    const names = Array.from({ length: COUNT }, (_, i) => `n${String(i).padStart(4, '0')}`);
    const answers = new Map<string, number[]>(names.map(name => [name, []]));
    const config = { 'connector.class': 'FileStreamSource', file: join(scratch.path, 'none'), topic: 'storm' };
    let asked = 0, killed: Promise<void> | undefined;
    const workers = cluster.names;
    // Each name is created twice at the same time through different workers; the leader dies in the middle of it.
    const create = async (name: string, through: string): Promise<void> => {
      if (++asked === COUNT) { const leader = cluster.leader(); if (leader !== undefined) killed = cluster.kill(leader); }
      const status = await cluster.ask('POST', '/connectors', { name, config, initial_state: 'STOPPED' }, through).then(answer => answer.status, () => 0);
      answers.get(name)?.push(status);
    };
    const queue = names.flatMap((name, i) => [[name, workers[i % 3] ?? ''], [name, workers[(i + 1) % 3] ?? '']] as const);
    await Promise.all(Array.from({ length: 16 }, async () => { for (let next = queue.shift(); next !== undefined; next = queue.shift()) await create(...next); }));
    await killed;
    expect(killed, 'the leader was killed').toBeDefined();
    for (const [name, statuses] of answers) {
      expect(statuses.filter(status => status === 201).length, `${name}: ${statuses.join()}`).toBeLessThanOrEqual(1);
      // A worker that died or lost its leader meanwhile leaves the outcome open; everyone else is told.
      expect(statuses.every(status => [0, 201, 409, 500].includes(status)), `${name}: ${statuses.join()}`).toBe(true);
    }
    const [survivor = ''] = cluster.names;
    const list = async (name: string): Promise<readonly string[]> => (await cluster.ask('GET', '/connectors', undefined, name)).body as readonly string[];
    const present = new Set(await list(survivor));
    for (const [name, statuses] of answers) {
      if (statuses.includes(201) || statuses.includes(409)) expect(present.has(name), `${name}: ${statuses.join()}`).toBe(true);
      else expect(statuses.some(status => status === 0 || status === 500)).toBe(true);
    }
    // And from there: what is missing is made, every third one deleted, by anyone.
    await Promise.all(names.map(async (name, i) => {
      const through = cluster.names[i % cluster.names.length];
      const put = await cluster.ask('PUT', `/connectors/${name}/config`, config, through);
      expect([200, 201], `${name}: ${JSON.stringify(put)}`).toContain(put.status);
      expect((await cluster.ask('PUT', `/connectors/${name}/stop`, undefined, through)).status).toBe(204);
      if (i % 3 === 0) expect((await cluster.ask('DELETE', `/connectors/${name}`, undefined, through)).status).toBe(204);
    }));
    const model = names.filter((_, i) => i % 3 !== 0);
    for (const name of cluster.names) await until(`worker ${name} to have read it all`, async () => (await list(name)).join() === model.join(), 30_000);
    const connect = await startConnect(kafka, join(scratch.path, 'witness'), { ...cluster.properties, 'group.id': 'storm-witness' });
    try {
      const seen = await (await fetch(`${connect.rest}/connectors`)).json() as readonly string[];
      expect([...seen].sort()).toEqual(model);
    } finally { await connect[Symbol.asyncDispose](); }
  });
});

describe('a cluster that cannot be', () => {
  it('is told apart from another one of the same group.id', async () => {
    await using cluster = new TestCluster({ bootstrap: kafka.bootstrap, directory: join(scratch.path, 'shared-one'), name: 'shared' });
    await using other = new TestCluster({ bootstrap: kafka.bootstrap, directory: join(scratch.path, 'shared-two'), name: 'shared', properties: { 'config.storage.topic': 'shared-else-configs' } });
    await cluster.start('a');
    await expect(other.start('b')).rejects.toThrow(/belongs to another cluster: its workers keep their configurations in topic shared-configs, this one in shared-else-configs/);
    expect((await cluster.ask('GET', '/health')).status).toBe(200);
    const { status } = await cluster.ask('POST', '/connectors', { name: 'still', config: { 'connector.class': 'FileStreamSource', topic: 't', file: join(scratch.path, 'none') }, initial_state: 'STOPPED' });
    expect(status).toBe(201);
  });

  it('is refused where an internal topic would lose its state', async () => {
    const make = (topic: string, ...more: readonly string[]): Promise<string> => kafka.java('org.apache.kafka.tools.TopicCommand', ['--bootstrap-server', kafka.bootstrap, '--create', '--topic', topic, ...more]);
    await make('deleting', '--partitions', '1');
    await make('wide', '--partitions', '2', '--config', 'cleanup.policy=compact');
    await make('both', '--partitions', '1', '--config', 'cleanup.policy=compact,delete');
    const refused = async (name: string, properties: Readonly<Record<string, string>>, message: RegExp): Promise<void> => {
      await using cluster = new TestCluster({ bootstrap: kafka.bootstrap, directory: join(scratch.path, name), name, properties });
      await expect(cluster.start('a')).rejects.toThrow(message);
    };
    await refused('refused-1', { 'config.storage.topic': 'deleting' }, /Topic 'deleting' supplied via the 'config.storage.topic' property is required to have 'cleanup.policy=compact'.*found the topic currently has 'cleanup.policy=delete'/);
    await refused('refused-2', { 'config.storage.topic': 'wide' }, /required to have a single partition.*but found 2 partitions/);
    await refused('refused-3', { 'offset.storage.topic': 'both' }, /Topic 'both' supplied via the 'offset.storage.topic' property/);
    await refused('refused-4', { 'status.storage.replication.factor': '3' }, /status.storage.replication.factor/);
  });
});
