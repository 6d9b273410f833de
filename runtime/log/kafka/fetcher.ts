/**
 * Reads partitions from their leaders: one request carries all partitions of a leader that have room, so a thousand idle
 * ones cost one waiting request. A broker answers a connection's requests in order; so that a partition that was read
 * empty need not wait until the idle ones' request is over, each leader has a second, quicker lane.
 */
import { FatalError, RetriableError } from '../../api/errors.ts';
import type { TopicPartition } from '../../api/plugin.ts';
import type { LogBatch, LogReader } from '../log.ts';
import { check, type KafkaClient } from './client.ts';
import { BrokerError, remedyOf } from './protocol/error-codes.ts';
import { EARLIEST, type FetchedPartition, fetchRecords, type Isolation, listOffsets } from './protocol/fetch-api.ts';
import { type FetchedBatch, parseFetched } from './fetched.ts';

export interface FetchOptions {
  readonly isolation: Isolation;
  /** `fetch.max.wait.ms`, `fetch.min.bytes`, `fetch.max.bytes`, `max.partition.fetch.bytes`, `client.rack` of Kafka's consumer. */
  readonly maxWaitMs: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly partitionBytes: number;
  readonly rack: string;
  readonly onRetry: (error: Error, attempt: number) => void;
}

const QUICK_WAIT_MS = 50;
/** Bytes read ahead over all partitions; above it only those are read that someone waits for. */
const AHEAD_BYTES = 32 * 1024 * 1024;
const OUT_OF_RANGE = 1;
const ENDS_AGE_MS = 1_000;

interface Source extends TopicPartition {
  /** Offset of the next fetch. */
  offset: number;
  /** Ends of the partition as the last answer told them, and when. */
  ends: { readonly start: number; readonly end: number; readonly at: number } | undefined;
  readonly ready: FetchedBatch[];
  bytes: number;
  fetching: boolean;
  pausedUntil: number;
  attempts: number;
  failure: Error | undefined;
  wake: () => void;
  waited: boolean;
}

export class Fetcher {
  private readonly client: KafkaClient;
  private readonly options: FetchOptions;
  private readonly sources = new Set<Source>();
  /** `leader/lane` with a request under way. */
  private readonly busy = new Set<string>();
  private readonly stop = new AbortController();
  private planned = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(client: KafkaClient, options: FetchOptions) { this.client = client; this.options = options; }

  reader(partition: TopicPartition, from: number): LogReader {
    const source: Source = { topic: partition.topic, partition: partition.partition, offset: from, ends: undefined, ready: [], bytes: 0, fetching: false, pausedUntil: 0, attempts: 0, failure: undefined, wake: () => undefined, waited: false };
    this.sources.add(source);
    return new KafkaReader(source, from, () => { this.plan(); }, () => { this.sources.delete(source); });
  }

  /** Ends of a partition that is being read, as its leader told them within the last `ENDS_AGE_MS`; no request is made. */
  ends({ topic, partition }: TopicPartition): { readonly start: number; readonly end: number } | undefined {
    for (const source of this.sources) if (source.topic === topic && source.partition === partition && source.ends !== undefined && performance.now() - source.ends.at < ENDS_AGE_MS) return source.ends;
    return undefined;
  }

  /** Runs the next round soon; several calls in one turn are one. */
  private plan(): void {
    if (this.planned || this.stop.signal.aborted) return;
    this.planned = true;
    queueMicrotask(() => { this.planned = false; void this.round(); });
  }

  private async round(): Promise<void> {
    clearTimeout(this.timer);
    const now = performance.now();
    let ahead = 0, resume = Number.POSITIVE_INFINITY;
    for (const { bytes } of this.sources) ahead += bytes;
    const byLeader = new Map<number, Source[]>();
    for (const source of this.sources) {
      if (source.fetching || source.failure !== undefined || source.bytes >= this.options.partitionBytes || (ahead >= AHEAD_BYTES && !(source.waited && source.bytes === 0))) continue;
      if (source.pausedUntil > now) { resume = Math.min(resume, source.pausedUntil); continue; }
      source.fetching = true;
      const leader = await this.leaderOf(source);
      if (leader === undefined) { source.fetching = false; resume = Math.min(resume, source.pausedUntil); continue; }
      const list = byLeader.get(leader);
      if (list === undefined) byLeader.set(leader, [source]); else list.push(source);
    }
    for (const [leader, list] of byLeader) this.send(leader, list);
    if (resume !== Number.POSITIVE_INFINITY) this.timer = setTimeout(() => { this.plan(); }, Math.max(1, resume - performance.now()));
  }

  private send(leader: number, list: readonly Source[]): void {
    const lane = ['fetch', 'quick'].find(name => !this.busy.has(`${leader}/${name}`));
    if (lane === undefined) { for (const source of list) source.fetching = false; return; }
    const key = `${leader}/${lane}`;
    this.busy.add(key);
    void this.fetch(leader, lane, list).finally(() => {
      this.busy.delete(key);
      for (const source of list) source.fetching = false;
      this.plan();
    });
  }

  private async leaderOf(source: Source): Promise<number | undefined> {
    try { return await this.client.leader(source, this.stop.signal); } catch (error) { this.failed(source, error as Error); return undefined; }
  }

