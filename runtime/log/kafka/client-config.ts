/**
 * Worker properties → how to reach the brokers. Options have Kafka's own names and defaults
 * (kafka.apache.org/documentation, "Producer Configs", "Consumer Configs", "Admin Configs").
 */
import type { KafkaConfig } from 'kafkajs';
import { parseConfig } from '../../api/config-parse.ts';
import { bool, defineConfig, int, list, long, oneOf, password, string, type ConfigOf } from '../../api/config.ts';
import { ConfigError } from '../../api/errors.ts';
import { ALLOWED_URLS } from './security/oauth-token.ts';
import { saslFrom, type SaslSettings } from './security/sasl.ts';
import { type TlsOptions, tlsFrom } from './security/tls.ts';

const connection = 'Kafka', security = 'Kafka security';
export const kafkaClientConfig = defineConfig({
  'bootstrap.servers': list({ required: true, group: connection, importance: 'HIGH', doc: 'Brokers to begin with, host:port, separated by commas.' }),
  'client.id': string({ default: '', group: connection, doc: 'Name that the brokers see in logs and quotas.' }),
  'request.timeout.ms': int({ default: 30_000, group: connection, doc: 'How long an answer may take, in milliseconds.' }),
  'socket.connection.setup.timeout.ms': long({ default: 10_000, group: connection, doc: 'How long a connection may take to be made, in milliseconds.' }),
  'retry.backoff.ms': long({ default: 100, group: connection, doc: 'First pause before a request is repeated, in milliseconds.' }),
  'retry.backoff.max.ms': long({ default: 1_000, group: connection, doc: 'Longest pause before a request is repeated, in milliseconds.' }),
  'metadata.max.age.ms': long({ default: 300_000, group: connection, doc: 'After this time topics and leaders are looked up anew, in milliseconds.' }),
  'security.protocol': oneOf(['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'], { default: 'PLAINTEXT', group: security, importance: 'HIGH', doc: 'How to talk to the brokers.' }),
  'sasl.mechanism': string({ default: 'GSSAPI', group: security, doc: 'PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER.' }),
  'sasl.jaas.config': password({ group: security, doc: 'Login module and its options, in the form of a JAAS configuration. It is read, never run.' }),
  'sasl.oauthbearer.token.endpoint.url': string({ group: security, doc: 'Where OAUTHBEARER tokens come from: an https:, http: or file: URL. It must be listed in org.apache.kafka.sasl.oauthbearer.allowed.urls, in the worker file or as a system property in KAFKA_OPTS.' }),
  'sasl.oauthbearer.client.credentials.client.id': string({ group: security, doc: 'Client id for the token endpoint; clientId of sasl.jaas.config when left out.' }),
  'sasl.oauthbearer.client.credentials.client.secret': password({ group: security, doc: 'Its secret; clientSecret of sasl.jaas.config when left out.' }),
  'sasl.oauthbearer.scope': string({ group: security, doc: 'Scope to ask for; scope of sasl.jaas.config when left out.' }),
  'sasl.oauthbearer.header.urlencode': bool({ default: false, group: security, importance: 'LOW', doc: 'URL-encode client id and secret in the request.' }),
  'sasl.login.connect.timeout.ms': int({ group: security, importance: 'LOW', doc: 'How long the token endpoint may take to be reached, in milliseconds; 10 s together with the next one when both are left out.' }),
  'sasl.login.read.timeout.ms': int({ group: security, importance: 'LOW', doc: 'How long it may take to answer, in milliseconds.' }),
  'sasl.login.retry.backoff.ms': long({ default: 100, group: security, importance: 'LOW', doc: 'First pause before the token endpoint is asked again, in milliseconds.' }),
  'sasl.login.retry.backoff.max.ms': long({ default: 10_000, group: security, importance: 'LOW', doc: 'How long it is asked again, in milliseconds.' }),
  'ssl.truststore.location': string({ group: security, importance: 'HIGH', doc: 'File with the certificates of trusted authorities; the system\'s when left out.' }),
  'ssl.truststore.password': password({ group: security, doc: 'Password of that file.' }),
  'ssl.truststore.type': oneOf(['JKS', 'PKCS12', 'PEM'], { default: 'JKS', group: security, doc: 'Form of that file. JKS and PKCS12 are told apart by their content, as Java does.' }),
  'ssl.truststore.certificates': password({ group: security, doc: 'Trusted certificates in PEM form, in place of a file.' }),
  'ssl.keystore.location': string({ group: security, doc: 'File with the client\'s own key and certificate.' }),
  'ssl.keystore.password': password({ group: security, doc: 'Password of that file.' }),
  'ssl.keystore.type': oneOf(['JKS', 'PKCS12', 'PEM'], { default: 'JKS', group: security, doc: 'Form of that file.' }),
  'ssl.keystore.key': password({ group: security, doc: 'The client\'s private key in PEM form, in place of a file.' }),
  'ssl.keystore.certificate.chain': password({ group: security, doc: 'The client\'s certificate and its issuers in PEM form.' }),
  'ssl.key.password': password({ group: security, doc: 'Password of the private key.' }),
  'ssl.endpoint.identification.algorithm': string({ default: 'https', group: security, doc: 'https: the certificate must name the broker\'s host; empty: it need not.' }),
  'ssl.enabled.protocols': list({ default: ['TLSv1.2', 'TLSv1.3'], group: security, doc: 'TLS versions that may be used.' }),
  'ssl.cipher.suites': list({ default: [], group: security, importance: 'LOW', doc: 'Cipher suites by their OpenSSL or IANA names; the runtime\'s choice when left out.' }),
}, {
  families: [/./],
  check: config => (config['bootstrap.servers'].length === 0 ? [{ option: 'bootstrap.servers', message: 'No bootstrap urls given in bootstrap.servers' }]
    : config['bootstrap.servers'].filter(server => !ADDRESS.test(server)).map(server => ({ option: 'bootstrap.servers', message: `Invalid url in bootstrap.servers: ${server}` }))),
});
const ADDRESS = /^(?:[A-Za-z_]+:\/\/)?(?:\[([0-9a-fA-F:.]+)\]|([^:/\s]+)):(\d{1,5})$/;

