/**
 * TLS as Debezium's driver (pgjdbc) reads its options, from files on this machine.
 *
 * `require`, `prefer` and `allow` encrypt without a look at the certificate; `verify-ca` checks who signed it, `verify-full`
 * its host name too. Certificates may be PEM or DER; the key PEM, PKCS #8 DER (`.pk8`, what pgjdbc wants) or PKCS #12.
 * Files under `~/.postgresql` stand in for options that are not set, as with libpq.
 */
import { createPrivateKey } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, checkServerIdentity, createSecureContext } from 'node:tls';
import { FatalError } from '../../../runtime/api/errors.ts';
import type { PostgresConfig } from './config.ts';

/** Whether a connection with this mode tries TLS first, and whether it may go the other way after a refusal. */
export interface TlsPlan { readonly first: boolean; readonly fallback: boolean }

export function tlsPlan(config: PostgresConfig): TlsPlan {
  const mode = config['database.sslmode'];
  return { first: mode !== 'disable' && mode !== 'allow', fallback: mode === 'allow' || mode === 'prefer' };
}

const WITHOUT_CHECK = 'org.postgresql.ssl.NonValidatingFactory';

/** True when the server's certificate is checked. */
export function verifiesServer(config: PostgresConfig): boolean {
  return /^verify-/.test(config['database.sslmode']) && config['database.sslfactory'] !== WITHOUT_CHECK;
}

/** Options for `tls.connect`. Throws FatalError POSTGRES_TLS_FILE or POSTGRES_TLS_KEY for a file that cannot be read or is not what it should be. */
export function tlsOptions(config: PostgresConfig): ConnectionOptions {
  const host = config['database.hostname'], verify = verifiesServer(config);
  const identity = verify && config['database.sslmode'] === 'verify-full';
  const ca = verify ? fileOf('database.sslrootcert', config['database.sslrootcert'], 'root.crt') : undefined;
  return {
    rejectUnauthorized: verify,
    // The driver does not set `servername` for addresses, and the default check would then be against another name.
    checkServerIdentity: (_name, certificate) => (identity ? checkServerIdentity(host, certificate) : undefined),
    ...(ca !== undefined && { ca: certificates(ca.text) }),
    ...clientIdentity(config),
  };
}

interface ReadFile { readonly option: string; readonly path: string; readonly text: Buffer }

function fileOf(option: string, given: string | undefined, usual: string): ReadFile | undefined {
  const path = given ?? join(homedir(), '.postgresql', usual);
  if (given === undefined && !existsSync(path)) return undefined;
  try { return { option, path, text: readFileSync(path) }; } catch (error) {
    throw new FatalError(`The file that ${option} names cannot be read: ${(error as Error).message}`, { code: 'POSTGRES_TLS_FILE', hint: `Correct ${option}, and let the user of this process read the file.`, cause: error });
  }
}

const isPem = (text: Buffer): boolean => text.includes('-----BEGIN ');

/** PEM as it is; DER becomes PEM. */
function certificates(text: Buffer): string {
  return isPem(text) ? text.toString('utf8') : `-----BEGIN CERTIFICATE-----\n${text.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
}

/** A certificate with its key, when both are there. */
function clientIdentity(config: PostgresConfig): Pick<ConnectionOptions, 'cert' | 'key' | 'pfx' | 'passphrase'> {
  const key = fileOf('database.sslkey', config['database.sslkey'], 'postgresql.pk8') ?? fileOf('database.sslkey', undefined, 'postgresql.key');
  const passphrase = config['database.sslpassword'];
  if (key !== undefined && /\.(p12|pfx)$/i.test(key.path)) return keyStore(key, passphrase);
  const cert = fileOf('database.sslcert', config['database.sslcert'], 'postgresql.crt');
  if (cert === undefined && key === undefined) return {};
  if (cert === undefined || key === undefined) {
    if (config['database.sslcert'] === undefined && config['database.sslkey'] === undefined) return {};
    const [has, lacks] = cert === undefined ? ['database.sslkey', 'database.sslcert'] : ['database.sslcert', 'database.sslkey'];
    throw new FatalError(`${has} is set without ${lacks}`, { code: 'POSTGRES_TLS_FILE', hint: `Set ${lacks} as well: a client certificate needs its key.` });
  }
  return { cert: certificates(cert.text), key: privateKey(key, passphrase) };
}

/** PKCS #12 holds the certificate too. It is opened once here, so that trouble with it is told as such. */
function keyStore({ option, path, text }: ReadFile, passphrase: string | undefined): Pick<ConnectionOptions, 'pfx' | 'passphrase'> {
  const identity = { pfx: text, ...(passphrase !== undefined && { passphrase }) };
  try { createSecureContext(identity); } catch (error) {
    const old = /unsupported/i.test((error as Error).message);
    throw new FatalError(`The key store in ${path} cannot be read: ${(error as Error).message}`, { code: 'POSTGRES_TLS_KEY', hint: old ? `It is encrypted in a way that OpenSSL 3 no longer reads (RC2): write it anew with openssl pkcs12 -legacy, then -export.` : `${option} has to be PKCS #12 with a certificate and its key; the password belongs into database.sslpassword.`, cause: error });
  }
  return identity;
}

/** The key as PEM without a password. */
function privateKey({ option, path, text }: ReadFile, passphrase: string | undefined): string {
  const secret = passphrase === undefined ? {} : { passphrase };
  try {
    const key = createPrivateKey(isPem(text) ? { key: text, format: 'pem', ...secret } : { key: text, format: 'der', type: 'pkcs8', ...secret });
    return key.export({ type: 'pkcs8', format: 'pem' }).toString();
  } catch (error) {
    throw new FatalError(`The key in ${path} cannot be read: ${(error as Error).message}`, { code: 'POSTGRES_TLS_KEY', hint: `${option} takes PEM, PKCS #8 DER (.pk8) or PKCS #12 (.p12); its password belongs into database.sslpassword.`, cause: error });
  }
}
