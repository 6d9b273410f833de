/** Requests that make, change and describe topics and groups. */
import type { Api } from './wire.ts';

export interface NewTopic { readonly name: string; readonly partitions: number; readonly replicationFactor: number; readonly configs: Readonly<Record<string, string>> }
interface TopicOutcome { readonly name: string; readonly error: number; readonly message: string | null }
/** Version 4: -1 partitions or copies = the broker's default. */
export const createTopics: Api<{ readonly topics: readonly NewTopic[]; readonly timeoutMs: number }, readonly TopicOutcome[]> = {
  key: 19, name: 'CreateTopics', version: 4, flexible: false,
  encode: (out, { topics, timeoutMs }) => {
    out.array(topics, ({ name, partitions, replicationFactor, configs }) => {
      out.string(name).int32(partitions).int16(replicationFactor).array([], () => { /* no assignment of our own */ });
      out.array(Object.entries(configs), ([key, value]) => { out.string(key).string(value); });
    });
    out.int32(timeoutMs).boolean(false);
  },
  decode: input => { input.int32(); return input.array(() => ({ name: input.string() ?? '', error: input.int16(), message: input.string() })); },
};

export const deleteTopics: Api<{ readonly names: readonly string[]; readonly timeoutMs: number }, readonly TopicOutcome[]> = {
  key: 20, name: 'DeleteTopics', version: 3, flexible: false,
  encode: (out, { names, timeoutMs }) => { out.array(names, name => { out.string(name); }).int32(timeoutMs); },
  decode: input => { input.int32(); return input.array(() => ({ name: input.string() ?? '', error: input.int16(), message: null })); },
};

const TOPIC_RESOURCE = 2;
export interface TopicConfigs extends TopicOutcome { readonly values: Readonly<Record<string, string | null>> }
export const describeTopicConfigs: Api<{ readonly names: readonly string[]; readonly keys: readonly string[] }, readonly TopicConfigs[]> = {
  key: 32, name: 'DescribeConfigs', version: 1, flexible: false,
  encode: (out, { names, keys }) => { out.array(names, name => { out.int8(TOPIC_RESOURCE).string(name).array(keys, key => { out.string(key); }); }).boolean(false); },
  decode: input => {
    input.int32();
    return input.array(() => {
      const error = input.int16(), message = input.string();
      input.int8();
      const name = input.string() ?? '';
      const values = Object.fromEntries(input.array(() => {
        const entry = [input.string() ?? '', input.string()] as const;
        input.boolean();
        input.int8();
        input.boolean();
        input.array(() => { input.string(); input.string(); input.int8(); });
        return entry;
      }));
      return { name, error, message, values };
    });
  },
};

interface GroupPartition { readonly topic: string; readonly partition: number }
export interface GroupOffset extends GroupPartition { readonly offset: number; readonly metadata: string | null }
type PartitionOutcome = GroupPartition & { readonly error: number };

function byTopic<T extends GroupPartition>(partitions: readonly T[]): readonly (readonly [string, readonly T[]])[] {
  const topics = new Map<string, T[]>();
  for (const one of partitions) { const list = topics.get(one.topic); if (list === undefined) topics.set(one.topic, [one]); else list.push(one); }
  return [...topics];
}

/** As a group without members does it: generation -1. */
export const commitOffsets: Api<{ readonly group: string; readonly offsets: readonly GroupOffset[] }, readonly PartitionOutcome[]> = {
  key: 8, name: 'OffsetCommit', version: 7, flexible: false,
  encode: (out, { group, offsets }) => {
    out.string(group).int32(-1).string('').string(null);
    out.array(byTopic(offsets), ([topic, list]) => { out.string(topic).array(list, one => { out.int32(one.partition).int64(one.offset).int32(-1).string(one.metadata); }); });
  },
  decode: input => { input.int32(); return input.array(() => { const topic = input.string() ?? ''; return input.array(() => ({ topic, partition: input.int32(), error: input.int16() })); }).flat(); },
};

/** All offsets of a group; -1 = none. */
export const fetchOffsets: Api<{ readonly group: string }, { readonly error: number; readonly offsets: readonly (GroupOffset & { readonly error: number })[] }> = {
  key: 9, name: 'OffsetFetch', version: 5, flexible: false,
  encode: (out, { group }) => { out.string(group).array(null, () => { /* all */ }); },
  decode: input => {
    input.int32();
    const offsets = input.array(() => {
      const topic = input.string() ?? '';
      return input.array(() => {
        const partition = input.int32(), offset = input.long();
        input.int32();
        return { topic, partition, offset, metadata: input.string(), error: input.int16() };
      });
    }).flat();
    return { error: input.int16(), offsets };
  },
};

export const deleteOffsets: Api<{ readonly group: string; readonly partitions: readonly GroupPartition[] }, { readonly error: number; readonly partitions: readonly PartitionOutcome[] }> = {
  key: 47, name: 'OffsetDelete', version: 0, flexible: false,
  encode: (out, { group, partitions }) => { out.string(group).array(byTopic(partitions), ([topic, list]) => { out.string(topic).array(list, one => { out.int32(one.partition); }); }); },
  decode: input => {
    const error = input.int16();
    input.int32();
    return { error, partitions: input.array(() => { const topic = input.string() ?? ''; return input.array(() => ({ topic, partition: input.int32(), error: input.int16() })); }).flat() };
  },
};
