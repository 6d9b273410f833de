/**
 * Tokens for SASL/OAUTHBEARER from an authorization server (OAuth 2.0 client credentials, RFC 6749 section 4.4) or a file.
 * Options, retries and restrictions are Kafka's (KIP-768, KIP-1139; org.apache.kafka.common.security.oauthbearer), its
 * allow list included: a connector's configuration must not make the worker ask any address or read any file.
 */
import { readFile } from 'node:fs/promises';
import { request as overHttp } from 'node:http';
import { request as overHttps } from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ConfigError, FatalError, RetriableError } from '../../../api/errors.ts';
import { type TlsOptions, tlsFrom } from './tls.ts';

type Properties = Readonly<Record<string, string>>;

/** A token now; `forget` drops the one that is kept, after a broker refused it. */
export interface TokenSource { get(): Promise<string>; forget(): void }

/** The JVM's system property of this name, which the worker file may hold as a key too; never a connector. */
export const ALLOWED_URLS = 'org.apache.kafka.sasl.oauthbearer.allowed.urls';
/** Kafka's default of `sasl.login.retry.backoff.max.ms` is also the time after which it gives up. */
const BACKOFF_MS = 100, BACKOFF_MAX_MS = 10_000, ANSWER_MS = 10_000, MOST_BYTES = 1024 * 1024;
/** A token is fetched anew when so much of its life is over (Kafka: sasl.login.refresh.window.factor). */
const LIFE_SHARE = 0.8;
/** What no repetition mends, as Kafka's HttpJwtRetriever lists it. */
const FINAL: ReadonlySet<number> = new Set([400, 401, 402, 403, 404, 405, 406, 407, 409, 410, 411, 412, 413, 414, 415, 501, 505]);

/** `options` are those of the JAAS entry. Throws ConfigError SASL_CREDENTIALS, TOKEN_URL, TOKEN_URL_NOT_ALLOWED. */
export function tokenSource(url: string, options: Properties, properties: Properties): TokenSource {
  const endpoint = endpointOf(url, properties);
  if (endpoint.protocol === 'file:') return { get: async () => (await readFile(fileURLToPath(endpoint), 'utf8')).trim(), forget: () => { /* read each time */ } };
  const { body, authorization } = credentials(options, properties);
  const number = (key: string, fallback: number): number => { const value = Number(properties[key]); return properties[key] !== undefined && Number.isFinite(value) && value >= 0 ? value : fallback; };
  const call: Call = {
    endpoint, body, authorization, tls: endpoint.protocol === 'https:' ? tlsOf(options) : undefined,
    timeoutMs: number('sasl.login.connect.timeout.ms', ANSWER_MS) + number('sasl.login.read.timeout.ms', 0),
    backoffMs: number('sasl.login.retry.backoff.ms', BACKOFF_MS), backoffMaxMs: number('sasl.login.retry.backoff.max.ms', BACKOFF_MAX_MS),
  };
  return kept(() => patient(call));
}

function endpointOf(text: string, properties: Properties): URL {
  const option = 'sasl.oauthbearer.token.endpoint.url';
  const allowed = (properties[ALLOWED_URLS] ?? systemProperty(ALLOWED_URLS) ?? '').split(',').map(one => one.trim());
  if (!allowed.includes(text)) throw new ConfigError(`Invalid value ${text} for configuration ${option}: The URL cannot be accessed due to restrictions. Update the system property '${ALLOWED_URLS}' to allow the URL to be accessed.`, { code: 'TOKEN_URL_NOT_ALLOWED', hint: `Write ${ALLOWED_URLS}=${text} into the worker file, or keep it in KAFKA_OPTS as -D${ALLOWED_URLS}=….` });
  let url: URL;
  try { url = new URL(text); } catch { throw new ConfigError(`The OAuth configuration option ${option} contains a URL (${text}) that is malformed`, { code: 'TOKEN_URL', hint: 'Write https://host/path.' }); }
  if (!['http:', 'https:', 'file:'].includes(url.protocol)) throw new ConfigError(`The OAuth configuration option ${option} contains a URL (${text}) that contains an invalid protocol (${url.protocol.slice(0, -1)}); only "http", "https", and "file" protocol are supported`, { code: 'TOKEN_URL', hint: 'Write https://host/path.' });
  return url;
}

