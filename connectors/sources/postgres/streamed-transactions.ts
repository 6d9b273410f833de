/**
 * Transactions that the server sends while they are still open (pgoutput protocol 2, `streaming`): their messages are
 * kept here until they commit, in memory first and beyond {@link MEMORY_BYTES} in a file that has no name, so that
 * nothing is left behind whatever ends the process. Nothing of it has to survive: a transaction is durable when its
 * records are in the log, and until then the server sends it again from its beginning.
 *
 *   file := { length uint32 · lsn uint64 · (sub)transaction uint32 · message without that id }*
 */
import { randomUUID } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FatalError } from '../../../runtime/api/errors.ts';
import { streamedXid, withoutXid } from './wire/pgoutput.ts';

/** What one open transaction may hold in memory. */
const MEMORY_BYTES = 256 * 1024;
const READ_BYTES = 256 * 1024;
const HEAD = 16;

export interface SpillLimits { readonly directory: string | undefined; readonly bytes: number }
/** A message as protocol 1 would have it, with where it stands. */
export interface KeptMessage { readonly lsn: bigint; readonly message: Buffer }

interface Open { readonly aborted: Set<number>; parts: Buffer[]; bytes: number; file: number | undefined; fileBytes: number; firstLsn: bigint }

export class StreamedTransactions {
  private readonly limits: SpillLimits;
  private readonly open = new Map<number, Open>();
  private current: Open | undefined;
  /** Bytes on disk, over all open transactions. */
  spilledBytes = 0;

  constructor(limits: SpillLimits) { this.limits = limits; }

  /** True between `stream-start` and `stream-stop`. */
  get inside(): boolean { return this.current !== undefined; }
  get count(): number { return this.open.size; }

  start(xid: number, lsn: bigint): void {
    let entry = this.open.get(xid);
    if (entry === undefined) { entry = { aborted: new Set(), parts: [], bytes: 0, file: undefined, fileBytes: 0, firstLsn: lsn }; this.open.set(xid, entry); }
    this.current = entry;
  }
  stop(): void { this.current = undefined; }

  /** Throws FatalError POSTGRES_SPILL_FULL, DataError PGOUTPUT_MALFORMED. */
  add(buffer: Buffer, start: number, end: number, lsn: bigint): void {
    const { current } = this;
    if (current === undefined) return;
    const xid = streamedXid(buffer, start, end), message = withoutXid(buffer, start, end);
    const head = Buffer.alloc(HEAD);
    head.writeUInt32BE(message.length, 0);
    head.writeBigUInt64BE(lsn, 4);
    head.writeUInt32BE(xid, 12);
    current.parts.push(head, message);
    current.bytes += HEAD + message.length;
    if (current.bytes > MEMORY_BYTES) this.spill(current);
  }

  private spill(entry: Open): void {
    const { bytes: limit, directory } = this.limits;
    if (this.spilledBytes + entry.bytes > limit) {
      throw new FatalError(`Open transactions take more than ${limit} bytes of spill files`, { code: 'POSTGRES_SPILL_FULL', hint: 'Raise slot.stream.spill.max.bytes, or leave streaming out of slot.stream.params: then the server keeps open transactions.' });
    }
    entry.file ??= nameless(directory ?? tmpdir());
    for (const part of entry.parts) for (let at = 0; at < part.length;) at += writeSync(entry.file, part, at);
    entry.fileBytes += entry.bytes;
    this.spilledBytes += entry.bytes;
    entry.parts = [];
    entry.bytes = 0;
  }

  /** A subtransaction, or the whole when both ids are the same, will never be. */
  abort(xid: number, subtransaction: number): void {
    if (xid === subtransaction) this.drop(xid); else this.open.get(xid)?.aborted.add(subtransaction);
  }

  /** Where the transaction began. */
  firstLsn(xid: number): bigint { return this.open.get(xid)?.firstLsn ?? 0n; }

  /** The messages of a transaction that has committed, in order, without those of aborted subtransactions. Drop it afterwards. */
  *messages(xid: number): Generator<KeptMessage> {
    const entry = this.open.get(xid);
    if (entry === undefined) return;
    let rest: Buffer = Buffer.alloc(0);
    for (let at = 0; at < entry.fileBytes;) {
      const wanted = rest.length < HEAD ? 0 : HEAD + rest.readUInt32BE(0) - rest.length;
      const piece = read(entry.file as number, at, Math.min(Math.max(READ_BYTES, wanted), entry.fileBytes - at));
      at += piece.length;
      rest = yield* split(rest.length === 0 ? piece : Buffer.concat([rest, piece]), entry.aborted);
    }
    yield* split(Buffer.concat([rest, ...entry.parts]), entry.aborted);
  }

  drop(xid: number): void {
    const entry = this.open.get(xid);
    if (entry === undefined) return;
    this.open.delete(xid);
    this.spilledBytes -= entry.fileBytes;
    if (entry.file !== undefined) closeSync(entry.file);
  }

  close(): void { for (const xid of [...this.open.keys()]) this.drop(xid); }
}

/** Yields the whole messages and returns what is left over. */
function* split(all: Buffer, aborted: ReadonlySet<number>): Generator<KeptMessage, Buffer> {
  let at = 0;
  while (at + HEAD <= all.length) {
    const end = at + HEAD + all.readUInt32BE(at);
    if (end > all.length) break;
    if (!aborted.has(all.readUInt32BE(at + 12))) yield { lsn: all.readBigUInt64BE(at + 4), message: all.subarray(at + HEAD, end) };
    at = end;
  }
  return all.subarray(at);
}

/** Exactly `size` bytes. */
function read(file: number, from: number, size: number): Buffer {
  const piece = Buffer.allocUnsafeSlow(size);
  for (let done = 0; done < size;) {
    const count = readSync(file, piece, done, size - done, from + done);
    if (count === 0) throw new Error('a spill file is shorter than what was written to it');
    done += count;
  }
  return piece;
}

/** Descriptor of a new file that is removed with it. */
function nameless(directory: string): number {
  mkdirSync(directory, { recursive: true });
  const path = join(directory, `tributary-spill-${randomUUID()}`);
  const file = openSync(path, 'wx+', 0o600);
  unlinkSync(path);
  return file;
}
