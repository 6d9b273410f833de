/** Dead letters of a sink: the record's bytes as they were, with Connect's context headers when they are asked for. */
import { TributaryError } from '../api/errors.ts';
import type { EncodedHeader } from '../api/plugin.ts';
import type { Log, LogWriter } from '../log/log.ts';
import { BatchBuilder, partOf } from '../log/record-batch.ts';
import type { Failure } from './tolerance.ts';

export interface DeadLetterOptions { readonly topic: string; readonly contextHeaders: boolean; readonly connector: string; readonly task: number }
/** Key, value and headers as they lie in the log. */
export interface RawRecord { readonly key: Uint8Array | null; readonly value: Uint8Array | null; readonly headers: readonly EncodedHeader[]; readonly timestamp: number }

export class DeadLetters implements AsyncDisposable {
  private readonly options: DeadLetterOptions;
  private readonly writer: LogWriter;
  private constructor(options: DeadLetterOptions, writer: LogWriter) { this.options = options; this.writer = writer; }

  static async open(log: Log, options: DeadLetterOptions): Promise<DeadLetters> {
    // Whatever topics get otherwise: a bad record may have no key, and none of them may go for another.
    await log.createTopic(options.topic, { compact: false });
    return new DeadLetters(options, await log.writer(`dead-letters:${options.connector}-${options.task}`));
  }

  /** Durable when it resolves. */
  async report(record: RawRecord, failure: Failure, signal: AbortSignal): Promise<void> {
    const builder = new BatchBuilder();
    builder.append(record.timestamp, partOf(record.key), partOf(record.value), this.options.contextHeaders ? [...record.headers, ...this.context(failure)] : record.headers);
    await this.writer.append([{ topic: this.options.topic, partition: 0, body: builder.body() }], undefined, signal);
  }

  private context({ stage, place, error }: Failure): EncodedHeader[] {
    const facts: Record<string, string> = {
      topic: place.topic, partition: String(place.partition ?? ''), offset: String(place.offset ?? ''), 'connector.name': this.options.connector, 'task.id': String(this.options.task),
      stage, 'class.name': error instanceof TributaryError ? error.code : error.name, 'exception.class.name': error.name, 'exception.message': error.message, 'exception.stacktrace': error.stack ?? '',
    };
    return Object.entries(facts).map(([name, value]) => ({ name: `__connect.errors.${name}`, value: Buffer.from(value, 'utf8') }));
  }

  [Symbol.asyncDispose](): PromiseLike<void> { return this.writer[Symbol.asyncDispose](); }
}
