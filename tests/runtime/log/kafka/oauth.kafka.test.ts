/** SASL/OAUTHBEARER with tokens from a token endpoint, at a real broker that ends sessions after three seconds. */
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { clientConfig, clientProperties, type Properties } from '../../../../runtime/log/kafka/client-config.ts';
import { openKafkaClient } from '../../../../runtime/log/kafka/client.ts';
import { BrokerConnection } from '../../../../runtime/log/kafka/connection.ts';
import { metadata } from '../../../../runtime/log/kafka/protocol/metadata-api.ts';
import { startProxy } from '../../../kit/fault-proxy.ts';
import { javaMissing } from '../../../kit/jvm.ts';
import { type KafkaCluster, startKafka } from '../../../kit/kafka.ts';
import { KEY_PASSWORD } from '../../../kit/kafka-keys.ts';

const MODULE = 'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule';
const ALLOWED = 'org.apache.kafka.sasl.oauthbearer.allowed.urls';
const SESSION_MS = 3_000;

/** A token as the broker of the kit takes it: unsigned, for `alice`. */
function tokenFor(seconds: number): string {
  const now = Math.floor(Date.now() / 1000), part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none' })}.${part({ sub: 'alice', iat: now, exp: now + seconds })}.`;
}

interface Asked { readonly authorization: string; readonly body: string }

