/** Exactly-once sources in a cluster: rolled out while it runs, with each boundary, and with offsets in topics of their own. */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestCluster } from '../kit/cluster.ts';
import { until } from '../kit/condition.ts';
import { type ConnectWorker, startConnect } from '../kit/connect.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { consumeAll } from '../kit/kafka-consumer.ts';
import { openLogOn } from '../kit/kafka-log.ts';
import { type KafkaCluster, startKafka } from '../kit/kafka.ts';

const STRINGS = { 'key.converter': 'org.apache.kafka.connect.storage.StringConverter', 'value.converter': 'org.apache.kafka.connect.storage.StringConverter' };
let kafka: KafkaCluster;
const scratch = temporaryDirectory();
beforeAll(async () => { kafka = await startKafka(); }, 300_000);
afterAll(async () => {
  await kafka[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
});

const cluster = (name: string, properties: Readonly<Record<string, string>> = {}): TestCluster => {
  const directory = join(scratch.path, name);
  mkdirSync(directory);
  return new TestCluster({ bootstrap: kafka.bootstrap, directory, name, properties });
};

/** A file of numbered lines and the source that reads it. */
class Lines {
  readonly name: string;
  readonly file: string;
  written = 0;
  constructor(name: string) { this.name = name; this.file = join(scratch.path, `${name}.txt`); writeFileSync(this.file, ''); }
  config(more: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> { return { 'connector.class': 'FileStreamSource', 'tasks.max': '1', file: this.file, topic: this.name, ...STRINGS, ...more }; }
  append(count: number): void { for (let n = 0; n < count; n++) appendFileSync(this.file, `${this.written++}\n`); }
  get expected(): string[] { return Array.from({ length: this.written }, (_, n) => String(n)); }
  async seen(isolation: 'read_committed' | 'read_uncommitted' = 'read_committed'): Promise<(string | null)[]> { return (await consumeAll(kafka, this.name, { isolation, idleMs: 2_500 })).map(({ value }) => value); }
  /** Waits until everything written is there, each line once and in order. */
  async complete(): Promise<void> {
    await until(`the lines of ${this.name}`, async () => (await this.seen()).length >= this.written, 120_000);
    expect(await this.seen()).toEqual(this.expected);
  }
}

async function created(at: TestCluster, lines: Lines, more?: Readonly<Record<string, string>>): Promise<void> {
  const answer = await at.ask('POST', '/connectors', { name: lines.name, config: lines.config(more) });
  expect(answer, JSON.stringify(answer)).toMatchObject({ status: 201 });
  await at.running([lines.name]);
}

describe('exactly-once delivery', () => {
  it('is rolled out over three workers by preparing and enabled, while their sources run', async () => {
    await using workers = cluster('rollout');
    const lines = [new Lines('rollout-0'), new Lines('rollout-1')];
    const names = lines.map(({ name }) => name);
    await workers.start('a', 'b', 'c');
    for (const one of lines) await created(workers, one);
    for (const support of ['preparing', 'enabled']) {
      workers.change({ 'exactly.once.source.support': support });
      for (const worker of ['a', 'b', 'c']) {
        for (const one of lines) one.append(20);
        expect(await workers.stop(worker)).toBe(0);
        for (const one of lines) one.append(20);
        await workers.start(worker);
        await workers.running(names);
      }
    }
    // From here on nothing may come twice even where workers are killed, and the leader's own records are fenced.
    const feeding = { on: true };
    const feed = (async () => { while (feeding.on) { for (const one of lines) one.append(3); await pause(30); } })();
    for (const victim of ['a', 'b']) {
      await workers.kill(victim);
      await workers.running(names);
      await workers.start(victim);
      await workers.running(names);
    }
    feeding.on = false;
    await feed;
    for (const one of lines) await one.complete();
    expect(workers.overlaps(), workers.logs()).toEqual([]);
    // Both sources were brought under fencing when the first enabled worker started them.
    const configs = await consumeAll(kafka, 'rollout-configs', { idleMs: 2_000 });
    for (const name of names) expect(configs.some(({ key }) => key === `tasks-fencing-${name}`)).toBe(true);
  }, 400_000);

  it('commits by interval: nothing is seen before it is over, everything after it, and a killed worker leaves no double', async () => {
    await using workers = cluster('interval', { 'exactly.once.source.support': 'enabled' });
    const lines = new Lines('interval');
    await workers.start('a');
    // Longer than the test, so that what is seen early was not committed by time.
    await created(workers, lines, { 'transaction.boundary': 'interval', 'transaction.boundary.interval.ms': '3600000', 'producer.override.transaction.timeout.ms': '600000' });
    lines.append(10);
    await until('the lines to be written', async () => (await lines.seen('read_uncommitted')).length === 10, 120_000);
    expect(await lines.seen()).toEqual([]);
    // Killed with its transaction open: the next task ends it, and reads the lines again.
    await workers.kill('a');
    await workers.start('a');
    await workers.running([lines.name]);
    await until('the lines to be written again', async () => (await lines.seen('read_uncommitted')).length === 20, 120_000);
    // A stop in good order commits.
    expect(await workers.stop('a')).toBe(0);
    expect(await lines.seen()).toEqual(lines.expected);
    await workers.start('a');
    const put = await workers.ask('PUT', `/connectors/${lines.name}/config`, lines.config({ 'transaction.boundary': 'interval', 'transaction.boundary.interval.ms': '1500' }));
    expect(put.status).toBe(200);
    await workers.running([lines.name]);
    // One burst only: the commit comes by time, not with a later line.
    lines.append(7);
    await lines.complete();
  }, 400_000);

  it('starts no task whose configurations are outdated, and takes back an id that a stranger took', async () => {
    await using workers = cluster('robbed', { 'exactly.once.source.support': 'enabled' });
    const lines = new Lines('robbed');
    await workers.start('a');
    await created(workers, lines);
    lines.append(5);
    await lines.complete();
    // As a worker would that does not know yet that the task is not its own any more.
    await using robber = await openLogOn(kafka.bootstrap, { transactionalId: () => 'robbed-robbed-0', offsets: { topic: 'robber-offsets', partitions: 1 } });
    await (await robber.writer('w'))[Symbol.asyncDispose]();
    lines.append(5);
    await lines.complete();
    // Reconfigured again and again: each start is by the newest set of task configurations, and none fails for good.
    for (let n = 1; n <= 5; n++) expect((await workers.ask('PUT', `/connectors/${lines.name}/config`, lines.config({ 'batch.size': String(n * 10) }))).status).toBe(200);
    lines.append(5);
    await workers.running([lines.name]);
    await lines.complete();
  }, 300_000);
});

interface Validation { readonly error_count: number; readonly configs: readonly { readonly value: { readonly name: string; readonly value: string | null; readonly errors: readonly string[] } }[] }
const KEYS = ['exactly.once.support', 'transaction.boundary', 'transaction.boundary.interval.ms', 'offsets.storage.topic'];

describe('what a worker cannot do is refused when the connector is made', () => {
  const cases: readonly Readonly<Record<string, string>>[] = [
    { 'exactly.once.support': 'required' }, { 'exactly.once.support': 'required', file: '' }, { 'exactly.once.support': 'REQUIRED', 'transaction.boundary': 'connector' }, { 'exactly.once.support': 'requested' },
    { 'exactly.once.support': 'never' }, { 'transaction.boundary': 'connector' }, { 'transaction.boundary': 'Interval' }, { 'transaction.boundary': 'sometimes' },
    { 'transaction.boundary': 'interval', 'transaction.boundary.interval.ms': '0' }, { 'transaction.boundary.interval.ms': '-1' }, { 'transaction.boundary.interval.ms': 'soon' }, { 'offsets.storage.topic': '' },
  ];
  it.each(['disabled', 'enabled'])("in Kafka Connect's own words, where the support is %s", async support => {
    const properties = { 'exactly.once.source.support': support };
    await using workers = cluster(`words-${support}`, properties);
    const [connect] = await Promise.all([startConnect(kafka, join(scratch.path, `connect-words-${support}`), { ...workers.properties, 'group.id': `connect-words-${support}`, 'config.storage.topic': `connect-words-${support}-c`, 'offset.storage.topic': `connect-words-${support}-o`, 'status.storage.topic': `connect-words-${support}-s` }), workers.start('a')]);
    try {
      for (const given of cases) {
        const config = { name: 'x', 'connector.class': 'org.apache.kafka.connect.file.FileStreamSourceConnector', file: '/tmp/none', topic: 't', ...given };
        const told = async (rest: string): Promise<unknown> => {
          const answer = await fetch(`${rest}/connector-plugins/FileStreamSource/config/validate`, { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify(config) });
          const { configs } = await answer.json() as Validation;
          return { status: answer.status, errors: configs.filter(({ value }) => KEYS.includes(value.name)).map(({ value }) => ({ name: value.name, value: value.value, errors: value.errors })) };
        };
        expect(await told(workers.rest('a')), JSON.stringify(given)).toEqual(await told(connect.rest));
        const make = async (rest: string): Promise<unknown> => {
          const answer = await fetch(`${rest}/connectors`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name: 'x', config, initial_state: 'STOPPED' }) });
          const body = await answer.json() as { readonly message?: string };
          if (answer.status === 201) { const gone = await fetch(`${rest}/connectors/x`, { method: 'DELETE' }); expect(gone.status, await gone.text()).toBe(204); }
          return { status: answer.status, message: body.message };
        };
        expect(await make(workers.rest('a')), JSON.stringify(given)).toEqual(await make(connect.rest));
      }
      // Debezium's PostgreSQL connector says that it delivers exactly once, and that it defines no boundaries.
      const { body } = await workers.ask('PUT', '/connector-plugins/io.debezium.connector.postgresql.PostgresConnector/config/validate', { 'connector.class': 'io.debezium.connector.postgresql.PostgresConnector', 'exactly.once.support': 'required', 'transaction.boundary': 'connector' });
      const errorsOf = (name: string): readonly string[] | undefined => (body as Validation).configs.find(({ value }) => value.name === name)?.value.errors;
      expect(errorsOf('exactly.once.support')).toEqual(support === 'enabled' ? [] : ['This worker does not have exactly-once source support enabled.']);
      expect(errorsOf('transaction.boundary')).toEqual(['The connector does not support connector-defined transaction boundaries with the given configuration. Please reconfigure it to use a different transaction boundary definition.']);
    } finally { await connect[Symbol.asyncDispose](); }
  }, 300_000);
});

