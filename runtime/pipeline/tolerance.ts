/**
 * The one place that retries, skips or sends to the dead letters: `errors.*` of Kafka Connect (KIP-298).
 *
 * A RetriableError is tried again for up to `errors.retry.timeout`; then, and for a DataError at once, `errors.tolerance`
 * decides: `none` lets it fail the task, `all` reports the record and goes on.
 */
import { DataError, RetriableError, TributaryError } from '../api/errors.ts';
import type { Logger } from '../api/logger.ts';
import type { Metrics } from '../api/metrics.ts';

/** Where a record was when it failed; Connect's names. */
export type Stage = 'TASK_PUT' | 'TRANSFORMATION' | 'KEY_CONVERTER' | 'VALUE_CONVERTER' | 'HEADER_CONVERTER';

export interface ToleranceOptions {
  readonly tolerance: 'none' | 'all';
  /** Milliseconds; 0 = no retry, -1 = without end. */
  readonly retryTimeoutMs: number;
  readonly retryDelayMaxMs: number;
  readonly log: boolean;
  /** Topic, partition and offset in the log line; never the record itself. */
  readonly logMessages: boolean;
}

/** A record as the log knows it; for sources the offsets are missing. */
export interface RecordPlace { readonly topic: string; readonly partition?: number; readonly offset?: number; readonly timestamp?: number }
export interface Failure { readonly stage: Stage; readonly place: RecordPlace; readonly error: Error }
export interface ToleranceContext {
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Sinks with a dead letter topic: durable when it resolves. */
  readonly report?: (failure: Failure) => Promise<void>;
}

const FIRST_DELAY_MS = 300;

export class Tolerance {
  private readonly options: ToleranceOptions;
  private readonly context: ToleranceContext;
  constructor(options: ToleranceOptions, context: ToleranceContext) { this.options = options; this.context = context; }

  get all(): boolean { return this.options.tolerance === 'all'; }

  /** The operation's value, or undefined when the record was given up under `errors.tolerance=all`. */
  async run<T>(stage: Stage, place: RecordPlace, operation: () => T | Promise<T>, signal: AbortSignal): Promise<{ readonly value: T } | undefined> {
    const deadline = this.options.retryTimeoutMs < 0 ? Infinity : Date.now() + this.options.retryTimeoutMs;
    for (let attempt = 0; ; attempt++) {
      try { return { value: await operation() }; } catch (error) {
        if (signal.aborted) throw error;
        if (error instanceof RetriableError && Date.now() < deadline) { await this.delay(attempt, deadline, signal); continue; }
        await this.give({ stage, place, error: error as Error });
        return undefined;
      }
    }
  }

  /** Reports and counts a failure, or throws it. */
  async give(failure: Failure): Promise<void> {
    const { stage, place, error } = failure;
    const { logger, metrics, report } = this.context;
    metrics.add('record_errors', 1, { stage });
    if (this.options.log || this.all) {
      logger.error({ stage, code: error instanceof TributaryError ? error.code : error.name, reason: error.message, ...(this.options.logMessages ? place : { topic: place.topic }) }, this.all ? 'record skipped' : 'record failed');
    }
    if (!this.all || !(error instanceof DataError || error instanceof RetriableError)) throw located(failure);
    metrics.add('records_skipped', 1);
    if (report !== undefined) await report(failure);
  }

  private delay(attempt: number, deadline: number, signal: AbortSignal): Promise<void> {
    const limit = Math.min(FIRST_DELAY_MS * 2 ** Math.min(attempt, 20), this.options.retryDelayMaxMs);
    const ms = Math.max(0, Math.min(limit * (0.5 + Math.random() / 2), deadline - Date.now()));
    return new Promise(done => {
      const timer = setTimeout(finish, ms);
      function finish(): void { clearTimeout(timer); signal.removeEventListener('abort', finish); done(); }
      signal.addEventListener('abort', finish);
    });
  }
}

/** The same error with stage, topic, partition and offset in its message. */
function located({ stage, place, error }: Failure): Error {
  if (!(error instanceof TributaryError)) return error;
  const at = place.offset === undefined ? `topic ${place.topic}` : `topic ${place.topic}, partition ${place.partition}, offset ${place.offset}`;
  if (error.message.includes(at)) return error;
  const facts = { code: error.code, cause: error, ...(error.hint === undefined ? {} : { hint: error.hint }) };
  if (error instanceof DataError) return new DataError(`${error.message} (${stage}, ${at})`, facts);
  return error;
}
