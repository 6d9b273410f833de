/**
 * The endless part: the replication stream from a slot, message by message, put into batches with the position behind
 * them. The connection is replication-link.ts, the position stream-cursor.ts, open transactions streamed-transactions.ts.
 */
import { DataError, RetriableError } from '../../../runtime/api/errors.ts';
import type { Logger } from '../../../runtime/api/logger.ts';
import type { Metrics } from '../../../runtime/api/metrics.ts';
import type { PartitionOffset, SourceOffset, SourcePartition } from '../../../runtime/api/plugin.ts';
import { heartbeatRecord } from '../capture/heartbeat.ts';
import { ChangeBatch } from './batch.ts';
import type { CapturedTable, CapturedTables } from './captured-tables.ts';
import { type Change, type Operation, type RowImage, UNCHANGED_TOAST } from './change.ts';
import type { PostgresConfig } from './config.ts';
import { streamParameters } from './config/stream-parameters.ts';
import type { EncodingOptions } from './encoding-options.ts';
import type { Housekeeping } from './housekeeping.ts';
import type { IncrementalSnapshot } from './incremental/incremental-snapshot.ts';
import { messageRecord } from './logical-message.ts';
import { formatLsn } from './lsn.ts';
import { nowNs } from './now.ts';
import { type StreamPosition, streamOffset } from './offset.ts';
import { errorOf, type ReplicationLink } from './replication-link.ts';
import { identifier } from './replication.ts';
import type { Reselection } from './reselection.ts';
import { mapped } from './server-errors.ts';
import type { SnapshotBeside } from './snapshot/beside.ts';
import { StreamCursor, type Transaction } from './stream-cursor.ts';
import { StreamedTransactions } from './streamed-transactions.ts';
import { TransactionTracker } from './transaction-metadata.ts';
import { WhenDurable } from './when-durable.ts';
import { decodeMessage, isStreamControl, type Message } from './wire/pgoutput.ts';

type Relation = Extract<Message, { kind: 'relation' }>;
type StreamCommit = Extract<Message, { kind: 'stream-commit' }>;

/** With a full old row (REPLICA IDENTITY FULL) the values that an update left alone are known after all. */
function completed(after: RowImage, before: RowImage): RowImage {
  if (!after.start.includes(UNCHANGED_TOAST)) return after;
  const start = [...after.start], end = [...after.end];
  after.start.forEach((at, i) => { if (at === UNCHANGED_TOAST && (before.start[i] ?? -1) >= 0) { start[i] = before.start[i] ?? at; end[i] = before.end[i] ?? 0; } });
  return { buffer: after.buffer, start, end };
}

export interface StreamParts {
  readonly link: ReplicationLink;
  readonly config: PostgresConfig;
  readonly options: EncodingOptions;
  readonly tables: CapturedTables;
  readonly partition: SourcePartition;
  readonly from: StreamPosition;
  readonly wantsMessage: (prefix: string) => boolean;
  readonly housekeeping: Housekeeping;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly snapshot: SnapshotBeside;
  readonly incremental: IncrementalSnapshot;
  /** Undefined where no post processor is configured. */
  readonly reselection: Reselection | undefined;
  /** Version of the server, as server_version_num has it. */
  readonly version: number;
}

/** WAL without anything for us after which the slot is helped to let go of it. */
const LET_GO_BYTES = 8n * 1024n * 1024n;
/** Bytes of a committed transaction from the spill that go into one batch. */
const REPLAY_BYTES = 1024 * 1024;
/** What a row costs beside its bytes, so that many small ones make a batch too. */
const ROW_BYTES = 200;

export class ReplicationStream {
  private readonly parts: StreamParts;
  private readonly config: PostgresConfig;
  private readonly link: ReplicationLink;
  private readonly cursor: StreamCursor;
  private readonly open: StreamedTransactions;
  private readonly tracker: TransactionTracker | undefined;
  private readonly manual: boolean;
  private readonly tolerant: boolean;
  private nextHeartbeat = 0;
  private letGoAt = 0n;
  /** The server was asked how far it is, for a chunk that waits for that. */
  private asked = false;
  private readonly whenDurable: WhenDurable;
  private readonly relations = new Map<number, CapturedTable | null>();
  private readonly skipped: ReadonlySet<string>;

