/**
 * Appends of one writer, one after the other in call order. Records first, then their offsets, or both in one transaction.
 * Appends that were called before an earlier one was seen to fail fail with it: otherwise a later source offset would
 * stand there without the records before it.
 */
import { FatalError, NotFoundError, RetriableError } from '../../api/errors.ts';
import type { LogWriter, OffsetAppend, SpanningAppends, TopicAppend } from '../log.ts';
import type { OffsetWriter } from './offset-store.ts';
import type { Producer } from './producer.ts';
import type { Topics } from './topics.ts';

/**
 * An append under way when the task is asked to stop may still finish for so long: given up at once, its records might be
 * in the log without their offset, and come twice.
 */
const FINISH_MS = 15_000;
/** How long a writer that is closed may take to give up its open transaction. */
const ABORT_MS = 5_000;

export interface KafkaWriterParts { readonly producer: Producer; readonly topics: Topics; readonly offsets: OffsetWriter }

export class KafkaWriter implements LogWriter {
  private readonly parts: KafkaWriterParts;
  private turn: Promise<unknown> = Promise.resolve();
  private issued = 0;
  private doomed = { after: 0, through: 0 };
  /** Partition counts of topics that are known to exist. */
  private readonly partitions = new Map<string, number>();
  private deletions = 0;
  /** Whether something was added that no append has committed yet, and whether that was lost. */
  private added = false;
  private torn = false;
  readonly spanning?: SpanningAppends;

  constructor(parts: KafkaWriterParts) {
    this.parts = parts;
    if (!parts.producer.transactional) return;
    this.spanning = {
      add: async (entries, signal) => { await this.next(number => this.run(number, signal, finishing => this.adds(entries, finishing))); },
      abort: signal => this.next(async () => {
        this.added = this.torn = false;
        await this.parts.producer.abort(signal);
      }),
    };
  }

  append(entries: readonly TopicAppend[], offsets: OffsetAppend | undefined, signal: AbortSignal): Promise<readonly number[]> {
    return this.next(number => this.run(number, signal, finishing => this.appends(entries, offsets, finishing)));
  }

  private next<T>(step: (number: number) => Promise<T>): Promise<T> {
    const number = ++this.issued;
    const mine = this.turn.then(() => step(number));
    this.turn = mine.catch(() => { /* met by its caller */ });
    return mine;
  }

  private async run<T>(number: number, signal: AbortSignal, work: (finishing: AbortSignal) => Promise<T>): Promise<T> {
    if (number > this.doomed.after && number <= this.doomed.through) throw new RetriableError('An append before this one failed; nothing of this one was written', { code: 'LOG_APPEND_ORDER' });
    if (this.torn) throw new RetriableError('The transaction that this append belongs to was lost', { code: 'LOG_TRANSACTION_LOST', hint: 'Its records are read again from the source when the task starts.' });
    const finishing = finish(signal);
    try { return await work(finishing.signal); } catch (error) {
      this.partitions.clear();
      this.doomed = { after: number, through: this.issued };
      this.torn = this.added;
      throw error;
    } finally { finishing.done(); }
  }

  private async appends(entries: readonly TopicAppend[], offsets: OffsetAppend | undefined, signal: AbortSignal): Promise<readonly number[]> {
    await this.require(entries);
    const own = offsets === undefined ? [] : this.parts.offsets.appends(offsets);
    const bases = entries.length + own.length === 0 && !this.added ? [] : await this.parts.producer.send([...entries, ...own], signal);
    this.added = false;
    if (offsets !== undefined) await this.parts.offsets.store(offsets, signal);
    return bases.slice(0, entries.length);
  }

  private async adds(entries: readonly TopicAppend[], signal: AbortSignal): Promise<void> {
    this.added = true;
    await this.require(entries);
    await this.parts.producer.add(entries, signal);
  }

  private async require(entries: readonly TopicAppend[]): Promise<void> {
    const { deletions } = this.parts.topics;
    if (deletions !== this.deletions) { this.deletions = deletions; this.partitions.clear(); }
    for (const { topic, partition, body } of entries) {
      if (topic === this.parts.offsets.reserved) throw new FatalError('Source tasks may not produce to their own offsets topics when exactly-once support is enabled', { code: 'OFFSETS_TOPIC_OWN', hint: `Records of this connector go to topic ${topic}, which holds its offsets: name another topic for one of them.` });
      let count = this.partitions.get(topic);
      if (count === undefined) this.partitions.set(topic, count = (await this.parts.topics.create(topic, undefined)).partitions);
      if (partition < 0 || partition >= count) throw new NotFoundError(`Topic ${topic} has no partition ${partition}`, { code: 'PARTITION_UNKNOWN', hint: `It has ${count}.` });
      if (body.records < 1) throw new RangeError('a batch body has at least one record');
    }
  }

  /** What was added and not committed is given up at once: readers of committed records would wait for it until it times out. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.turn;
    const left = this.added && !this.torn;
    this.added = false;
    if (left) await this.parts.producer.abort(AbortSignal.timeout(ABORT_MS)).catch(() => { /* the brokers end it in time */ });
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
