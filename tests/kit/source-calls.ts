/**
 * The steps of the PostgreSQL source as calls of its classes, so that a test's process can stand between two of them. Each
 * is told as a text: what is called, and what tells one call from another.
 */
import { IncrementalSnapshot } from '../../connectors/sources/postgres/incremental/incremental-snapshot.ts';
import { ReplicationLink } from '../../connectors/sources/postgres/replication-link.ts';
import { ReplicationStream } from '../../connectors/sources/postgres/stream.ts';
import { StreamCursor } from '../../connectors/sources/postgres/stream-cursor.ts';
import { StreamedTransactions } from '../../connectors/sources/postgres/streamed-transactions.ts';

/** Stands around a call. */
export type Around = <T>(called: string, work: () => T) => T;
type Method = (this: unknown, ...args: unknown[]) => unknown;

/** The methods whose name and one argument say enough; some are private to TypeScript, none at run time. */
const PLAIN: readonly (readonly [of: object, name: string, shown: (args: readonly unknown[]) => string])[] = [
  [StreamCursor.prototype, 'begin', () => ''], [StreamCursor.prototype, 'commit', () => ''], [StreamCursor.prototype, 'advance', ([, type]) => String(type)], [StreamCursor.prototype, 'pass', () => ''], [StreamCursor.prototype, 'moveTo', () => ''],
  [ReplicationStream.prototype, 'relation', ([message]) => { const { schema, table } = message as { readonly schema: string; readonly table: string }; return `${schema}.${table}`; }],
  [ReplicationStream.prototype, 'logical', ([message]) => ((message as { readonly transactional: boolean }).transactional ? 'inside' : 'outside')],
  [ReplicationStream.prototype, 'keepAlive', ([, reply]) => (reply === true ? 'asks' : 'tells')], [ReplicationStream.prototype, 'committed', () => ''],
  [StreamedTransactions.prototype, 'start', () => ''], [StreamedTransactions.prototype, 'stop', () => ''], [StreamedTransactions.prototype, 'add', () => ''], [StreamedTransactions.prototype, 'spill', () => ''], [StreamedTransactions.prototype, 'drop', () => ''],
  [StreamedTransactions.prototype, 'abort', ([xid, subtransaction]) => (xid === subtransaction ? 'all' : 'part')],
  [IncrementalSnapshot.prototype, 'signalRow', ([change]) => (change as { readonly op: string }).op], [IncrementalSnapshot.prototype, 'close', () => ''],
];

function replace(of: object, name: string, make: (original: Method) => Method): void {
  const methods = of as Record<string, Method | undefined>;
  const original = methods[name];
  if (original === undefined) throw new Error(`there is no method ${name}`);
  methods[name] = make(original);
}

/** Types of the messages in a buffer: of XLogData the pgoutput message's letter, `k` for a keep-alive. */
function kinds(buffer: Buffer): string {
  let all = '';
  for (let at = 0; at < buffer.length; at += 1 + buffer.readInt32BE(at + 1)) {
    if (buffer[at] === 0x64) all += String.fromCharCode((buffer[at + 5] === 0x77 ? buffer[at + 30] : buffer[at + 5]) ?? 0x3f);
  }
  return all;
}

/** Puts `around` around each step of every source in this process. */
export function watchCalls(around: Around): void {
  for (const [of, name, shown] of PLAIN) {
    replace(of, name, original => function (this: unknown, ...args) { return around(`${name} ${shown(args)}`.trim(), () => original.apply(this, args)); });
  }
  replace(ReplicationLink.prototype, 'next', original => async function (this: unknown, ...args) {
    const buffer = await (original.apply(this, args) as Promise<Buffer | undefined>);
    if (buffer !== undefined) around(`received ${kinds(buffer)}`, () => undefined);
    return buffer;
  });
  const told = new WeakMap<object, bigint>();
  replace(ReplicationLink.prototype, 'status', original => function (this: unknown, ...args) {
    const link = this as ReplicationLink;
    const moved = link.confirmed > (told.get(link) ?? link.confirmed);
    told.set(link, link.confirmed);
    return around(`status ${moved ? 'moved' : 'same'}`, () => original.apply(this, args));
  });
  replace(ReplicationStream.prototype, 'batches', original => async function* (this: unknown, ...args) {
    for await (const batch of original.apply(this, args) as AsyncGenerator<{ readonly length: number }>) {
      const text = `handed ${batch.length}`;
      around(`${text} over`, () => undefined);
      yield batch;
      around(`${text} taken`, () => undefined);
    }
  } as Method);
  replace(StreamedTransactions.prototype, 'messages', original => function* (this: unknown, ...args) {
    for (const message of original.apply(this, args) as Iterable<unknown>) { around('spilled message read', () => undefined); yield message; }
  } as Method);
}
