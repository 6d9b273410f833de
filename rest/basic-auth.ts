/** HTTP basic authentication (RFC 7617) with one user. */
import { createHash, timingSafeEqual } from 'node:crypto';

/** Says whether an `Authorization` header is good; without a user every request is. Takes as long for a near miss as for a far one. */
export function basicAuth(user: string | undefined, password: string | undefined): (header: string | undefined) => boolean {
  if (user === undefined || password === undefined) return () => true;
  const expected = digest(`${user}:${password}`);
  return header => {
    const encoded = /^basic\s+([A-Za-z0-9+/=]+)\s*$/i.exec(header ?? '')?.[1];
    return encoded !== undefined && timingSafeEqual(digest(Buffer.from(encoded, 'base64').toString('utf8')), expected);
  };
}

function digest(text: string): Buffer { return createHash('sha256').update(text).digest(); }
