/**
 * The child of the full disk test, on a small file system of its own (its argument is the mount point). Fills the log until
 * it refuses, then the disk to its last byte, then makes room again, and prints what it met as JSON.
 */
import { randomBytes } from 'node:crypto';
import { appendFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openEmbeddedLog } from '../../runtime/log/embedded/embedded-log.ts';
import type { Log, LogWriter } from '../../runtime/log/log.ts';
import { appendOf, never } from './log-values.ts';

const mount = process.argv[2] ?? '';
const ballast = join(mount, 'ballast'), rest = join(mount, 'rest');
const unhandled: string[] = [];
process.on('unhandledRejection', reason => { unhandled.push(String(reason)); });

const free = (): number => { const { bavail, bsize } = statfsSync(mount); return bavail * bsize; };
/** Fills the disk until so many bytes are left. */
function fill(left: number): void {
  try { while (free() > left) appendFileSync(rest, Buffer.alloc(64 * 1024, 1)); } catch { /* full to the last page */ }
}
const codeOf = (work: Promise<unknown>): Promise<string> => work.then(() => 'done', (error: unknown) => `${(error as Error).name} ${(error as { readonly code?: string }).code ?? String(error)}`);
let acked = 0;
/** Transaction n: half a megabyte that does not compress, and the offset n. */
const append = (writer: LogWriter): Promise<string> => codeOf(writer.append([appendOf('t', [`${acked + 1} ${randomBytes(300_000).toString('base64')}`])], { connector: 'c', offsets: [{ partition: {}, offset: { n: acked + 1 } }] }, never).then(() => { acked++; }));

async function until(log: Log, wanted: string): Promise<string> {
  await using writer = await log.writer('w');
  for (let n = 0; n < 1_000; n++) { const code = await append(writer); if (code !== 'done') return code; }
  return wanted;
}

async function main(): Promise<void> {
  writeFileSync(ballast, Buffer.alloc(32 * 1024 * 1024, 1));
  const facts: Record<string, unknown> = {};
  {
    await using log = await openEmbeddedLog(join(mount, 'log'), { mode: 'writer', defaults: { retentionMs: -1, compression: 'none' } });
    await using writer = await log.writer('w');
    facts['refused'] = await until(log, 'never');
    facts['spare'] = free();
    facts['stateBeforeFull'] = await codeOf(log.state('s').put([['k', '1']]));
    fill(0);
    facts['left'] = free();
    // Large and small, all at once: none of it may reach the store.
    const many = Array.from({ length: 20 }, (_, i) => codeOf(log.state('s').put([[`k${i}`, 'x'.repeat(20_000 * (i + 1))]])));
    facts['state'] = [...new Set(await Promise.all(many))];
    facts['appendOnFull'] = await codeOf(log.writer('w2').then(other => append(other)));
    facts['ackedAtFull'] = acked;
    facts['readable'] = (await log.range({ topic: 't', partition: 0 })).end;
    rmSync(ballast);
    rmSync(rest);
    await using again = await log.writer('w');
    facts['healed'] = await append(again);
    facts['stateHealed'] = await codeOf(log.state('s').put([['k', '2']]));
    void writer;
  }
  await using log = await openEmbeddedLog(join(mount, 'log'), { mode: 'writer', defaults: { retentionMs: -1, compression: 'none' } });
  facts['acked'] = acked;
  facts['end'] = (await log.range({ topic: 't', partition: 0 })).end;
  facts['offset'] = (await log.sourceOffsets('c'))[0]?.offset['n'];
  facts['k'] = await log.state('s').get('k');
  // Deleted by retention, the file does not shrink: its free pages are room although the disk has none.
  await log.createTopic('bounded', { retentionBytes: 8 * 1024 * 1024, compression: 'none' });
  await using writer = await log.writer('w');
  const bounded = (): Promise<string> => codeOf(writer.append([{ ...appendOf('bounded', [randomBytes(300_000).toString('base64')]) }], undefined, never));
  for (let n = 0; n < 60; n++) await bounded();
  await log.deleteTopic('t');
  fill(24 * 1024 * 1024);
  facts['reused'] = [...new Set(await Promise.all(Array.from({ length: 60 }, () => bounded())))];
  process.stdout.write(`${JSON.stringify({ ...facts, unhandled })}\n`);
}

main().catch((error: unknown) => { process.stderr.write(`${String((error as Error).stack)}\n`); process.exitCode = 1; });
