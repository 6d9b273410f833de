/** One capture: publication, slot, snapshot if one is due, then the stream. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Client } from 'pg';
import type { Logger } from '../../../runtime/api/logger.ts';
import type { PartitionOffset, SourceBatch, SourceContext, SourceOffset, SourceTask } from '../../../runtime/api/plugin.ts';
import { FatalError } from '../../../runtime/api/errors.ts';
import { nameFilter } from '../capture/table-filter.ts';
import { ChangeBatch } from './batch.ts';
import { CapturedTables } from './captured-tables.ts';
import type { PostgresConfig } from './config.ts';
import { close, connect, queryOn } from './connection.ts';
import type { EncodingOptions } from './encoding-options.ts';
import { encodingOptions } from './options.ts';
import { resumeFrom, snapshotOffset, type StreamPosition } from './offset.ts';
import { findings } from './preflight.ts';
import { createSlot, ensurePublication, findSlot, literal, type MadeSlot, setReplicaIdentities } from './replication.ts';
import type { CatalogueTable, Query } from './schema.ts';
import { Notifier } from '../capture/notifications.ts';
import { IncrementalSnapshot } from './incremental.ts';
import { Housekeeping } from './housekeeping.ts';
import { beginSnapshot, lockTables, readTables, type SnapshotSource } from './snapshot.ts';
import { SnapshotProgress } from './snapshot-progress.ts';
import { freshPosition, plan } from './start.ts';
import { ReplicationLink } from './replication-link.ts';
import { ReplicationStream } from './stream.ts';

/** Reads the stored offset; connects only when the batches are pulled. */
export async function openTask(config: PostgresConfig, context: SourceContext, extra: Readonly<Record<string, string>>): Promise<SourceTask> {
  if (config['database.server.name'] !== undefined) context.logger.warn({ option: 'database.server.name' }, 'option is the former name of topic.prefix and is ignored');
  if (config['plugin.name'] !== 'pgoutput') context.logger.warn({ option: 'plugin.name' }, 'pgoutput is used as the output plugin');
  const partition = { server: config['topic.prefix'] };
  return new PostgresTask(config, context, extra, partition, await context.offset(partition));
}

function numberOf(value: unknown): bigint | undefined { return typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value)) ? BigInt(value) : undefined; }

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await wait(ms, undefined, { signal }).catch(() => { /* aborted: what follows sees it */ });
}

function guardrail(config: PostgresConfig, tables: number, logger: Logger): void {
  const most = config['guardrail.collections.max'];
  if (most === 0 || tables <= most) return;
  if (config['guardrail.collections.limit.action'] === 'fail') throw new FatalError(`${tables} tables fit the filters, more than guardrail.collections.max allows (${most})`, { code: 'POSTGRES_GUARDRAIL', hint: 'Narrow table.include.list, or raise the limit.' });
  logger.warn({ tables, most }, 'more tables fit the filters than guardrail.collections.max');
}

class PostgresTask implements SourceTask {
  private readonly config: PostgresConfig;
  private readonly context: SourceContext;
  private readonly extra: Readonly<Record<string, string>>;
  private readonly partition: { readonly server: string };
  private readonly stored: SourceOffset | undefined;
  private readonly clients: Client[] = [];
  private stream: ReplicationStream | undefined;

  constructor(config: PostgresConfig, context: SourceContext, extra: Readonly<Record<string, string>>, partition: { readonly server: string }, stored: SourceOffset | undefined) {
    this.config = config; this.context = context; this.extra = extra; this.partition = partition; this.stored = stored;
  }

  private async open(replication: boolean): Promise<{ client: Client; query: Query }> {
    const client = await connect(this.config, replication);
    this.clients.push(client);
    return { client, query: queryOn(client, this.config) };
  }

