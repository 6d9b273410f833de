/**
 * HTTP from worker to worker, over TLS where the other one's address says so. Apart from `fetch` because authorities and a
 * certificate of one's own come from the worker file, and because it has to be known whether a request went out at all.
 */
import { readFileSync } from 'node:fs';
import { request as http, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as https } from 'node:https';
import { type TlsOptions, type TlsProperties, tlsFrom } from '../log/kafka/security/tls.ts';

/** How long a connection may take to be made. */
const CONNECT_MS = 10_000;
/** Longest answer that is taken. */
const ANSWER_BYTES = 64 * 1024 * 1024;

export interface HttpRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly tls: TlsOptions | undefined;
  readonly signal: AbortSignal;
}
/** No connection came about, so the other side did nothing. The cause says why. */
export class NotConnected extends Error {}

/** Status and body. Rejects with {@link NotConnected}, or with any other Error when the request may have been received. */
export function sendHttp({ url, method, headers, body, tls, signal }: HttpRequest): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const options: RequestOptions = { method, agent: false, signal, headers: { ...headers, connection: 'close', 'content-length': String(Buffer.byteLength(body ?? '')) } };
    const secure = url.startsWith('https:');
    let connected = false;
    const asked = secure ? https(url, { ...options, ...tls }) : http(url, options);
    const late = setTimeout(() => { asked.destroy(new Error(`no connection within ${CONNECT_MS} ms`)); }, CONNECT_MS);
    asked.once('socket', socket => { socket.once(secure ? 'secureConnect' : 'connect', () => { connected = true; clearTimeout(late); }); });
    asked.once('close', () => { clearTimeout(late); });
    // With TLS 1.3 the other side refuses a certificate after the handshake; it reads nothing then.
    asked.once('error', error => { reject(connected && !(error as NodeJS.ErrnoException).code?.startsWith('ERR_SSL_') ? error : new NotConnected(error.message, { cause: error })); });
    asked.once('response', answer => { read(answer).then(text => { resolve({ status: answer.statusCode ?? 0, text }); }, reject); });
    asked.end(body);
  });
}

async function read(answer: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of answer as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > ANSWER_BYTES) { answer.destroy(); throw new Error(`the answer is longer than ${ANSWER_BYTES} bytes`); }
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/**
 * Authorities and certificate for requests to other workers: those of the https listener, `listeners.https.ssl.*` before
 * `ssl.*`, as Connect takes them. Stores may be PEM, PKCS12 or JKS. Throws ConfigError TLS_STORE, TLS_PROTOCOLS.
 */
export function workerTls(properties: Readonly<Record<string, string>>): TlsOptions {
  const of = (name: string): string | undefined => { const text = properties[`listeners.https.${name}`] ?? properties[name]; return text === '' ? undefined : text; };
  const list = (name: string): readonly string[] => (of(name) ?? '').split(',').map(part => part.trim()).filter(part => part !== '');
  const protocols = list('ssl.enabled.protocols');
  const settings: TlsProperties = {
    'ssl.truststore.location': of('ssl.truststore.location'), 'ssl.truststore.password': of('ssl.truststore.password'), 'ssl.truststore.type': kindOf(of('ssl.truststore.location')), 'ssl.truststore.certificates': of('ssl.truststore.certificates'),
    'ssl.keystore.location': of('ssl.keystore.location'), 'ssl.keystore.password': of('ssl.keystore.password'), 'ssl.keystore.type': kindOf(of('ssl.keystore.location')),
    'ssl.keystore.key': of('ssl.keystore.key'), 'ssl.keystore.certificate.chain': of('ssl.keystore.certificate.chain'), 'ssl.key.password': of('ssl.key.password'),
    'ssl.endpoint.identification.algorithm': properties['listeners.https.ssl.endpoint.identification.algorithm'] ?? properties['ssl.endpoint.identification.algorithm'] ?? 'https',
    'ssl.enabled.protocols': protocols.length === 0 ? ['TLSv1.2', 'TLSv1.3'] : protocols, 'ssl.cipher.suites': list('ssl.cipher.suites'),
  };
  return tlsFrom(settings);
}

/** A listener takes PEM whatever the type says, so what lies in the file counts. */
function kindOf(location: string | undefined): 'PEM' | 'JKS' {
  if (location === undefined) return 'PEM';
  try { return readFileSync(location).includes('-----BEGIN') ? 'PEM' : 'JKS'; } catch { return 'PEM'; }
}
