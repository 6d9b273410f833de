/**
 * JKS, Java's older key store.
 *
 *   store := magic uint32 (FEEDFEED) · version int32 (1, 2) · count int32 · entry* · digest[20]
 *   entry := 1 · alias utf · date int64 · length int32 · EncryptedPrivateKeyInfo · chain int32 · certificate*
 *          | 2 · alias utf · date int64 · certificate
 *   certificate := [version 2: type utf] · length int32 · DER
 *
 * The digest is SHA-1 of the password (UTF-16BE), "Mighty Aphrodite" and all before it. A key is protected with Sun's own
 * algorithm (OID 1.3.6.1.4.1.42.2.17.1.1): salt[20] · key XOR a chain of SHA-1(password, last) · SHA-1(password, key).
 * Source: the format as sun.security.provider.JavaKeyStore and KeyProtector document it.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { type StoreContent, pem } from './keystore.ts';

const DIGEST = 20;
const PROTECTOR = Buffer.from('060a2b060104012a02110101', 'hex');

export function readJks(bytes: Buffer, storePassword: string, keyPassword: string): StoreContent {
  const content = bytes.subarray(0, -DIGEST);
  const digest = sha1(utf16(storePassword), Buffer.from('Mighty Aphrodite'), content);
  if (bytes.length < 12 + DIGEST || !timingSafeEqual(digest, bytes.subarray(-DIGEST))) throw new Error('the password is wrong, or the store is damaged');
  let at = 4;
  const int = (): number => { at += 4; return content.readInt32BE(at - 4); };
  const slice = (size: number): Buffer => {
    if (size < 0 || at + size > content.length) throw new Error('it ends too early');
    at += size;
    return content.subarray(at - size, at);
  };
  const utf = (): Buffer => { at += 2; return slice(content.readUInt16BE(at - 2)); };
  const version = int();
  const certificate = (): string => { if (version === 2) utf(); return pem('CERTIFICATE', slice(int())); };
  const certificates: string[] = [];
  let key: string | undefined, chain: string[] = [];
  for (let entries = int(); entries > 0; entries--) {
    const tag = int();
    utf();
    slice(8);
    if (tag === 2) { certificates.push(certificate()); continue; }
    if (tag !== 1) throw new Error(`it has an entry of kind ${tag}, which is not known`);
    const sealed = slice(int());
    const own = Array.from({ length: int() }, certificate);
    if (key === undefined) { key = pem('PRIVATE KEY', recover(sealed, keyPassword)); chain = own; }
  }
  return { certificates, chain, key };
}

/** PKCS#8 of a protected key. */
function recover(sealed: Buffer, password: string): Buffer {
  const oid = sealed.indexOf(PROTECTOR);
  if (oid < 0) throw new Error('its private key is protected in a way that is not known');
  // After the OID comes NULL (05 00), then the OCTET STRING that is the rest of the structure.
  let at = oid + PROTECTOR.length + 2 + 1;
  const first = sealed[at++] ?? 0;
  if (first > 127) at += first & 127;
  const salt = sealed.subarray(at, at + DIGEST), hidden = sealed.subarray(at + DIGEST, -DIGEST), check = sealed.subarray(-DIGEST);
  const secret = utf16(password);
  const plain = Buffer.alloc(hidden.length);
  let last: Buffer = salt;
  for (let i = 0; i < hidden.length; i++) {
    if (i % DIGEST === 0) last = sha1(secret, last);
    plain[i] = (hidden[i] ?? 0) ^ (last[i % DIGEST] ?? 0);
  }
  if (!timingSafeEqual(sha1(secret, plain), check)) throw new Error('the password of its private key is wrong');
  return plain;
}

function sha1(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha1');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
function utf16(text: string): Buffer { return Buffer.from(text, 'utf16le').swap16(); }
