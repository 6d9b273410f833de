/**
 * The endless part: the replication stream from a slot, transaction by transaction.
 *
 * Resuming: the server sends again every transaction that ends behind `commitLsn`. Of the one transaction that we had
 * taken in part (same id), events up to `lsn` and its further count are passed over; every other event is new,
 * whatever its LSN, since transactions that overlap commit in another order than they write.
 */
import type { Client } from 'pg';
import { RetriableError } from '../../../runtime/api/errors.ts';
import type { PartitionOffset, SourceOffset, SourcePartition } from '../../../runtime/api/plugin.ts';
import { ChangeBatch } from './batch.ts';
import type { CapturedTable, CapturedTables } from './captured-tables.ts';
import { type Change, type EventSource, type Operation, type RowImage, UNCHANGED_TOAST } from './change.ts';
import type { PostgresConfig } from './config.ts';
import { mapped } from './server-errors.ts';
import type { EncodingOptions } from './encoding-options.ts';
import { messageRecord } from './logical-message.ts';
import { formatLsn } from './lsn.ts';
import { nowNs } from './now.ts';
import { type StreamPosition, streamOffset } from './offset.ts';
import type { IncrementalSnapshot } from './incremental.ts';
import type { Housekeeping } from './housekeeping.ts';
import type { SnapshotProgress } from './snapshot-progress.ts';
import { TransactionTracker } from './transaction-metadata.ts';
import { heartbeatRecord } from '../capture/heartbeat.ts';
import type { Logger } from '../../../runtime/api/logger.ts';
import type { Query } from './schema.ts';
import { identifier, literal } from './replication.ts';
import { CopyStream, serverError } from './wire/copy-stream.ts';
import { decodeMessage, type Message, POSTGRES_EPOCH_US } from './wire/pgoutput.ts';

type Relation = Extract<Message, { kind: 'relation' }>;
interface Transaction { readonly xid: bigint; readonly finalLsn: bigint; readonly commitUs: bigint; origin: { readonly name: string; readonly lsn: bigint } | null; readonly resume: { lsn: bigint; further: number } | undefined }

/** With a full old row (REPLICA IDENTITY FULL) the values that an update left alone are known after all. */
function completed(after: RowImage, before: RowImage): RowImage {
  if (!after.start.includes(UNCHANGED_TOAST)) return after;
  const start = [...after.start], end = [...after.end];
  after.start.forEach((at, i) => { if (at === UNCHANGED_TOAST && (before.start[i] ?? -1) >= 0) { start[i] = before.start[i] ?? at; end[i] = before.end[i] ?? 0; } });
  return { buffer: after.buffer, start, end };
}

export interface StreamParts {
  readonly client: Client;
  readonly query: Query;
  readonly config: PostgresConfig;
  readonly options: EncodingOptions;
  readonly tables: CapturedTables;
  readonly partition: SourcePartition;
  readonly from: StreamPosition;
  readonly wantsMessage: (prefix: string) => boolean;
  readonly housekeeping: Housekeeping;
  readonly logger: Logger;
  readonly progress: SnapshotProgress;
  readonly incremental: IncrementalSnapshot;
}

/** Bytes of WAL without anything for us after which the server hears of it at once. */
const IDLE_BYTES = 8n * 1024n * 1024n;

export class ReplicationStream {
  private readonly parts: StreamParts;
  private readonly tracker: TransactionTracker | undefined;
  private readonly manual: boolean;
  private nextHeartbeat = 0;
  /** The server was asked how far it is, for a chunk that waits for that. */
  private asked = false;
  private readonly stream: CopyStream;
  private readonly config: PostgresConfig;
  private readonly options: EncodingOptions;
  private readonly tables: CapturedTables;
  private readonly partition: SourcePartition;
  private readonly relations = new Map<number, CapturedTable | null>();
  private readonly skipped: ReadonlySet<string>;
  private readonly wantsMessage: (prefix: string) => boolean;
  private transaction: Transaction | undefined;
  private resume: StreamPosition | undefined;
  private commitLsn: bigint;
  private lastCommitLsn: bigint | null = null;
  private position: StreamPosition;
  private confirmed: bigint;
  /** End of the newest WAL that the server has reported with nothing for us in it. */
  private idleLsn = 0n;
  private lastStatus = 0;

