/** The three topics that a cluster keeps its state in: made where they are missing, refused where they would lose it. */
import { setTimeout as pause } from 'node:timers/promises';
import { ConfigError, RetriableError } from '../api/errors.ts';
import { propertiesUnder, type Properties } from '../api/config-parse.ts';
import { check, type KafkaClient } from '../log/kafka/client.ts';
import { createTopics, describeTopicConfigs } from '../log/kafka/protocol/admin-api.ts';
import { errorName } from '../log/kafka/protocol/error-codes.ts';

const EXISTS = 36;
/** INVALID_PARTITIONS, INVALID_REPLICATION_FACTOR, INVALID_REPLICA_ASSIGNMENT, INVALID_CONFIG, POLICY_VIOLATION, INVALID_TOPIC_EXCEPTION. */
const REFUSED: ReadonlySet<number> = new Set([17, 37, 38, 39, 40, 44]);
const VISIBLE_MS = 30_000;

export interface InternalTopicSpec {
  readonly name: string;
  /** The worker's keys for it begin with this: `config.storage`. */
  readonly prefix: 'config.storage' | 'offset.storage' | 'status.storage';
  /** -1 = the brokers' default. */
  readonly partitions: number;
  readonly replicationFactor: number;
  /** What it holds, for messages. */
  readonly holds: string;
}

/** Settings by `<prefix>.<topic setting>`; cleanup.policy and partitions are not the user's to choose. */
export function internalTopicSettings(prefix: InternalTopicSpec['prefix'], worker: Properties): Record<string, string> {
  const own = new Set(['topic', 'partitions', 'replication.factor', 'cleanup.policy', 'file.filename']);
  return { ...Object.fromEntries(Object.entries(propertiesUnder(prefix, worker)).filter(([key]) => !own.has(key))), 'cleanup.policy': 'compact' };
}

/**
 * Makes the topic where it is missing; answers how many partitions it has. Throws ConfigError INTERNAL_TOPIC_POLICY when
 * it is not (only) compacted, INTERNAL_TOPIC_PARTITIONS when the config topic has more than one, INTERNAL_TOPIC_SETTINGS
 * when the brokers refuse to make it.
 */
export async function ensureInternalTopic(client: KafkaClient, spec: InternalTopicSpec, worker: Properties): Promise<number> {
  const made = await client.retrying(`create topic ${spec.name}`, async () => {
    if (await client.topic(spec.name, { maxAgeMs: -1 }) !== undefined) return false;
    const topic = { name: spec.name, partitions: spec.partitions, replicationFactor: spec.replicationFactor, configs: internalTopicSettings(spec.prefix, worker) };
    const [outcome] = await client.request('controller', createTopics, { topics: [topic], timeoutMs: client.config.requestTimeoutMs });
    const error = outcome?.error ?? 0;
    if (error === EXISTS) return false;
    if (REFUSED.has(error)) throw new ConfigError(`The topic ${spec.name} for ${spec.holds} cannot be made: ${errorName(error)}${outcome?.message == null ? '' : `: ${outcome.message}`}`, { code: 'INTERNAL_TOPIC_SETTINGS', hint: `Correct ${spec.prefix}.* of the worker file: there must be as many brokers as ${spec.prefix}.replication.factor says.` });
    check(error, `the creation of topic ${spec.name}`, outcome?.message);
    return true;
  });
  const partitions = await partitionsOf(client, spec.name);
  if (!made) await verifyPolicy(client, spec);
  if (spec.prefix === 'config.storage' && partitions !== 1) {
    throw new ConfigError(`Topic '${spec.name}' supplied via the 'config.storage.topic' property is required to have a single partition in order to guarantee consistency of ${spec.holds}, but found ${partitions} partitions.`, { code: 'INTERNAL_TOPIC_PARTITIONS', hint: 'Name another topic, or make this one anew with one partition.' });
  }
  return partitions;
}

/** A new topic is known to every broker only after a moment. */
async function partitionsOf(client: KafkaClient, name: string): Promise<number> {
  const deadline = performance.now() + VISIBLE_MS;
  for (;;) {
    const topic = await client.retrying(`describe topic ${name}`, () => client.topic(name, { maxAgeMs: -1 }));
    if (topic !== undefined && topic.partitions.length > 0 && topic.partitions.every(({ leader }) => leader >= 0)) return topic.partitions.length;
    if (performance.now() > deadline) throw new RetriableError(`Topic ${name} does not appear`, { code: 'TOPIC_MISSING', hint: 'Check that its partitions have leaders.' });
    await pause(50);
  }
}

async function verifyPolicy(client: KafkaClient, { name, prefix, holds }: InternalTopicSpec): Promise<void> {
  const [found] = await client.retrying(`describe topic ${name}`, () => client.request('any', describeTopicConfigs, { names: [name], keys: ['cleanup.policy'] }));
  const policy = found?.values['cleanup.policy'];
  // A user who may not describe configurations is taken at their word, as Connect does.
  if (policy === undefined || policy === null || policy.split(',').map(part => part.trim()).join() === 'compact') return;
  throw new ConfigError(`Topic '${name}' supplied via the '${prefix}.topic' property is required to have 'cleanup.policy=compact' to guarantee consistency and durability of ${holds}, but found the topic currently has 'cleanup.policy=${policy}'. Continuing would likely result in eventually losing ${holds} and problems restarting this Connect cluster in the future.`, {
    code: 'INTERNAL_TOPIC_POLICY', hint: `kafka-configs --alter --entity-type topics --entity-name ${name} --add-config cleanup.policy=compact, or name another topic in ${prefix}.topic.`,
  });
}
