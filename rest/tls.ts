/** Key, certificate and authorities of an https listener. */
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { ConfigError } from '../runtime/api/errors.ts';
import type { RestConfig } from './config.ts';

export interface Tls { readonly key: string; readonly cert: string; readonly passphrase?: string; readonly ca?: string; readonly requestCert: boolean; readonly rejectUnauthorized: boolean }

/** PEM only: what Java keeps in JKS is exported with `keytool` and `openssl pkcs12`. Throws ConfigError TLS_UNREADABLE. */
export function readTls(config: RestConfig): Tls {
  const read = (path: string) => {
    try { return readFileSync(path, 'utf8'); } catch (error) { throw new ConfigError(`The TLS file ${path} cannot be read`, { code: 'TLS_UNREADABLE', hint: 'Check the path and its permissions.', cause: error }); }
  };
  const location = config['listeners.https.ssl.keystore.location'];
  const pem = location === undefined ? undefined : read(location);
  const passphrase = config['listeners.https.ssl.key.password'];
  const trust = config['listeners.https.ssl.truststore.location'];
  const ca = trust === undefined ? config['listeners.https.ssl.truststore.certificates'] : read(trust);
  const auth = config['listeners.https.ssl.client.auth'];
  const tls: Tls = {
    key: pem ?? config['listeners.https.ssl.keystore.key'] ?? '', cert: pem ?? config['listeners.https.ssl.keystore.certificate.chain'] ?? '',
    ...(passphrase === undefined ? {} : { passphrase }), ...(ca === undefined ? {} : { ca }),
    requestCert: auth !== 'none', rejectUnauthorized: auth === 'required',
  };
  try { createSecureContext({ key: tls.key, cert: tls.cert, ...(passphrase === undefined ? {} : { passphrase }), ...(ca === undefined ? {} : { ca }) }); } catch (error) {
    throw new ConfigError('The TLS key and certificate of the REST listener cannot be used', { code: 'TLS_UNREADABLE', hint: 'A PEM file with the private key and the certificate chain is expected; JKS and PKCS12 files are exported to PEM first.', cause: error });
  }
  return tls;
}
