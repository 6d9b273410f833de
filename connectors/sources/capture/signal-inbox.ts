/**
 * Where signals arrive, whatever their channel (Debezium reference, "Signals"): rows of the signal table and requests of
 * REST are put in, the file is looked at and the topic followed from here. A signal
 * stays until it has been acted upon.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from '../../../runtime/api/logger.ts';
import type { SourceContext, TopicFeed } from '../../../runtime/api/plugin.ts';
import { type Signal, signalOfJson, takeFileSignals } from './signals.ts';

export interface SignalOptions {
  /** signal.enabled.channels. */
  readonly channels: readonly string[];
  readonly file: string;
  readonly pollMs: number;
  readonly topic: { readonly name: string; readonly group: string; readonly servers: string | undefined; readonly client: Readonly<Record<string, string>> };
  /** topic.prefix: only signals with this key are for us. */
  readonly key: string;
}
/** `done` is to be called when what the signal asked for is durable. */
export interface Arrived { readonly signal: Signal; readonly done: (() => Promise<void>) | undefined }

/** Names of channels that mean something here; `jmx` and `in-process` are requests of REST, which are always heard. */
const CHANNELS = new Set(['source', 'file', 'kafka', 'jmx', 'in-process']);
/** Signals that may wait; a topic is not read further while so many do. */
const MOST_WAITING = 1_000;
const FEED_WAIT_MS = 10_000;
const FIRST_RETRY_MS = 1_000, MOST_RETRY_MS = 60_000;

export class SignalInbox {
  private readonly options: SignalOptions;
  private readonly logger: Logger;
  private readonly waiting: Arrived[] = [];
  private nextFile = 0;
  private nextOffset = 0;

  constructor(options: SignalOptions, logger: Logger) {
    this.options = options; this.logger = logger;
    for (const channel of options.channels) if (!CHANNELS.has(channel)) logger.warn({ channel, option: 'signal.enabled.channels' }, 'signal channel is not known and is passed over');
  }

  put(signal: Signal): void { this.waiting.push({ signal, done: undefined }); }
  /** The first, which stays until it has been acted upon. */
  get first(): Arrived | undefined { return this.waiting[0]; }
  dropFirst(): void { this.waiting.shift(); }
  /** Those that nobody would send again after a crash. */
  unrepeatable(): readonly Signal[] { return this.waiting.filter(({ done }) => done === undefined).map(({ signal }) => signal); }

  /** Looks at the file when it is due. */
  async poll(): Promise<void> {
    const { channels, file, pollMs } = this.options;
    if (!channels.includes('file') || performance.now() < this.nextFile) return;
    this.nextFile = performance.now() + pollMs;
    for (const signal of await takeFileSignals(file, this.logger)) this.put(signal);
  }

  /** Follows the topic until `signal` aborts, where the channel is on. Never throws: the stream does not depend on it. */
  async follow(context: SourceContext, signal: AbortSignal): Promise<void> {
    const { channels, topic } = this.options;
    if (!channels.includes('kafka')) return;
    if (context.feed === undefined) { this.logger.warn({ option: 'signal.enabled.channels' }, 'no topics can be read here, the channel kafka is off'); return; }
    for (let delay = FIRST_RETRY_MS; !signal.aborted; delay = Math.min(delay * 2, MOST_RETRY_MS)) {
      try {
        await using feed = await context.feed({ topic: topic.name, group: topic.group, servers: topic.servers, client: topic.client });
        this.nextOffset = 0;
        while (!signal.aborted) { await this.next(feed, signal); delay = FIRST_RETRY_MS; }
      } catch (error) {
        if (signal.aborted) return;
        this.logger.warn({ topic: topic.name, reason: (error as Error).message, retryMs: delay }, 'signal topic cannot be read');
        await wait(delay * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => { /* aborted */ });
      }
    }
  }

  private async next(feed: TopicFeed, signal: AbortSignal): Promise<void> {
    const { key, topic, pollMs } = this.options;
    if (this.waiting.length >= MOST_WAITING) { await wait(pollMs, undefined, { signal }); return; }
    for (const record of await feed.next(FEED_WAIT_MS, signal)) {
      if (record.offset < this.nextOffset) continue;
      this.nextOffset = record.offset + 1;
      const { offset } = record;
      if (record.key !== key && record.key !== JSON.stringify(key)) { this.logger.info({ topic: topic.name, offset }, 'signal is for another connector'); continue; }
      const found = record.value === null || record.value === '' ? undefined : signalOfJson(record.value, { topic: topic.name, offset }, this.logger);
      if (found !== undefined) this.waiting.push({ signal: found, done: () => feed.commit(offset + 1) });
    }
  }
}
