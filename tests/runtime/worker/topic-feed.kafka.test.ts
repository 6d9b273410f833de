/** Signals out of a Kafka cluster: of a worker whose log is elsewhere, and where a group goes on. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FeedRecord, TopicFeed } from '../../../runtime/api/plugin.ts';
import { openEmbeddedLog } from '../../../runtime/log/embedded/embedded-log.ts';
import type { TaskOrder } from '../../../runtime/worker/task-messages.ts';
import { openFeed } from '../../../runtime/worker/topic-feed.ts';
import { temporaryDirectory } from '../../kit/directories.ts';
import { type KafkaCluster, startKafka } from '../../kit/kafka.ts';
import { openLogOn } from '../../kit/kafka-log.ts';
import { bodyOf } from '../../kit/log-values.ts';
import { quietLogger } from '../../kit/quiet-logger.ts';

let kafka: KafkaCluster;
beforeAll(async () => { kafka = await startKafka(); }, 240_000);
afterAll(async () => { await kafka[Symbol.asyncDispose](); });

const signal = AbortSignal.timeout(600_000);
const order = (worker: Readonly<Record<string, string>>): TaskOrder => ({ connector: 'c', task: 0, worker }) as unknown as TaskOrder;
async function send(values: readonly string[]): Promise<void> {
  await using log = await openLogOn(kafka.bootstrap);
  await using writer = await log.writer('test');
  for (const value of values) await writer.append([{ topic: 't-signal', partition: 0, body: bodyOf([value], 't') }], undefined, signal);
}
async function take(feed: TopicFeed, count: number): Promise<FeedRecord[]> {
  const found: FeedRecord[] = [];
  while (found.length < count) found.push(...await feed.next(1_000, signal));
  return found;
}

describe('a topic feed', () => {
  it('reads the brokers that it is given, keeps its place there, and leaves the log of the worker open', async () => {
    using home = temporaryDirectory('feed-');
    await using own = await openEmbeddedLog(home.path, { mode: 'writer' });
    const request = { topic: 't-signal', group: 'kafka-signal-c', servers: kafka.bootstrap, client: { 'fetch.max.wait.ms': '100' } };
    await send(['one', 'two']);
    {
      await using feed = await openFeed(own, order({}), request, quietLogger);
      const found = await take(feed, 2);
      expect(found.map(({ key, value }) => [key, value])).toEqual([['t', 'one'], ['t', 'two']]);
      await feed.commit((found[0]?.offset ?? 0) + 1);
    }
    await send(['three']);
    {
      await using feed = await openFeed(own, order({}), request, quietLogger);
      expect((await take(feed, 2)).map(({ value }) => value)).toEqual(['two', 'three']);
    }
    expect(await own.topics()).toEqual([]);
  }, 240_000);

  it('reads the log of the worker where the brokers are its own', async () => {
    await using log = await openLogOn(kafka.bootstrap);
    await using feed = await openFeed(log, order({ 'bootstrap.servers': kafka.bootstrap }), { topic: 't-signal', group: 'kafka-signal-d', servers: ` ${kafka.bootstrap}`, client: {} }, quietLogger);
    expect((await take(feed, 3)).map(({ value }) => value)).toEqual(['one', 'two', 'three']);
  }, 240_000);
});
