/**
 * pgoutput, protocol versions 1 and 2 (and 4, where it streams in parallel): the messages inside the replication
 * stream's XLogData. Between `stream-start` and `stream-stop` every message has the id of its (sub)transaction behind
 * its type; {@link streamedXid} gives it, and {@link withoutXid} the message as protocol 1 would have it.
 * Grammar: PostgreSQL manual, 55.9 "Logical Replication Message Formats". All integers are big-endian.
 * Column values are not copied: a row is positions in the received buffer.
 */
import { DataError } from '../../../../runtime/api/errors.ts';
import { NULL_VALUE, type RowImage, UNCHANGED_TOAST } from '../change.ts';

export interface RelationColumn { readonly name: string; readonly typeOid: number; readonly typmod: number; readonly isKey: boolean }

export type Message =
  | { readonly kind: 'begin'; readonly finalLsn: bigint; readonly commitUs: bigint; readonly xid: number }
  | { readonly kind: 'commit'; readonly commitLsn: bigint; readonly endLsn: bigint; readonly commitUs: bigint }
  | { readonly kind: 'relation'; readonly oid: number; readonly schema: string; readonly table: string; readonly identity: string; readonly columns: readonly RelationColumn[] }
  | { readonly kind: 'insert'; readonly relation: number; readonly after: RowImage }
  | { readonly kind: 'update'; readonly relation: number; readonly before: RowImage | undefined; readonly after: RowImage }
  | { readonly kind: 'delete'; readonly relation: number; readonly before: RowImage }
  | { readonly kind: 'truncate'; readonly relations: readonly number[] }
  | { readonly kind: 'message'; readonly transactional: boolean; readonly lsn: bigint; readonly prefix: string; readonly content: Buffer }
  | { readonly kind: 'origin'; readonly lsn: bigint; readonly name: string }
  | { readonly kind: 'type' }
  | { readonly kind: 'stream-start'; readonly xid: number; readonly first: boolean }
  | { readonly kind: 'stream-stop' }
  | { readonly kind: 'stream-commit'; readonly xid: number; readonly commitLsn: bigint; readonly endLsn: bigint; readonly commitUs: bigint }
  | { readonly kind: 'stream-abort'; readonly xid: number; readonly subtransaction: number };

/** Microseconds between 1970-01-01 and PostgreSQL's 2000-01-01. */
export const POSTGRES_EPOCH_US = 946_684_800_000_000n;

class Cursor {
  readonly buffer: Buffer;
  at: number;
  private readonly end: number;
  constructor(buffer: Buffer, at: number, end: number) { this.buffer = buffer; this.at = at; this.end = end; }

  private take(size: number): number {
    const at = this.at;
    if (size < 0 || at + size > this.end) throw malformed(`ends ${at + size - this.end} bytes too early`);
    this.at += size;
    return at;
  }
  byte(): number { return this.buffer[this.take(1)] as number; }
  int16(): number { return this.buffer.readInt16BE(this.take(2)); }
  int32(): number { return this.buffer.readInt32BE(this.take(4)); }
  uint32(): number { return this.buffer.readUInt32BE(this.take(4)); }
  int64(): bigint { return this.buffer.readBigInt64BE(this.take(8)); }
  uint64(): bigint { return this.buffer.readBigUInt64BE(this.take(8)); }
  bytes(size: number): Buffer { const at = this.take(size); return this.buffer.subarray(at, at + size); }
  skip(size: number): number { return this.take(size); }
  text(): string {
    const zero = this.buffer.indexOf(0, this.at);
    if (zero < 0 || zero >= this.end) throw malformed('a name has no end');
    const text = this.buffer.toString('utf8', this.at, zero);
    this.at = zero + 1;
    return text;
  }
  row(): RowImage {
    const count = this.int16();
    if (count < 0 || count > this.end - this.at) throw malformed('has more columns than bytes');
    const start = new Array<number>(count), end = new Array<number>(count);
    for (let i = 0; i < count; i++) {
      const kind = this.byte();
      if (kind === 0x74) { const size = this.int32(); const at = this.take(size); start[i] = at; end[i] = at + size; }
      else if (kind === 0x6e) { start[i] = NULL_VALUE; end[i] = 0; }
      else if (kind === 0x75) { start[i] = UNCHANGED_TOAST; end[i] = 0; }
      else throw malformed(`column kind ${kind} is unknown`);
    }
    return { buffer: this.buffer, start, end };
  }
}