/** `-Dname=value` as the scripts of Kafka hand it to the JVM: who comes from there keeps it. */
function systemProperty(name: string): string | undefined {
  const [, quoted, plain] = new RegExp(`(?:^|\\s)-D${name.replaceAll('.', '\\.')}=(?:"([^"]*)"|(\\S*))`).exec(process.env['KAFKA_OPTS'] ?? '') ?? [];
  return quoted ?? plain;
}

function credentials(options: Properties, properties: Properties): { readonly body: string; readonly authorization: string } {
  const id = (properties['sasl.oauthbearer.client.credentials.client.id'] ?? options['clientId'])?.trim(), secret = (properties['sasl.oauthbearer.client.credentials.client.secret'] ?? options['clientSecret'])?.trim();
  const scope = (properties['sasl.oauthbearer.scope'] ?? options['scope'])?.trim();
  if (id === undefined || id === '' || secret === undefined || secret === '') throw new ConfigError('OAUTHBEARER needs clientId and clientSecret', { code: 'SASL_CREDENTIALS', hint: 'Set sasl.oauthbearer.client.credentials.client.id and .client.secret, or add clientId="…" clientSecret="…" to sasl.jaas.config.' });
  // Authorization servers differ in whether id and secret are encoded first (RFC 6749 says so, many do not).
  const encoded = properties['sasl.oauthbearer.header.urlencode']?.trim().toLowerCase() === 'true' ? [form(id), form(secret)] : [id, secret];
  return { body: `grant_type=client_credentials${scope === undefined || scope === '' ? '' : `&scope=${form(scope)}`}`, authorization: `Basic ${Buffer.from(encoded.join(':'), 'utf8').toString('base64')}` };
}
const form = (text: string): string => new URLSearchParams({ x: text }).toString().slice(2);

/** Trust and key for the authorization server are options of the JAAS entry, as Kafka has it; those of the brokers do not hold for it. */
function tlsOf(options: Properties): TlsOptions {
  const type = (key: string): 'JKS' | 'PKCS12' | 'PEM' => { const text = options[key]?.toUpperCase(); return text === 'PEM' || text === 'PKCS12' ? text : 'JKS'; };
  return tlsFrom({
    'ssl.truststore.location': options['ssl.truststore.location'], 'ssl.truststore.password': options['ssl.truststore.password'], 'ssl.truststore.type': type('ssl.truststore.type'), 'ssl.truststore.certificates': options['ssl.truststore.certificates'],
    'ssl.keystore.location': options['ssl.keystore.location'], 'ssl.keystore.password': options['ssl.keystore.password'], 'ssl.keystore.type': type('ssl.keystore.type'), 'ssl.keystore.key': options['ssl.keystore.key'], 'ssl.keystore.certificate.chain': options['ssl.keystore.certificate.chain'],
    'ssl.key.password': options['ssl.key.password'], 'ssl.endpoint.identification.algorithm': options['ssl.endpoint.identification.algorithm'] ?? 'https', 'ssl.enabled.protocols': ['TLSv1.2', 'TLSv1.3'], 'ssl.cipher.suites': [],
  });
}

interface Call {
  readonly endpoint: URL; readonly body: string; readonly authorization: string; readonly tls: TlsOptions | undefined;
  readonly timeoutMs: number; readonly backoffMs: number; readonly backoffMaxMs: number;
}
interface Token { readonly text: string; /** By performance.now(). */ readonly freshUntil: number }

/** One request at a time; what it gave serves all connections while it is fresh. */
function kept(fetchToken: () => Promise<Token>): TokenSource {
  let present: Token | undefined, asking: Promise<Token> | undefined;
  return {
    get: async () => {
      if (present !== undefined && performance.now() < present.freshUntil) return present.text;
      asking ??= fetchToken().finally(() => { asking = undefined; });
      present = await asking;
      return present.text;
    },
    forget: () => { present = undefined; },
  };
}

