/** One capture: publication, slot, snapshot if one is due, then the stream. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Client } from 'pg';
import type { Logger } from '../../../runtime/api/logger.ts';
import type { PartitionOffset, SourceBatch, SourceContext, SourceOffset, SourceSignal, SourceTask } from '../../../runtime/api/plugin.ts';
import { FatalError } from '../../../runtime/api/errors.ts';
import { nameFilter } from '../capture/table-filter.ts';
import { ChangeBatch } from './batch.ts';
import { CapturedTables } from './captured-tables.ts';
import type { PostgresConfig } from './config.ts';
import { close, connect, queryOn } from './connection.ts';
import type { EncodingOptions } from './encoding-options.ts';
import { encodingOptions } from './options.ts';
import { besidePosition, resumeFrom, snapshotOffset, streamOffset, type StreamPosition } from './offset.ts';
import { findings } from './preflight.ts';
import { createSlot, ensurePublication, findSlot, literal, type MadeSlot, setReplicaIdentities } from './replication.ts';
import type { CatalogueTable, Query } from './schema.ts';
import { Notifier } from '../capture/notifications.ts';
import { IncrementalSnapshot } from './incremental/incremental-snapshot.ts';
import { postProcessors } from './config/extensions.ts';
import { Reselection } from './reselection.ts';
import { SignalInbox } from '../capture/signal-inbox.ts';
import { propertiesUnder } from '../../../runtime/api/config-parse.ts';
import { Housekeeping } from './housekeeping.ts';
import { type Connection, exportSnapshot, readUnderOne, type SnapshotParts, tellable, toldTables } from './snapshot.ts';
import { SnapshotBeside } from './snapshot/beside.ts';
import { filtersOf, newTables } from './snapshot/new-tables.ts';
import { SnapshotProgress } from './snapshot/progress.ts';
import { nameOf, type Rounds } from './snapshot/rounds.ts';
import { checkServer, rememberFilters, rememberSlot } from './server-identity.ts';
import { freshPosition, plan } from './start.ts';
import { ReplicationLink } from './replication-link.ts';
import { ReplicationStream } from './stream.ts';

/** Reads the stored offset; connects only when the batches are pulled. */
export async function openTask(config: PostgresConfig, context: SourceContext, extra: Readonly<Record<string, string>>): Promise<SourceTask> {
  if (config['database.server.name'] !== undefined) context.logger.warn({ option: 'database.server.name' }, 'option is the former name of topic.prefix and is ignored');
  if (config['plugin.name'] !== 'pgoutput') context.logger.warn({ option: 'plugin.name' }, 'pgoutput is used as the output plugin');
  tellDriverOptions(extra, context.logger);
  const partition = { server: config['topic.prefix'] };
  return new PostgresTask(config, context, extra, partition, await context.offset(partition));
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await wait(ms, undefined, { signal }).catch(() => { /* aborted: what follows sees it */ });
}

function guardrail(config: PostgresConfig, tables: number, logger: Logger): void {
  const most = config['guardrail.collections.max'];
  if (most === 0 || tables <= most) return;
  if (config['guardrail.collections.limit.action'] === 'fail') throw new FatalError(`${tables} tables fit the filters, more than guardrail.collections.max allows (${most})`, { code: 'POSTGRES_GUARDRAIL', hint: 'Narrow table.include.list, or raise the limit.' });
  logger.warn({ tables, most }, 'more tables fit the filters than guardrail.collections.max');
}

/** Keys of `driver.` are checked by name where they mean something; the others would set Java's driver. */
function tellDriverOptions(extra: Readonly<Record<string, string>>, logger: Logger): void {
  for (const option of Object.keys(extra)) if (option.startsWith('driver.')) logger.warn({ option }, "option is one of java's driver and has no effect");
}