/** Decodes the message at `start`. Throws DataError PGOUTPUT_MALFORMED; undefined for a kind that carries nothing for us. */
export function decodeMessage(buffer: Buffer, start: number, end: number): Message | undefined {
  const cursor = new Cursor(buffer, start, end);
  switch (cursor.byte()) {
    case 0x49: { const relation = cursor.uint32(); cursor.skip(1); return { kind: 'insert', relation, after: cursor.row() }; }
    case 0x55: return update(cursor);
    case 0x44: { const relation = cursor.uint32(); const tag = cursor.byte(); return { kind: 'delete', relation, before: oldRow(cursor.row(), tag) }; }
    case 0x42: return { kind: 'begin', finalLsn: cursor.uint64(), commitUs: cursor.int64() + POSTGRES_EPOCH_US, xid: cursor.uint32() };
    case 0x43: { cursor.skip(1); return { kind: 'commit', commitLsn: cursor.uint64(), endLsn: cursor.uint64(), commitUs: cursor.int64() + POSTGRES_EPOCH_US }; }
    case 0x52: return relation(cursor);
    case 0x54: return truncate(cursor);
    case 0x4d: return logicalMessage(cursor);
    case 0x4f: return { kind: 'origin', lsn: cursor.uint64(), name: cursor.text() };
    case 0x59: return { kind: 'type' };
    case 0x53: return { kind: 'stream-start', xid: cursor.uint32(), first: cursor.byte() === 1 };
    case 0x45: return { kind: 'stream-stop' };
    case 0x63: { const xid = cursor.uint32(); cursor.skip(1); return { kind: 'stream-commit', xid, commitLsn: cursor.uint64(), endLsn: cursor.uint64(), commitUs: cursor.int64() + POSTGRES_EPOCH_US }; }
    case 0x41: return { kind: 'stream-abort', xid: cursor.uint32(), subtransaction: cursor.uint32() };
    default: throw malformed(`message type ${buffer[start]} is unknown`);
  }
}

/** Types of the messages that protocol 2 sends as they are, also between `stream-start` and `stream-stop`. */
const STREAM_CONTROL = new Set([0x53, 0x45, 0x63, 0x41]);
export function isStreamControl(type: number | undefined): boolean { return type !== undefined && STREAM_CONTROL.has(type); }

/** Id of the (sub)transaction of a message inside a streamed block. Throws DataError PGOUTPUT_MALFORMED. */
export function streamedXid(buffer: Buffer, start: number, end: number): number {
  if (end - start < 5) throw malformed('has no transaction');
  return buffer.readUInt32BE(start + 1);
}
/** A copy of that message without the id. */
export function withoutXid(buffer: Buffer, start: number, end: number): Buffer { return Buffer.concat([buffer.subarray(start, start + 1), buffer.subarray(start + 5, end)]); }

function update(cursor: Cursor): Message {
  const relation = cursor.uint32();
  let tag = cursor.byte();
  let before: RowImage | undefined;
  if (tag === 0x4b || tag === 0x4f) { before = oldRow(cursor.row(), tag); tag = cursor.byte(); }
  if (tag !== 0x4e) throw malformed(`tuple tag ${tag} is unknown`);
  return { kind: 'update', relation, before, after: cursor.row() };
}

/** In a key-only image ('K') the columns outside the identity are sent as null; they are simply not known. */
function oldRow(row: RowImage, tag: number): RowImage {
  if (tag !== 0x4b && tag !== 0x4f) throw malformed(`tuple tag ${tag} is unknown`);
  return row;
}

function relation(cursor: Cursor): Message {
  const oid = cursor.uint32(), schema = cursor.text(), table = cursor.text(), identity = String.fromCharCode(cursor.byte());
  const columns: RelationColumn[] = [];
  for (let left = cursor.int16(); left > 0; left--) {
    const isKey = (cursor.byte() & 1) === 1, name = cursor.text();
    columns.push({ isKey, name, typeOid: cursor.uint32(), typmod: cursor.int32() });
  }
  return { kind: 'relation', oid, schema: schema === '' ? 'pg_catalog' : schema, table, identity, columns };
}

function truncate(cursor: Cursor): Message {
  const count = cursor.int32();
  cursor.skip(1);
  const relations: number[] = [];
  for (let i = 0; i < count; i++) relations.push(cursor.uint32());
  return { kind: 'truncate', relations };
}

function logicalMessage(cursor: Cursor): Message {
  const transactional = (cursor.byte() & 1) === 1, lsn = cursor.uint64(), prefix = cursor.text();
  return { kind: 'message', transactional, lsn, prefix, content: cursor.bytes(cursor.int32()) };
}

function malformed(what: string): DataError {
  return new DataError(`A pgoutput message cannot be read: it ${what}`, { code: 'PGOUTPUT_MALFORMED', hint: 'Report this with the server version; event.processing.failure.handling.mode=warn goes on without the event.' });
}
