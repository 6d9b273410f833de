/** The one SinkTask of all table formats: routes records to tables, keeps positions, flushes. */
import type { StructSchema } from '../../../envelopes/schema.ts';
import { DataError, FatalError } from '../../../runtime/api/errors.ts';
import type { AssignedPartition, PartitionPosition, RawJson, SinkBatch, SinkRecord, SinkTask, TaskContext } from '../../../runtime/api/plugin.ts';
import { bareKey, bareOperation, bareValue } from './bare-operation.ts';
import { columnsOf } from './column-types.ts';
import type { EnvelopeParser } from './envelope-parser.ts';
import { FastPath } from './fast-path.ts';
import { Inference } from './inference.ts';
import type { TableSinkConfig } from './options.ts';
import { Parquet } from './parquet.ts';
import { keyOf, operationOf, type RowOperation } from './row-operation.ts';
import type { Column, TableFormat, Token } from './table.ts';
import { type NameFacts, type TableNaming, tableNaming } from './table-name.ts';
import type { Binding } from './binding.ts';
import { TableWriter } from './table-writer.ts';

/** What a topic partition has brought so far. */
interface Input extends AssignedPartition {
  /** Next offset to take in. */
  next: number;
}

/** Offset of the next record of a partition that is news to a table. */
interface Standing { next: number }

/** Opens the task that writes to tables of `format`. */
export async function openTableSink(format: TableFormat, config: TableSinkConfig, context: TaskContext): Promise<SinkTask> {
  const parquet = await Parquet.open(Math.max(config['sink.memory.bytes'] / 2, config['commit.max.bytes'] * 2));
  return new TableSinkTask(format, config, context, parquet);
}

class TableSinkTask implements SinkTask {
  readonly flushBytes: number;
  readonly flushIntervalMs: number;
  private readonly format: TableFormat;
  private readonly config: TableSinkConfig;
  private readonly context: TaskContext;
  private readonly parquet: Parquet;
  private readonly naming: TableNaming;
  private readonly inputs = new Map<string, Input>();
  private readonly writers = new Map<string, TableWriter>();
  /** Tables that a topic's records went to in this task, and the binding last used. */
  private readonly routes = new Map<string, Map<TableWriter, Binding>>();
  /** By table: partitions that it took records of, and where each stands in it. */
  private readonly positions = new Map<TableWriter, Map<Input, Standing>>();
  private readonly fast = new FastPath();
  /** By table: schemas of rows and keys that came without. */
  private readonly inferences = new Map<string, { readonly rows: Inference; readonly keys: Inference }>();

  constructor(format: TableFormat, config: TableSinkConfig, context: TaskContext, parquet: Parquet) {
    this.format = format;
    this.config = config;
    this.context = context;
    this.parquet = parquet;
    this.naming = tableNaming(config['table.name.format']);
    this.flushBytes = config['commit.max.bytes'];
    this.flushIntervalMs = config['commit.interval.ms'];
  }

  get pendingBytes(): number { let sum = 0; for (const writer of this.writers.values()) sum += writer.pendingBytes; return sum; }

  async assign(partitions: readonly AssignedPartition[], signal: AbortSignal): Promise<readonly PartitionPosition[]> {
    const answers: PartitionPosition[] = [];
    const present = new Set(partitions.map(inputKey));
    for (const key of this.inputs.keys()) if (!present.has(key)) this.inputs.delete(key);
    for (const partition of partitions) {
      const known = this.inputs.get(inputKey(partition));
      if (known !== undefined && known.topicId === partition.topicId && known.epoch === partition.epoch) { answers.push({ ...partition, offset: known.next }); continue; }
      const input: Input = { ...partition, next: 0 };
      this.inputs.set(inputKey(partition), input);
      this.routes.delete(partition.topic);
      const offset = await this.resumeAt(partition, signal);
      if (offset !== undefined) answers.push({ ...partition, offset });
    }
    return answers;
  }

  /** What the table says. Without a table a first run begins at the start, whatever the group's position: a dropped table is written anew. */
  private async resumeAt(partition: AssignedPartition, signal: AbortSignal): Promise<number | undefined> {
    const name = this.naming.guess(partition.topic);
    if (name === undefined) return undefined;
    const writer = this.writers.get(name.join('.')) ?? await this.openWriter(name, signal);
    if (writer === undefined) return partition.epoch === 0 ? 0 : undefined;
    return this.tokenOf(writer, partition);
  }

