/** SASL settings → what kafkajs authenticates with. Only the login modules that Kafka ships for these mechanisms are known. */
import type { Mechanism, SASLOptions } from 'kafkajs';
import { ConfigError } from '../../../api/errors.ts';
import { WireWriter } from '../protocol/wire.ts';
import { parseJaas, type JaasEntry } from './jaas.ts';
import { tokenSource, type TokenSource } from './oauth-token.ts';

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

/** Throws ConfigError SASL_MECHANISM, SASL_CLASS, SASL_EXTENSION, JAAS_INVALID, JAAS_MODULE, SASL_CREDENTIALS, TOKEN_URL, TOKEN_URL_NOT_ALLOWED. */
export function saslFrom(config: SaslProperties, properties: Properties): SaslSettings {
  const mechanism = config['sasl.mechanism'].toUpperCase();
  const expected = modules[mechanism];
  if (expected === undefined) throw new ConfigError(`Invalid value ${config['sasl.mechanism']} for configuration sasl.mechanism: there are ${Object.keys(modules).join(', ')}`, { code: 'SASL_MECHANISM', hint: 'Set sasl.mechanism to one that the brokers offer.' });
  const text = config['sasl.jaas.config'];
  if (text === undefined || text === '') throw new ConfigError('sasl.jaas.config is missing', { code: 'SASL_CREDENTIALS', hint: `Write: ${expected} required …;` });
  const entry = parseJaas(text);
  if (entry.module !== expected) throw new ConfigError(`Login module ${entry.module} is not allowed for ${mechanism}`, { code: 'JAAS_MODULE', hint: `Use ${expected}; no other class is ever loaded.` });
  if (mechanism === 'OAUTHBEARER') return bearer(tokensOf(entry, config['sasl.oauthbearer.token.endpoint.url'], properties), extensionsOf(entry));
  const { username, password } = entry.options;
  if (username === undefined || password === undefined) throw new ConfigError('sasl.jaas.config has no username or no password', { code: 'SASL_CREDENTIALS', hint: 'Add username="…" password="…".' });
  if (mechanism === 'PLAIN') return { mechanism: 'plain', username, password };
  return mechanism === 'SCRAM-SHA-256' ? { mechanism: 'scram-sha-256', username, password } : { mechanism: 'scram-sha-512', username, password };
}

/** Classes that Kafka itself has for these tasks; others would be code that does not run here. */
const HANDLERS = new Set([`${PACKAGE}.oauthbearer.OAuthBearerLoginCallbackHandler`, `${PACKAGE}.oauthbearer.secured.OAuthBearerLoginCallbackHandler`]);
const RETRIEVERS = new Set(['DefaultJwtRetriever', 'ClientCredentialsJwtRetriever', 'FileJwtRetriever'].map(name => `${PACKAGE}.oauthbearer.${name}`));

function tokensOf(entry: JaasEntry, url: string | undefined, properties: Properties): TokenSource {
  for (const [option, known] of [['sasl.login.callback.handler.class', HANDLERS], ['sasl.oauthbearer.jwt.retriever.class', RETRIEVERS]] as const) {
    const given = properties[option];
    if (given !== undefined && given !== '' && !known.has(given)) throw new ConfigError(`Invalid value ${given} for configuration ${option}: it is none of ${[...known].join(', ')}`, { code: 'SASL_CLASS', hint: 'Leave it out; no other class is ever loaded.' });
  }
  if (url !== undefined && url !== '') return tokenSource(url, entry.options, properties);
  const subject = entry.options['unsecuredLoginStringClaim_sub'];
  if (subject === undefined) throw new ConfigError('OAUTHBEARER needs sasl.oauthbearer.token.endpoint.url', { code: 'SASL_CREDENTIALS', hint: 'Name where tokens come from; unsecuredLoginStringClaim_sub="…" is for tests.' });
  return { get: async () => unsecured(entry.options), forget: () => { /* made each time */ } };
}

/** `extension_<name>="value"` of the JAAS entry (KIP-342), as `\u0001name=value…`. Throws ConfigError SASL_EXTENSION. */
function extensionsOf({ options }: JaasEntry): string {
  return Object.entries(options).filter(([key]) => key.startsWith('extension_')).map(([key, value]) => {
    const name = key.slice('extension_'.length);
    if (!/^[A-Za-z]+$/.test(name) || name === 'auth') throw new ConfigError(`Extension name ${name} is invalid`, { code: 'SASL_EXTENSION', hint: 'Letters only, and not auth.' });
    if (!/^[\x21-\x7e \t\r\n]+$/.test(value)) throw new ConfigError(`The value of extension ${name} is invalid`, { code: 'SASL_EXTENSION', hint: 'Printable ASCII only.' });
    return `\u0001${name}=${value}`;
  }).join('');
}

/** Unsigned token, for brokers in tests only (org.apache.kafka…oauthbearer.internals.unsecured). */
function unsecured(options: Readonly<Record<string, string>>): string {
  const now = Math.floor(Date.now() / 1000);
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none' })}.${part({ sub: options['unsecuredLoginStringClaim_sub'], iat: now, exp: now + Number(options['unsecuredLoginLifetimeSeconds'] ?? '3600') })}.`;
}

/** SASL/OAUTHBEARER (RFC 7628): a refusal is an answer with text, which must be acknowledged with one byte. */
function bearer(tokens: TokenSource, extensions: string): Mechanism {
  // kafkajs hands over and takes a mechanism's bytes with their length in front.
  const bytes = (value: Buffer): { readonly encode: () => Buffer } => ({ encode: () => new WireWriter(value.length + 4).bytes(value).view() });
  return {
    mechanism: 'OAUTHBEARER',
    authenticationProvider: ({ saslAuthenticate }) => ({
      authenticate: async () => {
        const response = { decode: (raw: Buffer) => raw, parse: (raw: Buffer) => raw.toString('utf8', 4) };
        const refusal = await saslAuthenticate({ request: bytes(Buffer.from(`n,,\u0001auth=Bearer ${await tokens.get()}${extensions}\u0001\u0001`)), response });
        if (refusal === undefined || refusal === '') return;
        tokens.forget();
        await saslAuthenticate({ request: bytes(Buffer.from([1])), response });
      },
    }),
  };
}
