/**
 * Three workers over three brokers, and what happens to brokers and networks: a broker that dies, leaders that move, brokers
 * that all stand still, a worker that is cut off from them, a leader that others cannot talk to, one that stands still. After
 * each fault everything runs again within a minute, on one worker each, and nothing is lost.
 */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestCluster } from '../kit/cluster.ts';
import { until } from '../kit/condition.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { type FaultProxy, startProxy } from '../kit/fault-proxy.ts';
import { consumeAll } from '../kit/kafka-consumer.ts';
import { type KafkaCluster, startKafka } from '../kit/kafka.ts';
import { startWitness, type Witness } from '../kit/kafka-witness.ts';
import { Lines } from '../kit/lines.ts';
import { freePort } from '../kit/postgres.ts';

const RECOVERY_MS = 60_000;
/** Longer than a worker's session: what runs ends by itself. */
const STILL_MS = process.env['TRIBUTARY_LONG'] === '1' ? 90_000 : 10_000;
const SOURCES = 6;
const COPIES = { 'config.storage.replication.factor': '3', 'offset.storage.replication.factor': '3', 'status.storage.replication.factor': '3' };

const scratch = temporaryDirectory('cluster-faults-');
/** Between the brokers and worker c alone. */
const links: FaultProxy[] = [];
/** Before each worker's REST listener. */
const doors = new Map<string, FaultProxy>();
let kafka: KafkaCluster, cluster: TestCluster, lines: Lines, witness: Witness;

