import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clientConfig } from '../../../../runtime/log/kafka/client-config.ts';
import { openKafkaClient } from '../../../../runtime/log/kafka/client.ts';
import { until } from '../../../kit/condition.ts';
import { javaMissing } from '../../../kit/jvm.ts';
import { type KafkaCluster, startKafka } from '../../../kit/kafka.ts';
import { openLogOn } from '../../../kit/kafka-log.ts';
import { appendOf, never } from '../../../kit/log-values.ts';

/** One broker that asks for rights; who comes without a name may do everything. */
describe.skipIf(javaMissing() !== undefined)('what a cluster refuses', () => {
  let kafka: KafkaCluster;
  const alice = { 'security.protocol': 'SASL_PLAINTEXT', 'sasl.mechanism': 'PLAIN', 'sasl.jaas.config': 'org.apache.kafka.common.security.plain.PlainLoginModule required username="alice" password="alice-secret";' };
  beforeAll(async () => {
    kafka = await startKafka({ listeners: ['SASL_PLAINTEXT', 'SASL_SSL'], expired: true, settings: { 'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer', 'super.users': 'User:ANONYMOUS', 'auto.create.topics.enable': 'false' } });
  });
  afterAll(async () => { await kafka[Symbol.asyncDispose](); });

  const acl = (action: '--add' | '--remove', ...rest: string[]): Promise<string> => kafka.java('org.apache.kafka.tools.AclCommand', ['--bootstrap-server', kafka.bootstrap, action, ...(action === '--remove' ? ['--force'] : []), '--allow-principal', 'User:alice', ...rest]);

  test('an ACL that is taken away fails reading and writing with the right that is missing', async () => {
    await using root = await openLogOn(kafka.bootstrap);
    await root.createTopic('secured', { partitions: 1 });
    await acl('--add', '--operation', 'All', '--topic', 'secured');
    await acl('--add', '--operation', 'All', '--topic', 'alice-offsets');
    await acl('--add', '--operation', 'Create', '--cluster');
    await using log = await openLogOn(kafka.secure('SASL_PLAINTEXT'), { worker: alice, offsets: { topic: 'alice-offsets', partitions: 1 } });
    await using writer = await log.writer('w');
    await using reader = await log.reader({ topic: 'secured', partition: 0 }, 0);
    await writer.append([appendOf('secured', ['1'])], undefined, never);
    expect(await reader.next(1024, 10_000, never)).toHaveLength(1);
    await acl('--remove', '--operation', 'All', '--topic', 'secured');
    const denied = { name: 'FatalError', code: 'KAFKA_DENIED', message: expect.stringContaining('secured') as string, hint: expect.stringContaining('kafka-acls') as string };
    const outcome = await until('the append to be refused', () => writer.append([appendOf('secured', ['x'])], undefined, never).then(() => false as const, (error: unknown) => error as Error));
    expect(outcome).toMatchObject(denied);
    await expect(until('the fetch to be refused', async () => { await reader.next(1024, 1_000, never); return false; })).rejects.toMatchObject(denied);
    await expect(log.commitPositions('connect-x', [{ topic: 'secured', partition: 0, topicId: '', epoch: 0, offset: 1 }])).rejects.toMatchObject({ code: 'KAFKA_DENIED' });
  });

  test('a topic that is deleted under a writer is told of, and made again by the next append', async () => {
    const rules = { 'topic.creation.default.partitions': '1', 'topic.creation.default.replication.factor': '1' };
    await using log = await openLogOn(kafka.bootstrap, { connector: rules });
    await using other = await openLogOn(kafka.bootstrap);
    await using writer = await log.writer('w');
    await writer.append([appendOf('fleeting', ['1'])], undefined, never);
    await other.deleteTopic('fleeting');
    await expect(writer.append([appendOf('fleeting', ['2'])], undefined, never)).rejects.toMatchObject({ name: 'RetriableError', code: 'TOPIC_DELETED' });
    expect(await writer.append([appendOf('fleeting', ['2'])], undefined, never)).toEqual([0]);
  });

  test('a missing topic is named where nobody may make it', async () => {
    await using log = await openLogOn(kafka.bootstrap);
    await expect(log.createTopic('nobody')).rejects.toMatchObject({ name: 'FatalError', code: 'TOPIC_MISSING', hint: expect.stringContaining('topic.creation.default') as string });
  });

  test('an expired certificate is named as that', async () => {
    const tls = { ...alice, 'security.protocol': 'SASL_SSL', 'ssl.truststore.location': kafka.keys.trustPem, 'ssl.truststore.type': 'PEM', 'bootstrap.servers': kafka.secure('SASL_SSL') };
    await expect(openKafkaClient(clientConfig(tls))).rejects.toMatchObject({ name: 'FatalError', code: 'KAFKA_CERTIFICATE_EXPIRED' });
  });
});
