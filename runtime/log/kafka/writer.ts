/**
 * Appends of one writer, one after the other in call order. Records first, then their offsets, or both in one transaction.
 * Appends that were called before an earlier one was seen to fail fail with it: otherwise a later source offset would
 * stand there without the records before it.
 */
import { FatalError, NotFoundError, RetriableError } from '../../api/errors.ts';
import type { LogWriter, OffsetAppend, TopicAppend } from '../log.ts';
import type { OffsetWriter } from './offset-store.ts';
import type { Producer } from './producer.ts';
import type { Topics } from './topics.ts';

/**
 * An append under way when the task is asked to stop may still finish for so long: given up at once, its records might be
 * in the log without their offset, and come twice.
 */
const FINISH_MS = 15_000;

export interface KafkaWriterParts { readonly producer: Producer; readonly topics: Topics; readonly offsets: OffsetWriter }

export class KafkaWriter implements LogWriter {
  private readonly parts: KafkaWriterParts;
  private turn: Promise<unknown> = Promise.resolve();
  private issued = 0;
  private doomed = { after: 0, through: 0 };
  /** Partition counts of topics that are known to exist. */
  private readonly partitions = new Map<string, number>();
  private deletions = 0;

  constructor(parts: KafkaWriterParts) { this.parts = parts; }

  append(entries: readonly TopicAppend[], offsets: OffsetAppend | undefined, signal: AbortSignal): Promise<readonly number[]> {
    const number = ++this.issued;
    const mine = this.turn.then(() => this.run(number, entries, offsets, signal));
    this.turn = mine.catch(() => { /* met by its caller */ });
    return mine;
  }

  private async run(number: number, entries: readonly TopicAppend[], offsets: OffsetAppend | undefined, signal: AbortSignal): Promise<readonly number[]> {
    if (number > this.doomed.after && number <= this.doomed.through) throw new RetriableError('An append before this one failed; nothing of this one was written', { code: 'LOG_APPEND_ORDER' });
    const finishing = finish(signal);
    try {
      await this.require(entries);
      const own = offsets === undefined ? [] : this.parts.offsets.appends(offsets);
      const bases = entries.length + own.length === 0 ? [] : await this.parts.producer.send([...entries, ...own], finishing.signal);
      if (offsets !== undefined) await this.parts.offsets.store(offsets, finishing.signal);
      return bases.slice(0, entries.length);
    } catch (error) {
      this.partitions.clear();
      this.doomed = { after: number, through: this.issued };
      throw error;
    } finally { finishing.done(); }
  }

  private async require(entries: readonly TopicAppend[]): Promise<void> {
    const { deletions } = this.parts.topics;
    if (deletions !== this.deletions) { this.deletions = deletions; this.partitions.clear(); }
    for (const { topic, partition, body } of entries) {
      let count = this.partitions.get(topic);
      if (count === undefined) this.partitions.set(topic, count = (await this.parts.topics.create(topic, undefined)).partitions);
      if (partition < 0 || partition >= count) throw new NotFoundError(`Topic ${topic} has no partition ${partition}`, { code: 'PARTITION_UNKNOWN', hint: `It has ${count}.` });
      if (body.records < 1) throw new RangeError('a batch body has at least one record');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.turn;
    await this.parts.offsets[Symbol.asyncDispose]();
  }
}

function finish(signal: AbortSignal): { readonly signal: AbortSignal; done(): void } {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const stop = (): void => { timer = setTimeout(() => { controller.abort(new FatalError('The task was stopped while records were on their way to Kafka', { code: 'LOG_STOPPED', hint: 'They are read again from the source when the task starts.' })); }, FINISH_MS); };
  if (signal.aborted) stop(); else signal.addEventListener('abort', stop, { once: true });
  return { signal: controller.signal, done: () => { clearTimeout(timer); signal.removeEventListener('abort', stop); } };
}