  constructor(parts: StreamParts) {
    this.parts = parts;
    const config = parts.config;
    this.config = config;
    this.link = parts.link;
    this.whenDurable = new WhenDurable(error => { parts.logger.warn({ reason: error.message }, 'signal is not marked as done, it may come again'); });
    this.cursor = new StreamCursor(parts.from);
    this.open = new StreamedTransactions({ directory: config['slot.stream.spill.directory'], bytes: config['slot.stream.spill.max.bytes'] });
    this.skipped = new Set(config['skipped.operations'].map(name => name.trim().toLowerCase()));
    this.manual = (config['lsn.flush.mode'] ?? (config['flush.lsn.source'] ? 'connector' : 'manual')) === 'manual';
    this.tolerant = config['event.processing.failure.handling.mode'] !== 'fail';
    this.tracker = config['provide.transaction.metadata'] ? new TransactionTracker([config['topic.prefix'], config['topic.transaction']].join(config['topic.delimiter'])) : undefined;
  }

  /** Resolves when the server streams. */
  async start(signal: AbortSignal): Promise<void> {
    try { await this.link.start(this.parts.from.commitLsn, streamParameters(this.config['slot.stream.params'], identifier(this.config['publication.name']), this.parts.version), signal); } catch (error) { throw mapped(error, this.config); }
  }

  async *batches(signal: AbortSignal): AsyncGenerator<ChangeBatch> {
    const heartbeatMs = this.config['heartbeat.interval.ms'];
    const waitMs = Math.max(100, Math.min(this.config['status.update.interval.ms'], this.config['signal.poll.interval.ms'], heartbeatMs > 0 ? heartbeatMs : 10_000));
    this.nextHeartbeat = performance.now() + heartbeatMs;
    // The pipeline holds records back while it is told of more; what then comes may hold nothing for it, and has to end that.
    let owed = false;
    try {
      while (!signal.aborted) {
        const { housekeeping, snapshot, incremental } = this.parts;
        const soon = housekeeping.holdsSnapshots ? waitMs : Math.min(snapshot.waitMs ?? waitMs, incremental.waitMs ?? waitMs);
        const buffer = await this.link.next(owed ? 0 : Math.min(waitMs, soon), signal);
        housekeeping.tick();
        const before = this.cursor.position;
        const batch = yield* this.read(buffer);
        batch.more = this.link.more;
        this.between(batch, buffer === undefined);
        if (batch.length > 0 || this.cursor.position !== before || (owed && !batch.more)) {
          owed = batch.more;
          batch.offset = this.offset();
          yield batch;
        } else owed ||= batch.more;
        for await (const more of incremental.work(() => formatLsn(this.cursor.position.lsn), housekeeping.holdsSnapshots)) { more.offset = this.offset(); yield more; }
        if (!housekeeping.holdsSnapshots) for await (const more of snapshot.work(this.link.more, this.cursor.position.commitLsn)) { more.offset = this.offset(); yield more; }
        if ((incremental.awaited ?? snapshot.awaited) !== undefined && !this.asked) { this.asked = true; this.link.status(true); }
      }
      // A signal that has come and was not acted upon is not sent again: it goes with the offset, into the next run.
      if (this.parts.incremental.waiting) { const last = new ChangeBatch(); last.offset = this.offset(); yield last; }
    } catch (error) { throw mapped(error, this.config); }
  }

  private offset(): PartitionOffset {
    const { position } = this.cursor;
    const { snapshot, incremental } = this.parts;
    const offset: SourceOffset = { ...this.tracker?.offsetKeys(), ...streamOffset(position), ...snapshot.keys(position.commitLsn), ...incremental.offsetKeys() };
    this.whenDurable.made(offset, incremental.takeSettled());
    return { partition: this.parts.partition, offset };
  }

