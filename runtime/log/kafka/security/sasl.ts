/** SASL settings → what kafkajs authenticates with. Only the login modules that Kafka ships for these mechanisms are known. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Mechanism, SASLOptions } from 'kafkajs';
import { ConfigError, RetriableError } from '../../../api/errors.ts';
import { WireWriter } from '../protocol/wire.ts';
import { parseJaas, type JaasEntry } from './jaas.ts';

interface SaslProperties {
  readonly 'sasl.mechanism': string;
  readonly 'sasl.jaas.config': string | undefined;
  readonly 'sasl.oauthbearer.token.endpoint.url': string | undefined;
}
type Properties = Readonly<Record<string, string>>;
export type SaslSettings = SASLOptions | Mechanism;

const PACKAGE = 'org.apache.kafka.common.security';
const modules: Readonly<Record<string, string>> = {
  PLAIN: `${PACKAGE}.plain.PlainLoginModule`, 'SCRAM-SHA-256': `${PACKAGE}.scram.ScramLoginModule`, 'SCRAM-SHA-512': `${PACKAGE}.scram.ScramLoginModule`, OAUTHBEARER: `${PACKAGE}.oauthbearer.OAuthBearerLoginModule`,
};
const TOKEN_TIMEOUT_MS = 10_000;

/** Throws ConfigError SASL_MECHANISM, JAAS_INVALID, JAAS_MODULE, SASL_CREDENTIALS. */
export function saslFrom(config: SaslProperties, properties: Properties): SaslSettings {
  const mechanism = config['sasl.mechanism'].toUpperCase();
  const expected = modules[mechanism];
  if (expected === undefined) throw new ConfigError(`Invalid value ${config['sasl.mechanism']} for configuration sasl.mechanism: there are ${Object.keys(modules).join(', ')}`, { code: 'SASL_MECHANISM', hint: 'Set sasl.mechanism to one that the brokers offer.' });
  const text = config['sasl.jaas.config'];
  if (text === undefined || text === '') throw new ConfigError('sasl.jaas.config is missing', { code: 'SASL_CREDENTIALS', hint: `Write: ${expected} required …;` });
  const entry = parseJaas(text);
  if (entry.module !== expected) throw new ConfigError(`Login module ${entry.module} is not allowed for ${mechanism}`, { code: 'JAAS_MODULE', hint: `Use ${expected}; no other class is ever loaded.` });
  if (mechanism === 'OAUTHBEARER') return bearer(tokenSource(entry, config['sasl.oauthbearer.token.endpoint.url'], properties));
  const { username, password } = entry.options;
  if (username === undefined || password === undefined) throw new ConfigError('sasl.jaas.config has no username or no password', { code: 'SASL_CREDENTIALS', hint: 'Add username="…" password="…".' });
  if (mechanism === 'PLAIN') return { mechanism: 'plain', username, password };
  return mechanism === 'SCRAM-SHA-256' ? { mechanism: 'scram-sha-256', username, password } : { mechanism: 'scram-sha-512', username, password };
}

type TokenSource = () => Promise<string>;

function tokenSource(entry: JaasEntry, url: string | undefined, properties: Properties): TokenSource {
  if (url === undefined) {
    const subject = entry.options['unsecuredLoginStringClaim_sub'];
    if (subject === undefined) throw new ConfigError('OAUTHBEARER needs sasl.oauthbearer.token.endpoint.url', { code: 'SASL_CREDENTIALS', hint: 'Name where tokens come from; unsecuredLoginStringClaim_sub="…" is for tests.' });
    return async () => unsecured(entry.options);
  }
  if (url.startsWith('file:')) return async () => readFileSync(fileURLToPath(url), 'utf8').trim();
  const id = entry.options['clientId'] ?? properties['sasl.oauthbearer.client.credentials.client.id'], secret = entry.options['clientSecret'] ?? properties['sasl.oauthbearer.client.credentials.client.secret'];
  const scope = entry.options['scope'] ?? properties['sasl.oauthbearer.scope'];
  if (id === undefined || secret === undefined) throw new ConfigError('OAUTHBEARER needs clientId and clientSecret', { code: 'SASL_CREDENTIALS', hint: 'Add clientId="…" clientSecret="…" to sasl.jaas.config.' });
  return () => fetchToken(url, id, secret, scope);
}

/** OAuth 2.0 client credentials grant (RFC 6749, section 4.4). */
async function fetchToken(url: string, id: string, secret: string, scope: string | undefined): Promise<string> {
  const body = new URLSearchParams({ grant_type: 'client_credentials', ...(scope === undefined ? {} : { scope }) });
  let answer: Response;
  try {
    answer = await fetch(url, { method: 'POST', body, headers: { authorization: `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}`, accept: 'application/json' }, signal: AbortSignal.timeout(TOKEN_TIMEOUT_MS) });
  } catch (error) {
    throw new RetriableError(`No token could be fetched from ${new URL(url).host}: ${(error as Error).message}`, { code: 'KAFKA_TOKEN', cause: error });
  }
  const token = answer.ok ? (await answer.json() as { readonly access_token?: unknown }).access_token : undefined;
  if (typeof token !== 'string') throw new RetriableError(`${new URL(url).host} gave no token: HTTP ${answer.status}`, { code: 'KAFKA_TOKEN', hint: 'Check clientId, clientSecret and scope.' });
  return token;
}

/** Unsigned token, for brokers in tests only (org.apache.kafka…oauthbearer.internals.unsecured). */
function unsecured(options: Readonly<Record<string, string>>): string {
  const now = Math.floor(Date.now() / 1000);
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none' })}.${part({ sub: options['unsecuredLoginStringClaim_sub'], iat: now, exp: now + Number(options['unsecuredLoginLifetimeSeconds'] ?? '3600') })}.`;
}

/** SASL/OAUTHBEARER (RFC 7628): a refusal is an answer with text, which must be acknowledged with one byte. */
function bearer(token: TokenSource): Mechanism {
  // kafkajs hands over and takes a mechanism's bytes with their length in front.
  const bytes = (value: Buffer): { readonly encode: () => Buffer } => ({ encode: () => new WireWriter(value.length + 4).bytes(value).view() });
  return {
    mechanism: 'OAUTHBEARER',
    authenticationProvider: ({ saslAuthenticate }) => ({
      authenticate: async () => {
        const response = { decode: (raw: Buffer) => raw, parse: (raw: Buffer) => raw.toString('utf8', 4) };
        const refusal = await saslAuthenticate({ request: bytes(Buffer.from(`n,,\u0001auth=Bearer ${await token()}\u0001\u0001`)), response });
        if (refusal !== undefined && refusal !== '') await saslAuthenticate({ request: bytes(Buffer.from([1])), response });
      },
    }),
  };
}
