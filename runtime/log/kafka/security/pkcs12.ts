/** PKCS12 (RFC 7292), also as Java writes trust stores: certificates without a key, and the old RC2 and 3DES ciphers. */
import forge from 'node-forge';
import { type StoreContent, pem } from './keystore.ts';

interface Bag { readonly cert?: forge.pki.Certificate; readonly key?: forge.pki.PrivateKey | null; readonly asn1: forge.asn1.Asn1; readonly attributes: Readonly<Record<string, readonly string[]>> }

export function readPkcs12(bytes: Buffer, password: string): StoreContent {
  const { asn1, pki, pkcs12 } = forge;
  let store: forge.pkcs12.Pkcs12Pfx;
  try { store = pkcs12.pkcs12FromAsn1(asn1.fromDer(bytes.toString('binary')), false, password); } catch (error) {
    throw new Error(/MAC|password/i.test((error as Error).message) ? 'the password is wrong, or the store is damaged' : `it is damaged: ${(error as Error).message}`);
  }
  const bags = (oid: string | undefined): readonly Bag[] => (oid === undefined ? [] : (store.getBags({ bagType: oid })[oid] ?? []) as unknown as readonly Bag[]);
  const der = (node: forge.asn1.Asn1): Buffer => Buffer.from(asn1.toDer(node).getBytes(), 'binary');
  const idOf = (bag: Bag): string => bag.attributes['localKeyId']?.[0] ?? '';
  const [keyBag] = [...bags(pki.oids['pkcs8ShroudedKeyBag']), ...bags(pki.oids['keyBag'])];
  const certificates = bags(pki.oids['certBag']).map(bag => ({ id: idOf(bag), text: pem('CERTIFICATE', bag.cert === null || bag.cert === undefined ? der(bag.asn1) : der(pki.certificateToAsn1(bag.cert))) }));
  // A key's certificate carries its id; the issuers carry none.
  const own = keyBag === undefined ? '' : idOf(keyBag);
  const chain = keyBag === undefined ? [] : [...certificates.filter(({ id }) => own !== '' && id === own), ...certificates.filter(({ id }) => own === '' || id !== own)];
  return {
    certificates: certificates.map(({ text }) => text), chain: chain.map(({ text }) => text),
    key: keyBag === undefined ? undefined : pem('PRIVATE KEY', keyBag.key === null || keyBag.key === undefined ? der(keyBag.asn1) : der(pki.wrapRsaPrivateKey(pki.privateKeyToAsn1(keyBag.key)))),
  };
}
