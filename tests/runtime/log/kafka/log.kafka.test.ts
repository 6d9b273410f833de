import { afterAll, beforeAll, describe } from 'vitest';
import { javaMissing } from '../../../kit/jvm.ts';
import { KAFKA_VERSIONS, type KafkaCluster, startKafka } from '../../../kit/kafka.ts';
import { emptyCluster, openLogOn } from '../../../kit/kafka-log.ts';
import { describeLog } from '../../../kit/log-suite.ts';

describe.skipIf(javaMissing() !== undefined).each(KAFKA_VERSIONS)('Kafka %s', version => {
  let kafka: KafkaCluster;
  beforeAll(async () => { kafka = await startKafka({ version }); });
  afterAll(async () => { await kafka[Symbol.asyncDispose](); });

  describeLog('at-least-once', async () => {
    await emptyCluster(kafka.bootstrap);
    return openLogOn(kafka.bootstrap);
  }, { dense: true, fences: false });

  describeLog('exactly-once', async () => {
    await emptyCluster(kafka.bootstrap);
    return openLogOn(kafka.bootstrap, { worker: { 'consumer.isolation.level': 'read_committed' }, transactionalId: writer => `test-${writer}` });
  }, { dense: false, fences: true });
});
