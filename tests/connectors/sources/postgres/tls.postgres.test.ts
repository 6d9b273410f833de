/** Real servers with certificates of the test's own: every way in that the options offer, and a clear error for each that is closed. */
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import forge from 'node-forge';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, close, queryOn } from '../../../../connectors/sources/postgres/connection.ts';
import { postgresConfig } from '../../../../connectors/sources/postgres/config.ts';
import { parseConfig } from '../../../../runtime/api/config-parse.ts';
import type { TributaryError } from '../../../../runtime/api/errors.ts';
import { type Authority, certificateAuthority } from '../../../kit/certificates.ts';
import { temporaryDirectory } from '../../../kit/directories.ts';
import { type PostgresServer, startPostgres } from '../../../kit/postgres.ts';
import { run } from './source.ts';

const home = temporaryDirectory('tls-');
let authority: Authority, stranger: Authority, server: PostgresServer, expired: PostgresServer, bare: PostgresServer;
const file = (name: string): string => join(home.path, name);

/** `../NAME` is how the server finds the files that lie beside its data. */
const secured = (own: { readonly cert: string; readonly key: string }, more: Partial<Parameters<typeof startPostgres>[0]> = {}) => startPostgres({
  ...more, files: { 'server.crt': own.cert, 'server.key': own.key, 'ca.crt': authority.cert },
  settings: { ssl: 'on', ssl_cert_file: '../server.crt', ssl_key_file: '../server.key', ssl_ca_file: '../ca.crt', password_encryption: 'scram-sha-256' },
});

beforeAll(async () => {
  authority = certificateAuthority('test authority');
  stranger = certificateAuthority('another authority');
  const day = 86_400_000;
  const client = authority.issue({ name: 'certified' }), foreign = stranger.issue({ name: 'certified' });
  writeFileSync(file('ca.crt'), authority.cert);
  writeFileSync(file('stranger.crt'), stranger.cert);
  writeFileSync(file('client.crt'), client.cert);
  writeFileSync(file('client.key'), client.key);
  writeFileSync(file('client.pk8'), client.keyObject.export({ type: 'pkcs8', format: 'der' }));
  writeFileSync(file('locked.key'), client.keyObject.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'opensesame' }));
  writeFileSync(file('client.der'), Buffer.from(client.cert.replace(/-----.*?-----|\s/g, ''), 'base64'));
  writeFileSync(file('foreign.crt'), foreign.cert);
  writeFileSync(file('foreign.key'), foreign.key);
  // PKCS #12 as openssl makes it: an authority and a client with RSA keys, and one store under the ciphers of old.
  const old = rsaStore('certified');
  writeFileSync(file('client.p12'), old.store('opensesame', 'aes256'));
  writeFileSync(file('des.p12'), old.store('opensesame', '3des'));
  writeFileSync(file('broken.p12'), old.store('opensesame', 'aes256').subarray(0, 200));
  authority = { ...authority, cert: `${authority.cert}${old.authority}` };
  const hba = ['hostssl all certified 127.0.0.1/32 cert', 'hostnossl all guarded 127.0.0.1/32 reject', 'hostssl all guarded 127.0.0.1/32 scram-sha-256', 'host all scrammed 127.0.0.1/32 scram-sha-256', 'host all old 127.0.0.1/32 md5', 'hostnossl all plainly 127.0.0.1/32 password', 'hostssl all plainly 127.0.0.1/32 reject'];
  [server, expired, bare] = await Promise.all([
    secured(authority.issue({ name: 'server', dns: ['localhost'] }), { hba }),
    secured(authority.issue({ name: 'server', dns: ['localhost'], from: new Date(Date.now() - 9 * day), to: new Date(Date.now() - day) })),
    startPostgres(),
  ]);
  await server.sql("CREATE ROLE certified SUPERUSER LOGIN REPLICATION; CREATE ROLE guarded SUPERUSER LOGIN PASSWORD 'g'; CREATE ROLE scrammed SUPERUSER LOGIN REPLICATION PASSWORD 'päss'; CREATE ROLE plainly SUPERUSER LOGIN PASSWORD 'p'; SET password_encryption = 'md5'; CREATE ROLE old SUPERUSER LOGIN REPLICATION PASSWORD 'o'");
}, 180_000);
afterAll(async () => { await Promise.all([server, expired, bare].map(one => one[Symbol.asyncDispose]())); home[Symbol.dispose](); });

const login = { 'database.user': 'postgres', 'database.password': 'postgres' };
const certified = { 'database.user': 'certified', 'database.sslmode': 'verify-full', 'database.sslrootcert': 'CA' };

