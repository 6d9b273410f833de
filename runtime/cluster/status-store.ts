/**
 * The status topic: what every worker says of its connectors and tasks. Writes are behind: the last word per key is sent
 * as soon as the one before it is through, and again after a failure, until a newer word takes its place.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from '../api/logger.ts';
import type { Producer } from '../log/kafka/producer.ts';
import { encodeRecords, InternalTopic, type TopicSource } from './internal-topic.ts';
import { decodeStatusRecord, encodeStatusRecord, type StatusRecord, type WorkStatus } from './status-records.ts';
import { CONNECTOR_ITSELF, connectorOf, taskOf, type Work, workOf } from './work.ts';

const RETRY_MS = 300;
const SEND_MS = 30_000;

export interface StatusStoreOptions {
  readonly source: TopicSource;
  readonly producer: Pick<Producer, 'send'>;
  readonly topic: string;
  readonly partitions: number;
  readonly logger: Logger;
}
interface TopicUse { readonly task: number; readonly atMs: number }

export class StatusStore implements AsyncDisposable {
  private readonly options: StatusStoreOptions;
  private readonly statuses = new Map<Work, WorkStatus>();
  private readonly used = new Map<string, Map<string, TopicUse>>();
  private readonly pending = new Map<string, StatusRecord>();
  /** What this worker said last of the work that it has. */
  private readonly own = new Map<Work, WorkStatus>();
  private sending: Promise<void> | undefined;
  private readonly stop = new AbortController();
  private topic: InternalTopic | undefined;

  private constructor(options: StatusStoreOptions) { this.options = options; }

  static async open(options: StatusStoreOptions, timeoutMs: number): Promise<StatusStore> {
    const store = new StatusStore(options);
    store.topic = await InternalTopic.open({
      ...options,
      record: (_, record) => { const decoded = decodeStatusRecord(record); if (decoded !== undefined) store.read(decoded); },
    }, timeoutMs);
    return store;
  }

  private read(record: StatusRecord): void {
    this.apply(record);
    if (record.kind !== 'status' || record.status === null) return;
    const own = this.own.get(workOf(record.connector, record.task));
    // The late word of a worker that had it before, from behind a cut network: ours stands again.
    if (own !== undefined && own.workerId !== record.status.workerId && own.generation > record.status.generation) this.queue({ ...record, status: own });
  }

  private apply(record: StatusRecord): void {
    if (record.kind === 'status') {
      const work = workOf(record.connector, record.task);
      if (record.status === null) this.statuses.delete(work); else this.statuses.set(work, record.status);
      return;
    }
    let topics = this.used.get(record.connector);
    if (topics === undefined) { topics = new Map(); this.used.set(record.connector, topics); }
    if (record.seen === null) topics.delete(record.topic); else topics.set(record.topic, record.seen);
    if (topics.size === 0) this.used.delete(record.connector);
  }

  get(work: Work): WorkStatus | undefined { return this.statuses.get(work); }
  /** In order of their numbers. */
  tasks(connector: string): readonly (readonly [number, WorkStatus])[] {
    return [...this.statuses].filter(([work]) => connectorOf(work) === connector && taskOf(work) !== CONNECTOR_ITSELF).map(([work, status]) => [taskOf(work), status] as const).sort(([a], [b]) => a - b);
  }
  /** Everything that has a status. */
  works(): readonly Work[] { return [...this.statuses.keys()]; }
  /** Topics that a connector used, by name. */
  topics(connector: string): readonly string[] { return [...this.used.get(connector)?.keys() ?? []].sort(); }
  connectorsWithTopics(): readonly string[] { return [...this.used.keys()]; }

  /** Null removes. A worker that lost the work to a later generation must not write over the new owner's word: `safe` leaves it then. */
  put(work: Work, status: WorkStatus | null, safe = false): void {
    if (status === null || status.state === 'UNASSIGNED') this.own.delete(work); else this.own.set(work, status);
    if (safe && status !== null && this.isOvertaken(work, status)) return;
    this.queue({ kind: 'status', connector: connectorOf(work), task: taskOf(work), status });
  }
  private isOvertaken(work: Work, status: WorkStatus): boolean {
    const present = this.statuses.get(work);
    return present !== undefined && present.workerId !== status.workerId && present.generation > status.generation;
  }
  /** A farewell that waited while the work went to another worker. */
  private isLate(record: StatusRecord): boolean {
    return record.kind === 'status' && record.status?.state === 'UNASSIGNED' && this.isOvertaken(workOf(record.connector, record.task), record.status);
  }
  topicUsed(connector: string, topic: string, task: number): void {
    if (this.used.get(connector)?.has(topic) === true) return;
    this.queue({ kind: 'topic', connector, topic, seen: { task, atMs: Date.now() } });
  }
  /** Resolves when the removals are in the topic. */
  async resetTopics(connector: string): Promise<void> {
    for (const topic of this.topics(connector)) this.queue({ kind: 'topic', connector, topic, seen: null });
    await this.flush(SEND_MS);
    await this.topic?.readToEnd(SEND_MS);
  }

  private queue(record: StatusRecord): void {
    const { key } = encodeStatusRecord(record);
    this.pending.delete(key);
    this.pending.set(key, record);
    // Seen here at once; the topic tells the others.
    this.apply(record);
    this.sending ??= this.send().finally(() => { this.sending = undefined; });
  }

  private async send(): Promise<void> {
    const { producer, topic, partitions, logger } = this.options;
    while (this.pending.size > 0 && !this.stop.signal.aborted) {
      const records = [...this.pending.values()].filter(record => !this.isLate(record));
      this.pending.clear();
      if (records.length === 0) return;
      try { await producer.send(encodeRecords(topic, partitions, records.map(encodeStatusRecord)), AbortSignal.any([this.stop.signal, AbortSignal.timeout(SEND_MS)])); } catch (error) {
        for (const record of records) { const { key } = encodeStatusRecord(record); if (!this.pending.has(key)) this.pending.set(key, record); }
        if (this.stop.signal.aborted) return;
        logger.warn({ topic, reason: (error as Error).message }, 'status cannot be written');
        await pause(RETRY_MS * (0.75 + Math.random() / 2), undefined, { signal: this.stop.signal }).catch(() => { /* over */ });
      }
    }
  }

  /** Waits for what is queued, at most `timeoutMs`: a status is not worth a longer stop. */
  async flush(timeoutMs: number): Promise<void> {
    const over = new AbortController();
    await Promise.race([this.sending, pause(timeoutMs, undefined, { signal: over.signal }).catch(() => { /* sent in time */ })]);
    over.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush(2_000);
    this.stop.abort();
    await this.topic?.[Symbol.asyncDispose]();
  }
}
