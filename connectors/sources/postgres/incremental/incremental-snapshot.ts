/**
 * Snapshots asked for while the stream runs. An incremental one reads chunks by key between two marks in the stream
 * (rows of the signal table, or WAL positions where the connector may not write); rows that the stream changes between
 * the marks are left out of the chunk, since their newer state is in the stream already. The marks and the order of
 * notifications are Debezium's (reference, "Incremental snapshots"); its offset keys too (state.ts).
 */
import { randomUUID } from 'node:crypto';
import { RetriableError, TributaryError } from '../../../../runtime/api/errors.ts';
import type { Logger } from '../../../../runtime/api/logger.ts';
import type { Metrics } from '../../../../runtime/api/metrics.ts';
import type { SourceOffset } from '../../../../runtime/api/plugin.ts';
import type { Notifier, NotificationFacts } from '../../capture/notifications.ts';
import type { SignalInbox } from '../../capture/signal-inbox.ts';
import { type Signal, signalOf, snapshotRequest } from '../../capture/signals.ts';
import { anchored } from '../../capture/table-filter.ts';
import { ChangeBatch } from '../batch.ts';
import type { CapturedTable, CapturedTables } from '../captured-tables.ts';
import type { Change, EventSource, RowImage } from '../change.ts';
import type { PostgresConfig } from '../config.ts';
import { nowNs } from '../now.ts';
import { identifier, literal } from '../replication.ts';
import type { CatalogueTable, Query } from '../schema.ts';
import { IncrementalGauges } from '../snapshot/gauges.ts';
import { type Chunk, keyOf, type NoChunk, readChunk } from './chunk.ts';
import type { KeyTexts } from './java-keys.ts';
import { begunState, incrementalKeys, incrementalState, type IncrementalState, nextCollection, waitingSignals } from './state.ts';
import { highWatermark, RecentTransactions } from './watermark.ts';

/** `high` is the position that closes it, where there is no mark in the stream. */
interface Window { readonly id: string; readonly table: CapturedTable | undefined; readonly rows: Map<string, RowImage>; readonly last: KeyTexts | undefined; readonly high: bigint | undefined; open: boolean }

/** How long to wait for a transaction that has committed but is not yet seen to have. */
const AGAIN_MS = 20;

export interface IncrementalParts {
  readonly query: Query;
  readonly config: PostgresConfig;
  readonly tables: CapturedTables;
  readonly notifier: Notifier;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly inbox: SignalInbox;
  /** Reads whole tables at once, for a blocking snapshot. */
  readonly readBlocking: (tables: readonly CatalogueTable[], statements: Readonly<Record<string, string>>) => AsyncGenerator<ChangeBatch>;
}

export class IncrementalSnapshot {
  private readonly parts: IncrementalParts;
  private readonly table: string | undefined;
  private readonly positions: boolean;
  private readonly recent = new RecentTransactions();
  private readonly gauges: IncrementalGauges;
  private state: IncrementalState | undefined;
  private kept: { readonly state: IncrementalState | undefined; readonly signals: readonly Signal[]; readonly keys: SourceOffset } = { state: undefined, signals: [], keys: {} };
  private window: Window | undefined;
  private next = false;
  private unseen = false;
  private settled: (() => Promise<void>)[] = [];

  constructor(parts: IncrementalParts, stored: SourceOffset | undefined) {
    this.parts = parts;
    this.table = parts.config['signal.data.collection']?.[0];
    this.positions = parts.config['read.only'] || this.table === undefined;
    this.gauges = new IncrementalGauges(parts.metrics);
    this.state = incrementalState(stored, parts.logger);
    this.next = this.state !== undefined;
    for (const signal of waitingSignals(stored)) parts.inbox.put(signal);
    if (this.state !== undefined) parts.logger.info({ tables: this.state.collections.map(({ name }) => name).slice(0, 20) }, 'incremental snapshot goes on');
  }

  /** Position that the stream has to pass before the present chunk can go out. */
  get awaited(): bigint | undefined { return this.window?.high; }
  /** How long the stream may wait for data before it asks again, in milliseconds; undefined when there is no hurry. */
  get waitMs(): number | undefined { return this.unseen ? AGAIN_MS : undefined; }

  offsetKeys(): SourceOffset {
    const { state, kept } = this;
    const signals = this.parts.inbox.unrepeatable();
    if (kept.state !== state || signals.length !== kept.signals.length || signals.some((one, i) => one !== kept.signals[i])) this.kept = { state, signals, keys: incrementalKeys(state, signals) };
    return this.kept.keys;
  }
  /** True while signals wait that nobody would send again. */
  get waiting(): boolean { return this.parts.inbox.unrepeatable().length > 0; }
  /** What is to be called when the offset that is made now is durable. */
  takeSettled(): readonly (() => Promise<void>)[] { return this.settled.splice(0); }

