/** Iceberg tables in Hadoop's layout on local disk: open, create, evolve. What a commit writes: commit.ts. */
import { randomUUID } from 'node:crypto';
import { unlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { FatalError } from '../../../runtime/api/errors.ts';
import { sameType, widened } from '../tables/column-types.ts';
import { makeFolder, tableFolder } from '../tables/local-files.ts';
import type { Column, CommitOutcome, LakeTable, LiveFile, TableChange, TableDefinition, TableFormat, Token } from '../tables/table.ts';
import { COMMIT_ID, SnapshotWriter, TOKENS } from './commit.ts';
import { ContentsReader } from './contents.ts';
import { ancestry, checkMetadata, currentSchema, currentSnapshot, decodeSchema, encodeSchema, FieldIds, type JsonSchema, KEY_PROPERTY, type Metadata, newMetadata, withoutNanos, withSchema, withSnapshot } from './format/metadata.ts';
import { MetadataFiles } from './metadata-files.ts';

export interface IcebergOptions {
  /** Snapshots that a table keeps. */
  readonly history?: number;
  /** Format version of new tables; a table that is there keeps the one that it has. */
  readonly version?: 2 | 3;
}

/** Iceberg tables below `warehouse` (a path on local disk), a folder for each part of a name. */
export function icebergFormat(warehouse: string, { history = 100, version = 3 }: IcebergOptions = {}): TableFormat {
  const locate = (name: readonly string[]): string => tableFolder(resolve(warehouse), name);
  const open = async (name: readonly string[]): Promise<IcebergTable | undefined> => {
    const files = new MetadataFiles(locate(name));
    return await files.refresh() ? new IcebergTable(name, locate(name), files, history) : undefined;
  };
  return {
    name: 'iceberg', open, ...(version === 2 ? { fit: withoutNanos } : {}),
    openOrCreate: async definition => {
      for (;;) {
        const present = await open(definition.name);
        if (present !== undefined) return present;
        // Somebody else may make it at the same time: then theirs is opened.
        await create(locate(definition.name), definition, version);
      }
    },
  };
}

async function create(location: string, { name, columns, key }: TableDefinition, version: 2 | 3): Promise<void> {
  await makeFolder(join(location, 'data'));
  const outcome = await new MetadataFiles(location).put(newMetadata({ uuid: randomUUID(), location, version, columns, key, now: Date.now() }));
  if (outcome === 'unknown') throw new FatalError(`Table ${name.join('.')} could not be made in ${location}`, { code: 'ICEBERG_CREATE', hint: 'See whether the warehouse is writable and its file system has hard links.' });
}

class IcebergTable implements LakeTable {
  readonly name: readonly string[];
  readonly location: string;
  private readonly metadataFiles: MetadataFiles;
  private readonly history: number;
  private readonly reader = new ContentsReader();
  private decoded: { readonly schema: JsonSchema; readonly columns: readonly Column[] } | undefined;

  constructor(name: readonly string[], location: string, files: MetadataFiles, history: number) {
    this.history = history;
    this.name = name;
    this.location = location;
    this.metadataFiles = files;
    this.check();
  }
  private check(): void { checkMetadata(this.name.join('.'), this.metadata); }
  private get metadata(): Metadata {
    const { metadata } = this.metadataFiles;
    if (metadata === undefined) throw new FatalError(`Table ${this.name.join('.')} is gone`, { code: 'ICEBERG_GONE', hint: 'Restart the connector to make it anew.' });
    return metadata;
  }

  get columns(): readonly Column[] {
    const schema = currentSchema(this.metadata);
    if (this.decoded?.schema !== schema) this.decoded = { schema, columns: decodeSchema(schema) };
    return this.decoded.columns;
  }
  get key(): readonly string[] { return JSON.parse(this.metadata.properties?.[KEY_PROPERTY] ?? '[]') as readonly string[]; }
  get version(): string { return String(currentSnapshot(this.metadata)?.['snapshot-id'] ?? 0); }

  async refresh(): Promise<void> {
    await this.metadataFiles.refresh();
    this.check();
  }

  async files(): Promise<readonly LiveFile[]> {
    const contents = await this.reader.read(this.metadata), files: LiveFile[] = [];
    for (const [path, entry] of contents.data) files.push({ path, rows: entry.data_file.record_count, deleted: await this.reader.deletedIn(path, contents) });
    return files;
  }

  /**
   * Those of the newest snapshot that has any: another engine's commits carry none, and a table that was rolled back has
   * those of then. Where all snapshots of ours have expired, the table's property stands in.
   */
  tokens(): readonly Token[] {
    let whole = true;
    for (const { summary, 'parent-snapshot-id': parent } of ancestry(this.metadata)) {
      const text = summary[TOKENS];
      if (text !== undefined) return JSON.parse(text) as readonly Token[];
      whole = parent === undefined || parent === null;
    }
    return whole ? [] : JSON.parse(this.metadata.properties?.[TOKENS] ?? '[]') as readonly Token[];
  }

  async newDataFile(): Promise<string> {
    const folder = join(this.location, 'data');
    await makeFolder(folder);
    return join(folder, `${randomUUID()}.parquet`);
  }

  async evolve(columns: readonly Column[]): Promise<void> {
    for (;;) {
      const present = this.columns;
      const named = new Map(columns.map(column => [column.name, column]));
      const wider = present.map(column => ({ ...column, type: this.wider(column, named.get(column.name)) }));
      const ids = new FieldIds(this.metadata['last-column-id']);
      const added = columns.filter(column => !present.some(one => one.name === column.name)).map(column => ids.assign({ ...column, required: false }));
      if (added.length === 0 && wider.every((column, i) => sameType(column.type, present[i]?.type ?? column.type))) return;
      const id = Math.max(...this.metadata.schemas.map(schema => schema['schema-id'])) + 1;
      const schema = encodeSchema([...wider, ...added], this.key, id);
      if (await this.metadataFiles.put(withSchema(this.metadata, schema, ids.last, this.metadataFiles.path(this.metadataFiles.version), Date.now())) === 'committed') return;
      await this.refresh();
    }
  }

  private wider(column: Column, wanted: Column | undefined): Column['type'] {
    const type = wanted === undefined ? column.type : widened(column.type, wanted.type);
    if (type !== undefined) return type;
    const table = this.name.join('.');
    throw new FatalError(`Column ${column.name} of Iceberg table ${table} cannot become ${wanted?.type.kind ?? ''}`, { code: 'ICEBERG_WIDEN', hint: `Rename it, so that a new one is added (ALTER TABLE ${table} RENAME COLUMN ${column.name} TO ${column.name}_old), then restart the task.` });
  }

  async commit(change: TableChange): Promise<CommitOutcome> {
    const contents = await this.reader.read(this.metadata);
    const writer = new SnapshotWriter(this.metadataFiles.folder, this.metadata, contents, this.reader);
    const same = (a: Token, b: Token): boolean => a.connector === b.connector && a.topicId === b.topicId && a.partition === b.partition;
    const tokens = [...this.tokens().filter(old => !change.tokens.some(token => same(token, old))), ...change.tokens];
    let outcome: CommitOutcome = 'conflict', made: Awaited<ReturnType<SnapshotWriter['write']>>;
    try {
      made = await writer.write(change, this.columns, tokens, Date.now());
      outcome = await this.metadataFiles.put(withSnapshot(this.metadata, made.snapshot, { file: this.metadataFiles.path(this.metadataFiles.version), keep: this.history, properties: { [TOKENS]: JSON.stringify(tokens) } }));
    } finally {
      // Nothing names these files then; after `unknown` something may.
      if (outcome === 'conflict') for (const path of writer.written) await unlink(path).catch(() => undefined);
    }
    if (outcome === 'committed') made.remember();
    return outcome;
  }

  hasCommit(commitId: string): Promise<boolean> {
    for (const { summary } of ancestry(this.metadata)) if (summary[COMMIT_ID] === commitId) return Promise.resolve(true);
    return Promise.resolve(false);
  }
  [Symbol.asyncDispose](): Promise<void> { return Promise.resolve(); }
}
