/** Keys and certificates for a TLS broker and its clients, made by the JDK's keytool. Passwords are `changeit`. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { keytool } from './jvm.ts';

export const KEY_PASSWORD = 'changeit';

export interface KafkaKeys {
  /** The broker's own, PKCS12. */
  readonly brokerStore: string;
  /** Same shape, but expired ten days ago. */
  readonly expiredStore: string;
  /** Trust in the authority, in the three forms that clients take. */
  readonly trustPkcs12: string;
  readonly trustJks: string;
  readonly trustPem: string;
  /** Trust in another authority, which signed nothing here. */
  readonly strangerPem: string;
  /** A client's key and certificate (CN=client). */
  readonly clientPkcs12: string;
  readonly clientJks: string;
  /** The same with an elliptic key. */
  readonly ellipticPkcs12: string;
  readonly ellipticJks: string;
}

/** Makes them in `directory`, once; two processes that want them at once each make a set, and the first one in place wins. */
export function makeKafkaKeys(directory: string): KafkaKeys {
  if (!existsSync(directory)) {
    const making = `${directory}.${process.pid}`;
    make(making);
    try { renameSync(making, directory); } catch (error) { if (!existsSync(directory)) throw error; }
    rmSync(making, { recursive: true, force: true });
  }
  return keysIn(directory);
}

function keysIn(directory: string): KafkaKeys {
  const at = (name: string): string => join(directory, name);
  return {
    brokerStore: at('broker.p12'), expiredStore: at('expired.p12'), trustPkcs12: at('trust.p12'), trustJks: at('trust.jks'), trustPem: at('trust.pem'), strangerPem: at('stranger.pem'),
    clientPkcs12: at('client.p12'), clientJks: at('client.jks'), ellipticPkcs12: at('elliptic.p12'), ellipticJks: at('elliptic.jks'),
  };
}

function make(directory: string): void {
  const keys = keysIn(directory);
  const at = (name: string): string => join(directory, name);
  mkdirSync(directory, { recursive: true });
  const tool = (...args: string[]): string => execFileSync(keytool(), args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const store = (path: string, alias: string): string[] => ['-keystore', path, '-storepass', KEY_PASSWORD, '-alias', alias];
  const rsa = ['-keyalg', 'RSA', '-keysize', '2048'], elliptic = ['-keyalg', 'EC', '-groupname', 'secp256r1'];
  const pair = (path: string, alias: string, name: string, ...more: string[]): void => {
    tool('-genkeypair', ...store(path, alias), '-storetype', 'PKCS12', ...(more.includes('-keyalg') ? [] : rsa), '-dname', `CN=${name}`, ...(more.includes('-validity') ? [] : ['-validity', '3650']), ...more);
  };
  const authority = at('authority.p12');
  pair(authority, 'authority', 'tributary test authority', '-ext', 'bc:c');
  pair(at('stranger.p12'), 'stranger', 'stranger', '-ext', 'bc:c');
  writeFileSync(keys.trustPem, tool('-exportcert', '-rfc', ...store(authority, 'authority')));
  writeFileSync(keys.strangerPem, tool('-exportcert', '-rfc', ...store(at('stranger.p12'), 'stranger')));
  const signed = (path: string, alias: string, name: string, validity: readonly string[], names: readonly string[], key: readonly string[] = rsa): void => {
    pair(path, alias, name, ...key);
    const request = at(`${alias}.csr`), certificate = at(`${alias}.pem`);
    tool('-certreq', ...store(path, alias), '-file', request);
    tool('-gencert', ...store(authority, 'authority'), '-infile', request, '-outfile', certificate, '-rfc', ...validity, ...names);
    tool('-importcert', '-noprompt', '-keystore', path, '-storepass', KEY_PASSWORD, '-alias', 'authority', '-file', keys.trustPem);
    tool('-importcert', '-noprompt', ...store(path, alias), '-file', certificate);
  };
  const names = ['-ext', 'SAN=dns:localhost,ip:127.0.0.1'];
  signed(keys.brokerStore, 'broker', 'localhost', ['-validity', '3650'], names);
  signed(keys.expiredStore, 'expired', 'localhost', ['-startdate', '-20d', '-validity', '10'], names);
  signed(keys.clientPkcs12, 'client', 'client', ['-validity', '3650'], []);
  signed(keys.ellipticPkcs12, 'elliptic', 'elliptic', ['-validity', '3650'], [], elliptic);
  for (const [path, type] of [[keys.trustPkcs12, 'PKCS12'], [keys.trustJks, 'JKS']] as const) tool('-importcert', '-noprompt', ...store(path, 'authority'), '-file', keys.trustPem, '-storetype', type);
  for (const [from, to] of [[keys.clientPkcs12, keys.clientJks], [keys.ellipticPkcs12, keys.ellipticJks]] as const) tool('-importkeystore', '-srckeystore', from, '-srcstoretype', 'PKCS12', '-srcstorepass', KEY_PASSWORD, '-destkeystore', to, '-deststoretype', 'JKS', '-deststorepass', KEY_PASSWORD, '-noprompt');
}
