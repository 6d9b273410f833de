/** How long a Delta log keeps what no reader of the newest version needs (table properties of Delta; PROTOCOL.md, "Metadata Cleanup"). */
import { readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';

const UNITS: Readonly<Record<string, number>> = { millisecond: 1, second: 1000, minute: 60_000, hour: 3_600_000, day: 86_400_000, week: 7 * 86_400_000 };
type Properties = Readonly<Record<string, string>>;

/** `interval 7 days` → milliseconds; undefined for what is no such text. */
function intervalMs(text: string): number | undefined {
  const parts = [...text.trim().toLowerCase().replace(/^interval\s+/, '').matchAll(/\s*(\d+)\s+([a-z]+?)s?(?=\s|$)/gy)];
  const times = parts.map(([, count, unit = '']) => Number(count) * (UNITS[unit] ?? Number.NaN));
  const sum = times.reduce((all, one) => all + one, 0);
  return parts.length > 0 && Number.isFinite(sum) ? sum : undefined;
}

/** Removals before this time (milliseconds) need not stand in a checkpoint. */
export function removedBefore(properties: Properties, now: number): number { return now - (intervalMs(properties['delta.deletedFileRetentionDuration'] ?? '') ?? 7 * 86_400_000); }

/**
 * Takes away the versions before the newest checkpoint that is older than `delta.logRetentionDuration` (30 days by default);
 * what is younger can be rebuilt from that one. The table's data files are left alone.
 */
export async function cleanUpLog(folder: string, properties: Properties, now: number): Promise<void> {
  const kept = intervalMs(properties['delta.logRetentionDuration'] ?? 'interval 30 days');
  if (kept === undefined || properties['delta.enableExpiredLogCleanup'] === 'false') return;
  const names = await readdir(folder);
  const versionOf = (name: string): number => Number(/^(\d{20})\.(?:json|crc|checkpoint(?:\..+)?\.parquet)$/.exec(name)?.[1] ?? Number.NaN);
  let first = -1;
  for (const name of names.filter(one => one.endsWith('.checkpoint.parquet')).sort()) {
    if ((await stat(join(folder, name))).mtimeMs >= now - kept) break;
    first = versionOf(name);
  }
  // In order: a reader that lists the folder meanwhile finds no gap in what is left.
  for (const name of names.filter(one => versionOf(one) < first).sort()) await unlink(join(folder, name)).catch(() => undefined);
}
