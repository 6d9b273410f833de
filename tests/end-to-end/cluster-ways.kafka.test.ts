/** Other ways to run a cluster: over https with other algorithms, with mixed protocols, on older brokers; and what looks into its topics. */
import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { certificateAuthority } from '../kit/certificates.ts';
import { TestCluster } from '../kit/cluster.ts';
import { until } from '../kit/condition.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { type KafkaCluster, startKafka } from '../kit/kafka.ts';
import { Lines } from '../kit/lines.ts';
import { freePort } from '../kit/postgres.ts';
import { program } from '../kit/worker.ts';

const run = promisify(execFile);
const scratch = temporaryDirectory('ways-');
afterAll(() => { scratch[Symbol.dispose](); });

async function createAll(cluster: TestCluster, lines: Lines): Promise<void> {
  for (const [i, name] of lines.names.entries()) {
    const answer = await cluster.ask('POST', '/connectors', { name, config: lines.config(name) }, cluster.names[i % cluster.names.length]);
    expect(answer, JSON.stringify(answer)).toMatchObject({ status: 201 });
  }
  await cluster.running(lines.names);
}

describe('a cluster', () => {
  let kafka: KafkaCluster;
  beforeAll(async () => { kafka = await startKafka(); }, 300_000);
  afterAll(async () => { await kafka?.[Symbol.asyncDispose](); });

  test('whose workers speak https with client certificates, and sign by another algorithm', async () => {
    const authority = certificateAuthority('workers'), stranger = certificateAuthority('strangers');
    const write = (name: string, text: string): string => { const path = join(scratch.path, name); writeFileSync(path, text); return path; };
    const trusted = write('trusted.pem', authority.cert), strange = write('strange.pem', stranger.cert);
    await using cluster = new TestCluster({
      bootstrap: kafka.bootstrap, directory: join(scratch.path, 'https'), name: 'https',
      properties: { 'exactly.once.source.support': 'enabled', 'inter.worker.key.generation.algorithm': 'HmacSHA512', 'inter.worker.key.size': '512', 'inter.worker.signature.algorithm': 'HmacSHA512', 'inter.worker.verification.algorithms': 'HmacSHA512,HmacSHA384' },
      own: async (name, port) => {
        const secure = await freePort();
        const { key, cert } = authority.issue({ name, ip: ['127.0.0.1'] });
        return {
          listeners: `http://127.0.0.1:${port},https://127.0.0.1:${secure}`, 'rest.advertised.listener': 'https', 'rest.advertised.port': String(secure), 'listeners.https.ssl.keystore.location': write(`${name}.pem`, key + cert),
          'listeners.https.ssl.truststore.location': name === 'c' ? strange : trusted, 'listeners.https.ssl.client.auth': 'required',
        };
      },
    });
    const lines = new Lines(kafka, scratch.path, 'https', 4);
    await cluster.start('a', 'b');
    // Each task is fenced by the leader before it begins: the workers' requests to it are signed, and go over TLS.
    await createAll(cluster, lines);
    lines.append(20);
    const leader = await until('the leader', () => cluster.leader());
    const follower = leader === 'a' ? 'b' : 'a';
    expect(cluster.output(follower)).toContain(`"leader":"https://${cluster.workerId(leader)}/"`);
    expect((await cluster.ask('PUT', `/connectors/${lines.names[0] ?? ''}/config`, lines.config(lines.names[0] ?? '', { 'batch.size': '50' }), follower)).status).toBe(200);
    await lines.arrived();

    const tasks = `${cluster.rest(leader)}/connectors/${lines.names[0] ?? ''}/tasks?forward=false`;
    const post = async (headers: Readonly<Record<string, string>>): Promise<readonly [number, string]> => {
      const answer = await fetch(tasks, { method: 'POST', body: '[]', headers: { 'content-type': 'application/json', ...headers } });
      return [answer.status, (await answer.json() as { readonly message: string }).message];
    };
    const signed = (algorithm: string, hash: string): Readonly<Record<string, string>> => ({ 'x-connect-authorization': createHmac(hash, 'not the key').update('[]').digest('base64'), 'x-connect-request-signature-algorithm': algorithm });
    expect(await post({})).toEqual([400, 'Internal request missing required signature']);
    expect(await post(signed('HmacSHA256', 'sha256'))).toEqual([400, expect.stringMatching(/^This worker does not support the 'HmacSHA256' key signing algorithm .* configured to use: \[HmacSHA512, HmacSHA384\]/)]);
    expect(await post(signed('HmacSHA512', 'sha512'))).toEqual([403, 'Internal request contained invalid signature.']);
    await cluster.running(lines.names);

    // One that trusts another authority joins the group, and cannot ask the leader for anything.
    await cluster.start('c');
    const asked = await cluster.ask('DELETE', `/connectors/${lines.names[3] ?? ''}`, undefined, 'c');
    expect(asked).toMatchObject({ status: 500, body: { message: expect.stringMatching(/^The worker at 127\.0\.0\.1:\d+ is not trusted: .*listeners\.https\.ssl\.truststore\.location/) as string } });
    await cluster.stop('c');
    await cluster.running(lines.names);
    expect(await lines.arrived()).toEqual({ missing: 0, doubled: 0, disordered: 0 });
  }, 300_000);

  test('whose workers speak different protocols, and are replaced one by one until they share the newest', async () => {
    const protocols: Readonly<Record<string, string>> = { a: 'compatible', b: 'eager', c: 'sessioned', d: 'sessioned' };
    await using cluster = new TestCluster({ bootstrap: kafka.bootstrap, directory: join(scratch.path, 'mixed'), name: 'protocols', own: async name => ({ 'connect.protocol': protocols[name] ?? '' }) });
    const spoken = (): readonly string[] => cluster.names.map(name => [...cluster.output(name).matchAll(/"protocol":"(\w+)"[^\n]*"msg":"group joined"/g)].at(-1)?.[1] ?? '');
    const lines = new Lines(kafka, scratch.path, 'protocols', 4);
    const speak = async (protocol: string): Promise<void> => {
      await until(`all to speak ${protocol}`, () => spoken().every(one => one === protocol));
      await cluster.running(lines.names);
      lines.append(20);
    };
    await cluster.start('a', 'b');
    await createAll(cluster, lines);
    await speak('default');
    await cluster.start('c');
    expect(await cluster.stop('b')).toBe(0);
    await speak('compatible');
    await cluster.start('d');
    expect(await cluster.stop('a')).toBe(0);
    await speak('sessioned');
    expect(await lines.arrived()).toEqual({ missing: 0, doubled: 0, disordered: 0 });
    expect(cluster.overlaps(), cluster.logs()).toEqual([]);

    // What looks into a log looks into the cluster's topics where the worker file says so.
    const file = join(scratch.path, 'mixed', 'd-4', 'worker.properties');
    expect(readFileSync(file, 'utf8')).toContain('bootstrap.servers');
    const listed = (await run(process.execPath, [program, 'topics', '--worker', file])).stdout;
    expect(listed).toMatch(/^TOPIC +PARTITION +START +END +BYTES$/m);
    expect(listed).toMatch(new RegExp(`^${lines.topic} +0 +0 +240 +\\S+$`, 'm'));
    const read = async (...args: readonly string[]): Promise<readonly string[]> => (await run(process.execPath, [program, 'read', lines.topic, '--worker', file, ...args])).stdout.trimEnd().split('\n');
    expect(lines.judge(await read())).toEqual({ missing: 0, doubled: 0, disordered: 0 });
    expect(await read('--from', '238', '--keys')).toEqual([expect.stringMatching(/^238\tnull\tprotocols-\d:\d+$/), expect.stringMatching(/^239\tnull\tprotocols-\d:\d+$/)]);
    expect(await read('--max', '3')).toHaveLength(3);
    const unknown = await run(process.execPath, [program, 'read', 'no-such-topic', '--worker', file]).catch((error: unknown) => error as { readonly code: number; readonly stderr: string });
    expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining('[TOPIC_UNKNOWN]') as string });
  }, 300_000);
});

