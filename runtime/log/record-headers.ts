/** The headers section of a record, encoded once for each array of headers. */
import { ByteWriter } from '../api/byte-writer.ts';
import type { EncodedHeader } from '../api/plugin.ts';
import { encodeVarint } from './varint.ts';

const encodedHeaders = new WeakMap<readonly EncodedHeader[], Uint8Array>();

/** Count and headers, as they end a record; cached by the identity of the array. */
export function headersSection(headers: readonly EncodedHeader[]): Uint8Array {
  const known = encodedHeaders.get(headers);
  if (known !== undefined) return known;
  const out = new ByteWriter(256);
  encodeVarint(out, headers.length);
  for (const header of headers) {
    const name = Buffer.from(header.name, 'utf8');
    encodeVarint(out, name.length);
    out.write(name);
    encodeVarint(out, header.value === null ? -1 : header.value.length);
    if (header.value !== null) out.write(header.value);
  }
  const bytes = Buffer.from(out.view());
  encodedHeaders.set(headers, bytes);
  return bytes;
}
