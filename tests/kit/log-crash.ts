/**
 * The child of the crash test: appends with several writers until it is killed, and says on standard output which
 * transaction of which writer was acknowledged. `node log-crash.js DIRECTORY hold` only takes the directory.
 */
import { openEmbeddedLog } from '../../runtime/log/embedded/embedded-log.ts';
import { appendOf, never } from './log-values.ts';

const WRITERS = 3;

async function main(): Promise<void> {
  const log = await openEmbeddedLog(process.argv[2] ?? '', { mode: 'writer', defaults: { retentionMs: -1 } });
  process.stdout.write('open\n');
  if (process.argv[3] === 'hold') { setInterval(() => { /* stay */ }, 1_000_000); return; }
  await Promise.all(Array.from({ length: WRITERS }, async (_, w) => {
    const [last] = await log.sourceOffsets(`c${w}`);
    const writer = await log.writer(`w${w}`);
    for (let n = Number(last?.offset['n'] ?? 0) + 1; ; n++) {
      const values = Array.from({ length: 20 }, (_unused, i) => `${w}/${n}/${i}/${'x'.repeat((n * 37) % 2_000)}`);
      await writer.append([appendOf('shared', values), appendOf(`own${w}`, values)], { connector: `c${w}`, offsets: [{ partition: { w }, offset: { n } }] }, never);
      process.stdout.write(`${w} ${n}\n`);
    }
  }));
}

main().catch((error: unknown) => { process.stderr.write(`${(error as { readonly code?: string }).code ?? ''} ${String(error)}\n`); process.exitCode = 1; });
