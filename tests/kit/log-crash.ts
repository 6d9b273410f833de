/**
 * The child of the crash test: appends with several writers until it is killed, and says on standard output which
 * transaction of which writer was acknowledged. `node log-crash.js DIRECTORY hold` only takes the directory.
 */
import type { TopicAppend } from '../../runtime/log/log.ts';
import { openEmbeddedLog } from '../../runtime/log/embedded/embedded-log.ts';
import { appendOf, bodyOf, never } from './log-values.ts';

const WRITERS = 3;

/** To the compacted topic: transaction n writes key n mod 5 of its writer, and deletes key d with every other one. */
function lastOf(w: number, n: number): TopicAppend {
  return { topic: 'last', partition: 0, body: n % 2 === 0 ? bodyOf([null], `${w}/d`) : bodyOf([String(n)], n % 3 === 0 ? `${w}/d` : `${w}/${n % 5}`) };
}

async function main(): Promise<void> {
  const log = await openEmbeddedLog(process.argv[2] ?? '', { mode: 'writer', defaults: { retentionMs: -1 }, compaction: { dirtyRatio: 0, dirtyBytes: 1, againMs: 0 } });
  process.stdout.write('open\n');
  if (process.argv[3] === 'hold') { setInterval(() => { /* stay */ }, 1_000_000); return; }
  await log.createTopic('last', { compact: true, deleteRetentionMs: 0 });
  await Promise.all(Array.from({ length: WRITERS }, async (_, w) => {
    const [last] = await log.sourceOffsets(`c${w}`);
    const writer = await log.writer(`w${w}`);
    for (let n = Number(last?.offset['n'] ?? 0) + 1; ; n++) {
      const values = Array.from({ length: 20 }, (_unused, i) => `${w}/${n}/${i}/${'x'.repeat((n * 37) % 2_000)}`);
      await writer.append([appendOf('shared', values), appendOf(`own${w}`, values), lastOf(w, n)], { connector: `c${w}`, offsets: [{ partition: { w }, offset: { n } }] }, never);
      process.stdout.write(`${w} ${n}\n`);
    }
  }));
}

main().catch((error: unknown) => { process.stderr.write(`${(error as { readonly code?: string }).code ?? ''} ${String(error)}\n`); process.exitCode = 1; });
