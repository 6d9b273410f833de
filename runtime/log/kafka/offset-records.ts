/**
 * The records of the offset topic, as Kafka Connect writes them (KafkaOffsetBackingStore; JsonConverter without schemas):
 * key `["<connector>",{partition}]`, value `{offset}` or null for a reset. Numbers keep their digits.
 */
import { parseExact, stringifyExact } from '../../api/exact-json.ts';
import type { SourceOffset, SourcePartition } from '../../api/plugin.ts';
import type { KeyValue } from './compact-topic.ts';

export interface OffsetRecord { readonly connector: string; readonly partition: SourcePartition; readonly offset: SourceOffset | null }

/** A record for the offset topic. */
export function encodeOffsetRecord({ connector, partition, offset }: OffsetRecord): KeyValue {
  return { key: stringifyExact([connector, partition]), value: offset === null ? null : stringifyExact(offset) };
}

/** A record of the offset topic; undefined where key or value is of another shape. Never throws. */
export function decodeOffsetRecord({ key, value }: KeyValue): OffsetRecord | undefined {
  let pair: unknown, offset: unknown = null;
  try {
    pair = parseExact(key);
    if (value !== null) offset = parseExact(value);
  } catch { return undefined; }
  if (!Array.isArray(pair) || pair.length !== 2) return undefined;
  const [connector, partition] = pair as readonly unknown[];
  if (typeof connector !== 'string' || !isMap(partition) || !(offset === null || isMap(offset))) return undefined;
  return { connector, partition, offset };
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> { return typeof value === 'object' && value !== null && !Array.isArray(value); }

/** One text per partition whatever the order of its keys: Connect's maps have none that one could rely on. */
export function partitionKey(partition: SourcePartition): string {
  return stringifyExact(Object.fromEntries(Object.entries(partition).sort(([a], [b]) => (a < b ? -1 : 1))));
}