  /** Heartbeats, and the step over WAL that holds nothing for us. */
  private between(batch: ChangeBatch, quiet: boolean): void {
    const { config } = this;
    this.cursor.idle(quiet);
    if (config['heartbeat.interval.ms'] === 0 || performance.now() < this.nextHeartbeat) return;
    this.nextHeartbeat = performance.now() + config['heartbeat.interval.ms'];
    batch.addRecord(heartbeatRecord(config['topic.heartbeat.name'] ?? [config['topic.heartbeat.prefix'], config['topic.prefix']].join(config['topic.delimiter']), config['topic.prefix'], Date.now()));
    this.parts.housekeeping.heartbeatAction();
  }

  /** The offset is durable: its whole transactions may be forgotten by the server. */
  committed(offset: SourceOffset): void {
    this.whenDurable.committed(offset);
    const commit = offset['lsn_commit'];
    if (!this.manual && typeof commit === 'bigint' && commit > this.link.confirmed) { this.link.confirmed = commit; this.link.status(); }
  }

  /** Yields batches only where one buffer makes more than one; returns the last. */
  private async *read(buffer: Buffer | undefined): AsyncGenerator<ChangeBatch, ChangeBatch> {
    let batch = new ChangeBatch();
    if (buffer === undefined) return batch;
    batch.bytes = buffer.length;
    const processedNs = nowNs();
    for (let at = 0; at < buffer.length;) {
      const end = at + 1 + buffer.readInt32BE(at + 1);
      const type = buffer[at];
      if (type === 0x64) {
        if (buffer[at + 5] === 0x77) {
          const lsn = buffer.readBigUInt64BE(at + 6);
          const waiting = this.message(buffer, at + 30, end, lsn, batch, processedNs);
          if (waiting !== undefined) { const committed = await waiting; if (committed !== undefined) batch = yield* this.replay(committed, lsn, batch); }
        } else if (buffer[at + 5] === 0x6b) this.keepAlive(buffer.readBigUInt64BE(at + 6), buffer[at + 22] === 1, batch);
      } else if (type === 0x45) throw errorOf(buffer, at + 5, end);
      else if (type === 0x63 || type === 0x43 || type === 0x5a) {
        throw new RetriableError('The server ended the replication stream', { code: 'POSTGRES_STREAM_ENDED', hint: 'The task connects again by itself.' });
      }
      at = end;
    }
    return batch;
  }

  /** A promise only where the catalogue has to be asked, or a streamed transaction has committed. */
  private message(buffer: Buffer, start: number, end: number, lsn: bigint, batch: ChangeBatch, processedNs: bigint): Promise<StreamCommit | undefined> | undefined {
    try {
      if (this.open.inside && !isStreamControl(buffer[start])) { this.open.add(buffer, start, end, lsn); return undefined; }
      return this.take(decodeMessage(buffer, start, end), lsn, batch, processedNs);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      if (!this.tolerant) throw new DataError(`${error.message} (at ${formatLsn(lsn)})`, { code: error.code, ...(error.hint === undefined ? {} : { hint: error.hint }) });
      this.parts.metrics.add('events_skipped', 1);
      if (this.config['event.processing.failure.handling.mode'] === 'warn') this.parts.logger.warn({ lsn: formatLsn(lsn), code: error.code, reason: error.message }, 'event cannot be read and is left out');
      return undefined;
    }
  }

