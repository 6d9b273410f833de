/**
 * The bytes of a COPY or of a replication stream, framed by us over the socket of a driver that has connected and
 * authenticated. Chunks are collected and handed out as one buffer of whole messages, which keeps the cost per row
 * low under load; the socket is paused while `highWater` bytes wait, except for the rest of a message that has begun.
 *
 *   message := type byte · length int32 (with itself) · body   (PostgreSQL manual, 55.7)
 */
import type { Socket } from 'node:net';
import type { Client } from 'pg';

/** Small enough that what is made of one buffer dies young: a third of a megabyte here is 60 MB less of a process than one. */
const HIGH_WATER = 384 * 1024;
/** Type and length of a message. */
const HEAD = 5;
const COALESCE_BELOW = 128 * 1024;
const COALESCE_MS = 3;

/** Fields of an ErrorResponse that matter here. */
export interface ServerError { readonly code: string; readonly message: string; readonly detail: string | undefined; readonly hint: string | undefined }

export class CopyStream {
  private readonly socket: Socket;
  private chunks: Buffer[] = [];
  /** Bytes in `chunks`, and how many of them it takes until the first message is whole. */
  private held = 0;
  private needed = HEAD;
  /** Bytes that came since the last take. */
  private waiting = 0;
  /** Bytes received since the start. */
  received = 0;
  private failure: Error | undefined;
  private ended = false;
  private wake: (() => void) | undefined;
  private readonly detach: () => void;

  /** Takes the socket over: the driver hears no more of it until {@link release}. */
  constructor(client: Client, highWater = HIGH_WATER) {
    const socket = (client as unknown as { readonly connection: { readonly stream: Socket } }).connection.stream;
    this.socket = socket;
    const driver = socket.listeners('data') as ((chunk: Buffer) => void)[];
    socket.removeAllListeners('data');
    const onData = (chunk: Buffer): void => {
      this.chunks.push(chunk);
      this.held += chunk.length;
      this.waiting += chunk.length;
      this.received += chunk.length;
      if (this.waiting > highWater) socket.pause();
      this.wake?.();
    };
    const onEnd = (): void => { this.ended = true; this.wake?.(); };
    const onError = (error: Error): void => { this.failure = error; this.wake?.(); };
    socket.on('data', onData).on('end', onEnd).on('close', onEnd).on('error', onError);
    this.detach = () => {
      socket.off('data', onData).off('end', onEnd).off('close', onEnd).off('error', onError);
      for (const listener of driver) socket.on('data', listener);
      socket.resume();
    };
  }

  /** Sends a simple query. */
  query(sql: string): void {
    const text = Buffer.from(`${sql}\0`);
    const message = Buffer.alloc(5 + text.length);
    message.write('Q');
    message.writeInt32BE(4 + text.length, 1);
    text.copy(message, 5);
    this.socket.write(message);
  }

  /** Sends one CopyData message. */
  send(body: Buffer): void {
    const head = Buffer.alloc(5);
    head.write('d');
    head.writeInt32BE(4 + body.length, 1);
    this.socket.write(Buffer.concat([head, body]));
  }

  /** True when more bytes have arrived than were handed out. */
  get more(): boolean { return this.waiting > 0; }

  /** Whole messages in one buffer; undefined when `timeoutMs` passed or `signal` aborted. Throws when the connection ends. */
  async next(timeoutMs: number, signal: AbortSignal): Promise<Buffer | undefined> {
    const deadline = performance.now() + timeoutMs;
    if (this.waiting > 0 && this.waiting < COALESCE_BELOW) await this.pause(COALESCE_MS, signal, true);
    for (;;) {
      const whole = this.take();
      if (whole !== undefined) return whole;
      if (this.failure !== undefined) throw this.failure;
      if (this.ended) throw new Error('Connection terminated unexpectedly');
      const left = deadline - performance.now();
      if (left <= 0 || signal.aborted) return undefined;
      await this.pause(left, signal, false);
    }
  }

  private pause(ms: number, signal: AbortSignal, full: boolean): Promise<void> {
    return new Promise(resolve => {
      const done = (): void => { clearTimeout(timer); signal.removeEventListener('abort', done); this.wake = undefined; resolve(); };
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done, { once: true });
      if (!full) this.wake = done;
    });
  }

  private take(): Buffer | undefined {
    if (this.waiting === 0) return undefined;
    this.waiting = 0;
    if (this.socket.isPaused()) this.socket.resume();
    // The pieces of a large message are put together once, when all of them are there.
    if (this.held < this.needed) return undefined;
    const { chunks } = this;
    const first = chunks[0];
    const all = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
    const end = wholeMessages(all);
    // A copy: the rest must not keep the whole buffer alive.
    const rest = Buffer.from(all.subarray(end));
    this.chunks = rest.length === 0 ? [] : [rest];
    this.held = rest.length;
    this.needed = rest.length < HEAD ? HEAD : 1 + rest.readInt32BE(1);
    return end === 0 ? undefined : all.subarray(0, end);
  }

  /** Hands the socket back to the driver. */
  release(): void { this.detach(); }

  destroy(): void { this.socket.destroy(); }
}

function wholeMessages(buffer: Buffer): number {
  let at = 0;
  while (at + HEAD <= buffer.length) {
    const next = at + 1 + buffer.readInt32BE(at + 1);
    if (next < at + HEAD) throw new Error('Connection out of step: a message of the server has no length');
    if (next > buffer.length) break;
    at = next;
  }
  return at;
}

/** ErrorResponse body → its fields. */
export function serverError(buffer: Buffer, start: number, end: number): ServerError {
  const fields = new Map<string, string>();
  for (let at = start; at < end && buffer[at] !== 0;) {
    const zero = buffer.indexOf(0, at + 1);
    const stop = zero < 0 ? end : zero;
    fields.set(String.fromCharCode(buffer[at] as number), buffer.toString('utf8', at + 1, stop));
    at = stop + 1;
  }
  return { code: fields.get('C') ?? '', message: fields.get('M') ?? 'unknown error', detail: fields.get('D'), hint: fields.get('H') };
}
