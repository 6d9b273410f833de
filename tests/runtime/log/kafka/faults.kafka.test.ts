/**
 * What happens to networks and brokers, while one writer appends and one reader reads through the same proxies: nothing is
 * lost, nothing comes twice, the order stays, and each fault is over within a minute.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Log } from '../../../../runtime/log/log.ts';
import { splitBatch } from '../../../../runtime/log/record-batch.ts';
import { type FaultProxy, startProxy } from '../../../kit/fault-proxy.ts';
import { until } from '../../../kit/condition.ts';
import { javaMissing } from '../../../kit/jvm.ts';
import { type KafkaCluster, startKafka } from '../../../kit/kafka.ts';
import { consumeAll } from '../../../kit/kafka-consumer.ts';
import { openLogOn } from '../../../kit/kafka-log.ts';
import { appendOf, never } from '../../../kit/log-values.ts';
import { freePort } from '../../../kit/postgres.ts';

const RECOVERY_MS = 60_000;
const LONG = process.env['TRIBUTARY_LONG'] === '1';
const PAUSE_MS = LONG ? 90_000 : 10_000;
/** Short, so that a silent connection is given up soon; the long version keeps Kafka's own 30 seconds. */
const HASTY: Readonly<Record<string, string>> = LONG ? {} : { 'request.timeout.ms': '2500', 'socket.connection.setup.timeout.ms': '2000', 'producer.request.timeout.ms': '2500', 'consumer.request.timeout.ms': '2500', 'admin.request.timeout.ms': '2500' };

/** Appends one numbered record after the other until it is stopped; the longest pause between two is what a fault cost. */
function appending(log: Log, topic: string): { done: number; longestMs: number; stop(): Promise<void> } {
  let stopped = false;
  const state = { done: 0, longestMs: 0, stop: async (): Promise<void> => { stopped = true; await running; } };
  const run = async (): Promise<void> => {
    await using writer = await log.writer('w');
    let last = performance.now();
    while (!stopped) {
      await writer.append([appendOf(topic, [String(state.done)])], undefined, never);
      state.done++;
      state.longestMs = Math.max(state.longestMs, performance.now() - last);
      last = performance.now();
    }
  };
  const running = run();
  running.catch(() => { /* met by stop */ });
  return state;
}

/** Reads everything in turn until it is stopped at `count` values. */
function reading(log: Log, topic: string): { readonly values: string[]; until(count: number): Promise<void> } {
  const values: string[] = [];
  const stop = new AbortController();
  const run = async (): Promise<void> => {
    await using reader = await log.reader({ topic, partition: 0 }, 0);
    while (!stop.signal.aborted) for (const { bytes } of await reader.next(1 << 20, 1_000, stop.signal)) {
      const { length, buffer, valueStart, valueEnd } = splitBatch(bytes);
      for (let i = 0; i < length; i++) values.push(buffer.toString('utf8', valueStart[i], valueEnd[i]));
    }
  };
  const running = run();
  running.catch(() => { /* met by until */ });
  return { values, until: async count => {
    const deadline = performance.now() + RECOVERY_MS;
    while (values.length < count && performance.now() < deadline) await Promise.race([pause(50), running]);
    stop.abort();
    await running;
  } };
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, n) => String(n));

