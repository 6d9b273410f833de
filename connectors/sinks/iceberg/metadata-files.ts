/** The `metadata` folder of a table in Hadoop's layout on local disk: `vN.metadata.json` and `version-hint.text`. */
import { randomUUID } from 'node:crypto';
import { readdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FatalError } from '../../../runtime/api/errors.ts';
import { diskError, putIfAbsent } from '../tables/local-files.ts';
import { parseExact, stringifyExact } from '../../../runtime/api/exact-json.ts';
import type { CommitOutcome } from '../tables/table.ts';
import type { Metadata } from './format/metadata.ts';

/** Metadata files kept behind the newest one. */
const KEPT = 100;
const READ_ATTEMPTS = 5;

export class MetadataFiles {
  readonly folder: string;
  /** Newest version that was read or put; 0 = none. */
  version = 0;
  metadata: Metadata | undefined;
  constructor(location: string) { this.folder = join(location, 'metadata'); }

  path(version: number): string { return join(this.folder, `v${version}.metadata.json`); }

  /**
   * Reads the newest metadata. The hint may be behind after a crash, so the folder is asked. False when there is no table.
   * Throws FatalError ICEBERG_METADATA_DAMAGED, RetriableError WAREHOUSE_DISK.
   */
  async refresh(): Promise<boolean> {
    for (let attempt = 1; ; attempt++) {
      try { return await this.read(); } catch (error) {
        // Taken away by a writer that is a hundred versions ahead: the folder has newer ones.
        if ((error as NodeJS.ErrnoException).code === 'ENOENT' && attempt < READ_ATTEMPTS) continue;
        throw error instanceof FatalError ? error : diskError(error, this.folder);
      }
    }
  }

  private async read(): Promise<boolean> {
    const names = await readdir(this.folder).catch((error: NodeJS.ErrnoException) => { if (error.code === 'ENOENT') return []; throw error; });
    const newest = names.reduce((most, name) => Math.max(most, Number(/^v(\d+)\.metadata\.json$/.exec(name)?.[1] ?? 0)), 0);
    if (newest > this.version) {
      this.metadata = this.decoded(await readFile(this.path(newest), 'utf8'), newest);
      this.version = newest;
    }
    return this.metadata !== undefined;
  }

  private decoded(text: string, version: number): Metadata {
    try {
      const metadata = parseExact(text);
      if (metadata !== null && typeof metadata === 'object' && 'format-version' in metadata && 'schemas' in metadata && 'partition-specs' in metadata) return metadata as unknown as Metadata;
      throw new SyntaxError('no table metadata');
    } catch (error) {
      throw new FatalError(`The metadata file ${this.path(version)} of an Iceberg table is damaged: ${(error as Error).message}`, { code: 'ICEBERG_METADATA_DAMAGED', hint: 'Restore the file from a backup, or take it away so that the version before it counts, then restart the task.', cause: error });
    }
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
