/**
 * Log → sink task. Reads the partitions of a connector's topics side by side, hands record batches over, and flushes by
 * time and by bytes. The position of the group in the log is written after the target has the records, never before.
 */
import type { Transform } from '../api/converter.ts';
import { DataError, FatalError } from '../api/errors.ts';
import type { Logger } from '../api/logger.ts';
import type { Metrics } from '../api/metrics.ts';
import type { AssignedPartition, JsonOptions, PartitionPosition, SinkBatch, SinkRecord, SinkTask, TopicPartition } from '../api/plugin.ts';
import type { Log } from '../log/log.ts';
import { SplitScratch, splitBatch } from '../log/record-batch.ts';
import type { DeadLetters } from './dead-letters.ts';
import { PartitionFeed, type Arrival } from './partition-feed.ts';
import { isShared, type PartitionShare } from './partition-share.ts';
import { DecodedRecords, EncodedRecords, type SinkConverters } from './sink-batch.ts';
import { type RecordPlace, Tolerance, type ToleranceOptions } from './tolerance.ts';

/** Bytes of batches that may wait for the task, over all partitions. */
const READ_AHEAD_BYTES = 16 * 1024 * 1024;
/** Time that the last flush may take when the task is asked to stop, in milliseconds. */
const LAST_FLUSH_MS = 30_000;
const LAG_INTERVAL_MS = 1_000;

export interface SinkPipeline {
  readonly connector: string;
  /** Group of the log under which positions are kept: `connect-<connector>`, as Connect names it. */
  readonly group: string;
  readonly task: SinkTask;
  readonly log: Log;
  readonly topics: { readonly names: readonly string[]; readonly regex: RegExp | undefined };
  /** What of it is this task's; everything when left out. */
  readonly share?: PartitionShare;
  readonly converters: SinkConverters;
  readonly transforms: readonly Transform<SinkRecord>[];
  readonly tolerance: ToleranceOptions;
  readonly deadLetters: DeadLetters | undefined;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Told of each topic when its first record arrives. */
  readonly topicSeen: (topic: string) => void;
}

/** Runs until `signal` aborts (the accepted records are flushed then) or something fails. */
export async function runSinkPipeline(pipeline: SinkPipeline, signal: AbortSignal): Promise<void> {
  const run = new Run(pipeline, signal);
  try { await run.loop(); } finally { await run.close(); }
}

class Run {
  private readonly pipeline: SinkPipeline;
  private readonly signal: AbortSignal;
  /** Ends the waits of this run when it fails by itself: a pending timer would keep the task's thread alive. */
  private readonly over = new AbortController();
  private readonly feed: PartitionFeed;
  private readonly plain: JsonOptions | undefined;
  private readonly seen = new Set<string>();
  /** Next offset to hand over, by partition, and what identifies the topic that it belongs to. */
  private readonly consumed = new Map<string, PartitionPosition>();
  /** A batch is done with when the task has taken it in, so the next one may use its memory. */
  private readonly scratch = new SplitScratch();
  private dirty = false;
  private oldest = 0;
  private lastFlush = performance.now();
  private lastLag = 0;

  constructor(pipeline: SinkPipeline, signal: AbortSignal) {
    this.pipeline = pipeline;
    this.signal = signal;
    this.feed = new PartitionFeed(pipeline.log, READ_AHEAD_BYTES, signal);
    const key = pipeline.converters.key.readableJson, value = pipeline.converters.value.readableJson;
    this.plain = key !== undefined && value !== undefined && pipeline.transforms.length === 0 ? { keySchemas: key.schemas, valueSchemas: value.schemas } : undefined;
  }

  async loop(): Promise<void> {
    const { task } = this.pipeline;
    let changed = this.topicsChanged();
    await this.assign();
    while (!this.signal.aborted) {
      const wait = this.dirty ? Math.max(0, task.flushIntervalMs - (performance.now() - this.lastFlush)) : LAG_INTERVAL_MS;
      const arrival = await this.feed.next(Math.min(wait, LAG_INTERVAL_MS), changed.promise);
      if (changed.done()) { changed = this.topicsChanged(); await this.assign(); }
      if (arrival !== undefined) await this.deliver(arrival);
      const due = this.dirty && performance.now() - this.lastFlush >= task.flushIntervalMs;
      if (task.pendingBytes >= task.flushBytes || due) await this.flush(this.signal);
      await this.reportLag();
    }
    if (this.dirty) await this.flush(AbortSignal.timeout(LAST_FLUSH_MS));
  }

