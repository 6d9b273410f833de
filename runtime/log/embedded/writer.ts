import { FatalError } from '../../api/errors.ts';
import { stringifyExact } from '../../api/exact-json.ts';
import type { LogWriter, OffsetAppend, TopicAppend } from '../log.ts';
import { sealBatch } from '../record-batch.ts';
import type { Retention } from './retention.ts';
import { batchKey, diskFull, isDiskFull, type PartitionEntry, partitionKey, requireRoom, type Store, type TopicEntry } from './store.ts';
import type { Wakeups } from './wakeups.ts';

/** Key of a stored source offset: connector, then its partition as JSON. */
export function offsetKey(connector: string, partition: unknown): string { return `offset\u0000${connector}\u0000${stringifyExact(partition)}`; }

/** Appends of one writer are one LMDB transaction each, applied in call order, synced before they resolve. */
export class EmbeddedWriter implements LogWriter {
  private readonly store: Store;
  private readonly wakeups: Wakeups;
  private readonly retention: Retention;
  private readonly topicFor: (name: string) => Promise<TopicEntry>;
  private readonly id: string;
  private readonly epoch: number;
  private sequence = 0;

  constructor(parts: { store: Store; wakeups: Wakeups; retention: Retention; topicFor: (name: string) => Promise<TopicEntry>; id: string; epoch: number }) {
    this.store = parts.store; this.wakeups = parts.wakeups; this.retention = parts.retention; this.topicFor = parts.topicFor; this.id = parts.id; this.epoch = parts.epoch;
  }

  async append(entries: readonly TopicAppend[], offsets: OffsetAppend | undefined, signal: AbortSignal): Promise<readonly number[]> {
    const sealed: { topic: TopicEntry; partition: number; records: number; batch: Buffer }[] = [];
    let bytes = 0;
    for (const { topic: name, partition, body } of entries) {
      const topic = await this.topicFor(name);
      const batch = sealBatch(body, { baseOffset: 0, producerId: 0n, epoch: this.epoch & 0x7fff, sequence: this.sequence & 0x7fff_ffff, compression: topic.compression });
      this.sequence += body.records;
      sealed.push({ topic, partition, records: body.records, batch });
      bytes += batch.length;
    }
    for (const { topic, partition } of sealed) await this.retention.makeRoom(topic, partition, signal);
    requireRoom(this.store.path, bytes);
    const bases = await this.commit(sealed, offsets);
    this.wakeups.announce(sealed.map(({ topic, partition }) => `${topic.number}/${partition}`));
    return bases;
  }

  private async commit(sealed: readonly { topic: TopicEntry; partition: number; records: number; batch: Buffer }[], offsets: OffsetAppend | undefined): Promise<number[]> {
    const { root, batches, partitions, meta, path } = this.store;
    try {
      return await root.transaction(() => {
        if (meta.get(`writer\u0000${this.id}`) !== String(this.epoch)) throw this.fenced();
        const bases = sealed.map(({ topic, partition, records, batch }) => {
          const key = partitionKey(topic.number, partition);
          const entry: PartitionEntry = partitions.get(key) ?? { start: 0, end: 0, bytes: 0 };
          batch.writeBigInt64BE(BigInt(entry.end), 0);
          batches.putSync(batchKey(topic.number, partition, entry.end), batch);
          partitions.putSync(key, { start: entry.start, end: entry.end + records, bytes: entry.bytes + batch.length });
          return entry.end;
        });
        for (const { partition, offset } of offsets?.offsets ?? []) meta.putSync(offsetKey(offsets?.connector ?? '', partition), stringifyExact(offset));
        return bases;
      });
    } catch (error) {
      if (isDiskFull(error)) throw diskFull(path, error);
      throw error;
    }
  }

  private fenced(): FatalError {
    return new FatalError(`Writer '${this.id}' was replaced by a later one of the same name`, { code: 'LOG_WRITER_FENCED', hint: 'Another task of this connector is running; stop one of them and restart this task.' });
  }

  async [Symbol.asyncDispose](): Promise<void> { /* the log owns the store */ }
}