  private tokenOf(writer: TableWriter, { topicId, partition, epoch }: AssignedPartition): number | undefined {
    return writer.table.tokens().find(token => token.connector === this.context.connector && token.topicId === topicId && token.partition === partition && token.epoch === epoch)?.offset;
  }

  private async openWriter(name: readonly string[], signal: AbortSignal): Promise<TableWriter | undefined> {
    const table = await this.format.open(name, signal);
    return table === undefined ? undefined : this.addWriter(name, new TableWriter(table, this.writerOptions()));
  }
  private addWriter(name: readonly string[], writer: TableWriter): TableWriter { this.writers.set(name.join('.'), writer); return writer; }
  private writerOptions(): ConstructorParameters<typeof TableWriter>[1] {
    return { upsert: this.config.mode === 'upsert', placeholder: this.config['unavailable.value.placeholder'], parquet: this.parquet, format: this.format, logger: this.context.logger, indexBytes: () => this.config['sink.memory.bytes'] / 2 - this.indexBytes() };
  }
  private indexBytes(): number { let sum = 0; for (const writer of this.writers.values()) sum += writer.indexBytes; return sum; }

  async put(batch: SinkBatch, signal: AbortSignal): Promise<void> {
    const input = this.inputs.get(inputKey(batch));
    if (input === undefined) throw new FatalError(`Topic ${batch.topic} partition ${batch.partition} is not assigned`, { code: 'NOT_ASSIGNED', hint: 'Report this: the worker handed over a partition that it had not announced.' });
    let way = this.fastWay(batch, input);
    for (let i = 0; i < batch.length; i++) {
      const offset = batch.offset(i);
      // What was taken in already comes again after a bad record made the runtime offer a batch record by record.
      if (offset < input.next) continue;
      if (way !== undefined && offset >= way.standing.next && way.parser.take(way.json, i)) way.standing.next = offset + 1;
      else {
        await this.takeGeneral(batch, i, input, signal);
        way = this.fastWay(batch, input);
      }
      input.next = offset + 1;
    }
  }

  /** What the fast path needs for records of this batch; undefined when all of them go the general way for now. */
  private fastWay(batch: SinkBatch, input: Input): { readonly parser: EnvelopeParser; readonly json: RawJson; readonly standing: Standing } | undefined {
    const { json } = batch, parser = this.fast.parserOf(batch);
    return json === undefined || parser === undefined ? undefined : { parser, json, standing: this.standing(parser.writer, input) };
  }

  /** Where a partition stands in a table: at first where the table's token says. */
  private standing(writer: TableWriter, input: Input): Standing {
    const places = this.places(writer);
    let standing = places.get(input);
    if (standing === undefined) { standing = { next: this.tokenOf(writer, input) ?? 0 }; places.set(input, standing); }
    return standing;
  }
  private places(writer: TableWriter): Map<Input, Standing> {
    let places = this.positions.get(writer);
    if (places === undefined) { places = new Map(); this.positions.set(writer, places); }
    return places;
  }
  /** False for a record that the table has taken in before a restart. */
  private isNews(writer: TableWriter, input: Input, offset: number): boolean { return offset >= this.standing(writer, input).next; }
  private note(writer: TableWriter, input: Input, offset: number): void { const standing = this.standing(writer, input); standing.next = Math.max(offset + 1, standing.next); }

