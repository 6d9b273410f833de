/** `ssl.*` → options of Node's TLS. Stores are read once, when the client is made. */
import { readFileSync } from 'node:fs';
import type { ConnectionOptions, SecureVersion } from 'node:tls';
import { ConfigError } from '../../../api/errors.ts';
import { readKeyStore, type StoreContent } from './keystore.ts';

export type TlsOptions = ConnectionOptions;

export interface TlsProperties {
  readonly 'ssl.truststore.location': string | undefined;
  readonly 'ssl.truststore.password': string | undefined;
  readonly 'ssl.truststore.type': 'JKS' | 'PKCS12' | 'PEM';
  readonly 'ssl.truststore.certificates': string | undefined;
  readonly 'ssl.keystore.location': string | undefined;
  readonly 'ssl.keystore.password': string | undefined;
  readonly 'ssl.keystore.type': 'JKS' | 'PKCS12' | 'PEM';
  readonly 'ssl.keystore.key': string | undefined;
  readonly 'ssl.keystore.certificate.chain': string | undefined;
  readonly 'ssl.key.password': string | undefined;
  readonly 'ssl.endpoint.identification.algorithm': string;
  readonly 'ssl.enabled.protocols': readonly string[];
  readonly 'ssl.cipher.suites': readonly string[];
}

/** Throws ConfigError TLS_STORE, TLS_PROTOCOLS. */
export function tlsFrom(config: TlsProperties): TlsOptions {
  const versions = (['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const).filter(version => config['ssl.enabled.protocols'].includes(version)) as readonly SecureVersion[];
  const [lowest] = versions, highest = versions.at(-1);
  if (lowest === undefined || highest === undefined) throw new ConfigError('Invalid value for configuration ssl.enabled.protocols: it names no TLS version', { code: 'TLS_PROTOCOLS', hint: 'Use TLSv1.2,TLSv1.3.' });
  const trusted = trust(config);
  const suites = config['ssl.cipher.suites'];
  return {
    minVersion: lowest, maxVersion: highest, ...identity(config),
    ...(trusted === undefined ? {} : { ca: [...trusted] }), ...(suites.length === 0 ? {} : { ciphers: suites.join(':') }),
    ...(config['ssl.endpoint.identification.algorithm'].trim() === '' ? { checkServerIdentity: () => undefined } : {}),
  };
}

function trust(config: TlsProperties): readonly string[] | undefined {
  const inline = config['ssl.truststore.certificates'];
  if (inline !== undefined && inline !== '') return certificatesIn(inline, 'ssl.truststore.certificates');
  const location = config['ssl.truststore.location'];
  if (location === undefined || location === '') return undefined;
  const found = open('ssl.truststore', location, config['ssl.truststore.type'], config['ssl.truststore.password'], undefined).certificates;
  if (found.length === 0) throw store('ssl.truststore.location', location, 'there is no certificate in it');
  return found;
}

function identity(config: TlsProperties): TlsOptions {
  const passphrase = config['ssl.key.password'];
  const key = config['ssl.keystore.key'], chain = config['ssl.keystore.certificate.chain'];
  if (key !== undefined && key !== '') return { key: normalPem(key), cert: normalPem(chain ?? ''), ...(passphrase === undefined ? {} : { passphrase }) };
  const location = config['ssl.keystore.location'];
  if (location === undefined || location === '') return {};
  const found = open('ssl.keystore', location, config['ssl.keystore.type'], config['ssl.keystore.password'], passphrase);
  if (found.key === undefined) throw store('ssl.keystore.location', location, 'there is no private key in it');
  return { key: found.key, cert: found.chain.join(''), ...(config['ssl.keystore.type'] === 'PEM' && passphrase !== undefined ? { passphrase } : {}) };
}

function open(option: string, location: string, type: string, storePassword: string | undefined, keyPassword: string | undefined): StoreContent {
  let bytes: Buffer;
  try { bytes = readFileSync(location); } catch (error) { throw store(`${option}.location`, location, (error as Error).message); }
  if (type === 'PEM') {
    const text = bytes.toString('utf8');
    const certificates = certificatesIn(text, `${option}.location`);
    return { certificates, chain: certificates, key: /-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]+-----END [A-Z ]*PRIVATE KEY-----/.exec(text)?.[0] };
  }
  try { return readKeyStore(bytes, storePassword ?? '', keyPassword ?? storePassword ?? ''); } catch (error) { throw store(`${option}.location`, location, (error as Error).message); }
}

function store(option: string, location: string, what: string): ConfigError {
  return new ConfigError(`Failed to load ${option} ${location}: ${what}`, { code: 'TLS_STORE', hint: 'Check the path, the type (JKS, PKCS12, PEM) and the password of the store.' });
}

function certificatesIn(text: string, option: string): readonly string[] {
  const found = normalPem(text).match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g);
  if (found === null) throw new ConfigError(`Invalid PEM in ${option}: there is no certificate`, { code: 'TLS_STORE', hint: 'Give certificates between BEGIN CERTIFICATE and END CERTIFICATE lines.' });
  return found;
}

/** Kafka takes PEM in one line of a properties file too: its line breaks are blanks then. */
function normalPem(text: string): string {
  return text.replace(/(-----BEGIN [A-Z ]+-----)([^-]+)(-----END [A-Z ]+-----)/g, (_, begin: string, body: string, end: string) => `${begin}\n${/Proc-Type/.test(body) ? body.trim() : body.replace(/\s+/g, '\n').trim()}\n${end}\n`);
}
