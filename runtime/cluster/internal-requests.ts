/**
 * Requests between workers that users must not make: task configurations and fencing for the leader to write. They are
 * signed with the session key of the config topic (KIP-507): base64 of the keyed hash of the body.
 */
import { timingSafeEqual } from 'node:crypto';
import { ConfigError, ConflictError, NotFoundError, RetriableError } from '../api/errors.ts';
import type { InternalRequest, RefusedRequest } from '../worker/herder.ts';
import { hashOf, signatureOf } from './distributed-config.ts';
import type { SessionKey } from './config-records.ts';
import type { TlsOptions } from '../log/kafka/security/tls.ts';
import { NotConnected, sendHttp } from './worker-http.ts';

export const SIGNATURE_HEADER = 'x-connect-authorization';
export const ALGORITHM_HEADER = 'x-connect-request-signature-algorithm';

/** Undefined when the request is signed with the session key by an algorithm that is allowed. */
export function refusalOf({ body, signature, algorithm }: InternalRequest, key: SessionKey | undefined, allowed: readonly string[]): RefusedRequest | undefined {
  if (signature === undefined || algorithm === undefined) return { status: 400, message: 'Internal request missing required signature' };
  if (!allowed.includes(algorithm) || hashOf(algorithm) === undefined) return { status: 400, message: `This worker does not support the '${algorithm}' key signing algorithm used by other workers. This worker is currently configured to use: [${allowed.join(', ')}]. Check that all workers' configuration files permit the same set of signature algorithms, and correct any misconfigured worker and restart it.` };
  if (key === undefined) return { status: 503, message: 'This worker is still starting up and has not been able to read a session key from the config topic yet' };
  const given = Buffer.from(signature, 'base64');
  const right = signatureOf(key.key, algorithm, Buffer.from(body, 'utf8'));
  return given.length === right.length && timingSafeEqual(given, right) ? undefined : { status: 403, message: 'Internal request contained invalid signature.' };
}

export interface WorkerRequest {
  readonly url: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signWith?: { readonly key: SessionKey; readonly algorithm: string };
  /** For an https address. */
  readonly tls?: TlsOptions | undefined;
  readonly timeoutMs: number;
  /** Ends the wait early, as if there had been no answer. */
  readonly signal?: AbortSignal;
}
/** The other worker could not be reached at all: it did nothing. */
export class WorkerUnreachable extends RetriableError {}
/** The other worker is not the one to ask: nothing was done either. */
export class WrongWorker extends ConflictError {}

/** Beginnings of Connect's messages of a request that found no leader. Such a request did nothing. */
const NO_LEADER = ['Cannot complete request momentarily due to no known leader URL', 'Cannot complete request because of a conflicting operation (e.g. worker rebalance)', 'Cannot complete request momentarily due to stale configuration'];

/**
 * Asks another worker; answers the body, parsed, and the status. Throws the error class that the status means,
 * {@link WorkerUnreachable} or {@link WrongWorker} where nothing was done, RetriableError WORKER_SILENT where that is not known.
 */
export async function askWorker({ url, method, body, headers = {}, signWith, tls, timeoutMs, signal }: WorkerRequest): Promise<{ readonly status: number; readonly body: unknown }> {
  const signed = signWith === undefined ? {} : { [SIGNATURE_HEADER]: signatureOf(signWith.key.key, signWith.algorithm, Buffer.from(body ?? '', 'utf8')).toString('base64'), [ALGORITHM_HEADER]: signWith.algorithm };
  const limit = AbortSignal.timeout(timeoutMs);
  let status: number, text: string;
  try {
    ({ status, text } = await sendHttp({ url, method, body, tls, headers: { accept: 'application/json', ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers, ...signed }, signal: signal === undefined ? limit : AbortSignal.any([limit, signal]) }));
  } catch (error) {
    const at = new URL(url).host;
    if (error instanceof NotConnected) throw unreachable(at, error);
    throw new RetriableError(`The worker at ${at} gave no answer; whether it did what it was asked is not known`, { code: 'WORKER_SILENT', hint: 'Look at the present state before asking again.', cause: error });
  }
  const parsed = parse(text);
  if (status >= 200 && status < 300) return { status, body: parsed };
  throw errorOf(status, messageOf(parsed) ?? `The worker answered ${status}`);
}

/** What TLS does not like about the other side stays so; all else may pass. */
function unreachable(at: string, error: NotConnected): Error {
  const { code = '' } = error.cause as { readonly code?: string };
  if (!/CERT|TLS|SSL|SELF_SIGNED|LEAF_SIGNATURE/.test(code)) return new WorkerUnreachable(`The worker at ${at} cannot be reached`, { code: 'WORKER_UNREACHABLE', hint: 'Check rest.advertised.host.name and rest.advertised.port of that worker.', cause: error });
  return new RetriableError(`The worker at ${at} is not trusted: ${error.message}`, { code: 'WORKER_UNTRUSTED', hint: 'Set listeners.https.ssl.truststore.location to the authority of the workers\' certificates, which have to name the hosts of rest.advertised.host.name.', cause: error });
}

function parse(text: string): unknown { try { return text === '' ? undefined : JSON.parse(text); } catch { return undefined; } }
function messageOf(body: unknown): string | undefined {
  const message = typeof body === 'object' && body !== null ? (body as { readonly message?: unknown }).message : undefined;
  return typeof message === 'string' ? message : undefined;
}
function errorOf(status: number, message: string): Error {
  if (status === 400) return new ConfigError(message, { code: 'LEADER_REFUSED' });
  if (status === 404) return new NotFoundError(message, { code: 'LEADER_NOT_FOUND' });
  if (status === 409) return NO_LEADER.some(beginning => message.startsWith(beginning)) ? new WrongWorker(message, { code: 'LEADER_UNKNOWN' }) : new ConflictError(message, { code: 'LEADER_CONFLICT' });
  return new RetriableError(message, { code: status === 403 ? 'SIGNATURE_REFUSED' : `LEADER_${status}` });
}
