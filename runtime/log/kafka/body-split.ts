/** Cuts a batch body in two where a broker takes no batch of that size. */
import { ByteWriter } from '../../api/byte-writer.ts';
import type { BatchBody } from '../log.ts';
import { encodeVarint, varintAt } from '../varint.ts';

/** The first half of the records and the rest; offsets count from 0 again in each. The body has two records or more. */
export function halve(body: BatchBody): readonly [BatchBody, BatchBody] {
  const first = Math.floor(body.records / 2);
  const bytes = Buffer.from(body.bytes.buffer, body.bytes.byteOffset, body.bytes.byteLength);
  const cursor = { at: 0 };
  for (let i = 0; i < first; i++) { const length = varintAt(bytes, cursor); cursor.at += length; }
  const cut = cursor.at;
  const { baseTimestamp, maxTimestamp } = body;
  return [
    { records: first, bytes: bytes.subarray(0, cut), baseTimestamp, maxTimestamp },
    { records: body.records - first, bytes: renumbered(bytes.subarray(cut), body.records - first, first), baseTimestamp, maxTimestamp },
  ];
}

/** record := length varint · attributes int8 · timestampDelta varlong · offsetDelta varint · rest */
function renumbered(bytes: Buffer, records: number, shift: number): Uint8Array {
  const out = new ByteWriter(bytes.length + 16), head = new ByteWriter(32);
  const cursor = { at: 0 };
  for (let i = 0; i < records; i++) {
    const length = varintAt(bytes, cursor);
    const start = cursor.at, end = start + length;
    cursor.at++;
    varintAt(bytes, cursor);
    head.reset();
    head.write(bytes.subarray(start, cursor.at));
    encodeVarint(head, varintAt(bytes, cursor) - shift);
    encodeVarint(out, head.position + end - cursor.at);
    out.write(head.view());
    out.write(bytes.subarray(cursor.at, end));
    cursor.at = end;
  }
  return out.view();
}
