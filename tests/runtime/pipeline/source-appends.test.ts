/** Where transactions end. The writer is written down instead of being one: what a real Kafka makes of it is in transactions.kafka.test.ts. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { PartitionOffset } from '../../../runtime/api/plugin.ts';
import type { LogWriter } from '../../../runtime/log/log.ts';
import { SourceAppends, type TransactionBoundary } from '../../../runtime/pipeline/source-appends.ts';
import { appendOf, never } from '../../kit/log-values.ts';

const offset = (n: number): PartitionOffset => ({ partition: { server: 's' }, offset: { n } });

/** Calls in order, as text: `add 1`, `append 2 to 5`, `abort`. */
function written(fail: (call: string) => boolean = () => false): { readonly calls: string[]; readonly writer: LogWriter } {
  const calls: string[] = [];
  const note = async (call: string): Promise<void> => { if (fail(call)) throw new Error(`${call} failed`); calls.push(call); };
  return {
    calls, writer: {
      append: async (entries, offsets) => { await note(`append ${entries.length}${offsets === undefined ? '' : ` to ${String(offsets.offsets[0]?.offset['n'])}`}`); return entries.map(() => 0); },
      spanning: { add: entries => note(`add ${entries.length}`), abort: () => note('abort') },
      [Symbol.asyncDispose]: async () => { /* nothing is open */ },
    },
  };
}
function appendsTo(writer: LogWriter, boundary: TransactionBoundary, failed = (): void => { /* met by idle */ }): { readonly appends: SourceAppends; readonly committed: number[] } {
  const committed: number[] = [];
  return { committed, appends: new SourceAppends({ connector: 'c', writer, boundary, failed, signal: never, committed: async ({ offset: at }) => { committed.push(Number(at['n'])); } }) };
}
const one = [appendOf('t', ['x'])], nothing = (): void => { /* no bytes to give back */ };

describe('a transaction ends', () => {
  beforeEach(() => { vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }); });
  afterEach(() => { vi.useRealTimers(); });

  it('with every append', async () => {
    const { calls, writer } = written();
    const { appends, committed } = appendsTo(writer, { by: 'append' });
    appends.send(one, offset(1), undefined, nothing);
    appends.send([], offset(2), undefined, nothing);
    await appends.finish();
    expect([calls, committed]).toEqual([['append 1 to 1', 'append 0 to 2'], [1, 2]]);
  });

  it('when its interval is over, also where the source has nothing to say, and when the task stops', async () => {
    const { calls, writer } = written();
    const { appends, committed } = appendsTo(writer, { by: 'interval', intervalMs: 1_000 });
    appends.send(one, offset(1), undefined, nothing);
    appends.send(one, offset(2), undefined, nothing);
    await appends.idle();
    expect([calls, committed]).toEqual([['add 1', 'add 1'], []]);
    await vi.advanceTimersByTimeAsync(1_000);
    await appends.idle();
    expect([calls.slice(2), committed]).toEqual([['append 0 to 2'], [2]]);
    // Nothing came: nothing is written.
    await vi.advanceTimersByTimeAsync(5_000);
    expect(calls).toHaveLength(3);
    // The first append after a silence is past the interval, as Connect counts it.
    appends.send(one, offset(3), undefined, nothing);
    appends.send(one, offset(4), undefined, nothing);
    await appends.finish();
    expect([calls.slice(3), committed]).toEqual([['append 1 to 3', 'add 1', 'append 0 to 4'], [2, 3, 4]]);
  });

  it('where the source says so; what it gives up is not written, but its position is', async () => {
    const { calls, writer } = written();
    const { appends, committed } = appendsTo(writer, { by: 'source' });
    appends.send(one, offset(1), undefined, nothing);
    appends.send(one, offset(2), 'commit', nothing);
    appends.send(one, offset(3), undefined, nothing);
    appends.send(one, offset(4), 'abort', nothing);
    appends.send(one, offset(5), undefined, nothing);
    await appends.finish();
    expect([calls, committed]).toEqual([['add 1', 'append 1 to 2', 'add 1', 'abort', 'append 0 to 4', 'add 1'], [2, 4]]);
  });

  it('with every append where the log knows no other', async () => {
    const { calls, writer } = written();
    const { appends } = appendsTo({ append: writer.append.bind(writer), [Symbol.asyncDispose]: writer[Symbol.asyncDispose].bind(writer) }, { by: 'interval', intervalMs: 1_000 });
    appends.send(one, offset(1), undefined, nothing);
    await appends.finish();
    expect(calls).toEqual(['append 1 to 1']);
  });

  it('never after a failure: it is told at once, and nothing that was sent later is written', async () => {
    const { calls, writer } = written(call => call.startsWith('append'));
    let told = 0;
    const { appends, committed } = appendsTo(writer, { by: 'interval', intervalMs: 1_000 }, () => { told++; });
    appends.send(one, offset(1), undefined, nothing);
    await vi.advanceTimersByTimeAsync(1_000);
    await expect(appends.idle()).rejects.toThrow('append 0 to 1 failed');
    expect(told).toBe(1);
    appends.send(one, offset(2), undefined, nothing);
    await expect(appends.finish()).rejects.toThrow('append 0 to 1 failed');
    expect([calls, committed]).toEqual([['add 1'], []]);
  });
});