beforeAll(async () => {
  const listens = await Promise.all(Array.from({ length: 3 }, () => freePort()));
  for (const listen of listens) links.push(await startProxy({ host: '127.0.0.1', port: listen }));
  kafka = await startKafka({ brokers: 3, proxies: listens.map((listen, i) => ({ listen, advertise: links[i]?.port ?? 0 })) });
  cluster = new TestCluster({
    bootstrap: kafka.bootstrap, directory: join(scratch.path, 'workers'), name: 'faults', properties: { ...COPIES },
    own: async (name, port) => {
      const door = await startProxy({ host: '127.0.0.1', port });
      doors.set(name, door);
      return { 'rest.advertised.host.name': '127.0.0.1', 'rest.advertised.port': String(door.port), ...(name === 'c' ? { 'bootstrap.servers': kafka.proxied } : {}) };
    },
  });
  lines = new Lines(kafka, scratch.path, 'faults', SOURCES);
  await cluster.start('a', 'b', 'c');
  for (const [i, name] of lines.names.entries()) expect(await cluster.ask('POST', '/connectors', { name, config: lines.config(name, { 'topic.creation.default.replication.factor': '3', 'topic.creation.default.partitions': '1' }) }, cluster.names[i % 3])).toMatchObject({ status: 201 });
  await cluster.running(lines.names);
  lines.append(1);
  witness = await startWitness(kafka, lines.topic);
}, 400_000);
afterAll(async () => {
  await witness?.[Symbol.asyncDispose]();
  await cluster?.[Symbol.asyncDispose]();
  await kafka?.[Symbol.asyncDispose]();
  for (const proxy of [...links, ...doors.values()]) await proxy[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
}, 60_000);

/** Everything runs, and lines that are written now come through: within the bar. Answers how long that took. */
async function recovers(what: string): Promise<number> {
  const started = performance.now();
  const from = lines.count;
  lines.append(1);
  await cluster.running(lines.names, RECOVERY_MS);
  await until(`new lines after ${what}`, () => {
    const values = new Set(witness.values);
    return lines.names.every(name => values.has(`${name}:${from}`));
  }, RECOVERY_MS).catch((error: unknown) => { throw new Error(`${(error as Error).message}\n${cluster.logs()}`, { cause: error }); });
  return performance.now() - started;
}
const partitionLeader = async (topic: string): Promise<number> => {
  const text = await kafka.java('org.apache.kafka.tools.TopicCommand', ['--bootstrap-server', kafka.bootstrap, '--describe', '--topic', topic]);
  return Number(/Leader: (\d+)/.exec(text)?.[1] ?? '-1');
};

describe('brokers of a cluster', () => {
  test('may die and come back, and leaders may move: nothing stops for long', async () => {
    const feed = lines.feed(50);
    try {
      const leader = await partitionLeader('faults-configs');
      const broker = kafka.brokers.find(({ id }) => id === leader);
      expect(broker).toBeDefined();
      await broker?.kill();
      await recovers('a broker was killed');
      // What users ask for goes on without it.
      expect((await cluster.ask('PUT', `/connectors/${lines.names[0] ?? ''}/config`, lines.config(lines.names[0] ?? '', { 'batch.size': '100', 'topic.creation.default.replication.factor': '3', 'topic.creation.default.partitions': '1' }))).status).toBe(200);
      expect(await partitionLeader('faults-configs')).not.toBe(leader);
      await broker?.start();
      await kafka.java('org.apache.kafka.tools.LeaderElectionCommand', ['--bootstrap-server', kafka.bootstrap, '--election-type', 'preferred', '--all-topic-partitions']);
      await until('the leaders to be back', async () => (await partitionLeader('faults-configs')) === leader, RECOVERY_MS);
      await recovers('the leaders moved back');
      for (const { pause: stop } of kafka.brokers) stop();
      await pause(STILL_MS);
      for (const { resume } of kafka.brokers) resume();
      await recovers('all brokers stood still');
    } finally { await feed.stop(); }
    expect((await lines.arrived()).disordered).toBe(0);
    expect(cluster.overlaps(), cluster.logs()).toEqual([]);
  }, 400_000);
});

describe('the network between a worker and its brokers', () => {
  test('swallows everything: the worker ends its tasks before others begin them, and comes back', async () => {
    const feed = lines.feed(50);
    try {
      for (const link of links) link.hold();
      const others = new Set(['a', 'b'].map(name => cluster.workerId(name)));
      await until('the others to run everything', async () => {
        const { body } = await cluster.ask('GET', '/connectors?expand=status', undefined, 'a');
        const all = body as Readonly<Record<string, { readonly status: { readonly tasks: readonly { readonly state: string; readonly worker_id: string }[] } }>>;
        return Object.values(all).every(({ status: { tasks } }) => tasks.length === 1 && tasks.every(task => task.state === 'RUNNING' && others.has(task.worker_id)));
      }, RECOVERY_MS);
      for (const link of links) link.release();
      await recovers('a worker was cut off');
      for (const link of links) link.reset();
      await recovers('all connections of a worker were reset');
    } finally {
      for (const link of links) link.release();
      await feed.stop();
    }
    expect((await lines.arrived()).disordered).toBe(0);
    expect(cluster.overlaps(), cluster.logs()).toEqual([]);
  }, 400_000);
});

describe('the network between workers', () => {
  const config = { 'connector.class': 'FileStreamSource', file: join(scratch.path, 'none'), topic: 'none' };
  const roles = async (): Promise<{ readonly leader: string; readonly follower: string }> => {
    const leader = await until('the leader', () => cluster.leader(), RECOVERY_MS);
    return { leader, follower: cluster.names.find(name => name !== leader) ?? '' };
  };
  test('hangs: a request waits, and is done when the leader can be reached again', async () => {
    const { leader, follower } = await roles();
    const door = doors.get(leader);
    door?.hold();
    const asked = cluster.ask('POST', '/connectors', { name: 'late', config, initial_state: 'STOPPED' }, follower);
    await until('the request to be under way', () => (door?.open ?? 0) > 0);
    door?.release();
    expect((await asked).status).toBe(201);
    door?.trickle(1);
    expect((await cluster.ask('PUT', '/connectors/late/config', { ...config, 'batch.size': '9' }, follower)).status).toBe(200);
    door?.release();
  }, 120_000);

  test('is refused or reset: what may be repeated is, until it works; what may not is said to be open', async () => {
    const { leader, follower } = await roles();
    const door = doors.get(leader);
    door?.refuse();
    const repeated = cluster.ask('PUT', '/connectors/late/config', { ...config, 'batch.size': '10' }, follower);
    // Each attempt is reset at once; the bar is that they go on.
    await pause(1_000);
    door?.accept();
    expect((await repeated).status).toBe(200);
    // The leader does it, and its answer is lost.
    door?.resetAfter(1);
    const open = await cluster.ask('POST', '/connectors', { name: 'perhaps', config, initial_state: 'STOPPED' }, follower);
    expect(open).toMatchObject({ status: 500, body: { message: expect.stringMatching(/gave no answer; whether it did what it was asked is not known/) as string } });
    await until('it to be there', async () => (await cluster.ask('GET', '/connectors/perhaps', undefined, follower)).status === 200, RECOVERY_MS);
    expect((await cluster.ask('POST', '/connectors', { name: 'perhaps', config, initial_state: 'STOPPED' }, follower)).status).toBe(409);
    door?.resetAfter(1);
    expect((await cluster.ask('PUT', '/connectors/perhaps/config', { ...config, 'batch.size': '3' }, follower)).status).toBe(200);
  }, 120_000);

  test('leaves the leader alone with its silence: whoever asked it is served by the next one', async () => {
    const { leader, follower } = await roles();
    const frozen = cluster.pid(leader);
    const before = (await consumeAll(kafka, 'faults-configs', { idleMs: 10_000 })).length;
    process.kill(frozen, 'SIGSTOP');
    try {
      const started = performance.now();
      const changed = await cluster.ask('PUT', '/connectors/late/config', { ...config, 'batch.size': '11' }, follower);
      expect(changed.status, JSON.stringify(changed)).toBe(200);
      expect(performance.now() - started).toBeLessThan(RECOVERY_MS);
      // Asked while it stands still, done when it wakes up: by the new leader, not by what it believes to be.
      const stale = cluster.ask('PUT', '/connectors/late/config', { ...config, 'batch.size': '12' }, leader);
      stale.catch(() => { /* met below, or the test has failed before */ });
      await until('the others to run everything', async () => {
        const { body } = await cluster.ask('GET', '/connectors?expand=status', undefined, follower);
        const all = body as Readonly<Record<string, { readonly status: { readonly tasks: readonly { readonly state: string; readonly worker_id: string }[] } } | undefined>>;
        return lines.names.every(name => all[name]?.status.tasks.every(task => task.state === 'RUNNING' && task.worker_id !== cluster.workerId(leader)));
      }, RECOVERY_MS);
      process.kill(frozen, 'SIGCONT');
      expect((await stale).status).toBe(200);
    } finally { process.kill(frozen, 'SIGCONT'); }
    await recovers('the leader woke up');
    for (const name of cluster.names) await until(`worker ${name} to know`, async () => ((await cluster.ask('GET', '/connectors/late', undefined, name)).body as { readonly config: Readonly<Record<string, string>> }).config['batch.size'] === '12', RECOVERY_MS);
    const written = (await consumeAll(kafka, 'faults-configs', { idleMs: 10_000 })).slice(before);
    // Two requests and nothing else: neither a second session key nor an older configuration on top of a newer one.
    expect(written.filter(({ key }) => key === 'connector-late').map(({ value }) => (JSON.parse(value ?? '{}') as { readonly properties: Readonly<Record<string, string>> }).properties['batch.size'])).toEqual(['11', '12']);
    expect(written.filter(({ key }) => key === 'session-key')).toEqual([]);
    await lines.arrived();
  }, 240_000);
});