function signalOptions(config: PostgresConfig, extra: Readonly<Record<string, string>>, connector: string): ConstructorParameters<typeof SignalInbox>[0] {
  return {
    channels: config['signal.enabled.channels'], file: config['signal.file'], pollMs: config['signal.poll.interval.ms'], key: config['topic.prefix'],
    topic: { name: config['signal.kafka.topic'] ?? `${config['topic.prefix']}-signal`, group: `${config['signal.kafka.groupId']}-${connector}`, servers: config['signal.kafka.bootstrap.servers'], client: propertiesUnder('signal.consumer', extra) },
  };
}

class PostgresTask implements SourceTask {
  private readonly config: PostgresConfig;
  private readonly context: SourceContext;
  private readonly extra: Readonly<Record<string, string>>;
  private readonly partition: { readonly server: string };
  private readonly stored: SourceOffset | undefined;
  private readonly clients: Client[] = [];
  private stream: ReplicationStream | undefined;
  private readonly inbox: SignalInbox;
  private following: Promise<void> = Promise.resolve();
  private lastCommitted: SourceOffset | undefined;
  /** Aborts when the task is given up, whatever ended it. */
  private readonly ended = new AbortController();
  private awaited: { readonly offset: SourceOffset; readonly resolve: () => void } | undefined;

  constructor(config: PostgresConfig, context: SourceContext, extra: Readonly<Record<string, string>>, partition: { readonly server: string }, stored: SourceOffset | undefined) {
    this.config = config; this.context = context; this.extra = extra; this.partition = partition; this.stored = stored;
    this.inbox = new SignalInbox(signalOptions(config, extra, context.connector), context.logger);
  }

