/** Java key stores: JKS and PKCS12, told apart by their first bytes. */
import { readJks } from './jks.ts';
import { readPkcs12 } from './pkcs12.ts';

export interface StoreContent {
  /** Trusted certificates, PEM. */
  readonly certificates: readonly string[];
  /** Certificate chain of the private key, PEM. */
  readonly chain: readonly string[];
  /** First private key, PEM (PKCS#8, not encrypted). */
  readonly key: string | undefined;
}

/** Throws an Error that says what is wrong: another format, a wrong password, damage. */
export function readKeyStore(bytes: Buffer, storePassword: string, keyPassword: string): StoreContent {
  if (bytes.length > 4 && bytes.readUInt32BE(0) === 0xfeed_feed) return readJks(bytes, storePassword, keyPassword);
  if (bytes[0] === 0x30) return readPkcs12(bytes, storePassword);
  throw new Error('it is neither a JKS nor a PKCS12 store');
}

export function pem(label: string, der: Uint8Array): string {
  const text = Buffer.from(der).toString('base64').replace(/(.{64})/g, '$1\n').trimEnd();
  return `-----BEGIN ${label}-----\n${text}\n-----END ${label}-----\n`;
}