  private async takeGeneral(batch: SinkBatch, i: number, input: Input, signal: AbortSignal): Promise<void> {
    const record = batch.decode(i);
    let operation: RowOperation;
    try { operation = isBare(record) ? await this.inferred(batch, i, record, signal) : operationOf(record); } catch (error) { throw withIndex(error, i); }
    if (operation.kind === 'ignore') return;
    if (operation.kind === 'tombstone') { await this.tombstone(record, operation, input, signal); return; }
    const name = this.naming.name(operation.facts);
    if (operation.kind === 'truncate') { await this.truncate(name, record, input, signal); return; }
    const rowSchema = operation.kind === 'upsert' ? operation.row.schema : operation.rowSchema;
    if (operation.key === undefined && this.config.mode === 'upsert') throw keyless(name, record.topic);
    const keySchema = operation.key?.schema;
    const writer = await this.writerFor(name, rowSchema, keySchema, signal);
    if (!this.isNews(writer, input, record.offset)) return;
    let binding = writer.binding(rowSchema, keySchema);
    if (binding === undefined) {
      await this.flushWriter(writer, signal);
      await writer.evolve(rowSchema, keySchema, signal);
      this.fast.forget(writer);
      binding = writer.binding(rowSchema, keySchema);
      if (binding === undefined) throw new FatalError(`Table ${name.join('.')} did not take the new columns`, { code: 'EVOLVE', hint: 'Report this with the schema of the record.' });
    }
    try {
      if (operation.kind === 'upsert') writer.upsert(binding, operation.row, operation.key, operation.oldKey);
      else if (operation.key !== undefined) writer.delete(binding, operation.key);
    } catch (error) { throw withIndex(error, i); }
    // A delete without schemas tells its key only, from which no parser of rows can be made.
    this.route(record.topic, writer, binding, operation.facts, operation.kind === 'upsert' || !isBare(record) ? batch : undefined, i);
    this.note(writer, input, record.offset);
  }

  private route(topic: string, writer: TableWriter, binding: Binding, facts: NameFacts, batch: SinkBatch | undefined, i: number): void {
    let routes = this.routes.get(topic);
    if (routes === undefined) { routes = new Map(); this.routes.set(topic, routes); }
    routes.set(writer, binding);
    if (batch !== undefined) this.fast.learn(batch, i, writer, binding, facts);
  }

  /** A record without schemas, its rows under schemas inferred from the table and from the values. */
  private async inferred(batch: SinkBatch, i: number, record: SinkRecord, signal: AbortSignal): Promise<RowOperation> {
    const bareKeyOf = bareKey(record);
    const operation = record.value.value === null ? undefined : bareOperation(record, bareValue(batch, i, record), bareKeyOf);
    if (operation?.kind === 'ignore' || operation?.kind === 'truncate') return operation;
    const name = operation === undefined ? this.naming.guess(record.topic) ?? this.naming.name(nowhere(record.topic)) : this.naming.name(operation.facts);
    const writer = this.writers.get(name.join('.')) ?? await this.openWriter(name, signal), columns = writer?.table.columns ?? [];
    let inference = this.inferences.get(name.join('.'));
    if (inference === undefined) { const placeholder = this.config['unavailable.value.placeholder']; inference = { rows: new Inference(placeholder, true), keys: new Inference(placeholder, false) }; this.inferences.set(name.join('.'), inference); }
    const { rows, keys } = inference;
    if (bareKeyOf !== undefined && columns.length === 0 && Object.values(bareKeyOf).includes(null)) throw new DataError(`The first record for table ${name.join('.')} has a null in its key, so the type of that column is not known`, { code: 'NULL_KEY', hint: 'Set key.converter.schemas.enable=true at the source and at this sink.' });
    const key = bareKeyOf === undefined ? keyOf(record) : keys.struct(bareKeyOf, columns);
    if (operation === undefined) return { kind: 'tombstone', key };
    if (operation.kind === 'delete') return writer === undefined || key === undefined ? { kind: 'ignore' } : { kind: 'delete', facts: operation.facts, rowSchema: key.schema, key };
    return { kind: 'upsert', facts: operation.facts, row: rows.struct(operation.row, columns), key, oldKey: operation.oldKey === undefined ? undefined : keys.struct(operation.oldKey, columns) };
  }

  private async tombstone(record: SinkRecord, operation: RowOperation & { kind: 'tombstone' }, input: Input, signal: AbortSignal): Promise<void> {
    if (operation.key === undefined || this.config.mode === 'append') return;
    const routes = [...(this.routes.get(record.topic) ?? [])];
    if (routes.length > 1) return;
    let writer = routes[0]?.[0];
    if (writer === undefined) {
      const name = this.naming.guess(record.topic) ?? this.naming.name(nowhere(record.topic));
      writer = this.writers.get(name.join('.')) ?? await this.openWriter(name, signal);
    }
    if (writer === undefined || !this.isNews(writer, input, record.offset)) return;
    const keySchema = operation.key.schema;
    const sameKey = keySchema.fields.length === writer.table.key.length && keySchema.fields.every(field => writer.table.key.includes(field.name));
    const binding = routes[0]?.[1].keySchema === keySchema ? routes[0]?.[1] : sameKey ? writer.binding(keySchema, keySchema) : undefined;
    if (binding === undefined) return;
    writer.delete(binding, operation.key);
    this.note(writer, input, record.offset);
  }

