/**
 * X.509 certificates for a test, made with node's own keys and signatures: an authority, and what it signs. DER by hand
 * (RFC 5280), ECDSA P-256 with SHA-256, and nothing that a test does not need.
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/** PEM texts; the key is PKCS #8. */
export interface Certified { readonly cert: string; readonly key: string; readonly keyObject: KeyObject }
export interface Wanted {
  readonly name: string;
  readonly dns?: readonly string[];
  /** IPv4 addresses. */
  readonly ip?: readonly string[];
  /** Default: from a day ago to a day ahead. */
  readonly from?: Date;
  readonly to?: Date;
}
export interface Authority extends Certified { issue(wanted: Wanted): Certified }

const DAY_MS = 86_400_000;

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const size = body.length < 128 ? [body.length] : body.length < 256 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
}
const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts);
function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const digits = [arc & 127];
    for (let left = arc >> 7; left > 0; left >>= 7) digits.unshift((left & 127) | 128);
    bytes.push(...digits);
  }
  return der(0x06, Buffer.from(bytes));
}
const text = (value: string): Buffer => der(0x0c, Buffer.from(value));
const time = (date: Date): Buffer => der(0x18, Buffer.from(`${date.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`));
const commonName = (name: string): Buffer => sequence(der(0x31, sequence(oid('2.5.4.3'), text(name))));
const octets = (content: Uint8Array): Buffer => der(0x04, content);
const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));
const TRUE = Buffer.from([0x01, 0x01, 0xff]);

const pem = (kind: string, bytes: Buffer): string => `-----BEGIN ${kind}-----\n${bytes.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END ${kind}-----\n`;

function certify(wanted: Wanted, authority: boolean, issuer: { readonly name: string; readonly key: KeyObject } | undefined): Certified {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const names = [...(wanted.dns ?? []).map(name => der(0x82, Buffer.from(name))), ...(wanted.ip ?? []).map(address => der(0x87, Buffer.from(address.split('.').map(Number))))];
  const extensions = sequence(
    sequence(oid('2.5.29.19'), TRUE, octets(authority ? sequence(TRUE) : sequence())),
    ...(names.length > 0 ? [sequence(oid('2.5.29.17'), octets(sequence(...names)))] : []),
  );
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))), der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])), ECDSA_SHA256, commonName(issuer?.name ?? wanted.name),
    sequence(time(wanted.from ?? new Date(Date.now() - DAY_MS)), time(wanted.to ?? new Date(Date.now() + DAY_MS))), commonName(wanted.name),
    publicKey.export({ type: 'spki', format: 'der' }), der(0xa3, extensions),
  );
  const signature = sign('sha256', body, issuer?.key ?? privateKey);
  const cert = sequence(body, ECDSA_SHA256, der(0x03, Buffer.from([0]), signature));
  return { cert: pem('CERTIFICATE', cert), key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), keyObject: privateKey };
}

/** An authority that signs itself. */
export function certificateAuthority(name: string): Authority {
  const own = certify({ name }, true, undefined);
  return { ...own, issue: wanted => certify(wanted, false, { name, key: own.keyObject }) };
}
