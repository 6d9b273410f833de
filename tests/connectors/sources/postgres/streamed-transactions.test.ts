/** What is kept of open transactions: order, large messages over the edge of memory, aborted subtransactions, bounds, no file left. */
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { StreamedTransactions } from '../../../../connectors/sources/postgres/streamed-transactions.ts';
import { temporaryDirectory } from '../../../kit/directories.ts';

/** A message of protocol 2: type, id of the (sub)transaction, the rest. */
function message(xid: number, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write('I');
  head.writeUInt32BE(xid, 1);
  return Buffer.concat([head, body]);
}
const texts = (kept: Iterable<{ readonly lsn: bigint; readonly message: Buffer }>): string[] => [...kept].map(({ lsn, message: bytes }) => `${lsn} ${bytes.toString('latin1', 0, 1)} ${bytes.length - 1} ${bytes.toString('latin1', 1, 9)}`);

describe('open transactions', () => {
  it('come back in order, each its own, over memory and file, without aborted parts', () => {
    using folder = temporaryDirectory('spill-');
    const open = new StreamedTransactions({ directory: folder.path, bytes: 1 << 30 });
    const wanted: string[] = [];
    for (let i = 0; i < 300; i++) {
      for (const top of [7, 9]) {
        const sub = i % 3 === 0 ? top + 100 : top, size = i === 150 ? 3_000_000 : (i * 97) % 9000;
        const bytes = message(sub, Buffer.alloc(size, `${top}/${i};`));
        open.start(top, BigInt(i));
        open.add(bytes, 0, bytes.length, BigInt(1000 + i));
        open.stop();
        if (top === 7 && sub === top) wanted.push(`${1000 + i} I ${size} ${Buffer.alloc(size, `${top}/${i};`).toString('latin1', 0, 8)}`);
      }
    }
    expect(open.spilledBytes).toBeGreaterThan(6_000_000);
    expect(readdirSync(folder.path)).toEqual([]);
    open.abort(7, 107);
    expect(texts(open.messages(7))).toEqual(wanted);
    open.drop(7);
    open.abort(9, 9);
    expect(open.count).toBe(0);
    expect(open.spilledBytes).toBe(0);
    expect([...open.messages(9)]).toEqual([]);
  });

  it('refuse to grow past their bound, and free what they held', () => {
    using folder = temporaryDirectory('spill-');
    const open = new StreamedTransactions({ directory: folder.path, bytes: 1_000_000 });
    open.start(1, 1n);
    const bytes = message(1, Buffer.alloc(300_000));
    expect(() => { for (let i = 0; i < 10; i++) open.add(bytes, 0, bytes.length, 1n); }).toThrow(/spill files/);
    open.close();
    expect(open.spilledBytes).toBe(0);
  });

  it('refuse a message without an id', () => {
    const open = new StreamedTransactions({ directory: undefined, bytes: 1 });
    open.start(1, 1n);
    expect(() => { open.add(Buffer.from('I'), 0, 1, 1n); }).toThrow(/no transaction/);
  });
});
