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
import { cleanUpLog, removedBefore } from './retention.ts';

const CHECKPOINT_EVERY = 10;
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
  state = new LogState();
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
    const next = versions.find(version => version > this.state.version) ?? -1;
    // Old versions are taken away in time: then only a checkpoint knows what they said.
    if (this.state.version < 0 || next > this.state.version + 1) this.state = await this.newestCheckpoint(names);
    for (const version of versions) {
      if (version <= this.state.version) continue;
      if (version !== this.state.version + 1) throw new FatalError(`The log of Delta table ${this.folder} goes on with version ${version} behind ${this.state.version}, without a checkpoint that can be read in between`, { code: 'DELTA_LOG_DAMAGED', hint: 'Restore the missing versions or the checkpoint from a backup, or move the table away and reset the offsets of this sink.' });
      this.state.apply(version, decodeActions(await readFile(this.path(version), 'utf8')));
    }
    return this.state.metadata !== undefined;
  }
  private path(version: number): string { return join(this.folder, `${versionName(version)}.json`); }

  /** The state of the newest checkpoint that can be read, in one file or in several; an empty one without any. */
  private async newestCheckpoint(names: readonly string[]): Promise<LogState> {
    const files = new Map<number, string[]>();
    for (const name of names.filter(one => /^\d{20}\.checkpoint(\.\d{10}\.\d{10})?\.parquet$/.test(one)).sort()) {
      const version = Number(name.slice(0, 20)), parts = Number(/\.(\d{10})\.parquet$/.exec(name)?.[1] ?? 1), known = files.get(version) ?? [];
      if (parts > 1 || known.length === 0) files.set(version, [...known, name]);
    }
    const state = new LogState();
    for (const [version, parts] of [...files].sort(([a], [b]) => b - a)) {
      const actions = await this.checkpointActions(parts);
      if (actions === undefined) continue;
      state.apply(version, actions);
      break;
    }
    return state;
  }

  /** Undefined for a checkpoint that cannot be read: that costs time, and not the table while the commits before it are there. */
  private async checkpointActions(parts: readonly string[]): Promise<readonly Action[] | undefined> {
    if (Number(/\.(\d{10})\.parquet$/.exec(parts[0] ?? '')?.[1] ?? 1) !== parts.length) return undefined;
    await using duck = await Parquet.open(64 * 1_048_576);
    const columns = Object.keys(CHECKPOINT).map(name => `to_json(${name})::VARCHAR AS ${name}`).join(', ');
    const rows = await duck.query(`SELECT ${columns} FROM read_parquet([${parts.map(part => literal(join(this.folder, part))).join(', ')}])`).catch(() => undefined);
    return rows?.map(row => Object.fromEntries(Object.entries(row).flatMap(([name, text]) => (typeof text === 'string' && text !== 'null' ? [[name, withoutNulls(JSON.parse(text))]] : []))) as Action);
  }

  /** Puts the version after the present one, if nobody has; outcomes and errors are those of `putIfAbsent`. */
  async put(actions: readonly Action[]): Promise<CommitOutcome> {
    const version = this.state.version + 1;
    const outcome = await putIfAbsent(this.path(version), encodeActions(actions));
    if (outcome === 'committed') this.state.apply(version, actions);
    return outcome;
  }

  /** Writes a checkpoint when one is due, and lets go of what is older than the table's properties want. */
  async checkpoint(): Promise<void> {
    const { version, metadata } = this.state, now = Date.now(), properties = metadata?.configuration ?? {};
    if (version === 0 || version % CHECKPOINT_EVERY !== 0) return;
    this.state.forgetRemoved(removedBefore(properties, now));
    const actions = this.state.actions();
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
    await cleanUpLog(this.folder, properties, now);
  }
}

/** Puts a file in the place of another at once. */
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