export interface Endpoint { readonly host: string; readonly port: number }
/** How connections to a cluster are made. Holds secrets: never log it. */
export interface ClientConfig {
  readonly bootstrap: readonly Endpoint[];
  readonly clientId: string;
  readonly tls: TlsOptions | undefined;
  readonly sasl: SaslSettings | undefined;
  readonly requestTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
  readonly metadataMaxAgeMs: number;
}

export type Properties = Readonly<Record<string, string>>;
/** Whose client it is: the worker's own (`worker`), or one that a connector's tasks use. */
export type ClientScope = 'worker' | 'producer' | 'consumer' | 'admin';

/** Keys without which a client cannot reach the cluster at all; the worker's hold for its connectors' clients too. */
const SHARED = /^(?:bootstrap\.servers$|security\.|sasl\.|ssl\.|client\.dns\.lookup$|socket\.connection\.|reconnect\.)/;

/**
 * The properties of one client: the worker's connection and security keys, then `<scope>.` of the worker, then the
 * connector's overrides (`producer.override.…`, already stripped and allowed by the policy). Connect takes the worker's
 * security keys for its own clients only; here the others inherit them (docs/compatibility.md).
 */
export function clientProperties(worker: Properties, scope: ClientScope, overrides: Properties = {}): Properties {
  const found: Record<string, string> = {};
  for (const [key, value] of Object.entries(worker)) if (scope === 'worker' || SHARED.test(key)) found[key] = value;
  const prefix = `${scope}.`;
  for (const [key, value] of Object.entries(worker)) if (key.startsWith(prefix)) found[key.slice(prefix.length)] = value;
  // What a connector may make its worker ask is for the worker to say, not for the connector.
  const allowed = worker[ALLOWED_URLS];
  const { [ALLOWED_URLS]: _, ...own } = overrides;
  return { ...found, ...(allowed === undefined ? {} : { [ALLOWED_URLS]: allowed }), ...own };
}

/** Parses one client's properties. Throws ConfigError with all problems of the declaration, or of the security settings. */
export function clientConfig(properties: Properties, clientId = ''): ClientConfig {
  const { config, problems } = parseConfig(kafkaClientConfig, properties);
  if (config === undefined) throw new ConfigError(problems.map(({ message }) => message).join('\n'), { code: 'KAFKA_CONFIG', hint: 'Correct the Kafka keys of the worker file, or the connector\'s overrides.' });
  const protocol = config['security.protocol'];
  return {
    bootstrap: config['bootstrap.servers'].map(endpoint),
    clientId: config['client.id'] === '' ? clientId : config['client.id'],
    tls: protocol.endsWith('SSL') ? tlsFrom(config) : undefined,
    sasl: protocol.startsWith('SASL') ? saslFrom(config, properties) : undefined,
    requestTimeoutMs: config['request.timeout.ms'], connectTimeoutMs: config['socket.connection.setup.timeout.ms'],
    backoffMs: config['retry.backoff.ms'], backoffMaxMs: Math.max(config['retry.backoff.ms'], config['retry.backoff.max.ms']), metadataMaxAgeMs: config['metadata.max.age.ms'],
  };
}
export type KafkaClientOptions = ConfigOf<typeof kafkaClientConfig>;

function endpoint(server: string): Endpoint {
  const match = ADDRESS.exec(server);
  return { host: match?.[1] ?? match?.[2] ?? '', port: Number(match?.[3] ?? '0') };
}

/** The same for kafkajs's own classes (admin, and consumer and producer in tests). */
export function kafkajsConfig(config: ClientConfig): KafkaConfig {
  return {
    brokers: config.bootstrap.map(({ host, port }) => `${host}:${port}`), clientId: config.clientId === '' ? 'tributary' : config.clientId,
    connectionTimeout: config.connectTimeoutMs, requestTimeout: config.requestTimeoutMs,
    ...(config.tls === undefined ? {} : { ssl: config.tls }), ...(config.sasl === undefined ? {} : { sasl: config.sasl }),
    retry: { initialRetryTime: config.backoffMs, maxRetryTime: config.backoffMaxMs, retries: 10 }, logCreator: () => () => undefined,
  };
}
