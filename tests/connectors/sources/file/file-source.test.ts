/** The file source: lines however the file is cut up, resuming at the byte, a file that comes late and grows. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fileSource } from '../../../../connectors/sources/file/index.ts';
import { LineSplitter } from '../../../../connectors/sources/file/lines.ts';
import { checkOffsets } from '../../../../connectors/sources/file/offset.ts';
import type { SourceBatch, SourceOffset } from '../../../../runtime/api/plugin.ts';
import { temporaryDirectory } from '../../../kit/directories.ts';
import { quietLogger } from '../../../kit/quiet-logger.ts';

async function* batches(file: string, signal: AbortSignal, offset?: SourceOffset, batchSize = 2000): AsyncGenerator<SourceBatch> {
  const context = { connector: 'c', task: 0, logger: quietLogger, metrics: { set: () => undefined, add: () => undefined }, offset: () => Promise.resolve(offset) };
  await using task = await fileSource.open({ file, topic: 't', 'batch.size': batchSize } as never, context, {});
  yield* task.batches(signal);
}
/** Texts and the last offset, once `count` lines are there. */
async function lines(file: string, count: number, offset?: SourceOffset, meanwhile?: (seen: number) => void): Promise<{ readonly texts: readonly unknown[]; readonly offset: SourceOffset | undefined }> {
  const stop = new AbortController();
  const texts: unknown[] = [];
  let last: SourceOffset | undefined;
  for await (const batch of batches(file, stop.signal, offset)) {
    for (let i = 0; i < batch.length; i++) texts.push(batch.decode(i).value.value);
    last = batch.offset?.offset;
    meanwhile?.(texts.length);
    if (texts.length >= count) stop.abort();
  }
  return { texts, offset: last };
}

describe('the file source', () => {
  it('reads, follows and resumes at the byte', async () => {
    using home = temporaryDirectory('file-');
    const file = join(home.path, 'in.txt');
    writeFileSync(file, 'é one\nline two\r\nhalf');
    const first = await lines(file, 2);
    expect(first).toEqual({ texts: ['é one', 'line two'], offset: { position: Buffer.byteLength('é one\nline two\r\n') } });
    appendFileSync(file, ' a line\nlast\n');
    expect((await lines(file, 2, first.offset)).texts).toEqual(['half a line', 'last']);
  });
  it('waits for a file that is not there, and for lines that come', async () => {
    using home = temporaryDirectory('file-');
    const file = join(home.path, 'late.txt');
    const read = lines(file, 2, undefined, seen => { if (seen === 1) appendFileSync(file, 'b\n'); });
    writeFileSync(file, 'a\n');
    expect((await read).texts).toEqual(['a', 'b']);
  });
  it('finds the same lines however the bytes arrive', () => {
    fc.assert(fc.property(fc.array(fc.tuple(fc.string({ unit: fc.constantFrom('a', 'é', '😀', ' ') }), fc.constantFrom('\n', '\r\n', '\r')), { minLength: 1, maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 }), (parts, cuts) => {
      // An end of its own stops the last `\r` from waiting for a `\n`.
      const bytes = Buffer.from(`${parts.map(([text, end]) => text + end).join('')}#`);
      const splitter = new LineSplitter();
      const found: string[] = [];
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const next = at + (cuts[i % cuts.length] ?? 1);
        splitter.push(bytes.subarray(at, next));
        for (let some = splitter.take(3); some.length > 0; some = splitter.take(3)) found.push(...some.map(({ text }) => text));
        at = next;
      }
      expect(found).toEqual(parts.map(([text, end]) => text + end).join('').split(/\r\n|\n|\r/).slice(0, -1));
    }));
  });
  it.each<[string, SourceOffset, RegExp]>([
    ['no position', {}, /contain the key 'position'/], ['a text', { position: 'nine' }, /expected to be a Long/], ['a fraction', { position: 1.5 }, /expected to be a Long/], ['a negative one', { position: -1 }, /non-negative/],
  ])('refuses an offset with %s', (_, offset, message) => {
    expect(() => { checkOffsets({ file: 'f' }, [{ partition: { filename: 'f' }, offset }]); }).toThrow(message);
  });
  it('lets garbage be cleared away', () => {
    expect(() => { checkOffsets({ file: 'f' }, [{ partition: { bogus: 1 }, offset: null }]); }).not.toThrow();
    expect(() => { checkOffsets({}, [{ partition: { filename: 'f' }, offset: null }]); }).toThrow(/'file' configuration is unspecified/);
  });
  it('says so when it has no file', async () => {
    await expect(batches('', new AbortController().signal).next()).rejects.toMatchObject({ code: 'FILE_MISSING' });
  });
});
