/** Committed positions and offset epochs of sink groups. */
import type { PartitionPosition, TopicPartition } from '../../api/plugin.ts';
import { type Store, type TopicEntry, transact } from './store.ts';

/** `released`: the group reads this partition no more; the position stays, but holds nothing back. */
interface GroupPartition { readonly topicId: string; readonly offset: number; readonly released?: true }
interface GroupEntry { readonly epoch: number; readonly partitions: Readonly<Record<string, GroupPartition>> }
const EMPTY: GroupEntry = { epoch: 0, partitions: {} };

const keyOf = (group: string): string => `group\u0000${group}`;
const nameOf = ({ topic, partition }: TopicPartition): string => `${topic}\u0000${partition}`;

export class Groups {
  private readonly store: Store;
  private readonly topic: (name: string) => TopicEntry | undefined;
  private readonly startOf: (topic: TopicEntry, partition: number) => number;

  constructor(store: Store, topic: (name: string) => TopicEntry | undefined, startOf: (topic: TopicEntry, partition: number) => number) {
    this.store = store; this.topic = topic; this.startOf = startOf;
  }

  entry(group: string): GroupEntry {
    const text = this.store.meta.get(keyOf(group));
    return text === undefined ? EMPTY : JSON.parse(text) as GroupEntry;
  }

  positions(group: string): PartitionPosition[] {
    const { epoch, partitions } = this.entry(group);
    return Object.entries(partitions).flatMap(([name, { topicId, offset }]) => {
      const [topic = '', partition = '0'] = name.split('\u0000');
      return this.topic(topic)?.id === topicId ? [{ topic, partition: Number(partition), topicId, epoch, offset }] : [];
    });
  }

  /** Positions never go back here; a reset does that. */
  commit(group: string, positions: readonly PartitionPosition[]): Promise<void> {
    return this.change(group, entry => {
      const partitions = { ...entry.partitions };
      for (const position of positions) {
        if (position.epoch !== entry.epoch) continue;
        const known = partitions[nameOf(position)];
        if (known === undefined || known.topicId !== position.topicId || known.offset < position.offset) {
          partitions[nameOf(position)] = { topicId: position.topicId, offset: position.offset, ...(known?.released === true ? { released: true } : {}) };
        }
      }
      return { ...entry, partitions };
    });
  }

  register(group: string, wanted: readonly TopicPartition[]): Promise<void> {
    return this.change(group, entry => {
      const partitions: Record<string, GroupPartition> = {};
      for (const [name, { topicId, offset }] of Object.entries(entry.partitions)) partitions[name] = { topicId, offset, released: true };
      for (const { topic: name, partition } of wanted) {
        const topic = this.topic(name);
        if (topic === undefined) continue;
        const known = partitions[nameOf({ topic: name, partition })];
        partitions[nameOf({ topic: name, partition })] = { topicId: topic.id, offset: known?.topicId === topic.id ? known.offset : this.startOf(topic, partition) };
      }
      return { ...entry, partitions };
    });
  }

  reset(group: string, positions: readonly (TopicPartition & { readonly offset: number | null })[]): Promise<void> {
    return this.change(group, entry => {
      const partitions = { ...entry.partitions };
      for (const { topic: name, partition, offset } of positions) {
        const topic = this.topic(name);
        delete partitions[nameOf({ topic: name, partition })];
        if (topic !== undefined && offset !== null) partitions[nameOf({ topic: name, partition })] = { topicId: topic.id, offset };
      }
      return { epoch: entry.epoch + 1, partitions };
    });
  }

  /** Lets its positions go. The epoch stays: a table that carries an older one must not be believed by a group made again. */
  remove(group: string): Promise<void> { return this.change(group, ({ epoch }) => ({ epoch, partitions: {} })); }

  /** Smallest offset that a group has yet to commit. */
  heldFrom(topic: TopicEntry, partition: number): number {
    let held = Number.POSITIVE_INFINITY;
    for (const { value } of this.store.meta.getRange({ start: 'group\u0000', end: 'group\u0001' })) {
      const known = (JSON.parse(value) as GroupEntry).partitions[nameOf({ topic: topic.name, partition })];
      if (known !== undefined && known.topicId === topic.id && known.released !== true) held = Math.min(held, known.offset);
    }
    return held;
  }

  private async change(group: string, next: (entry: GroupEntry) => GroupEntry): Promise<void> {
    await transact(this.store, () => { this.store.meta.putSync(keyOf(group), JSON.stringify(next(this.entry(group)))); });
  }
}