  constructor(parts: StreamParts) {
    this.parts = parts;
    this.stream = new CopyStream(parts.client);
    this.config = parts.config; this.options = parts.options; this.tables = parts.tables; this.partition = parts.partition;
    this.position = parts.from; this.commitLsn = parts.from.commitLsn; this.confirmed = parts.from.commitLsn;
    this.resume = parts.from.txId !== null && parts.from.lsn > parts.from.commitLsn ? parts.from : undefined;
    this.skipped = new Set(this.config['skipped.operations'].map(name => name.trim().toLowerCase()));
    this.wantsMessage = parts.wantsMessage;
    this.manual = (this.config['lsn.flush.mode'] ?? (this.config['flush.lsn.source'] ? 'connector' : 'manual')) === 'manual';
    this.tracker = this.config['provide.transaction.metadata'] ? new TransactionTracker([this.config['topic.prefix'], this.config['topic.transaction']].join(this.config['topic.delimiter'])) : undefined;
  }

  start(): void {
    const parameters = new Map([['proto_version', '1'], ['publication_names', identifier(this.config['publication.name'])], ...(this.messages ? [['messages', 'true'] as const] : [])]);
    for (const [, name = '', value = ''] of (this.config['slot.stream.params'] ?? '').matchAll(/([^;=]+)=([^;]*)/g)) parameters.set(name.trim(), value.trim());
    const listed = [...parameters].map(([name, value]) => `${identifier(name)} ${literal(value)}`).join(', ');
    this.stream.query(`START_REPLICATION SLOT ${identifier(this.config['slot.name'])} LOGICAL ${formatLsn(this.commitLsn)} (${listed})`);
  }
  /** False for servers below 14, which do not know the option. */
  messages = true;

  async *batches(signal: AbortSignal): AsyncGenerator<ChangeBatch> {
    const heartbeatMs = this.config['heartbeat.interval.ms'];
    const fileMs = this.config['signal.enabled.channels'].includes('file') ? this.config['signal.poll.interval.ms'] : 10_000;
    const statusMs = Math.max(100, Math.min(this.config['status.update.interval.ms'], fileMs, heartbeatMs > 0 ? heartbeatMs : 10_000));
    this.nextHeartbeat = performance.now() + heartbeatMs;
    // The pipeline holds records back while it is told of more; what then comes may hold nothing for it, and has to end that.
    let owed = false;
    try {
      while (!signal.aborted) {
        const buffer = await this.stream.next(owed ? 0 : statusMs, signal);
        if (performance.now() - this.lastStatus > statusMs) this.sendStatus();
        this.parts.housekeeping.tick();
        const batch = new ChangeBatch();
        const before = this.position;
        if (buffer !== undefined) { await this.read(buffer, batch); batch.bytes = buffer.length; }
        batch.more = this.stream.more;
        await this.between(batch, buffer === undefined);
        if (batch.length > 0 || this.position !== before || (owed && !batch.more)) {
          owed = batch.more;
          batch.offset = this.offset();
          yield batch;
        } else owed ||= batch.more;
        for await (const more of this.parts.incremental.work(() => formatLsn(this.position.lsn))) { more.offset = this.offset(); yield more; }
        if (this.parts.incremental.awaited !== undefined && !this.asked) { this.asked = true; this.sendStatus(true); }
      }
    } catch (error) { throw mapped(error, this.config); }
  }

  private offset(): PartitionOffset {
    const { position } = this;
    return { partition: this.partition, offset: { ...this.tracker?.offsetKeys(), ...streamOffset(position), ...this.parts.progress.streamKeys(position.commitLsn), ...this.parts.incremental.offsetKeys() } };
  }

  /** Heartbeats, and the step over WAL that holds nothing for us: its position is stored first and confirmed after. */
  private async between(batch: ChangeBatch, quiet: boolean): Promise<void> {
    const { transaction, position, idleLsn, config } = this;
    if (transaction === undefined && position.lsn === position.commitLsn && idleLsn > position.commitLsn && (quiet || idleLsn - position.commitLsn > IDLE_BYTES)) {
      this.commitLsn = idleLsn;
      this.position = { ...position, commitLsn: idleLsn, lsn: idleLsn, further: 0 };
    }
    if (config['heartbeat.interval.ms'] === 0 || performance.now() < this.nextHeartbeat) return;
    this.nextHeartbeat = performance.now() + config['heartbeat.interval.ms'];
    const prefix = config['topic.heartbeat.prefix'] === '__debezium-heartbeat' ? config['heartbeat.topics.prefix'] : config['topic.heartbeat.prefix'];
    batch.addRecord(heartbeatRecord(config['topic.heartbeat.name'] ?? [prefix, config['topic.prefix']].join(config['topic.delimiter']), config['topic.prefix'], Date.now()));
    const action = config['heartbeat.action.query'];
    if (action !== undefined && action !== '') await this.parts.query(action);
  }

