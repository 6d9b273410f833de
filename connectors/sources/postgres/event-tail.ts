/**
 * The end of an envelope, from `,"source":` on. Most of it stays the same over the events of a transaction or of a
 * snapshot, so it is kept as bytes, and per event only its LSN is written.
 */
import type { ByteWriter } from '../../../runtime/api/byte-writer.ts';
import type { Change, EventSource } from './change.ts';

interface Kept { readonly source: EventSource; readonly processedNs: bigint; readonly before: Buffer; readonly middle: Buffer; readonly after: Buffer; /** Holds the three. */ readonly bytes: Buffer }

/** Stands where the LSN goes while the pieces are made; no JSON text holds it. */
const MARK = -9_000_000_000_000_000_777n;

/** `sourceText` gives the source block of an event as JSON. One per table. */
export function tailWriter(sourceText: (event: EventSource) => string): (change: Change, op: string, transaction: Change['transaction'], out: ByteWriter) => void {
  const kept = new Map<string, Kept>();
  const text = (source: EventSource, op: string, transaction: Change['transaction'], processedNs: bigint): string => {
    const nanos = processedNs.toString();
    const block = transaction === undefined ? 'null' : `{"id":"${transaction.id}","total_order":${transaction.totalOrder},"data_collection_order":${transaction.dataCollectionOrder}}`;
    return `,"source":${sourceText(source)},"transaction":${block},"op":"${op}","ts_ms":${nanos.slice(0, -6)},"ts_us":${nanos.slice(0, -3)},"ts_ns":${nanos}}`;
  };
  return ({ source, processedNs }, op, transaction, out) => {
    if (transaction !== undefined || source.sequence !== undefined || source.lsn === null) { out.writeText(text(source, op, transaction, processedNs)); return; }
    let pieces = kept.get(op);
    if (pieces === undefined || pieces.processedNs !== processedNs || !sameButLsn(pieces.source, source)) {
      const [before = '', middle = '', after = ''] = text({ ...source, lsn: MARK }, op, undefined, processedNs).split(String(MARK));
      pieces = { source, processedNs, ...packed(before, middle, after, pieces?.bytes) };
      kept.set(op, pieces);
    }
    const lsn = source.lsn <= MAX ? String(Number(source.lsn)) : source.lsn.toString();
    out.write(pieces.before);
    const size = lsn.length;
    out.ensure(size);
    const at = out.position;
    for (let i = 0; i < size; i++) out.buffer[at + i] = lsn.charCodeAt(i);
    out.position = at + size;
    out.write(pieces.middle);
    out.ensure(size);
    for (let i = 0; i < size; i++) out.buffer[out.position + i] = lsn.charCodeAt(i);
    out.position += size;
    out.write(pieces.after);
  };
}

/** The pieces in one buffer that lives as long as its table, used again: of small ones from node's pool each would keep 8 KB alive. */
function packed(before: string, middle: string, after: string, used: Buffer | undefined): Pick<Kept, 'before' | 'middle' | 'after' | 'bytes'> {
  const most = 3 * (before.length + middle.length + after.length);
  let bytes = used;
  if (bytes === undefined || bytes.length < most) {
    const needed = Buffer.byteLength(before) + Buffer.byteLength(middle) + Buffer.byteLength(after);
    if (bytes === undefined || bytes.length < needed) bytes = Buffer.allocUnsafeSlow(needed + SPARE);
  }
  const first = bytes.write(before), second = first + bytes.write(middle, first), third = second + bytes.write(after, second);
  return { before: bytes.subarray(0, first), middle: bytes.subarray(first, second), after: bytes.subarray(second, third), bytes };
}
/** Numbers grow by a digit now and then. */
const SPARE = 32;

const MAX = BigInt(Number.MAX_SAFE_INTEGER);

function sameButLsn(a: EventSource, b: EventSource): boolean {
  return a === b || (a.commitUs === b.commitUs && a.txId === b.txId && a.lastCommitLsn === b.lastCommitLsn && a.snapshot === b.snapshot && a.xmin === b.xmin && a.origin === b.origin && a.originLsn === b.originLsn);
}