  private topicsChanged(): { readonly promise: Promise<void>; done(): boolean } {
    let done = false;
    const promise = this.pipeline.log.topicsChanged(AbortSignal.any([this.signal, this.over.signal])).then(() => { done = true; }, () => { done = this.signal.aborted; });
    return { promise, done: () => done };
  }

  private wanted(topic: string): boolean {
    const { names, regex } = this.pipeline.topics;
    return names.includes(topic) || (regex?.test(topic) ?? false);
  }

  /** Takes up new partitions, drops deleted ones. The task's own position counts before the group's. */
  private async assign(): Promise<void> {
    const { log, group, task, logger, share } = this.pipeline;
    const epoch = await log.epoch(group);
    const partitions: AssignedPartition[] = (await log.topics()).filter(({ name }) => this.wanted(name))
      .flatMap(({ name, id, partitions: count }) => Array.from({ length: count }, (_, partition) => ({ topic: name, partition, topicId: id, epoch })))
      .filter(one => share === undefined || isShared(one, share));
    const same = partitions.length === this.consumed.size && partitions.every(one => this.consumed.get(keyOf(one))?.topicId === one.topicId);
    if (same) return;
    if (this.dirty) await this.flush(this.signal);
    await log.registerGroup(group, partitions);
    const known = new Map((await log.positions(group)).map(position => [keyOf(position), position]));
    const own = new Map((await task.assign(partitions, this.signal)).map(position => [keyOf(position), position]));
    for (const key of this.consumed.keys()) if (!partitions.some(one => keyOf(one) === key)) { this.consumed.delete(key); await this.feed.remove(key); }
    for (const one of partitions) {
      const key = keyOf(one);
      const present = this.consumed.get(key);
      if (present?.topicId === one.topicId) continue;
      if (present !== undefined) await this.feed.remove(key);
      const { start, end } = await log.range(one);
      const held = own.get(key);
      if (held !== undefined && held.topicId === one.topicId && held.epoch === one.epoch && held.offset > end) throw logBehind(one, held.offset, end);
      const stored = [held, known.get(key)].find(position => position !== undefined && position.topicId === one.topicId && position.epoch === one.epoch);
      const from = Math.max(start, Math.min(stored?.offset ?? start, end));
      if (stored !== undefined && stored.offset < start) logger.error({ topic: one.topic, partition: one.partition, stored: stored.offset, start }, 'records were deleted before this sink read them');
      this.consumed.set(key, { ...one, offset: from });
      await this.feed.add(key, one, from);
    }
    logger.info({ partitions: partitions.length }, 'partitions assigned');
  }

  private async deliver(arrival: Arrival): Promise<void> {
    const { pipeline } = this;
    const started = performance.now();
    for (const batch of arrival.batches) {
      const position = this.consumed.get(arrival.key);
      if (position === undefined) return;
      const split = splitBatch(batch.bytes, this.scratch);
      let first = 0;
      while (first < split.length && split.baseOffset + (split.offsetDelta[first] ?? 0) < position.offset) first++;
      const count = split.length - first;
      if (count > 0) {
        const encoded = new EncodedRecords(position, split, first, count, pipeline.converters, this.plain);
        if (!this.dirty) this.oldest = encoded.timestamp(0);
        await this.put(encoded);
        this.dirty = true;
        pipeline.metrics.add('sink_records', count);
        if (!this.seen.has(position.topic)) { this.seen.add(position.topic); pipeline.topicSeen(position.topic); }
      }
      this.consumed.set(arrival.key, { ...position, offset: batch.lastOffset + 1 });
      if (pipeline.task.pendingBytes >= pipeline.task.flushBytes) await this.flush(this.signal);
    }
    this.feed.release(arrival);
    pipeline.metrics.set('sink_batch_seconds', (performance.now() - started) / 1000);
  }

  private async put(encoded: EncodedRecords): Promise<void> {
    const batch = this.plain === undefined ? await this.converted(encoded) : encoded;
    if (batch.length === 0) return;
    try { await this.pipeline.task.put(batch, this.signal); } catch (error) {
      if (!(error instanceof DataError)) throw error;
      await this.putSingly(batch, encoded, error);
    }
  }

  /** One of the records is bad: each is offered alone, so that only that one is given up. */
  private async putSingly(batch: EncodedRecords | DecodedRecords, encoded: EncodedRecords, first: DataError): Promise<void> {
    const tolerance = this.tolerance(batch, encoded);
    if (!tolerance.all) { await tolerance.give({ stage: 'TASK_PUT', place: placeOf(batch, 0), error: first }); return; }
    for (let i = 0; i < batch.length; i++) await tolerance.run('TASK_PUT', placeOf(batch, i), () => this.pipeline.task.put(batch.single(i), this.signal), this.signal);
  }

