/** Delta tables by path: open, create, evolve. Files and commits: write.ts, commit.ts. */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FatalError } from '../../../runtime/api/errors.ts';
import { sameType } from '../tables/column-types.ts';
import { diskError, makeFolder, tableFolder } from '../tables/local-files.ts';
import { Parquet } from '../tables/parquet.ts';
import type { RoaringBitmap } from '../tables/roaring.ts';
import type { Column, CommitOutcome, LakeTable, LiveFile, TableChange, TableDefinition, TableFormat, Token } from '../tables/table.ts';
import { addition, changeActions, commitInfo, removal } from './commit.ts';
import type { Action, AddFile, DeletionVector, Protocol } from './format/actions.ts';
import { inlineVector, vectorIn, vectorPath } from './format/deletion-vector.ts';
import { decodeSchema, encodeSchema, hasZoneless, nameProblem, nearestType } from './format/schema.ts';
import { rowsOf } from './format/statistics.ts';
import { decodeToken } from './format/token.ts';
import { DeltaLog } from './log.ts';

/** Table property that names the key columns, as JSON. */
const KEY_PROPERTY = 'tributary.key';
const READABLE = new Set(['deletionVectors', 'timestampNtz']);
const WRITABLE = new Set([...READABLE, 'appendOnly', 'invariants']);

/** Delta tables below `warehouse` (a path on local disk). */
export function deltaFormat(warehouse: string): TableFormat {
  const locate = (name: readonly string[]): string => tableFolder(warehouse, name);
  const open = async (name: readonly string[]): Promise<DeltaTable | undefined> => {
    const log = new DeltaLog(locate(name));
    return await log.refresh() ? new DeltaTable(name, locate(name), log) : undefined;
  };
  return {
    name: 'delta', fit: nearestType, open,
    openOrCreate: async definition => {
      for (;;) {
        const present = await open(definition.name);
        if (present !== undefined) return present;
        // Somebody else may make it at the same time: then theirs is opened.
        await create(locate(definition.name), definition);
      }
    },
  };
}

async function create(location: string, { name, columns, key }: TableDefinition): Promise<void> {
  checkNames(name, columns);
  await makeFolder(location);
  const now = Date.now();
  const outcome = await new DeltaLog(location).put([
    { commitInfo: commitInfo('CREATE TABLE', randomUUID(), now) },
    { protocol: protocolFor(columns) },
    { metaData: {
      id: randomUUID(), format: { provider: 'parquet', options: {} }, schemaString: encodeSchema(columns), partitionColumns: [],
      configuration: { 'delta.enableDeletionVectors': 'true', [KEY_PROPERTY]: JSON.stringify(key) }, createdTime: now,
    } },
  ]);
  if (outcome === 'unknown') throw new FatalError(`Table ${name.join('.')} could not be made in ${location}`, { code: 'DELTA_CREATE', hint: 'See whether the warehouse is writable and its file system has hard links.' });
}

/** Throws FatalError DELTA_COLUMN_NAME. */
function checkNames(table: readonly string[], columns: readonly Column[]): void {
  const problem = nameProblem(columns);
  if (problem !== undefined) throw new FatalError(`Column ${problem}: Delta table ${table.join('.')} cannot have it`, { code: 'DELTA_COLUMN_NAME', hint: 'Rename the column on the way (transforms=rename, org.apache.kafka.connect.transforms.ReplaceField$Value with renames, over flattened records), leave it out with column.exclude.list at the source, or write to Iceberg.' });
}

function protocolFor(columns: readonly Column[]): Protocol {
  const features = ['deletionVectors', ...(hasZoneless(columns) ? ['timestampNtz'] : [])];
  // A column that is never null is an invariant to Delta: Spark refuses a table that has one and does not say so.
  return { minReaderVersion: 3, minWriterVersion: 7, readerFeatures: features, writerFeatures: [...features, 'invariants'] };
}

class DeltaTable implements LakeTable {
  readonly name: readonly string[];
  readonly location: string;
  private readonly log: DeltaLog;
  private readonly vectors = new Map<string, RoaringBitmap>();
  private decoded: { readonly text: string; readonly columns: readonly Column[] } | undefined;

  constructor(name: readonly string[], location: string, log: DeltaLog) {
    this.name = name;
    this.location = location;
    this.log = log;
    this.checkProtocol();
  }

  private checkProtocol(): void {
    const { minReaderVersion = 1, minWriterVersion = 2, readerFeatures = [], writerFeatures = [] } = this.log.state.protocol ?? {};
    const unknown = [...readerFeatures.filter(feature => !READABLE.has(feature)), ...writerFeatures.filter(feature => !WRITABLE.has(feature))];
    if (minReaderVersion === 3 && minWriterVersion === 7 && unknown.length === 0 && readerFeatures.includes('deletionVectors') && this.log.state.metadata?.partitionColumns.length === 0) return;
    throw new FatalError(`Delta table ${this.name.join('.')} uses what this sink cannot write${unknown.length > 0 ? `: ${[...new Set(unknown)].join(', ')}` : ': an older protocol or partitions'}`, { code: 'DELTA_PROTOCOL', hint: 'Write to a new table with table.name.format.' });
  }

  get columns(): readonly Column[] {
    const text = this.log.state.metadata?.schemaString ?? '{"fields":[]}';
    if (this.decoded?.text !== text) this.decoded = { text, columns: decodeSchema(text) };
    return this.decoded.columns;
  }
  get key(): readonly string[] { return JSON.parse(this.log.state.metadata?.configuration[KEY_PROPERTY] ?? '[]') as readonly string[]; }
  get version(): string { return String(this.log.state.version); }

