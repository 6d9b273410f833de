/** Options of the producer and the consumer that Kafka's clients have and that mean something here, by Kafka's names. */
import { parseConfig } from '../../api/config-parse.ts';
import { bool, defineConfig, int, long, oneOf, string, type ConfigDef, type ConfigOf } from '../../api/config.ts';
import { ConfigError } from '../../api/errors.ts';
import type { Properties } from './client-config.ts';

const producing = 'Kafka producer', consuming = 'Kafka consumer';
/** What Connect sets for its source producers are the defaults: all replicas, no limit of time. */
export const producerConfig = defineConfig({
  acks: oneOf(['all', '-1', '1'], { default: 'all', group: producing, doc: 'Who must have a record: all in-sync replicas, or the leader (1). 0 is refused: nobody would know what was lost.' }),
  'enable.idempotence': bool({ default: true, group: producing, doc: 'Let the brokers drop repetitions.' }),
  'compression.type': oneOf(['none', 'gzip', 'snappy', 'lz4', 'zstd'], { default: 'none', group: producing, doc: 'Compression of record batches.' }),
  'max.request.size': int({ default: 1_048_576, group: producing, doc: 'Most bytes of one request, and of one record.' }),
  'delivery.timeout.ms': int({ default: 2_147_483_647, group: producing, doc: 'How long records may take to be accepted before the task starts again, in milliseconds.' }),
  'transaction.timeout.ms': int({ default: 60_000, group: producing, doc: 'How long a transaction may stay open before the brokers end it, in milliseconds.' }),
}, { families: [/./], check: config => (config['enable.idempotence'] && config.acks === '1' ? [{ option: 'acks', message: 'Must set acks to all in order to use the idempotent producer. Otherwise set enable.idempotence to false.' }] : []) });

export const consumerConfig = defineConfig({
  'isolation.level': oneOf(['read_uncommitted', 'read_committed'], { default: 'read_uncommitted', group: consuming, doc: 'read_committed leaves out aborted transactions, and waits for open ones to end.' }),
  'fetch.max.wait.ms': int({ default: 500, group: consuming, doc: 'How long a broker waits for fetch.min.bytes, in milliseconds.' }),
  'fetch.min.bytes': int({ default: 1, group: consuming, doc: 'Bytes for which a broker waits.' }),
  'fetch.max.bytes': int({ default: 52_428_800, group: consuming, doc: 'Most bytes of one answer.' }),
  'max.partition.fetch.bytes': int({ default: 1_048_576, group: consuming, doc: 'Most bytes of one partition in one answer, larger single batches aside.' }),
  'client.rack': string({ default: '', group: consuming, doc: 'Rack of this worker.' }),
  'connections.max.idle.ms': long({ default: 540_000, group: consuming, importance: 'LOW', doc: 'Accepted; idle connections are kept.' }),
}, { families: [/./] });

/** Throws ConfigError KAFKA_CONFIG with all problems. */
export function parsedClient<D extends ConfigDef>(def: D, properties: Properties): ConfigOf<D> {
  const { config, problems } = parseConfig(def, properties);
  if (config === undefined) throw new ConfigError(problems.map(({ message }) => message).join('\n'), { code: 'KAFKA_CONFIG', hint: 'Correct the producer., consumer. or override keys.' });
  return config as ConfigOf<D>;
}