/** A client with an RSA key, signed by an authority of its own, in key stores. */
function rsaStore(name: string): { readonly authority: string; store(password: string, algorithm: 'aes256' | '3des'): Buffer } {
  const { pki, pkcs12, asn1 } = forge;
  const keys = (): { publicKey: forge.pki.rsa.PublicKey; privateKey: forge.pki.rsa.PrivateKey } => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048, publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs1', format: 'pem' } });
    return { publicKey: pki.publicKeyFromPem(publicKey) as forge.pki.rsa.PublicKey, privateKey: pki.privateKeyFromPem(privateKey) as forge.pki.rsa.PrivateKey };
  };
  const issuer = keys(), subject = keys();
  const certificate = (of: string, key: forge.pki.rsa.PublicKey, by: string, ca: boolean): forge.pki.Certificate => {
    const made = pki.createCertificate();
    made.publicKey = key;
    made.serialNumber = ca ? '01' : '02';
    made.validity.notBefore = new Date(Date.now() - 86_400_000);
    made.validity.notAfter = new Date(Date.now() + 86_400_000);
    made.setSubject([{ name: 'commonName', value: of }]);
    made.setIssuer([{ name: 'commonName', value: by }]);
    made.setExtensions([{ name: 'basicConstraints', cA: ca }]);
    made.sign(issuer.privateKey, forge.md.sha256.create());
    return made;
  };
  const root = certificate('rsa authority', issuer.publicKey, 'rsa authority', true), own = certificate(name, subject.publicKey, 'rsa authority', false);
  return {
    authority: pki.certificateToPem(root),
    store: (password, algorithm) => Buffer.from(asn1.toDer(pkcs12.toPkcs12Asn1(subject.privateKey, [own], password, { algorithm, friendlyName: 'user' })).getBytes(), 'binary'),
  };
}