  private async truncate(name: readonly string[], record: SinkRecord, input: Input, signal: AbortSignal): Promise<void> {
    const writer = this.writers.get(name.join('.')) ?? await this.openWriter(name, signal);
    if (writer === undefined || !this.isNews(writer, input, record.offset)) return;
    if (this.config['truncate.enabled']) { writer.truncate(); this.fast.forget(writer); }
    else writer.touch();
    this.note(writer, input, record.offset);
  }

  private async writerFor(name: readonly string[], rowSchema: StructSchema, keySchema: StructSchema | undefined, signal: AbortSignal): Promise<TableWriter> {
    const known = this.writers.get(name.join('.'));
    if (known !== undefined) return known;
    const key = this.config.mode === 'upsert' ? keySchema?.fields.map(field => field.name) ?? [] : [];
    const nearest = (type: Column['type']): Column['type'] => this.format.fit?.(type) ?? type;
    const required = keySchema?.fields.filter(({ name: field, schema }) => key.includes(field) && !schema.optional).map(field => field.name) ?? [];
    const row = columnsOf(rowSchema, required, nearest);
    const columns = [...row, ...(keySchema === undefined || key.length === 0 ? [] : columnsOf(keySchema, required, nearest)).filter(column => !row.some(one => one.name === column.name))];
    const table = await this.format.openOrCreate({ name, columns, key }, signal);
    if (this.config.mode === 'upsert' && table.key.length === 0) throw keyless(name, name.join('.'));
    return this.addWriter(name, new TableWriter(table, this.writerOptions()));
  }

  async flush(signal: AbortSignal): Promise<readonly PartitionPosition[]> {
    for (const writer of this.writers.values()) await this.flushWriter(writer, signal);
    const { metrics } = this.context;
    metrics.set('key_index_bytes', this.indexBytes());
    return [...this.inputs.values()].map(({ next, ...partition }) => ({ ...partition, offset: next }));
  }

  private async flushWriter(writer: TableWriter, signal: AbortSignal): Promise<void> {
    if (!writer.dirty) return;
    const tokens = [...this.places(writer)].filter(([input]) => this.inputs.get(inputKey(input)) === input).map(([input, { next }]): Token => ({ connector: this.context.connector, topic: input.topic, topicId: input.topicId, partition: input.partition, epoch: input.epoch, offset: next }));
    await writer.flush(tokens, signal);
    this.fast.forget(writer);
    this.context.metrics.add('table_commits', 1, { table: writer.table.name.join('.') });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const writer of this.writers.values()) await writer.table[Symbol.asyncDispose]();
    await this.parquet[Symbol.asyncDispose]();
  }
}

/** True for a record whose row (or, of a tombstone, key) has no schema. */
function isBare({ value, key }: SinkRecord): boolean { return value.schema === null && (value.value !== null || key.schema === null); }
function nowhere(topic: string): NameFacts { return { topic, db: undefined, schema: undefined, table: undefined }; }

function inputKey({ topic, partition }: { readonly topic: string; readonly partition: number }): string { return `${topic}\u0000${partition}`; }

function keyless(name: readonly string[], topic: string): FatalError {
  return new FatalError(`Records of ${topic} have no key, so table ${name.join('.')} cannot be kept equal to its source`, { code: 'KEYLESS_TABLE', hint: 'Give the source table a primary key, set message.key.columns at the source, or set mode=append at this sink.' });
}

function withIndex(error: unknown, i: number): unknown {
  if (!(error instanceof DataError)) return error;
  return new DataError(`Record ${i} of the batch: ${error.message}`, { code: error.code, ...(error.hint === undefined ? {} : { hint: error.hint }), cause: error });
}
