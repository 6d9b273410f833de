/** The `metadata` folder of a table in Hadoop's layout on local disk: `vN.metadata.json` and `version-hint.text`. */
import { randomUUID } from 'node:crypto';
import { readdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { putIfAbsent } from '../tables/local-files.ts';
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

  /** Puts the version after the present one, if nobody has; outcomes and errors are those of `putIfAbsent`. */
  async put(metadata: Metadata): Promise<CommitOutcome> {
    const version = this.version + 1;
    // Old versions are taken away, so a writer that slept through a hundred commits would find its number free again.
    const outcome = await putIfAbsent(this.path(version), stringifyExact(metadata), async () => await this.hinted() >= version);
    if (outcome !== 'committed') return outcome;
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