/** Connects both ways, for statements and for replication: 'tls' or 'plain' when both got in, else the error's code. */
async function outcome(to: PostgresServer, options: Readonly<Record<string, string>>): Promise<string> {
  const named = Object.fromEntries(Object.entries({ ...login, ...options }).map(([key, value]) => [key, value === 'CA' ? file('ca.crt') : /^database\.ssl(cert|key|rootcert)$/.test(key) ? file(value) : value]));
  const { config, problems } = parseConfig(postgresConfig, { 'database.hostname': 'localhost', 'database.port': String(to.port), 'database.dbname': 'postgres', 'topic.prefix': 't', ...named });
  if (config === undefined) throw new Error(JSON.stringify(problems));
  const found: string[] = [];
  for (const replication of [false, true]) {
    try {
      const client = await connect(config, replication);
      try {
        const [row] = replication ? [['t']] : await queryOn(client, config)('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
        if (replication) await queryOn(client, config)('IDENTIFY_SYSTEM');
        const encrypted = (client as unknown as { connection: { stream: { encrypted?: boolean } } }).connection.stream.encrypted === true;
        expect(row?.[0]).toBe(replication ? 't' : encrypted ? 't' : 'f');
        found.push(encrypted ? 'tls' : 'plain');
      } finally { await close(client); }
    } catch (error) {
      const { code = 'NONE', hint, message } = error as TributaryError;
      expect(hint, message).toBeTruthy();
      expect(`${message} ${hint}`).not.toContain('opensesame');
      found.push(code);
    }
  }
  expect(found[1]).toBe(found[0]);
  return found[0] ?? '';
}

describe('database.sslmode', () => {
  it.each<readonly [string, Readonly<Record<string, string>>, string]>([
    ['disable', {}, 'plain'], ['allow', {}, 'plain'], ['prefer', {}, 'tls'], ['require', {}, 'tls'],
    ['require', { 'database.sslrootcert': 'stranger.crt' }, 'tls'],
    ['allow', { 'database.user': 'guarded', 'database.password': 'g' }, 'tls'],
    ['prefer', { 'database.user': 'plainly', 'database.password': 'p' }, 'plain'],
    ['disable', { 'database.user': 'guarded', 'database.password': 'g' }, 'POSTGRES_TLS_REQUIRED'],
    ['verify-ca', { 'database.sslrootcert': 'CA' }, 'tls'], ['verify-ca', { 'database.sslrootcert': 'CA', 'database.hostname': '127.0.0.1' }, 'tls'],
    ['verify-ca', { 'database.sslrootcert': 'stranger.crt' }, 'POSTGRES_TLS_CA'], ['verify-ca', {}, 'POSTGRES_TLS_CA'],
    ['verify-ca', { 'database.sslrootcert': 'stranger.crt', 'database.sslfactory': 'org.postgresql.ssl.NonValidatingFactory' }, 'tls'],
    ['verify-full', { 'database.sslrootcert': 'CA' }, 'tls'],
    ['verify-full', { 'database.sslrootcert': 'CA', 'database.hostname': '127.0.0.1' }, 'POSTGRES_TLS_HOST'],
    ['verify-full', { 'database.sslrootcert': 'stranger.crt' }, 'POSTGRES_TLS_CA'],
    ['verify-full', { 'database.sslrootcert': 'no-such.crt' }, 'POSTGRES_TLS_FILE'],
  ])('%s with %o: %s', async (mode, options, expected) => { expect(await outcome(server, { 'database.sslmode': mode, ...options })).toBe(expected); });

  it('knows an expired certificate, and lets it pass where nothing is checked', async () => {
    expect(await outcome(expired, { 'database.sslmode': 'verify-full', 'database.sslrootcert': 'CA' })).toBe('POSTGRES_TLS_EXPIRED');
    expect(await outcome(expired, { 'database.sslmode': 'require' })).toBe('tls');
  });

  it.each<readonly [string, string]>([['disable', 'plain'], ['allow', 'plain'], ['prefer', 'plain'], ['require', 'POSTGRES_TLS_UNSUPPORTED'], ['verify-full', 'POSTGRES_TLS_UNSUPPORTED']])('%s against a server without TLS: %s', async (mode, expected) => {
    expect(await outcome(bare, { 'database.sslmode': mode })).toBe(expected);
  });
});

describe('a client certificate', () => {
  it.each<readonly [string, Readonly<Record<string, string>>, string]>([
    ['PEM', { 'database.sslcert': 'client.crt', 'database.sslkey': 'client.key' }, 'tls'],
    ['DER, as pgjdbc has it', { 'database.sslcert': 'client.der', 'database.sslkey': 'client.pk8' }, 'tls'],
    ['a key with a password', { 'database.sslcert': 'client.crt', 'database.sslkey': 'locked.key', 'database.sslpassword': 'opensesame' }, 'tls'],
    ['a key with another password', { 'database.sslcert': 'client.crt', 'database.sslkey': 'locked.key', 'database.sslpassword': 'wrong' }, 'POSTGRES_TLS_KEY'],
    ['no key', { 'database.sslcert': 'client.crt' }, 'POSTGRES_TLS_FILE'],
    ['the key of another', { 'database.sslcert': 'client.crt', 'database.sslkey': 'foreign.key' }, 'POSTGRES_TLS_KEY'],
    ['PKCS #12', { 'database.sslkey': 'client.p12', 'database.sslpassword': 'opensesame' }, 'tls'],
    ['PKCS #12 under 3DES', { 'database.sslkey': 'des.p12', 'database.sslpassword': 'opensesame' }, 'tls'],
    ['PKCS #12 with another password', { 'database.sslkey': 'client.p12', 'database.sslpassword': 'wrong' }, 'POSTGRES_TLS_KEY'],
    ['PKCS #12 without its password', { 'database.sslkey': 'client.p12' }, 'POSTGRES_TLS_KEY'],
    ['PKCS #12 that is cut', { 'database.sslkey': 'broken.p12', 'database.sslpassword': 'opensesame' }, 'POSTGRES_TLS_KEY'],
    ['none', {}, 'POSTGRES_TLS_CLIENT'],
    ['one that another authority signed', { 'database.sslcert': 'foreign.crt', 'database.sslkey': 'foreign.key' }, 'POSTGRES_TLS_CLIENT'],
  ])('%s', async (_name, options, expected) => { expect(await outcome(server, { ...certified, ...options })).toBe(expected); });
});

describe('a password', () => {
  it.each<readonly [string, string, string, string]>([
    ['scrammed', 'päss', 'disable', 'plain'], ['scrammed', 'päss', 'require', 'tls'], ['scrammed', 'no', 'require', 'POSTGRES_LOGIN'],
    ['old', 'o', 'disable', 'plain'], ['old', 'no', 'disable', 'POSTGRES_LOGIN'],
  ])('of %s (%s) with %s: %s', async (user, password, mode, expected) => {
    expect(await outcome(server, { 'database.user': user, 'database.password': password, 'database.sslmode': mode })).toBe(expected);
  });
});

it('a capture runs over TLS with a client certificate: snapshot, stream, confirmation', async () => {
  await server.sql('CREATE DATABASE secured');
  await server.sql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')", 'secured');
  const options = { 'database.hostname': 'localhost', 'database.user': 'certified', 'database.password': '', 'database.sslmode': 'verify-full', 'database.sslrootcert': file('ca.crt'), 'database.sslcert': file('client.crt'), 'database.sslkey': file('client.key') };
  const got = await run({ server, database: 'secured', options, until: records => records.length >= 301, after: async () => { await server.sql("INSERT INTO t SELECT g, repeat('x', 5000) FROM generate_series(2, 301) g", 'secured'); } });
  expect(got.failure).toBeUndefined();
  expect(got.records.map(({ payload }) => Number(payload?.after?.['id']))).toEqual(Array.from({ length: 301 }, (_, i) => i + 1));
});