describe('offsets in a topic of the connector itself', () => {
  const body = (file: string, position: number | null): unknown => ({ offsets: [{ partition: { filename: file }, offset: position === null ? null : { position } }] });

  it.each(['disabled', 'enabled'])('are read, changed and reset through REST, before and after real Connect has them (support %s)', async support => {
    const name = `own-${support}`;
    await using workers = cluster(name, { 'exactly.once.source.support': support });
    const lines = new Lines(name);
    const own = `${name}-of-its-own`, shared = `${name}-offsets`;
    const stored = async (topic: string): Promise<string | null | undefined> => (await consumeAll(kafka, topic, { idleMs: 2_000 })).filter(({ key }) => key === JSON.stringify([name, { filename: lines.file }])).at(-1)?.value;
    const rest = async (base: string, method: string, path: string, given?: unknown): Promise<{ readonly status: number; readonly body: unknown }> => {
      const answer = await fetch(`${base}/connectors/${name}${path}`, { method, ...(given === undefined ? {} : { body: JSON.stringify(given), headers: { 'content-type': 'application/json' } }) });
      const text = await answer.text();
      return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) as unknown };
    };
    await workers.start('a', 'b');
    await created(workers, lines, { 'offsets.storage.topic': own });
    lines.append(10);
    await lines.complete();
    const end = 20;
    await until('the offset', async () => (await stored(own)) === `{"position":${end}}`);
    // A copy goes to the worker's topic, as Connect's does: without its own topic the connector would go on from there.
    await until('its copy', async () => (await stored(shared)) === `{"position":${end}}`);
    for (const worker of ['a', 'b']) expect(await rest(workers.rest(worker), 'GET', '/offsets')).toEqual({ status: 200, body: body(lines.file, end) });
    expect((await rest(workers.rest('a'), 'PUT', '/stop')).status).toBe(204);
    await until('no task', async () => ((await rest(workers.rest('b'), 'GET', '/status')).body as { readonly tasks: readonly unknown[] }).tasks.length === 0);
    expect(await rest(workers.rest('b'), 'PATCH', '/offsets', body(lines.file, 10))).toMatchObject({ status: 200 });
    expect([await stored(own), await stored(shared)]).toEqual(['{"position":10}', '{"position":10}']);
    expect(await rest(workers.rest('a'), 'GET', '/offsets')).toEqual({ status: 200, body: body(lines.file, 10) });
    for (const worker of ['a', 'b']) await workers.stop(worker);
    // Connect, in our place: it sees what we wrote, and resets it.
    const connect: ConnectWorker = await startConnect(kafka, join(scratch.path, `connect-${name}`), { ...workers.properties });
    try {
      await until('the offsets, by Connect', async () => JSON.stringify((await rest(connect.rest, 'GET', '/offsets')).body) === JSON.stringify(body(lines.file, 10)));
      // Not in transactions: there Connect 4.3.1 never answers a reset ("Cannot add partition … to transaction while in state READY" in its log).
      const reset = support === 'disabled' ? await rest(connect.rest, 'DELETE', '/offsets') : undefined;
      if (reset !== undefined) expect(reset.status, JSON.stringify(reset.body)).toBe(200);
    } finally { await connect.stop(); }
    await workers.start('a');
    if (support === 'enabled') expect(await rest(workers.rest('a'), 'DELETE', '/offsets')).toMatchObject({ status: 200 });
    expect([await stored(own), await stored(shared)]).toEqual([null, null]);
    expect(await rest(workers.rest('a'), 'GET', '/offsets')).toEqual({ status: 200, body: { offsets: [] } });
    // And by us: what only the worker's topic has is found, and forgotten in both.
    expect(await rest(workers.rest('a'), 'PATCH', '/offsets', body(lines.file, 14))).toMatchObject({ status: 200 });
    expect(await rest(workers.rest('a'), 'DELETE', '/offsets')).toMatchObject({ status: 200 });
    expect([await stored(own), await stored(shared)]).toEqual([null, null]);
    expect((await rest(workers.rest('a'), 'PUT', '/resume')).status).toBe(202);
    await workers.running([name]);
    await until('all of it again', async () => (await lines.seen()).length === 20, 120_000);
    expect(await lines.seen()).toEqual([...lines.expected, ...lines.expected]);
  }, 400_000);
});
