/**
 * Avro object container files (Avro 1.11 specification, "Object Container Files"): magic, metadata map, sync marker, blocks.
 * The header is written here because avsc drops attributes that it does not know, `field-id` among them; avsc codes the rows.
 */
import { randomBytes } from 'node:crypto';
import { inflateRawSync } from 'node:zlib';
import avro from 'avsc';

const MAGIC = Buffer.from([0x4f, 0x62, 0x6a, 1]);
const types = new Map<string, avro.Type>();

/** Whole numbers of 64 bits: bigint where a number would lose digits. Other engines' snapshot ids are such. */
export type Long = number | bigint;
const LONG = avro.types.LongType.__with({
  fromBuffer: (bytes: Buffer): Long => { const value = bytes.readBigInt64LE(), small = Number(value); return Number.isSafeInteger(small) ? small : value; },
  toBuffer: (value: Long): Buffer => { const bytes = Buffer.alloc(8); bytes.writeBigInt64LE(BigInt(value)); return bytes; },
  fromJSON: (value: unknown): unknown => value, toJSON: Number,
  isValid: (value: unknown): boolean => typeof value === 'bigint' || Number.isSafeInteger(value),
  compare: (a: Long, b: Long): number => (a < b ? -1 : a > b ? 1 : 0),
});

function typeOf(schema: string): avro.Type {
  let type = types.get(schema);
  if (type === undefined) { type = avro.Type.forSchema(JSON.parse(schema) as avro.Schema, { wrapUnions: 'never', registry: { long: LONG } }); types.set(schema, type); }
  return type;
}

/** Zig-zag varint. */
function long(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value >= 0 ? value * 2 : -value * 2 - 1;
  while (rest >= 128) { bytes.push((rest % 128) | 128); rest = Math.floor(rest / 128); }
  bytes.push(rest);
  return Buffer.from(bytes);
}
function bytes(value: Buffer): Buffer { return Buffer.concat([long(value.length), value]); }

/** One uncompressed block of rows. `schema` is kept in the header as it is given. */
export function encodeContainer(schema: string, metadata: Readonly<Record<string, string>>, rows: readonly unknown[]): Buffer {
  const type = typeOf(schema), sync = randomBytes(16);
  const facts = Object.entries({ 'avro.schema': schema, 'avro.codec': 'null', ...metadata });
  const header = [MAGIC, long(facts.length), ...facts.flatMap(([key, value]) => [bytes(Buffer.from(key)), bytes(Buffer.from(value))]), long(0), sync];
  if (rows.length === 0) return Buffer.concat(header);
  const body = Buffer.concat(rows.map(row => type.toBuffer(row)));
  return Buffer.concat([...header, long(rows.length), bytes(body), sync]);
}

class Cursor {
  private readonly buffer: Buffer;
  at = 0;
  constructor(buffer: Buffer) { this.buffer = buffer; }
  long(): number {
    let value = 0, scale = 1;
    for (;;) {
      const byte = this.buffer[this.at++];
      if (byte === undefined) throw new RangeError('Avro file ends early');
      value += (byte & 127) * scale;
      if (byte < 128) break;
      scale *= 128;
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
  take(length: number): Buffer {
    if (length < 0 || this.at + length > this.buffer.length) throw new RangeError('Avro file ends early');
    const part = this.buffer.subarray(this.at, this.at + length);
    this.at += length;
    return part;
  }
  get done(): boolean { return this.at >= this.buffer.length; }
}

/** Rows as avsc decodes them, and the header's metadata. Throws RangeError for anything that is no such file. */
export function decodeContainer(file: Buffer): { readonly metadata: ReadonlyMap<string, string>; readonly rows: readonly unknown[] } {
  const cursor = new Cursor(file), metadata = new Map<string, string>();
  if (!cursor.take(4).equals(MAGIC)) throw new RangeError('not an Avro file');
  for (let count = cursor.long(); count !== 0; count = cursor.long()) {
    if (count < 0) cursor.long();
    for (let i = 0; i < Math.abs(count); i++) metadata.set(cursor.take(cursor.long()).toString('utf8'), cursor.take(cursor.long()).toString('utf8'));
  }
  cursor.take(16);
  const type = typeOf(metadata.get('avro.schema') ?? '"null"'), codec = metadata.get('avro.codec') ?? 'null';
  if (codec !== 'null' && codec !== 'deflate') throw new RangeError(`Avro codec ${codec} is not known`);
  const rows: unknown[] = [];
  while (!cursor.done) {
    const count = cursor.long(), block = cursor.take(cursor.long());
    const body = codec === 'deflate' ? inflateRawSync(block) : block;
    let at = 0;
    for (let i = 0; i < count; i++) {
      const { value, offset } = type.decode(body, at);
      if (offset < 0) throw new RangeError('Avro block ends early');
      rows.push(value);
      at = offset;
    }
    cursor.take(16);
  }
  return { metadata, rows };
}