  private take(message: Message | undefined, lsn: bigint, batch: ChangeBatch, processedNs: bigint): Promise<StreamCommit | undefined> | undefined {
    switch (message?.kind) {
      case 'begin': this.begin(message.xid, message.finalLsn, message.commitUs, lsn); return undefined;
      case 'commit': this.commit(message.endLsn, message.commitUs, lsn, batch); return undefined;
      case 'relation': return this.relation(message);
      case 'insert': return this.insert(message, lsn, batch, processedNs);
      case 'update': return this.update(message, lsn, batch, processedNs);
      case 'delete': this.row('d', message.relation, message.before, undefined, lsn, batch, processedNs); return undefined;
      case 'truncate': for (const relation of message.relations) this.row('t', relation, undefined, undefined, lsn, batch, processedNs); return undefined;
      case 'message': this.logical(message, batch, processedNs); return undefined;
      case 'origin': if (this.cursor.transaction !== undefined) this.cursor.transaction.origin = { name: message.name, lsn: message.lsn }; return undefined;
      case 'stream-start': this.open.start(message.xid, lsn); return undefined;
      case 'stream-stop': this.open.stop(); this.parts.metrics.set('streamed_transactions_spilled_bytes', this.open.spilledBytes); return undefined;
      case 'stream-abort': this.open.abort(message.xid, message.subtransaction); return undefined;
      case 'stream-commit': return Promise.resolve(message);
      default: return undefined;
    }
  }

  /** A streamed transaction has committed: its messages as if they came now, in batches that are bounded. */
  private async *replay({ xid, commitLsn, endLsn, commitUs }: StreamCommit, lsn: bigint, into: ChangeBatch): AsyncGenerator<ChangeBatch, ChangeBatch> {
    let batch = into;
    this.begin(xid, commitLsn, commitUs, this.open.firstLsn(xid));
    for (const kept of this.open.messages(xid)) {
      const waiting = this.message(kept.message, 0, kept.message.length, kept.lsn, batch, nowNs());
      if (waiting !== undefined) await waiting;
      batch.bytes += kept.message.length + ROW_BYTES;
      if (batch.bytes < REPLAY_BYTES) continue;
      batch.more = true;
      batch.offset = this.offset();
      yield batch;
      batch = new ChangeBatch();
    }
    this.open.drop(xid);
    this.commit(endLsn, commitUs, lsn, batch);
    return batch;
  }

  private begin(xid: number, finalLsn: bigint, commitUs: bigint, lsn: bigint): void {
    this.parts.snapshot.began(BigInt(xid));
    this.parts.incremental.began(BigInt(xid));
    const mine = this.cursor.begin(xid, finalLsn, commitUs);
    this.tracker?.begin(BigInt(xid), lsn, commitUs, mine);
  }

  private commit(endLsn: bigint, commitUs: bigint, lsn: bigint, batch: ChangeBatch): void {
    this.flushBegin(batch);
    if (this.tracker !== undefined) batch.addRecord(this.tracker.end(lsn, commitUs));
    this.cursor.commit(endLsn, commitUs);
    this.parts.incremental.passed(endLsn, batch, () => this.source(endLsn, undefined));
  }

  private source(lsn: bigint, transaction: Transaction | undefined): Change['source'] { return this.cursor.source(lsn, transaction, this.parts.housekeeping.xmin); }

  private flushBegin(batch: ChangeBatch): void {
    const begun = this.tracker?.takeBegin();
    if (begun !== undefined) batch.addRecord(begun);
  }

  private async relation(message: Relation): Promise<undefined> {
    const { tables } = this.parts;
    if (!tables.captures(message.schema, message.table)) { this.relations.set(message.oid, null); return undefined; }
    const catalogue = await tables.find(message.oid, message.schema, message.table);
    this.relations.set(message.oid, await tables.describe(catalogue, message.columns, 'stream'));
    return undefined;
  }

  private row(op: Operation, oid: number, before: RowImage | undefined, after: RowImage | undefined, lsn: bigint, batch: ChangeBatch, processedNs: bigint): void {
    const table = this.relations.get(oid);
    const wanted = table !== undefined && table !== null && !this.skipped.has(op);
    if (this.cursor.taken(lsn)) { if (wanted && this.tracker !== undefined) this.count(table, { op, before, after }, lsn); return; }
    const transaction = this.cursor.advance(lsn, op === 'c' ? 'INSERT' : op === 'u' ? 'UPDATE' : op === 'd' ? 'DELETE' : 'TRUNCATE');
    if (!wanted || this.parts.snapshot.shown(table.schema.schema, table.schema.table, transaction?.finalLsn ?? 0n)) return;
    if (this.parts.options.skipUnchanged && op === 'u' && !this.parts.snapshot.settling(transaction?.finalLsn ?? 0n) && table.encoder.unchanged(before, after)) return;
    this.flushBegin(batch);
    const info = this.tracker === undefined ? undefined : this.count(table, { op, before, after }, lsn);
    const change: Change = { table: table.schema, op, before, after, source: this.source(lsn, transaction), transaction: info, processedNs };
    batch.add(change, table.encoder);
    this.parts.incremental.observe(change, batch, change.source);
  }