  /** The offset is durable: its whole transactions may be forgotten by the server. */
  committed(offset: SourceOffset): void {
    const commit = offset['lsn_commit'];
    if (!this.manual && typeof commit === 'bigint' && commit > this.confirmed) { this.confirmed = commit; this.sendStatus(); }
  }

  private async read(buffer: Buffer, batch: ChangeBatch): Promise<void> {
    const processedNs = nowNs();
    for (let at = 0; at < buffer.length;) {
      const end = at + 1 + buffer.readInt32BE(at + 1);
      const type = buffer[at];
      if (type === 0x64) {
        if (buffer[at + 5] === 0x77) { const waiting = this.message(buffer, at + 30, end, buffer.readBigUInt64BE(at + 6), batch, processedNs); if (waiting !== undefined) await waiting; }
        else if (buffer[at + 5] === 0x6b) this.keepAlive(buffer.readBigUInt64BE(at + 6), buffer[at + 22] === 1, batch);
      } else if (type === 0x45) {
        const failure = serverError(buffer, at + 5, end);
        throw Object.assign(new Error(failure.message), { code: failure.code });
      } else if (type === 0x63 || type === 0x43 || type === 0x5a) {
        throw new RetriableError('The server ended the replication stream', { code: 'POSTGRES_STREAM_ENDED', hint: 'The task connects again by itself.' });
      }
      at = end;
    }
  }

  /** A promise only where the catalogue has to be asked. */
  private message(buffer: Buffer, start: number, end: number, lsn: bigint, batch: ChangeBatch, processedNs: bigint): Promise<void> | undefined {
    const message = decodeMessage(buffer, start, end);
    switch (message?.kind) {
      case 'begin': this.begin(message, lsn); return undefined;
      case 'commit': this.commit(message.endLsn, message.commitUs, lsn, batch); return undefined;
      case 'relation': return this.relation(message);
      case 'insert': this.row('c', message.relation, undefined, message.after, lsn, batch, processedNs); return undefined;
      case 'update': this.row('u', message.relation, message.before, message.after, lsn, batch, processedNs); return undefined;
      case 'delete': this.row('d', message.relation, message.before, undefined, lsn, batch, processedNs); return undefined;
      case 'truncate': for (const relation of message.relations) this.row('t', relation, undefined, undefined, lsn, batch, processedNs); return undefined;
      case 'message': this.logical(message, batch, processedNs); return undefined;
      case 'origin': if (this.transaction !== undefined) this.transaction.origin = { name: message.name, lsn: message.lsn }; return undefined;
      default: return undefined;
    }
  }

  private begin({ xid, commitUs, finalLsn }: Extract<Message, { kind: 'begin' }>, lsn: bigint): void {
    const { resume } = this;
    const mine = resume !== undefined && resume.txId !== null && (resume.txId & 0xffff_ffffn) === BigInt(xid);
    this.tracker?.begin(BigInt(xid), lsn, commitUs, mine);
    this.transaction = { xid: BigInt(xid), finalLsn, commitUs, origin: null, resume: mine ? { lsn: resume.lsn, further: resume.further } : undefined };
    if (resume !== undefined) this.resume = undefined;
  }

  private commit(endLsn: bigint, commitUs: bigint, lsn: bigint, batch: ChangeBatch): void {
    this.flushBegin(batch);
    if (this.tracker !== undefined) batch.addRecord(this.tracker.end(lsn, commitUs));
    const txId = this.transaction?.xid ?? null;
    this.commitLsn = endLsn;
    this.lastCommitLsn = endLsn;
    this.transaction = undefined;
    this.parts.incremental.passed(endLsn, batch, () => this.source(endLsn, undefined));
    this.position = { commitLsn: endLsn, lsn: endLsn, further: 0, txId, timeUs: commitUs, messageType: 'COMMIT' };
  }

  private flushBegin(batch: ChangeBatch): void {
    const begun = this.tracker?.takeBegin();
    if (begun !== undefined) batch.addRecord(begun);
  }

  private async relation(message: Relation): Promise<void> {
    if (!this.tables.captures(message.schema, message.table)) { this.relations.set(message.oid, null); return; }
    const catalogue = await this.tables.find(message.oid, message.schema, message.table);
    this.relations.set(message.oid, await this.tables.describe(catalogue, message.columns, 'stream'));
  }

