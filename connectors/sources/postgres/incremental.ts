/**
 * Snapshots asked for while the stream runs. An incremental one reads chunks by key between two marks in the stream
 * (rows of the signal table, or WAL positions where the connector may not write); rows that the stream changes between
 * the marks are left out of the chunk, since their newer state is in the stream already. The marks and the order of
 * notifications are Debezium's (reference, "Incremental snapshots").
 */
import { randomUUID } from 'node:crypto';
import { RetriableError, TributaryError } from '../../../runtime/api/errors.ts';
import type { Logger } from '../../../runtime/api/logger.ts';
import type { SourceOffset } from '../../../runtime/api/plugin.ts';
import type { Notifier, NotificationFacts } from '../capture/notifications.ts';
import { type Signal, signalOf, snapshotRequest, takeFileSignals } from '../capture/signals.ts';
import { anchored } from '../capture/table-filter.ts';
import { ChangeBatch } from './batch.ts';
import type { CapturedTable, CapturedTables } from './captured-tables.ts';
import type { Change, EventSource, RowImage } from './change.ts';
import type { PostgresConfig } from './config.ts';
import { parseLsn } from './lsn.ts';
import { nowNs } from './now.ts';
import { identifier, literal, qualified } from './replication.ts';
import type { CatalogueTable, Query } from './schema.ts';

const KEY = 'tributary_incremental_snapshot';

interface Collection { readonly name: string; readonly filter: string | undefined; readonly surrogate: string | undefined }
/** As the offset has it: `signals` were taken from the stream and not yet acted upon. */
type Stored = Partial<State> & { readonly signals?: readonly Signal[] };
interface State { id: string; collections: Collection[]; last: string[] | undefined; max: string[] | undefined; rows: number; paused: boolean }
interface Window { readonly id: string; readonly opened: string; readonly table: CapturedTable | undefined; readonly rows: Map<string, RowImage>; readonly last: string[] | undefined; readonly high: bigint | undefined; open: boolean }

export interface IncrementalParts {
  readonly query: Query;
  readonly config: PostgresConfig;
  readonly tables: CapturedTables;
  readonly notifier: Notifier;
  readonly logger: Logger;
  /** Reads whole tables at once, for a blocking snapshot. */
  readonly readBlocking: (tables: readonly CatalogueTable[], statements: Readonly<Record<string, string>>) => AsyncGenerator<ChangeBatch>;
}

export class IncrementalSnapshot {
  private readonly parts: IncrementalParts;
  private readonly table: string | undefined;
  private readonly positions: boolean;
  private state: State | undefined;
  private window: Window | undefined;
  /** Signals that have come; the first of them stays until it has been acted upon. */
  private readonly waiting: Signal[] = [];
  private next = false;
  private nextFile = 0;

  constructor(parts: IncrementalParts, stored: SourceOffset | undefined) {
    this.parts = parts;
    this.table = parts.config['signal.data.collection']?.[0];
    this.positions = parts.config['read.only'] || this.table === undefined;
    const text = stored?.[KEY];
    if (typeof text !== 'string') return;
    const { signals = [], ...state } = JSON.parse(text) as Stored;
    if (state.id !== undefined) { this.state = state as State; this.next = true; }
    this.waiting.push(...signals);
  }

  /** Position that the stream has to pass before the present chunk can go out. */
  get awaited(): bigint | undefined { return this.window?.high; }

  /** A signal that has come with the stream is not sent again: until it is acted upon it stands in the offset. */
  offsetKeys(): SourceOffset {
    if (this.state === undefined && this.waiting.length === 0) return {};
    return { [KEY]: JSON.stringify({ ...this.state, ...(this.waiting.length > 0 && { signals: this.waiting }) } satisfies Stored) };
  }

  /** Sees each row event that goes out, in order, and the batch that it goes out in. */
  observe(change: Change, batch: ChangeBatch, source: EventSource): void {
    const { schema, table } = change.table;
    if (`${schema}.${table}` === this.table) { this.signalRow(change, batch, source); return; }
    const { window } = this;
    if (window?.open !== true || window.table?.schema.table !== table || window.table.schema.schema !== schema) return;
    for (const image of [change.before, change.after]) if (image !== undefined) window.rows.delete(keyOf(window.table, image).join('\u0000'));
  }

  /** The stream has passed `lsn` with all that committed before it. */
  passed(lsn: bigint, batch: ChangeBatch, source: () => EventSource): void {
    if (this.window?.high !== undefined && lsn >= this.window.high) this.close(batch, source());
  }

