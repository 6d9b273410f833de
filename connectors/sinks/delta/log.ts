/** `_delta_log` on local disk: read the newest state, put the next version if it is not there yet, checkpoint. */
import { randomUUID } from 'node:crypto';
import { open, readdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FatalError } from '../../../runtime/api/errors.ts';
import { literal } from '../tables/column-types.ts';
import { diskError, putIfAbsent, syncFile } from '../tables/local-files.ts';
import { Parquet } from '../tables/parquet.ts';
import type { CommitOutcome } from '../tables/table.ts';
import { type Action, decodeActions, encodeActions, versionName } from './format/actions.ts';
import { LogState } from './format/state.ts';

const CHECKPOINT_EVERY = 10;
/** Removed files stay in checkpoints this long, for readers of older versions (Delta's default). */
const REMOVED_KEPT_MS = 7 * 24 * 3_600_000;
const DV = 'STRUCT(storageType VARCHAR, pathOrInlineDv VARCHAR, "offset" INTEGER, sizeInBytes INTEGER, cardinality BIGINT)';
const MAP = 'MAP(VARCHAR, VARCHAR)';
/** Columns of a checkpoint (PROTOCOL.md, "Checkpoint Schema"), as DuckDB reads them out of JSON. */
const CHECKPOINT: Readonly<Record<string, string>> = {
  txn: 'STRUCT(appId VARCHAR, "version" BIGINT, lastUpdated BIGINT)',
  add: `STRUCT(path VARCHAR, partitionValues ${MAP}, size BIGINT, modificationTime BIGINT, dataChange BOOLEAN, stats VARCHAR, deletionVector ${DV})`,
  remove: `STRUCT(path VARCHAR, deletionTimestamp BIGINT, dataChange BOOLEAN, extendedFileMetadata BOOLEAN, partitionValues ${MAP}, size BIGINT, deletionVector ${DV})`,
  metaData: `STRUCT(id VARCHAR, format STRUCT(provider VARCHAR, "options" ${MAP}), schemaString VARCHAR, partitionColumns VARCHAR[], configuration ${MAP}, createdTime BIGINT)`,
  protocol: 'STRUCT(minReaderVersion INTEGER, minWriterVersion INTEGER, readerFeatures VARCHAR[], writerFeatures VARCHAR[])',
};

export class DeltaLog {
  readonly folder: string;
  readonly state = new LogState();
  constructor(location: string) { this.folder = join(location, '_delta_log'); }

  /** Brings the state up to the newest version. False when there is no table. */
  async refresh(): Promise<boolean> {
    try { return await this.read(); } catch (error) {
      if (error instanceof SyntaxError) throw new FatalError(`The log of Delta table ${this.folder} holds a damaged version after ${this.state.version}`, { code: 'DELTA_LOG_DAMAGED', hint: 'Restore the named folder from a backup, or move the table away and reset the offsets of this sink.', cause: error });
      throw diskError(error, this.folder);
    }
  }

  private async read(): Promise<boolean> {
    const names = await readdir(this.folder).catch((error: NodeJS.ErrnoException) => { if (error.code === 'ENOENT') return []; throw error; });
    const versions = names.flatMap(name => (/^\d{20}\.json$/.test(name) ? [Number(name.slice(0, 20))] : [])).sort((a, b) => a - b);
    if (this.state.version < 0) await this.fromCheckpoint();
    for (const version of versions) if (version > this.state.version) this.state.apply(version, decodeActions(await readFile(this.path(version), 'utf8')));
    return this.state.metadata !== undefined;
  }
  private path(version: number): string { return join(this.folder, `${versionName(version)}.json`); }

  private async fromCheckpoint(): Promise<void> {
    const pointer = await readFile(join(this.folder, '_last_checkpoint'), 'utf8').catch(() => undefined);
    if (pointer === undefined) return;
    const { version, parts } = JSON.parse(pointer) as { readonly version: number; readonly parts?: number };
    if (parts !== undefined) return;
    await using duck = await Parquet.open(64 * 1_048_576);
    const columns = Object.keys(CHECKPOINT).map(name => `to_json(${name})::VARCHAR AS ${name}`).join(', ');
    const rows = await duck.query(`SELECT ${columns} FROM read_parquet(${literal(join(this.folder, `${versionName(version)}.checkpoint.parquet`))})`).catch(() => undefined);
    // An unreadable checkpoint costs time, not the table: the commits are all there.
    if (rows === undefined) return;
    this.state.apply(version, rows.map(row => Object.fromEntries(Object.entries(row).flatMap(([name, text]) => (typeof text === 'string' && text !== 'null' ? [[name, withoutNulls(JSON.parse(text))]] : []))) as Action));
  }

  /** Puts the version after the present one, if nobody has; outcomes and errors are those of `putIfAbsent`. */
  async put(actions: readonly Action[]): Promise<CommitOutcome> {
    const version = this.state.version + 1;
    const outcome = await putIfAbsent(this.path(version), encodeActions(actions));
    if (outcome === 'committed') this.state.apply(version, actions);
    return outcome;
  }

  /** Writes a checkpoint when one is due. */
  async checkpoint(): Promise<void> {
    const { version } = this.state;
    if (version === 0 || version % CHECKPOINT_EVERY !== 0) return;
    const actions = this.state.actions(Date.now() - REMOVED_KEPT_MS);
    const draft = join(this.folder, `.${randomUUID()}.tmp`), target = join(this.folder, `${versionName(version)}.checkpoint.parquet`);
    try {
      await writeFile(`${draft}.json`, encodeActions(actions));
      await using duck = await Parquet.open(128 * 1_048_576);
      const columns = Object.entries(CHECKPOINT).map(([name, type]) => `${name}: ${literal(type)}`).join(', ');
      await duck.query(`COPY (SELECT * FROM read_json(${literal(`${draft}.json`)}, format = 'newline_delimited', columns = {${columns}})) TO ${literal(draft)} (FORMAT parquet, COMPRESSION snappy)`);
      await rename(draft, target);
      await syncFile(target);
      await replace(join(this.folder, '_last_checkpoint'), JSON.stringify({ version, size: actions.length }));
    } finally { for (const name of [draft, `${draft}.json`]) await unlink(name).catch(() => undefined); }
  }
}

async function replace(path: string, text: string): Promise<void> {
  const draft = `${path}.${randomUUID()}.tmp`;
  const handle = await open(draft, 'w');
  try { await handle.writeFile(text); await handle.sync(); } finally { await handle.close(); }
  await rename(draft, path);
}

/** A Parquet struct has all its members; JSON actions leave out those that are not set. */
function withoutNulls(value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).flatMap(([key, member]) => (member === null ? [] : [[key, withoutNulls(member)]])));
}
