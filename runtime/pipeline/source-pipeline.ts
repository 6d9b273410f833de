/**
 * Source task → log. Records are encoded into one batch body per topic partition; bodies and the source offset go to the
 * log in one append, and while that is on its way the next bodies are filled. The task hears of an offset only when it
 * is durable.
 */
import type { Converter, Transform } from '../api/converter.ts';
import { DataError } from '../api/errors.ts';
import type { Metrics } from '../api/metrics.ts';
import type { EncodedHeader, JsonOptions, PartitionOffset, SourceBatch, SourceRecord, SourceTask } from '../api/plugin.ts';
import type { Log, LogWriter } from '../log/log.ts';
import { partOf } from '../log/record-batch.ts';
import { Bodies, BuilderPool } from './bodies.ts';
import { SourceAppends, type TransactionBoundary } from './source-appends.ts';
import type { Stage, Tolerance } from './tolerance.ts';

/** Bytes over all topics at which an append starts although the source has more. */
const APPEND_BYTES = 4 * 1024 * 1024;

export interface SourcePipeline {
  readonly connector: string;
  readonly task: SourceTask;
  readonly log: Log;
  /** Opened by whoever had to shut earlier writers out before the source read its offset, and closed by them; one of its own when left out. */
  readonly writer?: LogWriter;
  /** Each append when left out. */
  readonly boundary?: TransactionBoundary;
  readonly keyConverter: Converter;
  readonly valueConverter: Converter;
  readonly headerConverter: Converter;
  readonly transforms: readonly Transform<SourceRecord>[];
  readonly metrics: Metrics;
  /** `errors.*`: what a record that a transform or converter cannot take does; without it, it fails the task. */
  readonly tolerance?: Tolerance;
  /** Told of each topic before its first record is appended. */
  readonly topicSeen: (topic: string) => void;
}

/** Name of a connector's writer: a later one of the same name shuts the earlier one out. */
export function sourceWriter(connector: string): string { return `source:${connector}`; }

/** Runs until the source ends (after `signal`) or something fails; everything taken by then is in the log or will be read again. */
export async function runSourcePipeline(pipeline: SourcePipeline, signal: AbortSignal): Promise<void> {
  await using own = pipeline.writer === undefined ? await pipeline.log.writer(sourceWriter(pipeline.connector)) : undefined;
  const writer = pipeline.writer ?? own;
  if (writer === undefined) throw new TypeError('a pipeline has a writer');
  const broken = new AbortController();
  const run = new Run(pipeline, writer, signal, () => { broken.abort(); });
  // An append that fails while the source has nothing to say ends the source: `finish` throws what happened.
  for await (const batch of pipeline.task.batches(AbortSignal.any([signal, broken.signal]))) await run.take(batch);
  await run.finish();
}

class Run {
  private readonly pipeline: SourcePipeline;
  private readonly appends: SourceAppends;
  private readonly fast: JsonOptions | undefined;
  private bodies: Bodies;
  private spare: Bodies;
  private offset: PartitionOffset | undefined;
  private end: 'commit' | 'abort' | undefined;

  constructor(pipeline: SourcePipeline, writer: LogWriter, signal: AbortSignal, failed: () => void) {
    this.pipeline = pipeline;
    this.appends = new SourceAppends({ connector: pipeline.connector, writer, boundary: pipeline.boundary ?? { by: 'append' }, committed: offset => pipeline.task.committed(offset), failed, signal });
    const pool = new BuilderPool();
    this.bodies = new Bodies(pipeline.log, pipeline.topicSeen, pool);
    this.spare = new Bodies(pipeline.log, pipeline.topicSeen, pool);
    const key = pipeline.keyConverter.plainJson, value = pipeline.valueConverter.plainJson;
    this.fast = key !== undefined && value !== undefined && pipeline.transforms.length === 0 ? { keySchemas: key.schemas, valueSchemas: value.schemas } : undefined;
  }

  async take(batch: SourceBatch): Promise<void> {
    const json = this.fast === undefined ? undefined : batch.json?.(this.fast);
    const now = Date.now();
    for (let i = 0; i < batch.length; i++) {
      if (json === undefined) await this.general(batch.decode(i), now);
      else {
        const found = this.bodies.topic(batch.topic(i));
        const topic = found instanceof Promise ? await found : found;
        this.bodies.append(topic, now, out => json.writeKey(i, out), out => json.writeValue(i, out), json.headers(i));
      }
    }
    this.pipeline.metrics.add('source_records', batch.length);
    if (batch.offset !== undefined) this.offset = batch.offset;
    this.end = batch.end;
    if (!batch.more || batch.end !== undefined || this.bodies.bytes >= APPEND_BYTES) await this.append();
  }

  private async general(record: SourceRecord, now: number): Promise<void> {
    const { keyConverter, valueConverter, headerConverter, tolerance } = this.pipeline;
    let stage: Stage = 'TRANSFORMATION';
    try {
      const current = this.transformed(record);
      if (current === null) return;
      const { topic, partition, timestamp, headers } = current;
      stage = 'HEADER_CONVERTER';
      const encoded = headers.map((header): EncodedHeader => ({ name: header.name, value: headerConverter.encode(topic, header.schema, header.value) }));
      stage = 'KEY_CONVERTER';
      const key = partOf(keyConverter.encode(topic, current.key.schema, current.key.value));
      stage = 'VALUE_CONVERTER';
      const value = partOf(valueConverter.encode(topic, current.value.schema, current.value.value));
      const bodies = await this.bodies.topic(topic), time = timestamp ?? now;
      if (partition === null) this.bodies.append(bodies, time, key, value, encoded);
      else this.bodies.appendTo(bodies, partition, time, key, value, encoded);
    } catch (error) {
      if (tolerance === undefined || !(error instanceof DataError)) throw error;
      await tolerance.give({ stage, place: { topic: record.topic }, error });
    }
  }

  private transformed(record: SourceRecord): SourceRecord | null {
    let current: SourceRecord | null = record;
    for (const transform of this.pipeline.transforms) {
      current = transform.apply(current);
      if (current === null) return null;
    }
    return current;
  }

  /** Starts the append of what is filled, after the one before it is durable. */
  private async append(): Promise<void> {
    await this.appends.idle();
    const { offset, end, bodies } = this;
    const entries = bodies.take();
    if (entries.length === 0 && offset === undefined && end === undefined) return;
    this.offset = this.end = undefined;
    this.bodies = this.spare;
    this.spare = bodies;
    this.appends.send(entries, offset, end, () => { bodies.reset(); });
  }

  async finish(): Promise<void> {
    await this.append();
    await this.appends.finish();
  }
}