  private signalRow(change: Change, batch: ChangeBatch, source: EventSource): void {
    const image = change.op === 'd' ? change.before : change.after;
    if (image === undefined || (change.op !== 'c' && change.op !== 'd') || !this.parts.config['signal.enabled.channels'].includes('source')) return;
    const [id = '', type = '', data = null] = image.start.map((at, i) => (at < 0 ? null : image.buffer.toString('utf8', at, image.end[i])));
    const { window } = this;
    if (window !== undefined && id === `${window.id}-open`) { if (change.op === 'c') window.open = true; else this.close(batch, source); return; }
    if (window !== undefined && id === `${window.id}-close`) { this.close(batch, source); return; }
    if (change.op !== 'c' || type?.startsWith('snapshot-window-') === true) return;
    const signal = signalOf(id ?? '', type ?? '', data, this.parts.logger);
    if (signal !== undefined) this.waiting.push(signal);
  }

  /** Sends what is left of the chunk, and has the next one read. */
  private close(batch: ChangeBatch, source: EventSource): void {
    const { window, state } = this;
    this.window = undefined;
    this.next = true;
    if (window?.table === undefined || state === undefined) return;
    const { table } = window;
    const { lsn, lastCommitLsn } = source;
    for (const image of window.rows.values()) {
      batch.add({ table: table.schema, op: 'r', before: undefined, after: image, transaction: undefined, processedNs: nowNs(), source: { ...source, snapshot: 'incremental', txId: null, lsn: null, sequence: [lastCommitLsn ?? lsn, lsn] } }, table.encoder);
    }
    state.last = window.last;
  }

  /** Between two reads of the stream: signals that came, and the next chunk. Batches carry no offset. */
  async *work(position: () => string): AsyncGenerator<ChangeBatch> {
    await this.files();
    for (let [signal] = this.waiting; signal !== undefined; [signal] = this.waiting) {
      const said = new ChangeBatch();
      yield* this.carryOut(signal, said, position);
      this.waiting.shift();
      // With or without a record: its offset says that the signal is done with.
      yield said;
    }
    if (!this.next || this.window !== undefined) return;
    this.next = false;
    const batch = new ChangeBatch();
    await this.chunk(batch);
    if (batch.length > 0) yield batch;
  }

  private async files(): Promise<void> {
    const { config, logger } = this.parts;
    if (!config['signal.enabled.channels'].includes('file') || performance.now() < this.nextFile) return;
    this.nextFile = performance.now() + config['signal.poll.interval.ms'];
    this.waiting.push(...await takeFileSignals(config['signal.file'], logger));
  }

  /** Whoever may write a signal must not be able to stop the stream with it: only what passes by itself fails the task, which then finds the signal in its offset. */
  private async *carryOut(signal: Signal, said: ChangeBatch, position: () => string): AsyncGenerator<ChangeBatch> {
    const wrong = wrongPattern(signal);
    if (wrong !== undefined) { this.parts.logger.warn({ id: signal.id, type: signal.type, reason: wrong }, 'a signal names tables by an expression that is none, it is left out'); return; }
    try { yield* this.act(signal, said, position); } catch (error) {
      if (passing(error)) throw error;
      this.parts.logger.error({ id: signal.id, type: signal.type, reason: (error as Error).message }, 'a signal could not be carried out, it is left out');
    }
  }

  /** Yields what a blocking snapshot reads; what is to be said goes into `batch`. */
  private async *act(signal: Signal, batch: ChangeBatch, position: () => string): AsyncGenerator<ChangeBatch> {
    const { logger } = this.parts;
    switch (signal.type) {
      case 'log': logger.info({ id: signal.id }, String(signal.data['message'] ?? '').replace('{}', position())); return;
      case 'execute-snapshot': {
        const request = snapshotRequest(signal);
        const patterns = request.collections.map(anchored);
        const tables = (await this.parts.tables.catalogue()).filter(table => patterns.some(pattern => pattern.test(nameOf(table))) && nameOf(table) !== this.table);
        if (tables.length === 0) { logger.warn({ id: signal.id }, 'no captured table fits the data-collections of a signal'); return; }
        tables.sort((a, b) => patterns.findIndex(pattern => pattern.test(nameOf(a))) - patterns.findIndex(pattern => pattern.test(nameOf(b))));
        const filterOf = (name: string): string | undefined => request.conditions.find(({ collection }) => anchored(collection).test(name))?.filter;
        if (request.kind === 'BLOCKING') {
          yield* this.parts.readBlocking(tables, Object.fromEntries(tables.flatMap(table => { const filter = filterOf(nameOf(table)); return filter === undefined ? [] : [[`snapshot.select.statement.overrides.${nameOf(table)}`, filter]]; })));
          return;
        }
        const collections = tables.map(nameOf).map(name => ({ name, filter: filterOf(name), surrogate: request.surrogateKey }));
        if (this.state === undefined) { this.state = { id: signal.id, collections, last: undefined, max: undefined, rows: 0, paused: false }; this.next = true; }
        else this.state.collections.push(...collections.filter(({ name }) => this.state?.collections.every(other => other.name !== name)));
        this.notify(batch, 'STARTED', { data_collections: this.names() });
        break;
      }
      case 'stop-snapshot': this.stop(signal, batch); break;
      case 'pause-snapshot': if (this.state !== undefined && !this.state.paused) { this.state.paused = true; this.notify(batch, 'PAUSED', { data_collections: this.names() }); } break;
      case 'resume-snapshot': if (this.state?.paused === true) { this.state.paused = false; this.next = this.window === undefined; this.notify(batch, 'RESUMED', { data_collections: this.names() }); } break;
      default: logger.warn({ id: signal.id, type: signal.type }, 'a signal of unknown type is left out');
    }
  }