  async *batches(signal: AbortSignal): AsyncGenerator<SourceBatch> {
    const { config, context } = this;
    const { query } = await this.open(false);
    const options = encodingOptions(config, context, this.extra);
    const tables = new CapturedTables(query, config, options);
    await tables.loadTypes();
    const captured = await tables.catalogue();
    guardrail(config, captured.length, context.logger);
    this.tellFindings();
    const progress = new SnapshotProgress(this.stored);
    const stored = resumeFrom(this.stored);
    const found = await findSlot(query, config);
    const planned = await plan(query, config, stored, found, context.logger);
    let replication: { client: Client; query: Query } | undefined;
    let made: MadeSlot | undefined;
    if (planned.streams) {
      await ensurePublication(query, config, captured, context.logger);
      await setReplicaIdentities(query, config, captured, context.logger);
      replication = await this.open(true);
      if (found === undefined) made = await createSlot(replication.query, config['slot.name'], false, await this.failover(query));
    }
    const snapshotStart = numberOf(this.stored?.['lsn']);
    let from = planned.from ?? freshPosition(stored === 'snapshot' && progress.resumed && snapshotStart !== undefined ? snapshotStart : made?.consistentLsn ?? found?.confirmedLsn ?? 0n);
    if (!planned.reads && stored === 'snapshot') { const skipped = this.notifier().make('Initial Snapshot', 'SKIPPED'); if (skipped !== undefined) { const batch = new ChangeBatch(); batch.addRecord(skipped); yield batch; } }
    if (planned.reads) {
      await pause(config['snapshot.delay.ms'], signal);
      const read = made ?? (planned.streams ? await this.exportSnapshot() : { consistentLsn: 0n, snapshot: '' });
      const begin = progress.resumed ? from.commitLsn : read.consistentLsn;
      if (!progress.resumed) from = freshPosition(begin);
      yield* this.snapshot(tables, read, begin, progress, options, signal);
    }
    if (!signal.aborted && planned.streams && replication !== undefined) {
      await pause(config['streaming.delay.ms'], signal);
      yield* this.streaming(query, replication.client, tables, options, from, progress, signal);
    }
    // initial_only: the task stays, with nothing more to do.
    if (!signal.aborted) await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }));
  }

  private async *streaming(query: Query, client: Client, tables: CapturedTables, options: EncodingOptions, from: StreamPosition, progress: SnapshotProgress, signal: AbortSignal): AsyncGenerator<SourceBatch> {
    const { config, context } = this;
    const housekeeping = new Housekeeping(query, config, context.logger, context.metrics);
    await housekeeping.start();
    const [server] = await query("SELECT current_setting('server_version_num'), (SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout')");
    const link = new ReplicationLink({ client, query, config, logger: context.logger, senderTimeoutMs: Number(server?.[1] ?? 0) }, from.commitLsn);
    const stream = new ReplicationStream({
      link, config, options, tables, partition: this.partition, from, housekeeping, logger: context.logger, metrics: context.metrics, progress, incremental: new IncrementalSnapshot({ query: (await this.open(false)).query, config, tables, notifier: this.notifier(), logger: context.logger, readBlocking: (list, statements) => this.blocking(tables, list, statements, signal) }, this.stored),
      wantsMessage: nameFilter({ include: config['message.prefix.include.list'] ?? [], exclude: config['message.prefix.exclude.list'] ?? [] }), version: Number(server?.[0] ?? 0), originKeys: {},
    });
    this.stream = stream;
    await stream.start(signal);
    context.logger.info({ slot: config['slot.name'] }, 'streaming');
    yield* stream.batches(signal);
  }

  /** Beside the start, so that it costs no time: what the preflight finds goes to the log. */
  private tellFindings(): void {
    findings(this.config).then(list => {
      for (const { code, severity, option, message, mend } of list) this.context.logger[severity === 'error' ? 'error' : 'warn']({ code, option, mend }, message);
    }).catch((error: unknown) => { this.context.logger.debug({ reason: (error as Error).message }, 'preflight did not run'); });
  }

  private notifier(): Notifier {
    const { config } = this;
    return new Notifier(config['notification.enabled.channels'] ?? [], config['notification.sink.topic.name'], config['topic.prefix'], this.context.logger);
  }

  /** A snapshot asked for by a signal, while the stream waits. */
  private async *blocking(tables: CapturedTables, list: readonly CatalogueTable[], statements: Readonly<Record<string, string>>, signal: AbortSignal): AsyncGenerator<ChangeBatch> {
    const { client } = await this.open(false);
    const { logger, metrics } = this.context;
    const source: SnapshotSource = { client, config: this.config, extra: statements, tables, snapshot: '', lsn: 0n, logger, metrics, progress: new SnapshotProgress(undefined), notifier: this.notifier(), captured: list.map(({ schema, table }) => `${schema}.${table}`) };
    yield* readTables(source, await beginSnapshot(source), list, signal);
    await close(client);
  }

  /** Only a primary of version 17 or later can keep a slot on its standbys. */
  private async failover(query: Query): Promise<boolean> {
    if (!this.config['slot.failover']) return false;
    const [row] = await query("SELECT current_setting('server_version_num')::int >= 170000 AND NOT pg_is_in_recovery()");
    if (row?.[0] !== 't') this.context.logger.warn({ option: 'slot.failover' }, 'this server cannot keep failover slots, the option is passed over');
    return row?.[0] === 't';
  }

  /** The slot stands already, so a temporary one exports a snapshot with its exact position. */
  private async exportSnapshot(): Promise<MadeSlot> {
    const { query } = await this.open(true);
    return createSlot(query, `${this.config['slot.name'].slice(0, 50)}_tmp_${process.pid % 100_000}`, true);
  }

  /** `begin`: where the stream starts after it, which is what the offset holds until then. */
  private async *snapshot(tables: CapturedTables, made: MadeSlot, begin: bigint, progress: SnapshotProgress, options: EncodingOptions, signal: AbortSignal): AsyncGenerator<SourceBatch> {
    const { client } = await this.open(false);
    const { logger, metrics } = this.context;
    const source: SnapshotSource = { client, config: this.config, extra: this.extra, tables, snapshot: made.snapshot, lsn: made.consistentLsn, logger, metrics, progress, notifier: this.notifier(), captured: (await tables.catalogue()).map(({ schema, table }) => `${schema}.${table}`) };
    const facts = await beginSnapshot(source);
    const list = await new CapturedTables(queryOn(client, this.config), this.config, options).snapshotTables();
    await lockTables(source, list);
    const lsn = begin === 0n ? facts.lsn : begin;
    const offset = (completed: boolean): PartitionOffset => ({ partition: this.partition, offset: { ...snapshotOffset({ lsn, txId: facts.txId, timeUs: facts.timeUs, completed }), ...(completed ? progress.streamKeys(lsn) : progress.snapshotKeys()) } });
    logger.info({ tables: list.length, resumed: progress.resumed }, 'snapshot begins');
    for await (const batch of readTables(source, facts, list, signal)) { batch.offset = offset(false); yield batch; }
    if (signal.aborted) return;
    const done = new ChangeBatch();
    done.offset = offset(true);
    yield done;
    await close(client);
    logger.info({ tables: list.length }, 'snapshot done');
  }

  async committed({ offset }: PartitionOffset): Promise<void> { this.stream?.committed(offset); }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stream?.close();
    await Promise.all(this.clients.map(close));
    if (!this.config['slot.drop.on.stop']) return;
    const client = await connect(this.config, false);
    try { await queryOn(client, this.config)(`SELECT pg_drop_replication_slot(${literal(this.config['slot.name'])})`); } finally { await close(client); }
  }
}