describe('a config topic', () => {
  test('that a leader left half-written, or that holds what nobody knows, is read as Connect reads it', async () => {
    await using kafka = await startKafka();
    await using cluster = new TestCluster({ bootstrap: kafka.bootstrap, directory: join(scratch.path, 'torn'), name: 'torn' });
    const lines = new Lines(kafka, scratch.path, 'torn', 2);
    const [whole = '', torn = ''] = lines.names;
    await cluster.start('a');
    await createAll(cluster, lines);
    expect(await cluster.stop('a')).toBe(0);
    const properties = (name: string, batch: string): Readonly<Record<string, string>> => ({ ...lines.config(name, { 'batch.size': batch }), name });
    const producer = new Kafka({ brokers: kafka.bootstrap.split(','), logLevel: logLevel.NOTHING }).producer();
    await producer.connect();
    const records: Readonly<Record<string, unknown>> = {
      // Between the tasks and their commit record.
      [`task-${torn}-0`]: { properties: { ...properties(torn, '999'), 'task.class': 'org.apache.kafka.connect.file.FileStreamSourceTask' } },
      // Between a connector and its tasks; between a commit record of two and the second.
      'connector-half': { properties: properties('half', '5') },
      'connector-short': { properties: properties('short', '6') }, 'task-short-0': { properties: properties('short', '6') }, 'commit-short': { tasks: 2 },
      // Of a version to come, or no record at all.
      'plugin-version-x': { version: 3 }, 'target-state-half': { state: 'MELTED', 'state.v3': 'MELTED' }, 'commit-gone': { tasks: 1 }, 'task-nonsense': {}, 'connector-nonsense': 'text',
    };
    await producer.send({ topic: 'torn-configs', messages: Object.entries(records).map(([key, value]) => ({ key, value: JSON.stringify(value) })) });
    await producer.disconnect();
    await cluster.start('a', 'b');
    await cluster.running([whole, torn, 'half', 'short']);
    expect((await cluster.ask('GET', '/connectors')).body).toEqual(['half', 'short', torn, whole].sort());
    const batchOf = async (name: string): Promise<string | undefined> => ((await cluster.ask('GET', `/connectors/${name}/tasks`)).body as readonly { readonly config: Readonly<Record<string, string>> }[]).map(({ config }) => config['batch.size']).join();
    expect([await batchOf(torn), await batchOf('half'), await batchOf('short')]).toEqual(['', '5', '6']);
    lines.append(5);
    await lines.arrived();
  }, 300_000);
});

describe.each(['3.9.2', '4.1.2'] as const)('on Kafka %s a cluster', version => {
  test('shares work, survives a kill, and delivers once', async () => {
    await using kafka = await startKafka({ version });
    await using cluster = new TestCluster({ bootstrap: kafka.bootstrap, directory: join(scratch.path, version), name: `on-${version}`, properties: { 'exactly.once.source.support': 'enabled' } });
    const lines = new Lines(kafka, scratch.path, `on-${version}`, 4);
    await cluster.start('a', 'b');
    await createAll(cluster, lines);
    const feed = lines.feed(20);
    try {
      const leader = await until('the leader', () => cluster.leader());
      await cluster.kill(leader);
      await cluster.running(lines.names);
      await cluster.start(leader);
      await cluster.running(lines.names);
    } finally { await feed.stop(); }
    expect(await lines.arrived(), cluster.logs()).toEqual({ missing: 0, doubled: 0, disordered: 0 });
  }, 400_000);
});