describe.skipIf(javaMissing() !== undefined)('tokens from an endpoint', () => {
  let kafka: KafkaCluster;
  let server: Server;
  let url: string;
  const asked: Asked[] = [];
  /** Answers in turn; the last one again and again. */
  let answers: readonly (readonly [status: number, body: object])[] = [];
  const granted = (seconds = 600): readonly [number, object] => [200, { access_token: tokenFor(seconds), token_type: 'Bearer', expires_in: seconds }];
  const listener: RequestListener = (request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => { body += chunk.toString(); }).on('end', () => {
      asked.push({ authorization: request.headers.authorization ?? '', body });
      const [status, answer] = answers[Math.min(asked.length, answers.length) - 1] ?? [500, {}];
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    });
  };
  const listen = async (on: Server): Promise<number> => {
    await new Promise<void>(done => { on.listen(0, '127.0.0.1', done); });
    return (on.address() as { readonly port: number }).port;
  };
  beforeAll(async () => {
    kafka = await startKafka({ listeners: ['SASL_PLAINTEXT'], settings: { 'listener.name.sasl_plaintext.oauthbearer.connections.max.reauth.ms': String(SESSION_MS) } });
    server = createServer(listener);
    url = `http://127.0.0.1:${await listen(server)}/token`;
  }, 300_000);
  afterAll(async () => { server.close(); await kafka[Symbol.asyncDispose](); });
  beforeEach(() => { asked.length = 0; answers = [granted()]; });
  afterEach(() => { vi.unstubAllEnvs(); });

  const properties = (options: string, more: Properties = {}): Properties => ({ 'bootstrap.servers': kafka.secure('SASL_PLAINTEXT'), 'security.protocol': 'SASL_PLAINTEXT', 'sasl.mechanism': 'OAUTHBEARER', 'sasl.jaas.config': `${MODULE} required ${options};`, 'sasl.oauthbearer.token.endpoint.url': url, [ALLOWED]: `https://else.example/token,${url}`, ...more });
  const clusterOf = async (given: Properties): Promise<string | undefined> => {
    await using client = await openKafkaClient(clientConfig(given, 'test'));
    await client.request('controller', metadata, { topics: [], autoCreate: false }, { lane: 'another' });
    return client.clusterId;
  };
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;

  test('are asked for once for all connections, with id and secret as they are and the scope', async () => {
    expect(await clusterOf(properties('clientId="tributary" clientSecret="s/cr=t+" scope="kafka read" extension_logicalCluster="lkc-1"'))).toBe(kafka.id);
    expect(asked).toEqual([{ authorization: basic('tributary:s/cr=t+'), body: 'grant_type=client_credentials&scope=kafka+read' }]);
  });

  test('by the newer options, which win, and with id and secret encoded where that is asked for', async () => {
    expect(await clusterOf(properties('clientId="old" clientSecret="old"', { 'sasl.oauthbearer.client.credentials.client.id': 'tributary', 'sasl.oauthbearer.client.credentials.client.secret': 's/cr=t+', 'sasl.oauthbearer.header.urlencode': 'true' }))).toBe(kafka.id);
    expect(asked).toEqual([{ authorization: basic('tributary:s%2Fcr%3Dt%2B'), body: 'grant_type=client_credentials' }]);
  });

  test('are asked for again while the endpoint is in trouble, and not where it says no', async () => {
    answers = [[503, {}], [200, { nothing: 1 }], granted()];
    expect(await clusterOf(properties('clientId="a" clientSecret="b"'))).toBe(kafka.id);
    expect(asked).toHaveLength(3);
    asked.length = 0;
    answers = [[401, { error: 'invalid_client', error_description: 'no such client', secret: 'hush-hush' }]];
    const refused = await clusterOf(properties('clientId="a" clientSecret="hush-hush"')).then(() => undefined, (error: unknown) => error as Error);
    expect(refused).toMatchObject({ name: 'FatalError', code: 'KAFKA_TOKEN', message: expect.stringContaining('HTTP 401 (invalid_client: no such client)') as string });
    expect(JSON.stringify(refused)).not.toContain('hush-hush');
    expect(asked).toHaveLength(1);
    answers = [[500, {}]];
    await expect(clusterOf(properties('clientId="a" clientSecret="b"', { 'sasl.login.retry.backoff.max.ms': '300', 'request.timeout.ms': '1000', 'socket.connection.setup.timeout.ms': '1000' }))).rejects.toMatchObject({ name: 'RetriableError', code: 'KAFKA_TOKEN' });
  });

  test('come over TLS by the trust that the JAAS entry names', async () => {
    const secure = createSecureServer({ pfx: readFileSync(kafka.keys.brokerStore), passphrase: KEY_PASSWORD }, listener);
    const endpoint = `https://localhost:${await listen(secure)}/token`;
    const given = (truststore: string): Properties => properties(`clientId="a" clientSecret="b" ssl.truststore.type="PEM" ssl.truststore.location="${truststore}"`, { 'sasl.oauthbearer.token.endpoint.url': endpoint, [ALLOWED]: endpoint, 'sasl.login.retry.backoff.max.ms': '300', 'request.timeout.ms': '1000', 'socket.connection.setup.timeout.ms': '1000' });
    try {
      expect(await clusterOf(given(kafka.keys.trustPem))).toBe(kafka.id);
      await expect(clusterOf(given(kafka.keys.strangerPem))).rejects.toMatchObject({ code: 'KAFKA_TOKEN', message: expect.stringMatching(/certificate/) as string });
    } finally { secure.close(); }
  });

  test('come from no address that the worker does not allow; a connector cannot allow one itself', () => {
    const { [ALLOWED]: _, ...plain } = properties('clientId="a" clientSecret="b"');
    const words = `Invalid value ${url} for configuration sasl.oauthbearer.token.endpoint.url: The URL cannot be accessed due to restrictions. Update the system property '${ALLOWED}' to allow the URL to be accessed.`;
    const worker = { 'bootstrap.servers': kafka.bootstrap };
    expect(() => clientConfig(plain)).toThrow(words);
    expect(() => clientConfig(clientProperties(worker, 'producer', { ...plain, [ALLOWED]: url }))).toThrow(words);
    expect(() => clientConfig(clientProperties({ ...worker, [ALLOWED]: url }, 'producer', plain))).not.toThrow();
    vi.stubEnv('KAFKA_OPTS', `-Xmx1g -D${ALLOWED}=https://else.example/token,${url} -Dx=y`);
    expect(() => clientConfig(plain)).not.toThrow();
    expect(() => clientConfig(properties('clientId="a" clientSecret="b"', { 'sasl.oauthbearer.token.endpoint.url': 'ldap://x/', [ALLOWED]: 'ldap://x/' }))).toThrow(/only "http", "https", and "file" protocol are supported/);
  });

  test.each([
    ['no secret', 'clientId="a"', {}, 'SASL_CREDENTIALS'], ['an extension called auth', 'clientId="a" clientSecret="b" extension_auth="x"', {}, 'SASL_EXTENSION'], ['an extension with a line\'s end in its name', 'clientId="a" clientSecret="b" extension_x1="x"', {}, 'SASL_EXTENSION'],
    ['a handler that is not Kafka\'s', 'clientId="a" clientSecret="b"', { 'sasl.login.callback.handler.class': 'com.example.Handler' }, 'SASL_CLASS'], ['another way to tokens', 'clientId="a" clientSecret="b"', { 'sasl.oauthbearer.jwt.retriever.class': 'org.apache.kafka.common.security.oauthbearer.JwtBearerJwtRetriever' }, 'SASL_CLASS'],
  ])('need what they need: %s is refused', (_, options, more, code) => {
    expect(() => clientConfig(properties(options, more))).toThrow(expect.objectContaining({ name: 'ConfigError', code }) as Error);
  });

  test('a session is authenticated again over its connection before the broker ends it', async () => {
    answers = [[200, { access_token: tokenFor(60), expires_in: 2 }]];
    const [host = '', port = ''] = kafka.secure('SASL_PLAINTEXT').split(':');
    await using proxy = await startProxy({ host, port: Number(port) });
    const connection = new BrokerConnection(clientConfig(properties('clientId="a" clientSecret="b"')), { host: proxy.host, port: proxy.port });
    try {
      const until = performance.now() + 3 * SESSION_MS;
      let requests = 0;
      while (performance.now() < until) {
        await Promise.all(Array.from({ length: 5 }, () => connection.send(metadata, { topics: [], autoCreate: false })));
        requests += 5;
        await pause(100);
      }
      expect(proxy.accepted).toBe(1);
      expect(requests).toBeGreaterThan(20);
    } finally { connection.close(); }
  }, 60_000);
});