  private stop(signal: Signal, batch: ChangeBatch): void {
    const { state } = this;
    if (state === undefined) return;
    const patterns = snapshotRequest(signal).collections.map(anchored);
    const kept = patterns.length === 0 ? [] : state.collections.filter(({ name }) => !patterns.some(pattern => pattern.test(name)));
    if (kept[0]?.name !== state.collections[0]?.name) { state.last = undefined; state.max = undefined; state.rows = 0; this.window?.rows.clear(); }
    state.collections = kept;
    if (kept.length > 0) return;
    this.notify(batch, 'ABORTED', {});
    this.state = undefined;
  }

  /** One mark, one chunk, the other mark. An empty chunk ends its table, and the next table's first chunk takes its place. */
  private async chunk(batch: ChangeBatch): Promise<void> {
    if (this.state === undefined || this.state.paused) return;
    const id = randomUUID(), opened = new Date().toISOString();
    if (!this.positions) await this.mark(`${id}-open`, 'snapshot-window-open', { openWindowTimestamp: opened });
    let window: Window = { id, opened, table: undefined, rows: new Map(), last: undefined, high: undefined, open: this.positions };
    while (this.state !== undefined && this.state.collections.length > 0) {
      const { state } = this;
      // A column may have gone between the catalogue and the statement: then the second attempt finds it gone.
      const found = await this.read(state).catch((error: unknown) => { if (passing(error)) throw error; return this.read(state); }).catch((error: unknown) => {
        if (passing(error)) throw error;
        this.parts.logger.error({ table: this.state?.collections[0]?.name, reason: (error as Error).message }, 'a table of an incremental snapshot cannot be read, it is left out');
        return 'SQL_EXCEPTION' as const;
      });
      if (typeof found === 'object') { window = { ...window, table: found.table, rows: found.rows, last: found.last }; break; }
      const [ended] = this.state.collections;
      this.notify(batch, 'TABLE_SCAN_COMPLETED', { scanned_collection: ended?.name ?? '', total_rows_scanned: String(this.state.rows), status: found, data_collections: this.names() });
      this.state.collections.shift();
      this.state.last = undefined; this.state.max = undefined; this.state.rows = 0;
    }
    if (this.state !== undefined && window.table === undefined) { this.notify(batch, 'COMPLETED', {}); this.state = undefined; }
    if (this.state !== undefined && window.table !== undefined) {
      this.notify(batch, 'IN_PROGRESS', { current_collection_in_progress: this.state.collections[0]?.name ?? '', maximum_key: (this.state.max ?? []).join(','), last_processed_key: (window.last ?? []).join(','), data_collections: this.names() });
    }
    if (this.positions) {
      if (window.table === undefined) return;
      const [row] = await this.parts.query('SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END');
      this.window = { ...window, high: parseLsn(row?.[0] ?? '0/0') };
      return;
    }
    this.window = window;
    if (this.parts.config['incremental.snapshot.watermarking.strategy'] === 'insert_delete') await this.parts.query(`DELETE FROM ${this.signalTable()} WHERE id = ${literal(`${id}-open`)}`);
    else await this.mark(`${id}-close`, 'snapshot-window-close', { openWindowTimestamp: opened, closeWindowTimestamp: new Date().toISOString() });
  }