  /** The stream begins to send a transaction. */
  began(xid: bigint): void { this.recent.sent(xid); }

  /** Sees each row event that goes out, in order, and the batch that it goes out in. */
  observe(change: Change, batch: ChangeBatch, source: EventSource): void {
    const { schema, table } = change.table;
    if (`${schema}.${table}` === this.table) { this.signalRow(change, batch, source); return; }
    const { window } = this;
    if (window?.open !== true || window.table?.schema.table !== table || window.table.schema.schema !== schema) return;
    for (const image of [change.before, change.after]) if (image !== undefined) window.rows.delete(keyOf(window.table, image));
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
    if (signal !== undefined) this.parts.inbox.put(signal);
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
    this.state = { ...state, last: window.last };
  }

  /** Between two reads of the stream: signals that came, and the next chunk unless it is `held`. Batches carry no offset. */
  async *work(position: () => string, held: boolean): AsyncGenerator<ChangeBatch> {
    const { inbox } = this.parts;
    await inbox.poll();
    for (let arrived = inbox.first; arrived !== undefined; arrived = inbox.first) {
      const { signal, done } = arrived;
      const said = new ChangeBatch();
      yield* this.carryOut(signal, said, position);
      inbox.dropFirst();
      if (done !== undefined) this.settled.push(done);
      // With or without a record: its offset says that the signal is done with.
      yield said;
    }
    if (!this.next || this.window !== undefined || held || this.state?.paused === true) return;
    this.unseen = this.state !== undefined && !await this.recent.seen(this.parts.query);
    if (this.unseen) return;
    this.next = false;
    const batch = new ChangeBatch();
    await this.chunk(batch);
    if (batch.length > 0) yield batch;
  }

  /** Whoever may write a signal must not be able to stop the stream with it: only what passes by itself fails the task, which then finds the signal in its offset. */
  private async *carryOut(signal: Signal, said: ChangeBatch, position: () => string): AsyncGenerator<ChangeBatch> {
    const { logger } = this.parts;
    const wrong = wrongPattern(signal);
    if (wrong !== undefined) { logger.warn({ id: signal.id, type: signal.type, reason: wrong }, 'a signal names tables by an expression that is none, it is left out'); return; }
    try { yield* this.act(signal, said, position); } catch (error) {
      if (passing(error)) throw error;
      logger.error({ id: signal.id, type: signal.type, reason: (error as Error).message }, 'a signal could not be carried out, it is left out');
    }
  }

  /** Yields what a blocking snapshot reads; what is to be said goes into `batch`. */
  private async *act(signal: Signal, batch: ChangeBatch, position: () => string): AsyncGenerator<ChangeBatch> {
    const { logger } = this.parts;
    switch (signal.type) {
      case 'log': logger.info({ id: signal.id }, String(signal.data['message'] ?? '').replace('{}', position())); return;
      case 'execute-snapshot': yield* this.execute(signal, batch); break;
      case 'stop-snapshot': this.stop(signal, batch); break;
      case 'pause-snapshot': this.pause(true, batch); break;
      case 'resume-snapshot': this.pause(false, batch); break;
      default: logger.warn({ id: signal.id, type: signal.type }, 'a signal of unknown type is left out');
    }
  }

  private async *execute(signal: Signal, batch: ChangeBatch): AsyncGenerator<ChangeBatch> {
    const request = snapshotRequest(signal);
    const patterns = request.collections.map(anchored);
    const tables = (await this.parts.tables.catalogue()).filter(table => patterns.some(pattern => pattern.test(nameOf(table))) && nameOf(table) !== this.table);
    if (tables.length === 0) { this.parts.logger.warn({ id: signal.id }, 'no captured table fits the data-collections of a signal'); return; }
    tables.sort((a, b) => patterns.findIndex(pattern => pattern.test(nameOf(a))) - patterns.findIndex(pattern => pattern.test(nameOf(b))));
    const filterOf = (name: string): string | undefined => request.conditions.find(({ collection }) => anchored(collection).test(name))?.filter;
    if (request.kind === 'BLOCKING') {
      yield* this.parts.readBlocking(tables, Object.fromEntries(tables.flatMap(table => { const filter = filterOf(nameOf(table)); return filter === undefined ? [] : [[`snapshot.select.statement.overrides.${nameOf(table)}`, filter]]; })));
      return;
    }
    const collections = tables.map(nameOf).map(name => ({ name, filter: filterOf(name), surrogate: request.surrogateKey }));
    const { state } = this;
    if (state === undefined) { this.state = begunState(signal.id, collections); this.next = true; }
    else this.state = { ...state, collections: [...state.collections, ...collections.filter(({ name }) => state.collections.every(other => other.name !== name))] };
    this.gauges.begin(await this.estimate(), this.state?.collections.length ?? 0);
    this.notify(batch, 'STARTED', { data_collections: this.names() });
  }

