/**
 * Which partitions of a sink's topics are read by which of its tasks. Every task works that out by itself, from names and
 * numbers alone: no task has to be asked, and a topic that appears later moves nothing that is being read.
 */
import type { TopicPartition } from '../api/plugin.ts';
import { murmur2 } from '../../envelopes/murmur2.ts';

export interface PartitionShare {
  readonly task: number;
  /** How many tasks there are. */
  readonly of: number;
  /** Whole topics, or partitions one by one. */
  readonly by: 'topics' | 'partitions';
  /** The connector's `topics`, dealt out in their order; others (`topics.regex`) are spread by their names. */
  readonly names: readonly string[];
}

/** True for exactly one of the tasks. */
export function isShared({ topic, partition }: TopicPartition, { task, of, by, names }: PartitionShare): boolean {
  if (of <= 1) return true;
  const listed = names.indexOf(topic);
  const place = listed >= 0 ? listed : murmur2(Buffer.from(topic, 'utf8')) & 0x7fff_ffff;
  return (place + (by === 'topics' ? 0 : partition)) % of === task;
}