  private insert({ relation, after }: Extract<Message, { kind: 'insert' }>, lsn: bigint, batch: ChangeBatch, processedNs: bigint): Promise<undefined> | undefined {
    const reading = this.reselected('c', relation, after);
    if (reading === undefined) { this.row('c', relation, undefined, after, lsn, batch, processedNs); return undefined; }
    return reading.then(image => { this.row('c', relation, undefined, image, lsn, batch, processedNs); return undefined; });
  }

  /** While a snapshot goes on, a value that is not sent may be one that was never shown. */
  private update({ relation, before, after }: Extract<Message, { kind: 'update' }>, lsn: bigint, batch: ChangeBatch, processedNs: bigint): Promise<undefined> | undefined {
    const table = this.relations.get(relation);
    const image = before === undefined ? after : completed(after, before);
    const unshown = table !== undefined && table !== null && this.parts.snapshot.settling(this.cursor.transaction?.finalLsn ?? 0n) && image.start.includes(UNCHANGED_TOAST);
    const reading = unshown ? this.parts.snapshot.fill(table, image).then(filled => this.reselected('u', relation, filled) ?? filled) : this.reselected('u', relation, image);
    if (reading === undefined) { this.row('u', relation, before, image, lsn, batch, processedNs); return undefined; }
    return reading.then(whole => { this.row('u', relation, before, whole, lsn, batch, processedNs); return undefined; });
  }

  /** The row with what post processors read for it; undefined where they have nothing to do. */
  private reselected(op: Operation, oid: number, image: RowImage): Promise<RowImage> | undefined {
    const { reselection } = this.parts;
    if (reselection === undefined || this.skipped.has(op)) return undefined;
    const table = this.relations.get(oid);
    return table === undefined || table === null ? undefined : reselection.apply(table, image);
  }

  private count(table: CapturedTable, { op, before, after }: { op: Operation; before: RowImage | undefined; after: RowImage | undefined }, lsn: bigint): ReturnType<TransactionTracker['event']> {
    const { schema, encoder } = table;
    return this.tracker?.event(`${schema.schema}.${schema.table}`, lsn, encoder.keyChanged(op, before, after) ? 2 : 1);
  }

  private logical(message: Extract<Message, { kind: 'message' }>, batch: ChangeBatch, processedNs: bigint): void {
    const { lsn, prefix, content, transactional } = message;
    if (transactional && this.cursor.taken(lsn)) return;
    const transaction = transactional ? this.cursor.advance(lsn, 'MESSAGE') : undefined;
    if (this.parts.wantsMessage(prefix)) {
      if (transactional) this.flushBegin(batch);
      const info = transactional ? this.tracker?.event('message', lsn, 1) : undefined;
      batch.addRecord(messageRecord(this.parts.options, { prefix, content, source: this.source(lsn, transaction), processedNs, transaction: info }));
    }
    if (!transactional) this.cursor.pass(lsn);
  }

  private keepAlive(walEnd: bigint, reply: boolean, batch: ChangeBatch): void {
    this.asked = false;
    if (this.cursor.transaction === undefined) {
      this.parts.incremental.passed(walEnd, batch, () => this.source(walEnd, undefined));
      this.cursor.idleLsn = walEnd;
      if (walEnd - this.letGoAt > LET_GO_BYTES) { this.letGoAt = walEnd; this.parts.housekeeping.letGo(); }
    }
    if (reply) this.link.status();
  }

  close(): void { this.open.close(); this.link.destroy(); }
}