  /** Rows that are still to be read, as the planner counts them. */
  private async estimate(): Promise<number> {
    const names = (this.state?.collections ?? []).map(({ name }) => literal(name));
    const [row] = names.length === 0 ? [] : await this.parts.query(`SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname || '.' || c.relname IN (${names.join(', ')})`);
    return Number(row?.[0] ?? 0);
  }

  private pause(paused: boolean, batch: ChangeBatch): void {
    const { state } = this;
    if (state === undefined || state.paused === paused) return;
    this.state = { ...state, paused };
    this.gauges.paused(paused);
    this.notify(batch, paused ? 'PAUSED' : 'RESUMED', { data_collections: this.names() });
  }

  private stop(signal: Signal, batch: ChangeBatch): void {
    const { state, window } = this;
    if (state === undefined) return;
    const patterns = snapshotRequest(signal).collections.map(anchored);
    const kept = patterns.length === 0 ? [] : state.collections.filter(({ name }) => !patterns.some(pattern => pattern.test(name)));
    const same = kept[0]?.name === state.collections[0]?.name;
    // What was read of a table that is stopped must neither go out nor count for the next one.
    if (!same && window !== undefined) this.window = { ...window, table: undefined, rows: new Map() };
    this.state = same ? { ...state, collections: kept } : { ...begunState(state.id, kept), paused: state.paused };
    this.gauges.left(kept.length);
    if (kept.length > 0) return;
    this.notify(batch, 'ABORTED', {});
    this.state = undefined;
    this.gauges.end();
  }

  /** One mark, one chunk, the other mark. An empty chunk ends its table, and the next table's first chunk takes its place. */
  private async chunk(batch: ChangeBatch): Promise<void> {
    if (this.state === undefined) return;
    if (!this.gauges.running) this.gauges.begin(await this.estimate(), this.state.collections.length);
    const id = randomUUID(), opened = new Date().toISOString();
    if (!this.positions) await this.mark(`${id}-open`, 'snapshot-window-open', { openWindowTimestamp: opened });
    const chunk = await this.nextChunk(batch);
    const window: Window = { id, table: chunk?.table, rows: chunk?.rows ?? new Map<string, RowImage>(), last: chunk?.last, high: undefined, open: this.positions };
    if (this.positions) {
      if (chunk !== undefined) this.window = { ...window, high: await highWatermark(this.parts.query) };
      return;
    }
    this.window = window;
    if (this.parts.config['incremental.snapshot.watermarking.strategy'] === 'insert_delete') await this.parts.query(`DELETE FROM ${this.signalTable()} WHERE id = ${literal(`${id}-open`)}`);
    else await this.mark(`${id}-close`, 'snapshot-window-close', { openWindowTimestamp: opened, closeWindowTimestamp: new Date().toISOString() });
  }

  /** Of the first table that has one; undefined when all are read, which ends the snapshot. */
  private async nextChunk(batch: ChangeBatch): Promise<Chunk | undefined> {
    const { query, tables, config, logger } = this.parts;
    while (this.state !== undefined && this.state.collections.length > 0) {
      const { state } = this;
      const { collections: [first] } = state;
      const read = (): Promise<Chunk | NoChunk> => readChunk(query, tables, state, config['incremental.snapshot.chunk.size']);
      // A column may have gone between the catalogue and the statement: then the second attempt finds it gone.
      const found = await read().catch((error: unknown) => { if (passing(error)) throw error; return read(); }).catch((error: unknown) => {
        if (passing(error)) throw error;
        logger.error({ table: first?.name, reason: (error as Error).message }, 'a table of an incremental snapshot cannot be read, it is left out');
        return 'SQL_EXCEPTION' as const;
      });
      if (typeof found === 'object') {
        this.state = { ...state, max: found.max, types: found.types, rows: state.rows + found.rows.size };
        this.gauges.rows(found.rows.size);
        this.notify(batch, 'IN_PROGRESS', { current_collection_in_progress: first?.name ?? '', maximum_key: found.max.join(','), last_processed_key: found.last.join(','), data_collections: this.names() });
        return found;
      }
      this.notify(batch, 'TABLE_SCAN_COMPLETED', { scanned_collection: first?.name ?? '', total_rows_scanned: String(state.rows), status: found, data_collections: this.names() });
      this.state = nextCollection(state);
      this.gauges.left(this.state.collections.length);
    }
    this.notify(batch, 'COMPLETED', {});
    this.state = undefined;
    this.gauges.end();
    return undefined;
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
