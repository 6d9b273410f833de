/** One capture: publication, slot, snapshot if one is due, then the stream. */
import type { Client } from 'pg';
import type { PartitionOffset, SourceBatch, SourceContext, SourceOffset, SourceTask } from '../../../runtime/api/plugin.ts';
import { FatalError } from '../../../runtime/api/errors.ts';
import { nameFilter } from '../capture/table-filter.ts';
import { ChangeBatch } from './batch.ts';
import { CapturedTables } from './captured-tables.ts';
import type { PostgresConfig } from './config.ts';
import { connect, queryOn } from './connection.ts';
import { encodingOptions } from './options.ts';
import { resumeFrom, snapshotOffset, type StreamPosition } from './offset.ts';
import { createSlot, ensurePublication, findSlot, literal, type MadeSlot } from './replication.ts';
import type { Query } from './schema.ts';
import { beginSnapshot, readTables, type SnapshotSource } from './snapshot.ts';
import { ReplicationStream } from './stream.ts';

/** Reads the stored offset; connects only when the batches are pulled. */
export async function openTask(config: PostgresConfig, context: SourceContext, extra: Readonly<Record<string, string>>): Promise<SourceTask> {
  if (config['database.server.name'] !== undefined) context.logger.warn({ option: 'database.server.name' }, 'option is the former name of topic.prefix and is ignored');
  if (config['plugin.name'] !== 'pgoutput') context.logger.warn({ option: 'plugin.name' }, 'pgoutput is used as the output plugin');
  const partition = { server: config['topic.prefix'] };
  return new PostgresTask(config, context, extra, partition, await context.offset(partition));
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
    await ensurePublication(query, config, await tables.catalogue(), context.logger);
    const resume = resumeFrom(this.stored);
    const replication = await this.open(true);
    const slot = await this.slot(query, replication.query, resume !== 'snapshot');
    const wanted = config['snapshot.mode'];
    const reads = resume === 'snapshot' ? wanted !== 'no_data' : wanted === 'always';
    let from: StreamPosition = resume === 'snapshot' ? { commitLsn: slot.consistentLsn, lsn: slot.consistentLsn, further: 0, txId: null, timeUs: 0n, messageType: '' } : resume;
    if (reads) {
      const made = slot.snapshot === '' ? await this.exportSnapshot() : slot;
      yield* this.snapshot(tables, made, signal);
      from = { commitLsn: made.consistentLsn, lsn: made.consistentLsn, further: 0, txId: null, timeUs: 0n, messageType: '' };
    }
    if (signal.aborted || wanted === 'initial_only') return;
    const stream = new ReplicationStream({ client: replication.client, config, options, tables, partition: this.partition, from, wantsMessage: nameFilter({ include: config['message.prefix.include.list'] ?? [], exclude: config['message.prefix.exclude.list'] ?? [] }) });
    const [version] = await query('SHOW server_version_num');
    stream.messages = Number(version?.[0] ?? 0) >= 140_000;
    stream.start();
    this.stream = stream;
    context.logger.info({ slot: config['slot.name'] }, 'streaming');
    yield* stream.batches(signal);
  }

  /** Finds the slot, or makes it; `snapshot` is empty for one that was there. */
  private async slot(query: Query, replicationQuery: Query, mustExist: boolean): Promise<MadeSlot> {
    const name = this.config['slot.name'];
    const found = await findSlot(query, this.config);
    if (found !== undefined) return { consistentLsn: found.confirmedLsn, snapshot: '' };
    if (mustExist) {
      throw new FatalError(`Replication slot '${name}' is gone, but there is a stored offset: the changes since then are no longer on the server`, {
        code: 'POSTGRES_SLOT_GONE', hint: "Stop the connector, reset its offsets (DELETE /connectors/NAME/offsets) and resume it for a new snapshot; or set snapshot.mode=when_needed.",
      });
    }
    return createSlot(replicationQuery, name, false, this.config['slot.failover']);
  }

  /** The slot stands already, so a temporary one exports a snapshot with its exact position. */
  private async exportSnapshot(): Promise<MadeSlot> {
    const { query } = await this.open(true);
    return createSlot(query, `${this.config['slot.name'].slice(0, 50)}_tmp_${process.pid % 100_000}`, true);
  }

  private async *snapshot(tables: CapturedTables, made: MadeSlot, signal: AbortSignal): AsyncGenerator<SourceBatch> {
    const { client } = await this.open(false);
    const { logger, metrics } = this.context;
    const source: SnapshotSource = { client, config: this.config, tables, snapshot: made.snapshot, lsn: made.consistentLsn, logger, metrics };
    const facts = await beginSnapshot(source);
    const list = await new CapturedTables(queryOn(client, this.config), this.config, encodingOptions(this.config, this.context, this.extra)).snapshotTables();
    const offset = (completed: boolean): PartitionOffset => ({ partition: this.partition, offset: snapshotOffset({ lsn: made.consistentLsn, txId: facts.txId, timeUs: facts.timeUs, completed }) });
    logger.info({ tables: list.length }, 'snapshot begins');
    for await (const batch of readTables(source, facts, list, signal)) { batch.offset = offset(false); yield batch; }
    if (signal.aborted) return;
    const done = new ChangeBatch();
    done.offset = offset(true);
    yield done;
    await client.end();
    logger.info({ tables: list.length }, 'snapshot done');
  }

  async committed({ offset }: PartitionOffset): Promise<void> { this.stream?.committed(offset); }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stream?.close();
    await Promise.allSettled(this.clients.map(client => client.end()));
    if (!this.config['slot.drop.on.stop']) return;
    const client = await connect(this.config, false);
    try { await queryOn(client, this.config)(`SELECT pg_drop_replication_slot(${literal(this.config['slot.name'])})`); } finally { await client.end(); }
  }
}