  async refresh(): Promise<void> {
    await this.log.refresh();
    this.checkProtocol();
  }

  async files(): Promise<readonly LiveFile[]> {
    const files: LiveFile[] = [];
    for (const add of this.log.state.files.values()) {
      const path = this.absolute(add.path);
      files.push({ path, rows: rowsOf(add.stats) ?? 0, deleted: add.deletionVector === undefined ? undefined : await this.vector(path, add.deletionVector) });
    }
    return files;
  }
  private absolute(path: string): string {
    if (path.startsWith('file:')) return fileURLToPath(path);
    const plain = decodeURIComponent(path);
    return isAbsolute(plain) ? plain : join(this.location, plain);
  }
  private async vector(path: string, descriptor: DeletionVector): Promise<RoaringBitmap> {
    const key = `${path}\u0000${descriptor.pathOrInlineDv}@${descriptor.offset ?? ''}`;
    let bitmap = this.vectors.get(key);
    if (bitmap === undefined) {
      const file = vectorPath(descriptor);
      bitmap = await this.readVector(file, descriptor);
      for (const other of this.vectors.keys()) if (other.startsWith(`${path}\u0000`)) this.vectors.delete(other);
      this.vectors.set(key, bitmap);
    }
    return bitmap;
  }

  private async readVector(file: string | undefined, descriptor: DeletionVector): Promise<RoaringBitmap> {
    try { return file === undefined ? inlineVector(descriptor) : vectorIn(await readFile(this.absolute(file)), descriptor); } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== undefined && code !== 'ENOENT' && !code.startsWith('ERR_')) throw diskError(error, this.location);
      throw new FatalError(`A deletion vector of Delta table ${this.name.join('.')} (${file ?? 'in the log'}) is ${code === 'ENOENT' ? 'missing' : `damaged: ${(error as Error).message}`}`, { code: 'DELTA_DAMAGED', hint: 'Restore the file from a backup, or restore the table to an older version, then restart the task.', cause: error });
    }
  }

  tokens(): readonly Token[] { return [...this.log.state.transactions.values()].flatMap(transaction => decodeToken(transaction) ?? []); }

  async newDataFile(): Promise<string> {
    await makeFolder(this.location);
    return join(this.location, `part-00000-${randomUUID()}.zstd.parquet`);
  }

  async evolve(columns: readonly Column[]): Promise<void> {
    for (;;) {
      const present = this.columns, { metadata } = this.log.state;
      const named = new Map(columns.map(column => [column.name, column]));
      const added = columns.filter(column => !present.some(one => one.name === column.name)).map(column => ({ ...column, required: false }));
      const wider = present.map(column => ({ ...column, type: named.get(column.name)?.type ?? column.type }));
      const widens = wider.some((column, i) => !sameType(column.type, present[i]?.type ?? column.type));
      if ((added.length === 0 && !widens) || metadata === undefined) return;
      const all = [...wider, ...added];
      checkNames(this.name, all);
      const outcome = await this.log.put([
        { commitInfo: commitInfo(widens ? 'CHANGE COLUMN' : 'ADD COLUMNS', randomUUID(), Date.now()) },
        ...(hasZoneless(added) && !hasZoneless(present) ? [{ protocol: protocolFor(all) }] : []),
        { metaData: { ...metadata, schemaString: encodeSchema(all) } },
        ...(widens ? await this.rewritten(wider) : []),
      ]);
      if (outcome === 'committed') return;
      await this.refresh();
    }
  }

  /** Every file anew with wider columns: Delta's own type widening is a feature that many readers lack. */
  private async rewritten(columns: readonly Column[]): Promise<readonly Action[]> {
    await using parquet = await Parquet.open(256 * 1_048_576);
    const now = Date.now(), actions: Action[] = [];
    for (const file of this.log.state.files.values()) {
      const path = this.absolute(file.path);
      const deleted = file.deletionVector === undefined ? [] : (await this.vector(path, file.deletionVector)).iterate();
      actions.push({ remove: removal(file, now) }, { add: addition(await parquet.rewrite(path, deleted, columns, await this.newDataFile()), columns, now) });
    }
    return actions;
  }

  async commit(change: TableChange): Promise<CommitOutcome> {
    const live = new Map<string, AddFile>();
    for (const add of this.log.state.files.values()) live.set(this.absolute(add.path), add);
    const actions = await changeActions(this.location, change, live, this.columns, Date.now());
    const outcome = await this.log.put(actions);
    if (outcome === 'committed') {
      for (const [path, bitmap] of change.deletes) {
        const descriptor = this.log.state.files.get(live.get(path)?.path ?? '')?.deletionVector;
        for (const other of this.vectors.keys()) if (other.startsWith(`${path}\u0000`)) this.vectors.delete(other);
        if (descriptor !== undefined) this.vectors.set(`${path}\u0000${descriptor.pathOrInlineDv}@${descriptor.offset ?? ''}`, bitmap);
      }
      // The commit stands whether or not its checkpoint can be written; the next one tries again.
      await this.log.checkpoint().catch(() => undefined);
    }
    return outcome;
  }

  hasCommit(commitId: string): Promise<boolean> { return Promise.resolve(this.log.state.commits.has(commitId)); }
  [Symbol.asyncDispose](): Promise<void> { return Promise.resolve(); }
}
