/** The address under which the other workers of a cluster reach this one. */
import { hostname } from 'node:os';
import { ConfigError } from '../api/errors.ts';
import type { TlsOptions } from '../log/kafka/security/tls.ts';
import type { DistributedConfig } from './distributed-config.ts';
import { workerTls } from './worker-http.ts';

export interface Advertised {
  /** As Connect advertises it, with a slash at the end. */
  readonly url: string;
  /** `host:port`, as REST shows it. */
  readonly workerId: string;
  /** Credentials of the listener, which all workers of a cluster share, as a header's value. */
  readonly authorization: string | undefined;
  /** For requests to workers with https addresses; undefined where this one speaks plain http. */
  readonly tls: TlsOptions | undefined;
}

/** From `listeners` and `rest.advertised.*`. Throws ConfigError LISTENER_PORT for a port that only the system knows, and what is wrong with TLS. */
export function advertisedAddress(config: DistributedConfig, properties: Readonly<Record<string, string>>): Advertised {
  const wanted = properties['rest.advertised.listener']?.toLowerCase();
  const listeners = config.listeners.map(text => /^(https?):\/\/(\[[^\]]+\]|[^:/]*):(\d+)/i.exec(text.trim()));
  const [, scheme = 'http', host = '', port = '8083'] = listeners.find(one => wanted === undefined || one?.[1]?.toLowerCase() === wanted) ?? listeners[0] ?? [];
  const number = config['rest.advertised.port'] ?? Number(port);
  if (number === 0) throw new ConfigError('The REST listener of a distributed worker needs a fixed port', { code: 'LISTENER_PORT', hint: 'Write listeners=http://host:8083, or set rest.advertised.port.' });
  const anywhere = host === '' || host === '0.0.0.0' || host === '[::]';
  const name = config['rest.advertised.host.name'] ?? (anywhere ? hostname() : host);
  const secure = config.listeners.some(text => /^https:/i.test(text.trim()));
  const user = properties['rest.basic.auth.user'], password = properties['rest.basic.auth.password'];
  return {
    url: `${scheme.toLowerCase()}://${name}:${number}/`, workerId: `${name}:${number}`,
    tls: secure ? workerTls(properties) : undefined,
    authorization: user === undefined || password === undefined ? undefined : `Basic ${Buffer.from(`${user}:${password}`, 'utf8').toString('base64')}`,
  };
}
