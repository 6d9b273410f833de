import { describe, expect, test } from 'vitest';
import { clientConfig, clientProperties } from '../../../../runtime/log/kafka/client-config.ts';
import { parsedClient, producerConfig } from '../../../../runtime/log/kafka/log-config.ts';
import { parseJaas } from '../../../../runtime/log/kafka/security/jaas.ts';
import { topicCreation } from '../../../../runtime/log/kafka/topic-creation.ts';

const PLAIN = 'org.apache.kafka.common.security.plain.PlainLoginModule';

describe('sasl.jaas.config', () => {
  test('is read with quotes, escapes and bare words', () => {
    expect(parseJaas(`${PLAIN} required\n username="al\\"ice" password="a=b;c" serviceName=kafka;`)).toEqual({ module: PLAIN, options: { username: 'al"ice', password: 'a=b;c', serviceName: 'kafka' } });
    expect(parseJaas('a.B REQUIRED;')).toEqual({ module: 'a.B', options: {} });
  });

  test.each(['', ';', PLAIN, `${PLAIN} required`, `${PLAIN} perhaps x=y;`, `${PLAIN} required username="open;`, `${PLAIN} required username;`, `${PLAIN} required u=; p=q;`, `${PLAIN} required a=b; ${PLAIN} required c=d;`])('is refused when it is no entry, without showing it: %j', text => {
    expect(() => parseJaas(text.replace('open', 'hush-hush'))).toThrow(expect.objectContaining({ code: 'JAAS_INVALID', message: expect.not.stringContaining('hush-hush') as string }) as Error);
  });

  test.each([
    ['a login module that is none of Kafka\'s', { 'sasl.mechanism': 'PLAIN', 'sasl.jaas.config': 'com.sun.security.auth.module.JndiLoginModule required user.provider.url="ldap://x";' }, 'JAAS_MODULE'],
    ['a module of another mechanism', { 'sasl.mechanism': 'SCRAM-SHA-256', 'sasl.jaas.config': `${PLAIN} required username="a" password="b";` }, 'JAAS_MODULE'],
    ['a mechanism that is not there', { 'sasl.mechanism': 'GSSAPI', 'sasl.jaas.config': 'com.sun.security.auth.module.Krb5LoginModule required;' }, 'SASL_MECHANISM'],
    ['no password', { 'sasl.mechanism': 'PLAIN', 'sasl.jaas.config': `${PLAIN} required username="a";` }, 'SASL_CREDENTIALS'],
  ])('refuses %s', (_what, sasl, code) => {
    expect(() => clientConfig({ 'bootstrap.servers': 'k:9092', 'security.protocol': 'SASL_SSL', ...sasl })).toThrow(expect.objectContaining({ name: 'ConfigError', code }) as Error);
  });
});

describe('clients of a worker', () => {
  const worker = { 'bootstrap.servers': 'k:9092', 'security.protocol': 'SSL', 'ssl.endpoint.identification.algorithm': '', 'client.id': 'w', 'producer.acks': '1', 'producer.bootstrap.servers': 'p:1', 'consumer.client.id': 'c', 'key.converter': 'x' };
  test('inherit connection and security, take their prefix, and the overrides last', () => {
    expect(clientProperties(worker, 'producer', { acks: 'all' })).toEqual({ 'bootstrap.servers': 'p:1', 'security.protocol': 'SSL', 'ssl.endpoint.identification.algorithm': '', acks: 'all' });
    expect(clientProperties(worker, 'consumer')).toMatchObject({ 'bootstrap.servers': 'k:9092', 'client.id': 'c' });
    expect(clientProperties(worker, 'worker')['client.id']).toBe('w');
  });

  test('name brokers by name, IPv4 and IPv6; anything else is refused in Kafka\'s words', () => {
    expect(clientConfig({ 'bootstrap.servers': 'k:9092, SASL_SSL://h.example:9, [::1]:9093,127.0.0.1:1' }).bootstrap).toEqual([{ host: 'k', port: 9092 }, { host: 'h.example', port: 9 }, { host: '::1', port: 9093 }, { host: '127.0.0.1', port: 1 }]);
    expect(() => clientConfig({ 'bootstrap.servers': 'k' })).toThrow('Invalid url in bootstrap.servers: k');
    expect(() => clientConfig({ 'bootstrap.servers': ' ' })).toThrow('No bootstrap urls given in bootstrap.servers');
  });

  test('lose no records by acks', () => {
    expect(() => parsedClient(producerConfig, { acks: '0', 'enable.idempotence': 'false' })).toThrow(/acks/);
    expect(() => parsedClient(producerConfig, { acks: '1' })).toThrow('Must set acks to all in order to use the idempotent producer');
    expect(parsedClient(producerConfig, { acks: '1', 'enable.idempotence': 'false' }).acks).toBe('1');
  });
});

describe('topic.creation', () => {
  test('is absent without its keys, and says what is missing with some', () => {
    expect(topicCreation({ name: 'c' })).toBeUndefined();
    expect(() => topicCreation({ 'topic.creation.default.partitions': '1' })).toThrow(/topic\.creation\.default\.replication\.factor.*required/);
    expect(() => topicCreation({ 'topic.creation.default.partitions': '0', 'topic.creation.default.replication.factor': '1' })).toThrow(/positive number, or -1/);
    expect(() => topicCreation({ 'topic.creation.default.partitions': '1', 'topic.creation.default.replication.factor': '1', 'topic.creation.groups': 'g' })).toThrow(/topic\.creation\.g\.include/);
    expect(() => topicCreation({ 'topic.creation.default.partitions': '1', 'topic.creation.default.replication.factor': '1', 'topic.creation.groups': 'g', 'topic.creation.g.include': '(' })).toThrow(/topic\.creation\.g\.include/);
  });

  test('takes the first group whose include matches the whole name', () => {
    const settings = topicCreation({ 'topic.creation.default.partitions': '1', 'topic.creation.default.replication.factor': '-1', 'topic.creation.groups': 'a, b', 'topic.creation.a.include': 'x\\..*,y', 'topic.creation.a.partitions': '3', 'topic.creation.b.include': '.*', 'topic.creation.b.exclude': 'z', 'topic.creation.b.retention.ms': '5' });
    expect([settings?.('x.1'), settings?.('xx'), settings?.('z')]).toEqual([
      { name: 'x.1', partitions: 3, replicationFactor: -1, configs: {} }, { name: 'xx', partitions: 1, replicationFactor: -1, configs: { 'retention.ms': '5' } }, { name: 'z', partitions: 1, replicationFactor: -1, configs: {} },
    ]);
  });
});