  private async fetch(leader: number, lane: string, list: readonly Source[]): Promise<void> {
    const { isolation, minBytes, maxBytes, partitionBytes, rack, maxWaitMs } = this.options;
    const wait = lane === 'quick' ? Math.min(QUICK_WAIT_MS, maxWaitMs) : maxWaitMs;
    const asked = list.map(source => ({ topic: source.topic, partition: source.partition, offset: source.offset, maxBytes: partitionBytes }));
    try {
      const answer = await this.client.request(leader, fetchRecords, { maxWaitMs: wait, minBytes, maxBytes, isolation, rack, partitions: asked }, { lane, signal: this.stop.signal, timeoutMs: wait + this.client.config.requestTimeoutMs });
      check(answer.error, 'a fetch');
      const answers = new Map(answer.partitions.map(one => [`${one.topic}/${one.partition}`, one]));
      for (const source of list) {
        const found = answers.get(`${source.topic}/${source.partition}`);
        if (found !== undefined) await this.take(source, found);
      }
    } catch (error) { for (const source of list) this.failed(source, error as Error); }
  }

  private async take(source: Source, found: FetchedPartition): Promise<void> {
    const where = `a fetch of ${source.topic}-${source.partition}`;
    try {
      if (found.error === OUT_OF_RANGE) { await this.reposition(source); return; }
      if (remedyOf(found.error) === 'leader' && found.error !== 0) throw new BrokerError(found.error, where);
      check(found.error, where);
      const { batches, next } = parseFetched(found.records ?? Buffer.alloc(0), source.offset, this.options.isolation, found.aborted);
      source.attempts = 0;
      source.ends = { start: found.startOffset, end: found.highWatermark, at: performance.now() };
      source.offset = next;
      source.ready.push(...batches);
      for (const { bytes } of batches) source.bytes += bytes.length;
      if (batches.length > 0) source.wake();
    } catch (error) { this.failed(source, error as Error); }
  }

  /** Records before the start were deleted: reading goes on behind them. An offset beyond the end belongs to a log that is no more. */
  private async reposition(source: Source): Promise<void> {
    const leader = await this.client.leader(source, this.stop.signal);
    const [start] = await this.client.request(leader, listOffsets, { isolation: 'read_uncommitted', partitions: [{ topic: source.topic, partition: source.partition, timestamp: EARLIEST }] }, { signal: this.stop.signal });
    check(start?.error ?? 0, `the start of ${source.topic}-${source.partition}`);
    if (start === undefined || start.offset <= source.offset) throw new LostRecords(`Partition ${source.partition} of topic ${source.topic} ends before offset ${source.offset}, which was read up to already`, { code: 'LOG_TRUNCATED', hint: 'The topic was made again, or lost records when a replica that lagged became its leader.' });
    source.offset = start.offset;
  }

  /** Passing trouble is waited for; the rest goes to whoever reads this partition. */
  private failed(source: Source, error: Error): void {
    if (this.stop.signal.aborted) return;
    const gone = (error as { readonly code?: string }).code === 'TOPIC_UNKNOWN';
    if (!gone && (!(error instanceof RetriableError) || error instanceof LostRecords || (error instanceof BrokerError && error.remedy === 'stop'))) {
      source.failure = error;
      source.wake();
      return;
    }
    this.client.stale(source.topic);
    source.attempts++;
    const { backoffMs, backoffMaxMs } = this.client.config;
    source.pausedUntil = performance.now() + Math.min(backoffMaxMs, backoffMs * 2 ** Math.min(source.attempts - 1, 10)) * (0.8 + Math.random() * 0.4);
    if (!gone) this.options.onRetry(error, source.attempts);
  }

  close(): void {
    this.stop.abort();
    clearTimeout(this.timer);
    for (const source of this.sources) { source.failure ??= new FatalError('The log is closed', { code: 'LOG_CLOSED', hint: 'Open it again.' }); source.wake(); }
    this.sources.clear();
  }
}

class LostRecords extends RetriableError {}

class KafkaReader implements LogReader {
  position: number;
  private readonly source: Source;
  private readonly plan: () => void;
  private readonly release: () => void;

  constructor(source: Source, from: number, plan: () => void, release: () => void) { this.source = source; this.position = from; this.plan = plan; this.release = release; }

  async next(maxBytes: number, timeoutMs: number, signal: AbortSignal): Promise<readonly LogBatch[]> {
    const { source } = this;
    const deadline = performance.now() + timeoutMs;
    source.waited = true;
    try {
      for (;;) {
        if (source.ready.length > 0) return this.take(maxBytes);
        // Only hidden records came: they are behind us all the same.
        this.position = Math.max(this.position, source.offset);
        if (source.failure !== undefined) throw source.failure;
        const left = deadline - performance.now();
        if (left <= 0 || signal.aborted) return [];
        this.plan();
        await this.wait(left, signal);
      }
    } finally { source.waited = false; }
  }

  private take(maxBytes: number): LogBatch[] {
    const { source } = this;
    const taken: LogBatch[] = [];
    let size = 0;
    while (source.ready[0] !== undefined && (taken.length === 0 || size + source.ready[0].bytes.length <= maxBytes)) {
      const batch = source.ready.shift() as FetchedBatch;
      taken.push(batch);
      size += batch.bytes.length;
      this.position = batch.next;
    }
    source.bytes -= size;
    this.plan();
    return taken;
  }

  private async wait(ms: number, signal: AbortSignal): Promise<void> {
    await new Promise<void>(done => {
      const timer = setTimeout(finish, ms);
      function finish(): void { clearTimeout(timer); signal.removeEventListener('abort', finish); done(); }
      signal.addEventListener('abort', finish, { once: true });
      this.source.wake = finish;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> { this.release(); }
}