  private async open(replication: boolean): Promise<{ client: Client; query: Query }> {
    const client = await connect(this.config, replication);
    this.clients.push(client);
    return { client, query: replication ? queryOn(client, this.config, this.config['internal.create.slot.command.timeout'] * 1000) : queryOn(client, this.config) };
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
    const begun = stored === 'snapshot' && progress.resumed;
    const planned = await plan(query, config, begun ? this.position(progress) : stored, begun, found, context.logger);
    const { goesOn } = planned;
    if (goesOn && !planned.streams) progress.startOver();
    const parts = this.snapshotParts(tables, planned.reads || (begun && !goesOn) ? new SnapshotProgress(undefined) : progress, captured, options, planned.streams);
    if (planned.streams && !planned.reads && (goesOn || stored !== 'snapshot')) yield* this.joining(parts, query, goesOn, signal);
    else await rememberFilters(context.memory, filtersOf(config));
    let replication: { client: Client; query: Query } | undefined;
    let made: MadeSlot | undefined;
    if (planned.streams) {
      await ensurePublication(query, config, captured, context.logger);
      await setReplicaIdentities(query, config, captured, context.logger);
      replication = await this.open(true);
      await checkServer({ query, replicationQuery: replication.query, config, memory: context.memory, stored: planned.reads ? undefined : planned.from });
      if (found === undefined) made = await createSlot(replication.query, config['slot.name'], false, await this.failover(query));
    }
    let from = planned.from ?? freshPosition(made?.consistentLsn ?? found?.confirmedLsn ?? 0n);
    if (!planned.reads && stored === 'snapshot' && !goesOn) { const skipped = this.notifier().make('Initial Snapshot', 'SKIPPED'); if (skipped !== undefined) { const batch = new ChangeBatch(); batch.addRecord(skipped); yield batch; } }
    const told = tellable(planned.streams ? await toldTables(query, config) : new Set(), this.extra);
    let rounds: Rounds | undefined;
    if (planned.reads || (goesOn && !planned.streams)) {
      await pause(config['snapshot.delay.ms'], signal);
      const exported = made ?? (planned.streams ? await exportSnapshot(parts) : { consistentLsn: 0n, snapshot: '' });
      rounds = yield* this.snapshot(parts, exported, told, signal);
      from = freshPosition(exported.consistentLsn);
    }
    if (!signal.aborted && planned.streams && replication !== undefined) {
      await pause(config['streaming.delay.ms'], signal);
      const beside = new SnapshotBeside(parts, query, rounds, { tellable: told, lastXid: from.txId }, signal);
      await beside.prepare();
      yield* this.streaming(parts, query, replication.client, tables, options, from, beside, signal);
    }
    // initial_only: the task stays, with nothing more to do.
    if (!signal.aborted) await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }));
  }

  /** Of a snapshot that has not ended: where its stream stands. */
  private position(progress: SnapshotProgress): StreamPosition { return besidePosition(this.stored) ?? freshPosition(progress.origins[0]?.lsn ?? 0n); }

  /**
   * Tables that are captured only since the configuration changed. That they wait for their rows is made durable before
   * the publication has them and before the new configuration counts as known: a crash in between forgets none.
   */
  private async *joining(parts: SnapshotParts, query: Query, goesOn: boolean, signal: AbortSignal): AsyncGenerator<SourceBatch> {
    const { config, context } = this;
    const { progress } = parts;
    const names = await newTables(parts, query, context.memory === undefined ? undefined : await context.memory.get());
    if (names.length > 0) {
      progress.join(names);
      context.logger.info({ tables: names.slice(0, 20), count: names.length }, 'tables have joined, their rows are read beside the stream');
      const batch = new ChangeBatch();
      const position = goesOn ? this.position(progress) : resumeFrom(this.stored);
      if (position === 'snapshot') return;
      const offset = { partition: this.partition, offset: { ...streamOffset(position), ...progress.keys(position.commitLsn) } };
      batch.offset = offset;
      yield batch;
      await this.durable(offset, signal);
    }
    await rememberFilters(context.memory, filtersOf(config));
  }

  /** Resolves when the offset has been committed. */
  private async durable(offset: PartitionOffset, signal: AbortSignal): Promise<void> {
    if (this.lastCommitted === offset.offset) return;
    await new Promise<void>((resolve, reject) => {
      const stop = (): void => { reject(signal.reason as Error); };
      signal.addEventListener('abort', stop, { once: true });
      this.awaited = { offset: offset.offset, resolve: () => { signal.removeEventListener('abort', stop); resolve(); } };
    });
  }

  private async *streaming(parts: SnapshotParts, query: Query, client: Client, tables: CapturedTables, options: EncodingOptions, from: StreamPosition, snapshot: SnapshotBeside, signal: AbortSignal): AsyncGenerator<SourceBatch> {
    const { config, context } = this;
    const action = config['heartbeat.action.query'] ?? '';
    const [side, beats] = await Promise.all([this.open(false), action === '' ? undefined : this.open(false)]);
    const housekeeping = new Housekeeping({ query: side.query, act: beats?.query ?? side.query, config, logger: context.logger, metrics: context.metrics, slotStands: lsn => rememberSlot(context.memory, lsn) });
    await housekeeping.start();
    const [server] = await query("SELECT current_setting('server_version_num'), (SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout')");
    const processors = postProcessors(config, this.extra);
    const link = new ReplicationLink({ client, query, config, logger: context.logger, senderTimeoutMs: Number(server?.[1] ?? 0) }, from.commitLsn);
    const stream = new ReplicationStream({
      link, config, options, tables, partition: this.partition, from, housekeeping, logger: context.logger, metrics: context.metrics, snapshot,
      incremental: new IncrementalSnapshot({ query: side.query, config, tables, notifier: this.notifier(), logger: context.logger, metrics: context.metrics, inbox: this.inbox, readBlocking: (list, statements) => this.blocking(parts, list, statements, signal) }, this.stored),
      reselection: processors.length === 0 ? undefined : new Reselection(query, processors, config['signal.data.collection']?.[0], context.logger),
      wantsMessage: nameFilter({ include: config['message.prefix.include.list'] ?? [], exclude: config['message.prefix.exclude.list'] ?? [] }), version: Number(server?.[0] ?? 0),
    });
    this.stream = stream;
    await stream.start(signal);
    this.following = this.inbox.follow(context, this.ended.signal);
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

  private snapshotParts(tables: CapturedTables, progress: SnapshotProgress, captured: readonly CatalogueTable[], options: EncodingOptions, streams: boolean): SnapshotParts {
    const { config, extra } = this;
    const { logger, metrics } = this.context;
    return {
      config, extra, tables, progress, logger, metrics, streams, notifier: this.notifier(), captured: captured.map(nameOf), open: replication => this.open(replication),
      list: query => new CapturedTables(query, config, options).snapshotTables(),
    };
  }

  /** A snapshot asked for by a signal, while the stream waits. */
  private async *blocking(parts: SnapshotParts, list: readonly CatalogueTable[], statements: Readonly<Record<string, string>>, signal: AbortSignal): AsyncGenerator<ChangeBatch> {
    const own: SnapshotParts = { ...parts, extra: statements, progress: new SnapshotProgress(undefined), captured: list.map(nameOf), list: async () => list };
    const rounds = yield* readUnderOne(own, { consistentLsn: 0n, snapshot: '' }, { budgetMs: Number.POSITIVE_INFINITY, told: () => true }, signal);
    if (!signal.aborted) yield rounds.end();
  }

  /** Only a primary of version 17 or later can keep a slot on its standbys. */
  private async failover(query: Query): Promise<boolean> {
    if (!this.config['slot.failover']) return false;
    const [row] = await query("SELECT current_setting('server_version_num')::int >= 170000 AND NOT pg_is_in_recovery()");
    if (row?.[0] !== 't') this.context.logger.warn({ option: 'slot.failover' }, 'this server cannot keep failover slots, the option is passed over');
    return row?.[0] === 't';
  }

  /** The first part, under one snapshot; what it leaves is read beside the stream. */
  private async *snapshot(parts: SnapshotParts, exported: MadeSlot & { readonly connection?: Connection }, told: (name: string) => boolean, signal: AbortSignal): AsyncGenerator<SourceBatch, Rounds | undefined> {
    const { progress } = parts;
    const offset = (completed: boolean): PartitionOffset => {
      const { lsn, txId, timeUs } = progress.origins[0] ?? { lsn: 0n, txId: 0n, timeUs: 0n };
      return { partition: this.partition, offset: { ...snapshotOffset({ lsn, txId, timeUs, completed }), ...(!completed && progress.keys(0n)) } };
    };
    const reading = readUnderOne(parts, exported, { budgetMs: parts.streams ? this.config['snapshot.stream.after.ms'] : Number.POSITIVE_INFINITY, told }, signal);
    let step = await reading.next();
    for (; step.done !== true; step = await reading.next()) { step.value.offset = offset(false); yield step.value; }
    if (exported.connection !== undefined) await close(exported.connection.client);
    if (signal.aborted) return undefined;
    if (!step.value.done || progress.joining.size > 0) return step.value;
    const last = step.value.end();
    last.offset = offset(true);
    progress.complete(undefined);
    yield last;
    this.context.logger.info({}, 'snapshot done');
    return undefined;
  }

  async committed({ offset }: PartitionOffset): Promise<void> {
    this.lastCommitted = offset;
    if (this.awaited?.offset === offset) { this.awaited.resolve(); this.awaited = undefined; }
    this.stream?.committed(offset);
  }

  signal(signal: SourceSignal): void { this.inbox.put(signal); }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stream?.close();
    this.ended.abort();
    await this.following;
    await Promise.all(this.clients.map(close));
    if (!this.config['slot.drop.on.stop']) return;
    const client = await connect(this.config, false);
    try { await queryOn(client, this.config)(`SELECT pg_drop_replication_slot(${literal(this.config['slot.name'])})`); } finally { await close(client); }
  }
}
