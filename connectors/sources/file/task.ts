/** Reads a text file to its end and then follows it: one record a line, the offset being the byte behind the line. */
import { open, type FileHandle } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { ConfigError, FatalError } from '../../../runtime/api/errors.ts';
import type { SourceBatch, SourceContext, SourceRecord, SourceTask } from '../../../runtime/api/plugin.ts';
import type { Schema } from '../../../envelopes/schema.ts';
import type { FileSourceConfig } from './config.ts';
import { type Line, LineSplitter } from './lines.ts';
import { partitionOf, positionOf } from './offset.ts';

const READ_BYTES = 256 * 1024;
/** Longest line; a file without line ends must not fill the memory. */
const LINE_BYTES = 16 * 1024 * 1024;
/** Pause at the end of the file, in milliseconds. */
const IDLE_MS = 250;
const VALUE: Schema = { type: 'string', optional: false };

/** Throws ConfigError FILE_MISSING, OFFSET_INVALID. */
export async function openFileTask(config: FileSourceConfig, context: SourceContext): Promise<SourceTask> {
  const { file, topic, 'batch.size': batchSize } = config;
  if (file === undefined || file === '') throw new ConfigError('The file source has no file', { code: 'FILE_MISSING', hint: 'Set file to the path of a text file; standard input is not read.' });
  const start = positionOf(await context.offset(partitionOf(file)));
  return {
    batches: signal => read({ file, topic, batchSize: Math.max(1, batchSize), start, context }, signal),
    committed: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

interface Reading { readonly file: string; readonly topic: string; readonly batchSize: number; readonly start: number; readonly context: SourceContext }

async function* read({ file, topic, batchSize, start, context }: Reading, signal: AbortSignal): AsyncGenerator<SourceBatch> {
  await using input = new Followed(file, start, context, signal);
  const splitter = new LineSplitter();
  let position = start;
  while (!signal.aborted) {
    const lines = splitter.take(batchSize);
    if (lines.length > 0) {
      const end = position + (lines.at(-1)?.end ?? 0);
      yield batchOf(lines, { file, topic, position: end, more: lines.length === batchSize });
      position = end;
      continue;
    }
    if (splitter.pending > LINE_BYTES) throw new FatalError(`A line of ${file} is longer than ${LINE_BYTES} bytes`, { code: 'LINE_TOO_LONG', hint: `Shorten the line that begins at byte ${position}, then restart the connector.` });
    const bytes = await input.next();
    if (bytes !== undefined) splitter.push(bytes);
  }
}

function batchOf(lines: readonly Line[], { file, topic, position, more }: { readonly file: string; readonly topic: string; readonly position: number; readonly more: boolean }): SourceBatch {
  return {
    length: lines.length, bytes: lines.reduce((sum, { text }) => sum + text.length, 0), more,
    offset: { partition: partitionOf(file), offset: { position } },
    topic: () => topic,
    decode: (i): SourceRecord => ({ topic, partition: null, key: { schema: null, value: null }, value: { schema: VALUE, value: lines[i]?.text ?? '' }, headers: [], timestamp: Date.now() }),
  };
}

/** A file that may not exist yet and that grows. */
class Followed implements AsyncDisposable {
  private handle: FileHandle | undefined;
  private told = false;
  private readonly buffer = Buffer.allocUnsafe(READ_BYTES);
  private readonly file: string;
  private position: number;
  private readonly context: SourceContext;
  private readonly signal: AbortSignal;

  constructor(file: string, position: number, context: SourceContext, signal: AbortSignal) {
    this.file = file; this.position = position; this.context = context; this.signal = signal;
  }

  /** Bytes behind those of the last call; undefined when none came in a while or the signal aborted. Valid until the next call. */
  async next(): Promise<Buffer | undefined> {
    this.handle ??= await this.opened();
    const read = await this.handle?.read(this.buffer, 0, READ_BYTES, this.position);
    if (read !== undefined && read.bytesRead > 0) {
      this.position += read.bytesRead;
      return this.buffer.subarray(0, read.bytesRead);
    }
    if (this.handle !== undefined) await this.checkLength(this.handle);
    await wait(IDLE_MS, undefined, { signal: this.signal }).catch(() => { /* the caller looks at the signal */ });
    return undefined;
  }

  private async opened(): Promise<FileHandle | undefined> {
    try { return await open(this.file, 'r'); } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT') throw new FatalError(`Cannot read ${this.file}: ${(error as Error).message}`, { code: 'FILE_UNREADABLE', hint: 'Check the path and that this user may read it, then restart the connector.', cause: error });
      this.tell('the file is not there yet, waiting for it');
      return undefined;
    }
  }

  /** Kafka's connector reads nothing then, for ever and silently; so does this one, but it says so. */
  private async checkLength(handle: FileHandle): Promise<void> {
    const { size } = await handle.stat();
    if (size < this.position) this.tell('the file is shorter than what was read of it, waiting for it to grow');
  }

  private tell(phrase: string): void {
    if (this.told) return;
    this.told = true;
    this.context.logger.warn({ file: this.file, position: this.position }, phrase);
  }

  async [Symbol.asyncDispose](): Promise<void> { await this.handle?.close(); }
}