/** Asks again after growing pauses, for `sasl.login.retry.backoff.max.ms` in all. */
async function patient(call: Call): Promise<Token> {
  const deadline = performance.now() + call.backoffMaxMs;
  for (let attempt = 0; ; attempt++) {
    try { return await ask(call); } catch (error) {
      if (!(error instanceof RetriableError) || performance.now() >= deadline) throw error;
      await pause(Math.max(0, Math.min(call.backoffMs * 2 ** attempt * (0.8 + Math.random() * 0.4), deadline - performance.now())));
    }
  }
}

async function ask(call: Call): Promise<Token> {
  const { host } = call.endpoint;
  let answer: { readonly status: number; readonly text: string };
  try { answer = await post(call); } catch (error) {
    throw new RetriableError(`No token could be fetched from ${host}: ${(error as Error).message}`, { code: 'KAFKA_TOKEN', hint: 'Check sasl.oauthbearer.token.endpoint.url, and ssl.truststore.* in sasl.jaas.config where it is https.', cause: error });
  }
  const facts = { code: 'KAFKA_TOKEN', hint: 'Check client id, client secret and scope; the authorization server\'s log says what it missed.' };
  if (FINAL.has(answer.status)) throw new FatalError(`${host} gave no token: HTTP ${answer.status}${reasonIn(answer.text)}`, facts);
  const found = answer.status === 200 || answer.status === 201 ? parsed(answer.text) : {};
  if (typeof found.access_token !== 'string' || found.access_token === '') throw new RetriableError(`${host} gave no token: HTTP ${answer.status}${reasonIn(answer.text)}`, facts);
  return { text: found.access_token, freshUntil: performance.now() + lifeMs(found.access_token, found.expires_in) * LIFE_SHARE };
}

interface TokenAnswer { readonly access_token?: unknown; readonly expires_in?: unknown; readonly error?: unknown; readonly error_description?: unknown }
function parsed(text: string): TokenAnswer {
  try { const value = JSON.parse(text) as unknown; return typeof value === 'object' && value !== null ? value : {}; } catch { return {}; }
}
/** Only what the protocol names as a reason: anything else could be a secret. */
function reasonIn(text: string): string {
  const { error, error_description: description } = parsed(text);
  const parts = [error, description].filter((part): part is string => typeof part === 'string');
  return parts.length === 0 ? '' : ` (${parts.join(': ').slice(0, 300)})`;
}
/** By its `exp`, else by what came with it; 0 = unknown, then each connection asks anew. */
function lifeMs(token: string, expiresIn: unknown): number {
  const claims = (() => { try { return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as { readonly exp?: unknown }; } catch { return {}; } })();
  if (typeof claims.exp === 'number') return Math.max(0, claims.exp * 1000 - Date.now());
  return typeof expiresIn === 'number' && expiresIn > 0 ? expiresIn * 1000 : 0;
}

function post({ endpoint, body, authorization, tls, timeoutMs }: Call): Promise<{ readonly status: number; readonly text: string }> {
  const headers = { authorization, accept: 'application/json', 'cache-control': 'no-cache', 'content-type': 'application/x-www-form-urlencoded', 'content-length': String(Buffer.byteLength(body)) };
  return new Promise((resolve, reject) => {
    const options = { method: 'POST', headers, signal: AbortSignal.timeout(timeoutMs), agent: false as const };
    const sent = tls === undefined ? overHttp(endpoint, options) : overHttps(endpoint, { ...options, ...tls });
    sent.on('error', reject).on('response', response => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => { bytes += chunk.length; if (bytes > MOST_BYTES) sent.destroy(new Error('the answer is too long')); else chunks.push(chunk); });
      response.on('error', reject).on('end', () => { resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }); });
    });
    sent.end(body);
  });
}