  private async read(state: State): Promise<{ table: CapturedTable; rows: Map<string, RowImage>; last: string[] } | 'SUCCEEDED' | 'EMPTY' | 'NO_PRIMARY_KEY' | 'UNKNOWN_SCHEMA'> {
    const [collection] = state.collections;
    if (collection === undefined) return 'SUCCEEDED';
    const dot = collection.name.indexOf('.');
    const catalogue = await this.parts.tables.find(0, collection.name.slice(0, dot), collection.name.slice(dot + 1));
    if (catalogue.columns.length === 0) return 'UNKNOWN_SCHEMA';
    const key = collection.surrogate === undefined ? catalogue.key : [collection.surrogate];
    if (key.length === 0) return 'NO_PRIMARY_KEY';
    const columns = key.map(identifier), where = collection.filter === undefined ? [] : [`(${collection.filter})`];
    if (state.max === undefined) {
      const [row] = await this.parts.query(`SELECT ${columns.map(column => `${column}::text`).join(', ')} FROM (SELECT ${columns.join(', ')} FROM ${qualified(catalogue)}${where.length === 0 ? '' : ` WHERE ${where.join(' AND ')}`} ORDER BY ${columns.map(column => `${column} DESC`).join(', ')} LIMIT 1) AS highest`);
      if (row === undefined) return 'EMPTY';
      state.max = row.map(String);
    }
    const tuple = (values: readonly string[]): string => `(${values.map(literal).join(', ')})`;
    const bounds = [...where, `(${columns.join(', ')}) <= ${tuple(state.max)}`, ...(state.last === undefined ? [] : [`(${columns.join(', ')}) > ${tuple(state.last)}`])];
    const wire = catalogue.columns.map(({ name, typeOid, typmod }) => ({ name, typeOid, typmod, isKey: catalogue.key.includes(name) }));
    const table = await this.parts.tables.describe(catalogue, wire, 'stream');
    const found = await this.parts.query(`SELECT ${catalogue.columns.map(({ name }) => identifier(name)).join(', ')} FROM ${qualified(catalogue)} WHERE ${bounds.join(' AND ')} ORDER BY ${columns.join(', ')} LIMIT ${Math.max(1, this.parts.config['incremental.snapshot.chunk.size'])}`);
    const end = found.at(-1);
    if (end === undefined) return 'SUCCEEDED';
    state.rows += found.length;
    const rows = new Map(found.map(row => { const image = imageOf(row); return [keyOf(table, image).join('\u0000'), image]; }));
    return { table, rows, last: key.map(name => String(end[catalogue.columns.findIndex(column => column.name === name)])) };
  }

  private signalTable(): string { const [schema = '', table = ''] = (this.table ?? '').split('.').slice(-2); return `${identifier(schema)}.${identifier(table)}`; }
  private async mark(id: string, type: string, data: object): Promise<void> { await this.parts.query(`INSERT INTO ${this.signalTable()} VALUES (${literal(id)}, ${literal(type)}, ${literal(JSON.stringify(data))})`); }
  private names(): string { return (this.state?.collections ?? []).map(({ name }) => name).join(','); }
  private notify(batch: ChangeBatch, type: string, facts: NotificationFacts): void {
    const record = this.parts.notifier.make('Incremental Snapshot', type, facts, this.state?.id);
    if (record !== undefined) batch.addRecord(record);
  }
}

/** True for trouble of the server or the network, false for a statement that cannot run as it is. */
function passing(error: unknown): boolean { return !(error instanceof TributaryError) || (error instanceof RetriableError && error.code !== 'POSTGRES_TABLE_CHANGED'); }

function wrongPattern(signal: Signal): string | undefined {
  const { collections, conditions } = snapshotRequest(signal);
  try { for (const pattern of [...collections, ...conditions.map(({ collection }) => collection)]) anchored(pattern); return undefined; } catch (error) { return (error as Error).message; }
}

const nameOf = ({ schema, table }: CatalogueTable): string => `${schema}.${table}`;

function keyOf({ schema }: CapturedTable, image: RowImage): string[] {
  const positions = schema.keyPositions.length > 0 ? schema.keyPositions : image.start.map((_, i) => i);
  return positions.map(position => { const at = image.start[position] ?? -1; return at < 0 ? '\u0001' : image.buffer.toString('utf8', at, image.end[position]); });
}

function imageOf(row: readonly (string | null)[]): RowImage {
  const parts = row.map(value => (value === null ? null : Buffer.from(value)));
  const start: number[] = [], end: number[] = [];
  let at = 0;
  for (const part of parts) { start.push(part === null ? -1 : at); at += part?.length ?? 0; end.push(part === null ? 0 : at); }
  return { buffer: Buffer.concat(parts.filter(part => part !== null)), start, end };
}