describe.skipIf(javaMissing() !== undefined)('faults', () => {
  let kafka: KafkaCluster;
  const proxies: FaultProxy[] = [];
  const all = (act: (proxy: FaultProxy) => void): void => { for (const proxy of proxies) act(proxy); };
  beforeAll(async () => {
    const pairs: { readonly listen: number; readonly advertise: number }[] = [];
    for (let n = 0; n < 3; n++) {
      const listen = await freePort();
      proxies.push(await startProxy({ host: '127.0.0.1', port: listen }));
      pairs.push({ listen, advertise: proxies.at(-1)?.port ?? 0 });
    }
    kafka = await startKafka({ brokers: 3, proxies: pairs });
  });
  afterAll(async () => {
    for (const proxy of proxies) await proxy[Symbol.asyncDispose]();
    await kafka[Symbol.asyncDispose]();
  });

  test('of the network: resets, cuts in the middle of an answer, one byte at a time, a black hole', async () => {
    await using log = await openLogOn(kafka.proxied, { worker: HASTY });
    await log.createTopic('network', { partitions: 1 });
    const written = appending(log, 'network'), read = reading(log, 'network');
    const faults: readonly (() => Promise<void>)[] = [
      async () => { for (let n = 0; n < 5; n++) { all(proxy => { proxy.reset(); }); await pause(150); } },
      async () => { for (const bytes of [1, 7, 60, 500]) { all(proxy => { proxy.resetAfter(bytes); }); await pause(200); } },
      async () => { all(proxy => { proxy.trickle(1); }); await pause(2_000); all(proxy => { proxy.release(); }); },
      async () => { all(proxy => { proxy.hold(); }); await pause(6_000); all(proxy => { proxy.release(); }); },
      async () => { all(proxy => { proxy.refuse(); proxy.reset(); }); await pause(2_000); all(proxy => { proxy.accept(); }); },
    ];
    for (const fault of faults) {
      await fault();
      const before = written.done;
      const deadline = performance.now() + RECOVERY_MS;
      while (written.done < before + 20 && performance.now() < deadline) await pause(20);
      expect(written.done).toBeGreaterThanOrEqual(before + 20);
    }
    await written.stop();
    expect(written.longestMs).toBeLessThan(RECOVERY_MS);
    await read.until(written.done);
    expect(read.values).toEqual(numbers(written.done));
    expect((await consumeAll(kafka, 'network')).map(({ value }) => value)).toEqual(numbers(written.done));
  }, 240_000);

  test.each([['idempotent', false], ['transactional', true]] as const)('of brokers, %s: the leader is killed, paused, and comes back, and leadership is moved', async (name, transactional) => {
    const topic = `brokers-${name}`;
    await using log = await openLogOn(kafka.bootstrap, { worker: { ...HASTY, 'consumer.isolation.level': 'read_committed' }, ...(transactional ? { transactionalId: (id: string) => `faults-${id}` } : {}) });
    await log.createTopic(topic, { partitions: 1 });
    const describeTopic = (): Promise<string> => kafka.java('org.apache.kafka.tools.TopicCommand', ['--bootstrap-server', kafka.bootstrap, '--describe', '--topic', topic]);
    const leaderOf = async (): Promise<KafkaCluster['brokers'][number] | undefined> => {
      const text = await describeTopic();
      return kafka.brokers.find(({ id }) => id === Number(/Leader: (\d+)/.exec(text)?.[1]));
    };
    /** Makes another replica the preferred one, then the leader, as an operator does. */
    const move = async (from: KafkaCluster['brokers'][number]): Promise<void> => {
      const replicas = [...kafka.brokers.map(({ id }) => id).filter(id => id !== from.id), from.id];
      const plan = join(kafka.directory, `${topic}.json`);
      writeFileSync(plan, JSON.stringify({ version: 1, partitions: [{ topic, partition: 0, replicas }] }));
      await kafka.java('org.apache.kafka.tools.reassign.ReassignPartitionsCommand', ['--bootstrap-server', kafka.bootstrap, '--execute', '--reassignment-json-file', plan]);
      await until('all replicas to be in sync', async () => /Isr: \d+,\d+,\d+/.test(await describeTopic()));
      await kafka.java('org.apache.kafka.tools.LeaderElectionCommand', ['--bootstrap-server', kafka.bootstrap, '--election-type', 'preferred', '--topic', topic, '--partition', '0']);
      expect((await leaderOf())?.id).toBe(replicas[0]);
    };
    const written = appending(log, topic), read = reading(log, topic);
    const progress = async (what: string): Promise<void> => {
      const before = written.done, deadline = performance.now() + RECOVERY_MS;
      while (written.done < before + 10 && performance.now() < deadline) await Promise.race([pause(20)]);
      expect(written.done, what).toBeGreaterThanOrEqual(before + 10);
    };
    await progress('at the start');
    for (const [what, harm, mend] of [
      ['killed', (one: KafkaCluster['brokers'][number]) => one.kill(), (one: KafkaCluster['brokers'][number]) => one.start()],
      ['paused', async (one: KafkaCluster['brokers'][number]) => { one.pause(); await pause(PAUSE_MS); }, async (one: KafkaCluster['brokers'][number]) => { one.resume(); }],
      ['moved', move, async () => { /* nothing to mend */ }],
    ] as const) {
      const leader = await leaderOf();
      expect(leader).toBeDefined();
      if (leader === undefined) return;
      await harm(leader);
      await progress(what);
      await mend(leader);
      await progress(`${what} and back`);
    }
    await written.stop();
    expect(written.longestMs).toBeLessThan(RECOVERY_MS);
    await read.until(written.done);
    expect(read.values).toEqual(numbers(written.done));
    expect((await consumeAll(kafka, topic)).map(({ value }) => value)).toEqual(numbers(written.done));
  }, 420_000);
});
