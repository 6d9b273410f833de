/**
 * Primitive types of Kafka's protocol (kafka.apache.org/protocol, "Protocol Primitive Types"), big-endian. The "compact"
 * forms and the tagged fields belong to the flexible versions of an API.
 */
import { ByteWriter } from '../../../api/byte-writer.ts';
import { RetriableError } from '../../../api/errors.ts';

/** Writes a request's body. */
export class WireWriter {
  private readonly out: ByteWriter;
  constructor(capacity = 256) { this.out = new ByteWriter(capacity); }

  private at(size: number): number {
    this.out.ensure(size);
    const at = this.out.position;
    this.out.position += size;
    return at;
  }
  int8(value: number): this { const at = this.at(1); this.out.buffer.writeInt8(value, at); return this; }
  boolean(value: boolean): this { return this.int8(value ? 1 : 0); }
  int16(value: number): this { const at = this.at(2); this.out.buffer.writeInt16BE(value, at); return this; }
  int32(value: number): this { const at = this.at(4); this.out.buffer.writeInt32BE(value, at); return this; }
  int64(value: bigint | number): this { const at = this.at(8); this.out.buffer.writeBigInt64BE(BigInt(value), at); return this; }
  /** Unsigned, not zig-zag. */
  unsignedVarint(value: number): this {
    let rest = value >>> 0;
    while (rest > 127) { const at = this.at(1); this.out.buffer[at] = (rest & 127) | 128; rest >>>= 7; }
    const at = this.at(1);
    this.out.buffer[at] = rest;
    return this;
  }
  raw(bytes: Uint8Array): this { this.out.write(bytes); return this; }
  string(value: string | null): this {
    if (value === null) return this.int16(-1);
    const bytes = Buffer.from(value, 'utf8');
    return this.int16(bytes.length).raw(bytes);
  }
  compactString(value: string | null): this {
    if (value === null) return this.unsignedVarint(0);
    const bytes = Buffer.from(value, 'utf8');
    return this.unsignedVarint(bytes.length + 1).raw(bytes);
  }
  bytes(value: Uint8Array | null): this { return value === null ? this.int32(-1) : this.int32(value.length).raw(value); }
  array<T>(values: readonly T[] | null, write: (value: T) => void): this {
    this.int32(values === null ? -1 : values.length);
    for (const value of values ?? []) write(value);
    return this;
  }
  compactArray<T>(values: readonly T[] | null, write: (value: T) => void): this {
    this.unsignedVarint(values === null ? 0 : values.length + 1);
    for (const value of values ?? []) write(value);
    return this;
  }
  /** No tagged fields. */
  tags(): this { return this.unsignedVarint(0); }
  view(): Buffer { return this.out.buffer.subarray(0, this.out.position); }
}

/** Reads a response's body. Everything that runs over the end throws RetriableError KAFKA_RESPONSE: the connection is to be given up. */
export class WireReader {
  private readonly buffer: Buffer;
  position = 0;
  constructor(buffer: Buffer) { this.buffer = buffer; }

  get left(): number { return this.buffer.length - this.position; }
  private take(size: number): number {
    if (size < 0 || this.position + size > this.buffer.length) throw new RetriableError('A broker sent an answer that is cut short', { code: 'KAFKA_RESPONSE', hint: 'Check that bootstrap.servers names Kafka brokers.' });
    const at = this.position;
    this.position += size;
    return at;
  }
  int8(): number { return this.buffer.readInt8(this.take(1)); }
  boolean(): boolean { return this.int8() !== 0; }
  int16(): number { return this.buffer.readInt16BE(this.take(2)); }
  int32(): number { return this.buffer.readInt32BE(this.take(4)); }
  int64(): bigint { return this.buffer.readBigInt64BE(this.take(8)); }
  /** An int64 that is a count, an offset or a time, all far below 2^53. */
  long(): number { return Number(this.int64()); }
  unsignedVarint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.buffer[this.take(1)] ?? 0;
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw new RetriableError('A broker sent a length that cannot be', { code: 'KAFKA_RESPONSE' });
  }
  raw(size: number): Buffer { const at = this.take(size); return this.buffer.subarray(at, at + size); }
  private text(size: number): string { const at = this.take(size); return this.buffer.toString('utf8', at, at + size); }
  string(): string | null { const size = this.int16(); return size < 0 ? null : this.text(size); }
  compactString(): string | null { const size = this.unsignedVarint(); return size === 0 ? null : this.text(size - 1); }
  bytes(): Buffer | null { const size = this.int32(); return size < 0 ? null : this.raw(size); }
  /** A null array reads as an empty one. */
  array<T>(read: () => T): T[] { return this.many(this.int32(), read); }
  compactArray<T>(read: () => T): T[] { return this.many(this.unsignedVarint() - 1, read); }
  private many<T>(count: number, read: () => T): T[] {
    if (count > this.left) throw new RetriableError('A broker sent a count that cannot be', { code: 'KAFKA_RESPONSE' });
    const values: T[] = [];
    for (let i = 0; i < count; i++) values.push(read());
    return values;
  }
  uuid(): string {
    const at = this.take(16);
    return this.buffer.toString('base64url', at, at + 16);
  }
  /** Skips tagged fields. */
  tags(): void { for (let count = this.unsignedVarint(); count > 0; count--) { this.unsignedVarint(); this.take(this.unsignedVarint()); } }
}

/** One request type at one version. A fixed version keeps one form to test; it is the lowest that carries what we need. */
export interface Api<Input, Output> {
  readonly key: number;
  readonly name: string;
  readonly version: number;
  /** Request header 2 and response header 1, with tagged fields. */
  readonly flexible: boolean;
  encode(out: WireWriter, input: Input): void;
  decode(input: WireReader): Output;
}