  /** True when the event at `lsn` was taken before the restart. */
  private taken(lsn: bigint): boolean {
    const resume = this.transaction?.resume;
    if (resume === undefined || lsn > resume.lsn) return false;
    if (lsn < resume.lsn) return true;
    if (resume.further < 0) return false;
    resume.further--;
    return true;
  }

  private row(op: Operation, oid: number, before: RowImage | undefined, after: RowImage | undefined, lsn: bigint, batch: ChangeBatch, processedNs: bigint): void {
    const table = this.relations.get(oid);
    const wanted = table !== undefined && table !== null && !this.skipped.has(op);
    if (this.taken(lsn)) { if (wanted && this.tracker !== undefined) this.count(table, { op, before, after }, lsn); return; }
    const transaction = this.advance(lsn, op === 'c' ? 'INSERT' : op === 'u' ? 'UPDATE' : op === 'd' ? 'DELETE' : 'TRUNCATE');
    if (!wanted || this.parts.progress.shown(table.schema.schema, table.schema.table, transaction?.finalLsn ?? 0n)) return;
    const image = before === undefined || after === undefined ? after : completed(after, before);
    if (this.options.skipUnchanged && op === 'u' && table.encoder.unchanged(before, image)) return;
    this.flushBegin(batch);
    const info = this.tracker === undefined ? undefined : this.count(table, { op, before, after: image }, lsn);
    const change: Change = { table: table.schema, op, before, after: image, source: this.source(lsn, transaction), transaction: info, processedNs };
    batch.add(change, table.encoder);
    this.parts.incremental.observe(change, batch, change.source);
  }

  private count(table: CapturedTable, { op, before, after }: { op: Operation; before: RowImage | undefined; after: RowImage | undefined }, lsn: bigint): ReturnType<TransactionTracker['event']> {
    const { schema, encoder } = table;
    return this.tracker?.event(`${schema.schema}.${schema.table}`, lsn, encoder.keyChanged(op, before, after) ? 2 : 1);
  }

  private advance(lsn: bigint, messageType: string): Transaction | undefined {
    const { transaction, position } = this;
    const further = position.lsn === lsn && position.txId === transaction?.xid ? position.further + 1 : 0;
    this.position = { commitLsn: this.commitLsn, lsn, further, txId: transaction?.xid ?? null, timeUs: transaction?.commitUs ?? 0n, messageType };
    return transaction;
  }

  private source(lsn: bigint, transaction: Transaction | undefined): EventSource {
    return {
      commitUs: transaction?.commitUs ?? nowNs() / 1000n, snapshot: 'false', txId: transaction?.xid ?? null, lsn, lastCommitLsn: this.lastCommitLsn, xmin: this.parts.housekeeping.xmin,
      origin: transaction?.origin?.name ?? null, originLsn: transaction?.origin?.lsn ?? null,
    };
  }

  private logical(message: Extract<Message, { kind: 'message' }>, batch: ChangeBatch, processedNs: bigint): void {
    const { lsn, prefix, content, transactional } = message;
    if (transactional && this.taken(lsn)) return;
    const transaction = transactional ? this.advance(lsn, 'MESSAGE') : undefined;
    if (!this.wantsMessage(prefix)) return;
    if (transactional) this.flushBegin(batch);
    const info = transactional ? this.tracker?.event('message', lsn, 1) : undefined;
    batch.addRecord(messageRecord(this.options, { prefix, content, source: this.source(lsn, transaction), processedNs, transaction: info }));
  }

  private keepAlive(walEnd: bigint, reply: boolean, batch: ChangeBatch): void {
    this.asked = false;
    if (this.transaction === undefined) this.parts.incremental.passed(walEnd, batch, () => this.source(walEnd, undefined));
    if (this.transaction === undefined) this.idleLsn = walEnd;
    if (reply) this.sendStatus();
  }

  /** Standby status update: written, flushed, applied. */
  private sendStatus(reply = false): void {
    this.lastStatus = performance.now();
    const flushed = this.confirmed;
    const status = Buffer.alloc(34);
    status.write('r');
    status.writeBigUInt64BE(flushed, 1);
    status.writeBigUInt64BE(flushed, 9);
    status.writeBigUInt64BE(flushed, 17);
    status.writeBigInt64BE(nowNs() / 1000n - POSTGRES_EPOCH_US, 25);
    status[33] = reply ? 1 : 0;
    this.stream.send(status);
  }

  close(): void { this.stream.destroy(); }
}