  /** General path: converters, then transforms, each record on its own. */
  private async converted(encoded: EncodedRecords): Promise<DecodedRecords> {
    const { converters, transforms } = this.pipeline;
    const tolerance = this.tolerance(encoded, encoded);
    const records: SinkRecord[] = [];
    for (let i = 0; i < encoded.length; i++) {
      const place = placeOf(encoded, i);
      const key = await tolerance.run('KEY_CONVERTER', place, () => converters.key.decode(encoded.topic, encoded.keyBytes(i)), this.signal);
      const value = key && await tolerance.run('VALUE_CONVERTER', place, () => converters.value.decode(encoded.topic, encoded.valueBytes(i)), this.signal);
      const headers = value && await tolerance.run('HEADER_CONVERTER', place, () => encoded.headers(i), this.signal);
      if (key === undefined || value === undefined || headers === undefined) continue;
      const record: SinkRecord = { topic: encoded.topic, partition: encoded.partition, offset: encoded.offset(i), timestamp: encoded.timestamp(i), key: key.value, value: value.value, headers: headers.value };
      const transformed = await tolerance.run('TRANSFORMATION', place, () => transforms.reduce<SinkRecord | null>((current, transform) => (current === null ? null : transform.apply(current)), record), this.signal);
      if (transformed?.value != null) records.push(transformed.value);
    }
    return new DecodedRecords(encoded, records, encoded.bytes);
  }

  private tolerance(batch: SinkBatch, encoded: EncodedRecords): Tolerance {
    const { deadLetters, logger, metrics } = this.pipeline;
    const indexOf = (offset: number | undefined): number => { for (let i = 0; i < encoded.length; i++) if (encoded.offset(i) === offset) return i; return 0; };
    return new Tolerance(this.pipeline.tolerance, {
      logger: logger.child({ topic: batch.topic }), metrics,
      ...(deadLetters === undefined ? {} : { report: async failure => { await deadLetters.report(encoded.raw(indexOf(failure.place.offset)), failure, this.signal); metrics.add('dead_letters', 1); } }),
    });
  }

  private async flush(signal: AbortSignal): Promise<void> {
    const { task, log, group, metrics, logger } = this.pipeline;
    const started = performance.now();
    const positions = await task.flush(signal);
    await log.commitPositions(group, [...this.consumed.values()]);
    this.dirty = false;
    this.lastFlush = performance.now();
    metrics.set('sink_commit_seconds', (this.lastFlush - started) / 1000);
    metrics.set('sink_commit_latency_seconds', Math.max(0, Date.now() - this.oldest) / 1000);
    metrics.set('sink_last_commit_timestamp_seconds', Date.now() / 1000);
    metrics.add('sink_commits', 1);
    logger.debug({ partitions: positions.length, ms: Math.round(this.lastFlush - started) }, 'flushed');
  }

  private async reportLag(): Promise<void> {
    const now = performance.now();
    if (now - this.lastLag < LAG_INTERVAL_MS) return;
    this.lastLag = now;
    const { log, metrics, task } = this.pipeline;
    metrics.set('sink_pending_bytes', task.pendingBytes);
    metrics.set('sink_queue_bytes', this.feed.bytes);
    for (const position of this.consumed.values()) {
      const description = await log.topic(position.topic);
      if (description?.id !== position.topicId) continue;
      const { end } = await log.range(position);
      metrics.set('sink_lag_records', end - position.offset, { topic: position.topic, partition: String(position.partition) });
    }
  }

  async close(): Promise<void> { this.over.abort(); await this.feed.close(); }
}

function keyOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string { return `${topic}\u0000${partition}`; }
function placeOf(batch: SinkBatch, i: number): RecordPlace { return { topic: batch.topic, partition: batch.partition, offset: batch.offset(i), timestamp: batch.timestamp(i) }; }

/** A log that was put back to an older copy: what is appended now would have offsets that the target believes to have. */
function logBehind({ topic, partition }: TopicPartition, held: number, end: number): FatalError {
  return new FatalError(`The target holds topic ${topic} partition ${partition} up to offset ${held}, but the log ends at ${end}: the log was put back to an older copy`, {
    code: 'LOG_BEHIND_SINK', hint: 'Stop this sink and reset its offsets (DELETE /connectors/NAME/offsets), so that it reads the topic from its start; let the source take a new snapshot.',
  });
}
