/** The `metadata` folder of a table in Hadoop's layout on local disk: `vN.metadata.json` and `version-hint.text`. */
import { randomUUID } from 'node:crypto';
import { link, mkdir, readdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFile } from '../tables/parquet.ts';
import { parseExact, stringifyExact } from '../../../runtime/api/exact-json.ts';
import type { CommitOutcome } from '../tables/table.ts';
import type { Metadata } from './format/metadata.ts';

/** Metadata files kept behind the newest one. */
const KEPT = 100;

export class MetadataFiles {
  readonly folder: string;
  /** Newest version that was read or put; 0 = none. */
  version = 0;
  metadata: Metadata | undefined;
  constructor(location: string) { this.folder = join(location, 'metadata'); }

  path(version: number): string { return join(this.folder, `v${version}.metadata.json`); }

  /** Reads the newest metadata. The hint may be behind after a crash, so the folder is asked. False when there is no table. */
  async refresh(): Promise<boolean> {
    const names = await readdir(this.folder).catch((error: NodeJS.ErrnoException) => { if (error.code === 'ENOENT') return []; throw error; });
    const newest = names.reduce((most, name) => Math.max(most, Number(/^v(\d+)\.metadata\.json$/.exec(name)?.[1] ?? 0)), 0);
    if (newest > this.version) {
      this.metadata = parseExact(await readFile(this.path(newest), 'utf8')) as unknown as Metadata;
      this.version = newest;
    }
    return this.metadata !== undefined;
  }

  /** Puts the version after the present one, if nobody has. `unknown`: the disk failed in a way that leaves it open. */
  async put(metadata: Metadata): Promise<CommitOutcome> {
    await mkdir(this.folder, { recursive: true });
    const version = this.version + 1, draft = join(this.folder, `.${randomUUID()}.tmp`);
    await writeFile(draft, stringifyExact(metadata), { flush: true });
    try {
      // Old versions are taken away, so a writer that slept through a hundred commits would find its number free again.
      if (await this.hinted() >= version) return 'conflict';
      // link(2) makes the whole file appear under its name at once, or fails because the name is taken.
      await link(draft, this.path(version));
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EEXIST' ? 'conflict' : 'unknown';
    } finally { await unlink(draft).catch(() => undefined); }
    try { await syncFile(this.path(version)); } catch { return 'unknown'; }
    this.version = version;
    this.metadata = metadata;
    await this.hint(version);
    if (version > KEPT + 1) await unlink(this.path(version - KEPT - 1)).catch(() => undefined);
    return 'committed';
  }

  private async hinted(): Promise<number> { return Number(await readFile(join(this.folder, 'version-hint.text'), 'utf8').catch(() => '0')); }

  /** Readers that trust the hint see an older version until it is written; the commit stands without it. */
  private async hint(version: number): Promise<void> {
    const draft = join(this.folder, `.${randomUUID()}.tmp`);
    try {
      await writeFile(draft, String(version));
      await rename(draft, join(this.folder, 'version-hint.text'));
    } catch { await unlink(draft).catch(() => undefined); }
  }
}
