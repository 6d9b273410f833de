/** Keys of a distributed worker beside those of every worker. Names, defaults and rules: Kafka Connect 4.3, DistributedConfig; where a default differs the doc says so. */
import { createHmac, getHashes } from 'node:crypto';
import { defineConfig, int, list, long, oneOf, short, string, type ConfigOf } from '../api/config.ts';
import { workerConfig } from '../worker/worker-config.ts';

const group = 'Cluster', topics = 'Internal topics', signing = 'Signed requests';
/** A worker of this name and its session: what a group is made of. */
export const distributedConfig = defineConfig({
  ...workerConfig.options,
  'bootstrap.servers': list({ required: true, group, importance: 'HIGH', doc: 'Brokers of the Kafka cluster.' }),
  'group.id': string({ required: true, group, importance: 'HIGH', doc: 'Name of the cluster that this worker belongs to.', check: text => (text === '' ? 'String may not be empty' : undefined) }),
  'config.storage.topic': string({ required: true, group: topics, importance: 'HIGH', doc: 'Topic of connector configurations: one partition, compacted.' }),
  'config.storage.replication.factor': short({ default: 3, group: topics, importance: 'LOW', doc: 'Copies of that topic when it is made; -1 = the brokers\' default.' }),
  'offset.storage.topic': string({ required: true, group: topics, importance: 'HIGH', doc: 'Topic of source offsets, compacted.' }),
  'offset.storage.partitions': int({ default: 25, group: topics, importance: 'LOW', doc: 'Partitions of that topic when it is made; -1 = the brokers\' default.' }),
  'offset.storage.replication.factor': short({ default: 3, group: topics, importance: 'LOW', doc: 'Copies of that topic when it is made; -1 = the brokers\' default.' }),
  'status.storage.topic': string({ required: true, group: topics, importance: 'HIGH', doc: 'Topic of states and used topics, compacted.' }),
  'status.storage.partitions': int({ default: 5, group: topics, importance: 'LOW', doc: 'Partitions of that topic when it is made; -1 = the brokers\' default.' }),
  'status.storage.replication.factor': short({ default: 3, group: topics, importance: 'LOW', doc: 'Copies of that topic when it is made; -1 = the brokers\' default.' }),
  'session.timeout.ms': int({ default: 6_000, group, importance: 'HIGH', doc: 'After this time without a heartbeat a worker counts as lost, in milliseconds. Connect: 10,000.' }),
  'heartbeat.interval.ms': int({ default: 1_500, group, importance: 'HIGH', doc: 'Time between heartbeats, in milliseconds. Connect: 3,000.' }),
  'rebalance.timeout.ms': int({ default: 60_000, group, importance: 'HIGH', doc: 'How long a worker may take to join again once a rebalance has begun, in milliseconds.' }),
  'scheduled.rebalance.max.delay.ms': int({ default: 0, group, importance: 'LOW', doc: 'How long the work of a lost worker waits for its return before others get it, in milliseconds. Connect: 300,000.' }),
  'worker.sync.timeout.ms': int({ default: 3_000, group, doc: 'How long a worker that is behind may take to read the config topic to its end, in milliseconds.' }),
  'worker.unsync.backoff.ms': int({ default: 300_000, group, doc: 'How long a worker that could not stays out of the group, in milliseconds.' }),
  'connect.protocol': oneOf(['eager', 'compatible', 'sessioned'], { default: 'sessioned', group, importance: 'LOW', doc: 'eager: everything stops at a rebalance; compatible: only what moves; sessioned: as compatible, and requests between workers are signed.' }),
  'exactly.once.source.support': oneOf(['disabled', 'preparing', 'enabled'], { default: 'disabled', group, importance: 'HIGH', doc: 'Write records and source offsets in transactions. Roll out by preparing on all workers, then enabled on all.' }),
  'retry.backoff.ms': long({ default: 100, group, importance: 'LOW', doc: 'First pause before a request is repeated, in milliseconds.' }),
  'inter.worker.key.ttl.ms': int({ default: 3_600_000, group: signing, importance: 'LOW', doc: 'How long a key for requests between workers is used, in milliseconds; 0 = without end.' }),
  'inter.worker.key.size': int({ group: signing, importance: 'LOW', doc: 'Bits of such a key; what the algorithm asks for when left out.' }),
  'inter.worker.key.generation.algorithm': string({ default: 'HmacSHA256', group: signing, importance: 'LOW', doc: 'Algorithm that the keys are for.', check: known }),
  'inter.worker.signature.algorithm': string({ default: 'HmacSHA256', group: signing, importance: 'LOW', doc: 'Algorithm that requests are signed with.', check: known }),
  'inter.worker.verification.algorithms': list({ default: ['HmacSHA256'], group: signing, importance: 'LOW', doc: 'Algorithms of signatures that are accepted; that of inter.worker.signature.algorithm must be among them.' }),
}, {
  families: [...workerConfig.families, /^(config|offset|status)\.storage\./, /^(request|metadata|reconnect|connections|socket|send|receive|retry)\./],
  check: config => [
    ...config['inter.worker.verification.algorithms'].includes(config['inter.worker.signature.algorithm']) ? [] : [{ option: 'inter.worker.verification.algorithms', message: 'inter.worker.verification.algorithms must include inter.worker.signature.algorithm' }],
    ...config['heartbeat.interval.ms'] * 2 <= config['session.timeout.ms'] ? [] : [{ option: 'heartbeat.interval.ms', message: 'heartbeat.interval.ms must be at most half of session.timeout.ms' }],
    ...(['config', 'offset', 'status'] as const).flatMap(name => (config[`${name}.storage.topic`] === '' ? [{ option: `${name}.storage.topic`, message: `${name}.storage.topic may not be empty` }] : [])),
    ...config['offset.storage.partitions'] === 0 || config['status.storage.partitions'] === 0 ? [{ option: 'offset.storage.partitions', message: 'The number of partitions must be -1 or above 0' }] : [],
  ],
});
export type DistributedConfig = ConfigOf<typeof distributedConfig>;

/** Java's name of a keyed hash → that of node:crypto (`HmacSHA256` → `sha256`); undefined when there is none. */
export function hashOf(algorithm: string): string | undefined {
  const name = /^Hmac(SHA\d+|MD5)$/i.exec(algorithm)?.[1]?.toLowerCase();
  return name !== undefined && getHashes().includes(name) ? name : undefined;
}
function known(algorithm: string): string | undefined { return hashOf(algorithm) === undefined ? `${algorithm} is not available; use HmacSHA256` : undefined; }

/** The signature of a request's body, as `X-Connect-Authorization` carries it, decoded. */
export function signatureOf(key: Buffer, algorithm: string, body: Uint8Array): Buffer {
  return createHmac(hashOf(algorithm) ?? 'sha256', key).update(body).digest();
}
