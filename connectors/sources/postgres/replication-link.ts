/**
 * The replication connection while it streams: it is started, framed, kept alive and watched here. What its messages
 * mean is the business of stream.ts.
 *
 * A dead network shows as silence. The server answers a status update that asks for it, at the latest after half its
 * wal_sender_timeout while it is busy decoding; so a server that says nothing for `connection.validation.timeout.ms`, or
 * for its own wal_sender_timeout where that is longer, is gone.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { Client } from 'pg';
import { RetriableError } from '../../../runtime/api/errors.ts';
import type { Logger } from '../../../runtime/api/logger.ts';
import type { PostgresConfig } from './config.ts';
import { formatLsn } from './lsn.ts';
import { nowNs } from './now.ts';
import { identifier, literal } from './replication.ts';
import type { Query } from './schema.ts';
import { CopyStream, serverError } from './wire/copy-stream.ts';
import { POSTGRES_EPOCH_US } from './wire/pgoutput.ts';

export interface LinkParts {
  /** A connection in replication mode. */
  readonly client: Client;
  /** Statements on another connection. */
  readonly query: Query;
  readonly config: PostgresConfig;
  readonly logger: Logger;
  /** The server's wal_sender_timeout; 0 for none. */
  readonly senderTimeoutMs: number;
}

const BUSY = '55006';
const LOOK_MS = 300;

export class ReplicationLink {
  private readonly parts: LinkParts;
  private readonly stream: CopyStream;
  private readonly silenceMs: number;
  private readonly statusMs: number;
  /** Messages that came with the server's consent to stream. */
  private early: Buffer | undefined;
  private lastStatus = 0;
  /** Bytes heard at `heardAt`; time counts only while we listen. */
  private heard = 0;
  private quietMs = 0;
  private pinged = false;
  private timer: NodeJS.Timeout | undefined;
  /** All before this position is durable here: the server may forget it. */
  confirmed: bigint;

  constructor(parts: LinkParts, confirmed: bigint) {
    this.parts = parts;
    this.confirmed = confirmed;
    const { config } = parts;
    this.stream = new CopyStream(parts.client, ...(config['max.queue.size.in.bytes'] > 0 ? [config['max.queue.size.in.bytes']] : []));
    this.silenceMs = Math.max(config['connection.validation.timeout.ms'], parts.senderTimeoutMs);
    this.statusMs = Math.max(100, config['status.update.interval.ms']);
  }

  /** Resolves when the server streams. A slot that is still busy is waited for as `slot.max.retries` and `slot.retry.delay.ms` say. */
  async start(from: bigint, parameters: ReadonlyMap<string, string>, signal: AbortSignal): Promise<void> {
    const { config, logger } = this.parts;
    const listed = [...parameters].map(([name, value]) => `${identifier(name)} ${literal(value)}`).join(', ');
    for (let attempt = 1; !signal.aborted; attempt++) {
      this.stream.query(`START_REPLICATION SLOT ${identifier(config['slot.name'])} LOGICAL ${formatLsn(from)} (${listed})`);
      const refusal = await this.answer(signal);
      if (refusal === undefined) { this.keptAlive(); return; }
      if (refusal.code !== BUSY || attempt > config['slot.max.retries']) throw refusal;
      logger.warn({ slot: config['slot.name'], attempt, retryMs: config['slot.retry.delay.ms'] }, 'replication slot is in use, waiting for it');
      await this.untilFree(signal);
    }
  }

  /** Undefined when the server streams, else what it said; then the connection can be used again. */
  private async answer(signal: AbortSignal): Promise<(Error & { readonly code: string }) | undefined> {
    let refusal: (Error & { readonly code: string }) | undefined;
    while (!signal.aborted) {
      const buffer = await this.next(this.statusMs, signal);
      if (buffer === undefined) continue;
      for (let at = 0; at < buffer.length;) {
        const end = at + 1 + buffer.readInt32BE(at + 1), type = buffer[at];
        if (type === 0x57) { if (end < buffer.length) this.early = buffer.subarray(end); return undefined; }
        if (type === 0x45) refusal = errorOf(buffer, at + 5, end);
        if (type === 0x5a && refusal !== undefined) return refusal;
        at = end;
      }
    }
    return refusal;
  }

  private async untilFree(signal: AbortSignal): Promise<void> {
    const { config, query } = this.parts;
    const deadline = performance.now() + config['slot.retry.delay.ms'];
    while (performance.now() < deadline && !signal.aborted) {
      await wait(Math.min(LOOK_MS, config['slot.retry.delay.ms']), undefined, { signal }).catch(() => { /* aborted: the loop ends */ });
      const [row] = await query(`SELECT active FROM pg_replication_slots WHERE slot_name = ${literal(config['slot.name'])}`);
      if (row?.[0] !== 't') return;
    }
  }

  /** True when more has arrived than was handed out. */
  get more(): boolean { return this.stream.more; }

  /** Whole messages, or undefined when `timeoutMs` is over; status updates go out meanwhile. Throws RetriableError POSTGRES_SILENT on a dead connection. */
  async next(timeoutMs: number, signal: AbortSignal): Promise<Buffer | undefined> {
    if (this.early !== undefined) { const { early } = this; this.early = undefined; return early; }
    const since = performance.now();
    const buffer = await this.stream.next(timeoutMs, signal);
    const now = performance.now();
    if (this.stream.received !== this.heard) { this.heard = this.stream.received; this.quietMs = 0; this.pinged = false; } else this.quietMs += now - since;
    if (this.quietMs > this.silenceMs) throw new RetriableError(`PostgreSQL has not answered on the replication connection for ${Math.round(this.quietMs / 1000)} s`, { code: 'POSTGRES_SILENT', hint: 'The task connects again by itself; check the network between here and the server.' });
    if (!this.pinged && this.quietMs > this.silenceMs / 3) { this.pinged = true; this.status(true); } else if (now - this.lastStatus > this.statusMs) this.status();
    return buffer;
  }

  /** A server that hears nothing cuts the connection, also while we read nothing because the log is full or slow. */
  private keptAlive(): void {
    const { senderTimeoutMs } = this.parts;
    // It asks by itself after half of its time.
    const mostMs = senderTimeoutMs > 0 ? Math.min(this.statusMs, senderTimeoutMs * 0.6) : this.statusMs;
    this.timer = setInterval(() => { if (performance.now() - this.lastStatus > mostMs) this.status(); }, mostMs / 3);
    this.timer.unref();
  }

  /** Standby status update: written, flushed, applied. With `reply` the server is asked for an answer. */
  status(reply = false): void {
    this.lastStatus = performance.now();
    const status = Buffer.alloc(34);
    status.write('r');
    for (const at of [1, 9, 17]) status.writeBigUInt64BE(this.confirmed, at);
    status.writeBigInt64BE(nowNs() / 1000n - POSTGRES_EPOCH_US, 25);
    status[33] = reply ? 1 : 0;
    this.stream.send(status);
  }

  destroy(): void { clearInterval(this.timer); this.stream.destroy(); }
}

/** An ErrorResponse as an error with the SQLSTATE as its code. */
export function errorOf(buffer: Buffer, start: number, end: number): Error & { readonly code: string } {
  const failure = serverError(buffer, start, end);
  return Object.assign(new Error(failure.message), { code: failure.code });
}
