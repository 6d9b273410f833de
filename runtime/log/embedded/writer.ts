import { FatalError, NotFoundError, RetriableError } from '../../api/errors.ts';
import { stringifyExact } from '../../api/exact-json.ts';
import type { LogWriter, OffsetAppend, TopicAppend } from '../log.ts';
import { sealBatch } from '../record-batch.ts';
import { allHaveKeys } from '../retain-records.ts';
import type { Compaction } from './compaction.ts';
import type { Retention } from './retention.ts';
import { batchKey, type PartitionEntry, partitionKey, requireRoom, type Store, type TopicEntry, transact } from './store.ts';
import type { Wakeups } from './wakeups.ts';

/** Key of a stored source offset: connector, then its partition as JSON. */
export function offsetKey(connector: string, partition: unknown): string { return `offset\u0000${connector}\u0000${stringifyExact(partition)}`; }

interface WriterParts {
  readonly store: Store;
  readonly wakeups: Wakeups;
  readonly retention: Retention;
  readonly compaction: Compaction;
  /** The topic of that name, made when absent. */
  readonly topicFor: (name: string) => Promise<TopicEntry>;
  readonly id: string;
  readonly epoch: number;
}
interface Sealed { readonly topic: TopicEntry; readonly partition: number; readonly records: number; readonly batch: Buffer }

/**
 * Appends of one writer are one LMDB transaction each, applied in call order, synced before they resolve. Appends that
 * were called before an earlier one was seen to fail fail with it: otherwise a later source offset would stand in the
 * log without the records before it.
 */
export class EmbeddedWriter implements LogWriter {
  private readonly parts: WriterParts;
  private sequence = 0;
  /** Settles when every append so far has handed its transaction to the store: what comes next may follow. */
  private turn: Promise<void> = Promise.resolve();
  private issued = 0;
  /** Appends with numbers above `after`, up to `through`, were called before the failure of `after` was seen. */
  private doomed = { after: 0, through: 0 };

  constructor(parts: WriterParts) { this.parts = parts; }

  async append(entries: readonly TopicAppend[], offsets: OffsetAppend | undefined, signal: AbortSignal): Promise<readonly number[]> {
    const number = ++this.issued;
    const before = this.turn;
    const mine = withResolvers();
    this.turn = mine.promise;
    try {
      await before;
      this.requireUnbroken(number);
      const sealed = await this.prepare(entries, signal);
      const committed = this.commit(sealed, offsets, number);
      mine.resolve();
      const bases = await committed;
      for (const { topic, partition } of sealed) this.parts.compaction.consider(topic, partition);
      this.parts.wakeups.announce(sealed.map(({ topic, partition }) => `${topic.number}/${partition}`));
      return bases;
    } catch (error) {
      this.fail(number);
      throw error;
    } finally {
      mine.resolve();
    }
  }

  private async prepare(entries: readonly TopicAppend[], signal: AbortSignal): Promise<Sealed[]> {
    const { topicFor, retention, store, epoch } = this.parts;
    const sealed: Sealed[] = [];
    let bytes = 0;
    for (const { topic: name, partition, body } of entries) {
      const topic = await topicFor(name);
      if (partition < 0 || partition >= topic.partitions) throw new NotFoundError(`Topic ${name} has no partition ${partition}`, { code: 'PARTITION_UNKNOWN', hint: `It has ${topic.partitions}.` });
      if (body.records < 1) throw new RangeError('a batch body has at least one record');
      if (topic.compact && !allHaveKeys(body.bytes)) throw keyless(topic);
      const batch = sealBatch(body, { baseOffset: 0, producerId: 0n, epoch: epoch & 0x7fff, sequence: this.sequence & 0x7fff_ffff, compression: topic.compression });
      this.sequence += body.records;
      sealed.push({ topic, partition, records: body.records, batch });
      bytes += batch.length;
    }
    for (const { topic, partition } of sealed) await retention.makeRoom(topic, partition, signal);
    requireRoom(store, bytes);
    return sealed;
  }

  private commit(sealed: readonly Sealed[], offsets: OffsetAppend | undefined, number: number): Promise<number[]> {
    return transact(this.parts.store, () => {
      this.requireUnbroken(number);
      // At once, not when the promise rejects: the next append's callback may run in this same commit.
      try { return this.put(sealed, offsets); } catch (error) { this.fail(number); throw error; }
    });
  }

  private put(sealed: readonly Sealed[], offsets: OffsetAppend | undefined): number[] {
    const { store: { batches, partitions, topics, meta }, retention, id, epoch } = this.parts;
    const now = Date.now();
    if (meta.get(`writer\u0000${id}`) !== String(epoch)) throw this.fenced();
    for (const { topic } of sealed) if (topics.get(topic.name)?.number !== topic.number) throw new RetriableError(`Topic ${topic.name} was deleted during an append`, { code: 'TOPIC_DELETED' });
    const stored = (offsets?.offsets ?? []).map(({ partition, offset }) => [offsetKey(offsets?.connector ?? '', partition), stringifyExact(offset)] as const);
    // Nothing below throws: a transaction takes nothing back.
    const bases = sealed.map(({ topic, partition, records, batch }) => {
      const key = partitionKey(topic.number, partition);
      const entry: PartitionEntry = partitions.get(key) ?? { start: 0, end: 0, bytes: 0 };
      batch.writeBigInt64BE(BigInt(entry.end), 0);
      batches.putSync(batchKey(topic.number, partition, entry.end), batch);
      partitions.putSync(key, { start: entry.start, end: entry.end + records, bytes: entry.bytes + batch.length });
      retention.afterAppend(topic, partition, now, entry.end);
      return entry.end;
    });
    for (const [key, value] of stored) meta.putSync(key, value);
    return bases;
  }

  private requireUnbroken(number: number): void {
    if (number > this.doomed.after && number <= this.doomed.through) throw new RetriableError('An append before this one failed; nothing of this one was written', { code: 'LOG_APPEND_ORDER' });
  }

  private fail(number: number): void {
    const { after, through } = this.doomed;
    if (number <= after || number > through) this.doomed = { after: number, through: this.issued };
  }

  private fenced(): FatalError {
    return new FatalError(`Writer '${this.parts.id}' was replaced by a later one of the same name`, { code: 'LOG_WRITER_FENCED', hint: 'Another task of this connector is running; stop one of them and restart this task.' });
  }

  async [Symbol.asyncDispose](): Promise<void> { /* the log owns the store */ }
}

function keyless(topic: TopicEntry): FatalError {
  return new FatalError(`Topic ${topic.name} is compacted and cannot take a record without a key`, { code: 'LOG_KEY_MISSING', hint: 'Give the records a key (for a table without one: message.key.columns), or let the topic be deleted by time or size instead of compacted.' });
}

/** Promise.withResolvers is younger than Node 20. */
function withResolvers(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => { /* set below */ };
  const promise = new Promise<void>(done => { resolve = done; });
  return { promise, resolve };
}
