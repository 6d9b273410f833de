import { createPrivateKey } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clientConfig, type Properties } from '../../../../runtime/log/kafka/client-config.ts';
import { openKafkaClient } from '../../../../runtime/log/kafka/client.ts';
import { readKeyStore } from '../../../../runtime/log/kafka/security/keystore.ts';
import { javaMissing } from '../../../kit/jvm.ts';
import { type KafkaCluster, startKafka } from '../../../kit/kafka.ts';
import { KEY_PASSWORD } from '../../../kit/kafka-keys.ts';
import { freePort } from '../../../kit/postgres.ts';

const MODULES = 'org.apache.kafka.common.security';
const plain = (password: string): string => `${MODULES}.plain.PlainLoginModule required username="alice" password="${password}";`;
const scram = (password: string): string => `${MODULES}.scram.ScramLoginModule required username="alice" password="${password}";`;

describe.skipIf(javaMissing() !== undefined)('kafka client', () => {
  let kafka: KafkaCluster;
  let tls: Properties;
  beforeAll(async () => {
    kafka = await startKafka({ listeners: ['SSL', 'SASL_PLAINTEXT', 'SASL_SSL'] });
    tls = { 'ssl.truststore.location': kafka.keys.trustPem, 'ssl.truststore.type': 'PEM' };
  });
  afterAll(async () => { await kafka[Symbol.asyncDispose](); });

  const clusterOf = async (properties: Properties): Promise<string | undefined> => {
    await using client = await openKafkaClient(clientConfig(properties, 'test'));
    return client.clusterId;
  };
  const secure = (listener: 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL', more: Properties): Properties => ({ 'bootstrap.servers': kafka.secure(listener), 'security.protocol': listener, ...more });

  test('connects without security', async () => { expect(await clusterOf({ 'bootstrap.servers': kafka.bootstrap })).toBe(kafka.id); });

  test.each([['PLAIN', plain], ['SCRAM-SHA-256', scram], ['SCRAM-SHA-512', scram]])('connects by %s, over TLS and not', async (mechanism, jaas) => {
    const sasl = { 'sasl.mechanism': mechanism, 'sasl.jaas.config': jaas('alice-secret') };
    expect(await clusterOf(secure('SASL_PLAINTEXT', sasl))).toBe(kafka.id);
    expect(await clusterOf(secure('SASL_SSL', { ...tls, ...sasl }))).toBe(kafka.id);
  });

  test.each([['PLAIN', plain], ['SCRAM-SHA-512', scram]])('says that the password is wrong by %s, at once', async (mechanism, jaas) => {
    const since = performance.now();
    const failed = clusterOf(secure('SASL_PLAINTEXT', { 'sasl.mechanism': mechanism, 'sasl.jaas.config': jaas('wrong-secret') }));
    await expect(failed).rejects.toMatchObject({ name: 'FatalError', code: 'KAFKA_AUTHENTICATION', message: expect.not.stringContaining('wrong-secret') as string });
    expect(performance.now() - since).toBeLessThan(20_000);
  });

  test('connects by OAUTHBEARER, and says when the token is refused', async () => {
    const bearer = { 'sasl.mechanism': 'OAUTHBEARER', 'sasl.jaas.config': `${MODULES}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="alice";` };
    expect(await clusterOf(secure('SASL_PLAINTEXT', bearer))).toBe(kafka.id);
    const token = join(kafka.directory, 'token');
    writeFileSync(token, 'no.token.');
    const url = `file://${token}`;
    await expect(clusterOf(secure('SASL_PLAINTEXT', { ...bearer, 'sasl.oauthbearer.token.endpoint.url': url, 'org.apache.kafka.sasl.oauthbearer.allowed.urls': url }))).rejects.toMatchObject({ name: 'FatalError', code: 'KAFKA_AUTHENTICATION' });
  });

  test('trusts by PEM, PKCS12 and JKS, and shows its own certificate from PKCS12 and JKS', async () => {
    const { keys } = kafka;
    const trust = (type: string, location: string): Properties => ({ 'ssl.truststore.type': type, 'ssl.truststore.location': location, 'ssl.truststore.password': KEY_PASSWORD });
    const own = (type: string, location: string): Properties => ({ 'ssl.keystore.type': type, 'ssl.keystore.location': location, 'ssl.keystore.password': KEY_PASSWORD });
    expect(await clusterOf(secure('SSL', { ...trust('PKCS12', keys.trustPkcs12), ...own('PKCS12', keys.clientPkcs12) }))).toBe(kafka.id);
    expect(await clusterOf(secure('SSL', { ...trust('JKS', keys.trustJks), ...own('JKS', keys.clientJks) }))).toBe(kafka.id);
    expect(await clusterOf(secure('SSL', { ...tls, ...own('PKCS12', keys.clientPkcs12) }))).toBe(kafka.id);
    await expect(clusterOf(secure('SSL', { 'request.timeout.ms': '3000', 'socket.connection.setup.timeout.ms': '3000', ...tls }))).rejects.toMatchObject({ code: expect.stringMatching(/KAFKA_CLIENT_CERTIFICATE|KAFKA_UNREACHABLE/) as string });
    expect(() => clientConfig(secure('SSL', { ...trust('JKS', keys.trustJks), 'ssl.truststore.password': 'wrong' }))).toThrow(/password is wrong/);
    expect(() => clientConfig(secure('SSL', { ...trust('PKCS12', keys.trustPkcs12), 'ssl.truststore.password': 'wrong' }))).toThrow(/password is wrong/);
  });

  test('shows an elliptic key from PKCS12, JKS and PEM, encrypted or not', async () => {
    const { keys } = kafka;
    const own = (type: string, location: string): Properties => ({ ...tls, 'ssl.keystore.type': type, 'ssl.keystore.location': location, 'ssl.keystore.password': KEY_PASSWORD });
    expect(await clusterOf(secure('SSL', own('PKCS12', keys.ellipticPkcs12)))).toBe(kafka.id);
    expect(await clusterOf(secure('SSL', own('JKS', keys.ellipticJks)))).toBe(kafka.id);
    const { key = '', chain } = readKeyStore(readFileSync(keys.ellipticPkcs12), KEY_PASSWORD, KEY_PASSWORD);
    const pair = createPrivateKey(key);
    expect(pair.asymmetricKeyType).toBe('ec');
    const file = join(kafka.directory, 'elliptic.pem');
    writeFileSync(file, `${key}${chain.join('')}`);
    expect(await clusterOf(secure('SSL', { ...tls, 'ssl.keystore.type': 'PEM', 'ssl.keystore.location': file }))).toBe(kafka.id);
    const locked = pair.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'opens-it' }).toString();
    // As a properties file has it: in one line.
    const inline = { ...tls, 'ssl.keystore.key': locked.replaceAll('\n', ' '), 'ssl.keystore.certificate.chain': chain.join('').replaceAll('\n', ' '), 'ssl.key.password': 'opens-it' };
    expect(await clusterOf(secure('SSL', inline))).toBe(kafka.id);
  });

  test('says that a certificate is not trusted, or names another host', async () => {
    const sasl = { 'sasl.mechanism': 'PLAIN', 'sasl.jaas.config': plain('alice-secret') };
    await expect(clusterOf(secure('SASL_SSL', { ...sasl, 'ssl.truststore.location': kafka.keys.strangerPem, 'ssl.truststore.type': 'PEM' }))).rejects.toMatchObject({ name: 'FatalError', code: 'KAFKA_CERTIFICATE_UNTRUSTED' });
  });

  test('says that a host is not known, or that nobody listens there', async () => {
    const soon = { 'request.timeout.ms': '1000', 'socket.connection.setup.timeout.ms': '500' };
    await expect(clusterOf({ 'bootstrap.servers': 'no-such-host.invalid:9092', ...soon })).rejects.toMatchObject({ name: 'FatalError', code: 'KAFKA_HOST_UNKNOWN' });
    await expect(clusterOf({ 'bootstrap.servers': `127.0.0.1:${await freePort()}`, ...soon })).rejects.toMatchObject({ name: 'RetriableError', code: 'KAFKA_UNREACHABLE' });
  });
});
