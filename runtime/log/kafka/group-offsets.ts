/**
 * A sink's positions as committed offsets of the consumer group `connect-<name>`, so that the tools for lag see them. The
 * topic's id and the epoch go along as the commit's metadata; an offset without them was committed by Kafka Connect and
 * counts for the topic that is there now.
 */
import { ConflictError } from '../../api/errors.ts';
import type { PartitionPosition, TopicPartition } from '../../api/plugin.ts';
import { check, type KafkaClient } from './client.ts';
import { commitOffsets, deleteOffsets, fetchOffsets, type GroupOffset } from './protocol/admin-api.ts';

export interface GroupEpochs { epoch(group: string): Promise<number>; raiseEpoch(group: string): Promise<void> }
interface Note { readonly topicId: string; readonly epoch: number }

const UNKNOWN_MEMBER = 25, NON_EMPTY = 68, SUBSCRIBED = 86, NO_GROUP = 69, NO_TOPIC = 3;

export class GroupOffsets {
  private readonly client: KafkaClient;
  private readonly epochs: GroupEpochs;
  constructor(client: KafkaClient, epochs: GroupEpochs) { this.client = client; this.epochs = epochs; }

  private async stored(group: string): Promise<readonly GroupOffset[]> {
    return this.client.retrying(`read the offsets of group ${group}`, async () => {
      const { error, offsets } = await this.client.request({ coordinator: 'group', key: group }, fetchOffsets, { group });
      check(error, `the offsets of group ${group}`);
      for (const one of offsets) check(one.error, `the offset of group ${group} in ${one.topic}-${one.partition}`);
      return offsets.filter(({ offset }) => offset >= 0);
    });
  }

  async positions(group: string): Promise<PartitionPosition[]> {
    const epoch = await this.epochs.epoch(group);
    const found: PartitionPosition[] = [];
    for (const { topic, partition, offset, metadata } of await this.stored(group)) {
      const id = (await this.client.topic(topic, { maxAgeMs: 1_000 }))?.id;
      if (id === undefined || (noteOf(metadata)?.topicId ?? id) !== id) continue;
      found.push({ topic, partition, topicId: id, epoch, offset });
    }
    return found;
  }

  /** Positions never go back here, and those of an older epoch are let go; a reset does the one and makes the other. */
  async commit(group: string, positions: readonly PartitionPosition[]): Promise<void> {
    const epoch = await this.epochs.epoch(group);
    const known = new Map((await this.stored(group)).map(one => [keyOf(one), one]));
    const forward = positions.filter(position => {
      const before = known.get(keyOf(position));
      return position.epoch === epoch && (before === undefined || before.offset < position.offset || (noteOf(before.metadata)?.topicId ?? position.topicId) !== position.topicId);
    });
    await this.write(group, forward.map(({ topic, partition, offset, topicId }) => ({ topic, partition, offset, metadata: JSON.stringify({ topicId, epoch } satisfies Note) })));
  }

  private async write(group: string, offsets: readonly GroupOffset[]): Promise<void> {
    if (offsets.length === 0) return;
    await this.client.retrying(`commit offsets of group ${group}`, async () => {
      for (const { topic, partition, error } of await this.client.request({ coordinator: 'group', key: group }, commitOffsets, { group, offsets })) {
        if (error === UNKNOWN_MEMBER || error === NON_EMPTY) throw inUse(group);
        if (error !== NO_TOPIC) check(error, `the offset of group ${group} in ${topic}-${partition}`);
      }
    });
  }

  /** Null forgets a partition; the epoch rises in any case, and first, so that no token of before is believed. */
  async reset(group: string, positions: readonly (TopicPartition & { readonly offset: number | null })[]): Promise<void> {
    await this.epochs.raiseEpoch(group);
    const epoch = await this.epochs.epoch(group);
    const kept: GroupOffset[] = [], forgotten: TopicPartition[] = [];
    for (const { topic, partition, offset } of positions) {
      const id = (await this.client.topic(topic, { maxAgeMs: 1_000 }))?.id;
      if (offset === null) forgotten.push({ topic, partition });
      else if (id !== undefined) kept.push({ topic, partition, offset, metadata: JSON.stringify({ topicId: id, epoch } satisfies Note) });
    }
    await this.write(group, kept);
    if (forgotten.length === 0) return;
    await this.client.retrying(`forget offsets of group ${group}`, async () => {
      const { error, partitions } = await this.client.request({ coordinator: 'group', key: group }, deleteOffsets, { group, partitions: forgotten });
      if (error === NO_GROUP) return;
      if (error === NON_EMPTY) throw inUse(group);
      check(error, `the offsets of group ${group}`);
      for (const one of partitions) {
        if (one.error === SUBSCRIBED) throw inUse(group);
        if (one.error !== NO_TOPIC) check(one.error, `the offset of group ${group} in ${one.topic}-${one.partition}`);
      }
    });
  }
}

function noteOf(metadata: string | null): Note | undefined {
  if (metadata === null || !metadata.startsWith('{')) return undefined;
  try {
    const { topicId, epoch } = JSON.parse(metadata) as { readonly topicId?: unknown; readonly epoch?: unknown };
    return typeof topicId === 'string' && typeof epoch === 'number' ? { topicId, epoch } : undefined;
  } catch { return undefined; }
}

function inUse(group: string): ConflictError {
  return new ConflictError(`Consumer group ${group} has live members`, { code: 'GROUP_IN_USE', hint: 'Another sink of this name runs, perhaps in Kafka Connect: stop it first.' });
}

function keyOf({ topic, partition }: TopicPartition): string { return `${topic}/${partition}`; }
