/** Requests that find one's way in a cluster: versions, brokers, topics, coordinators. */
import type { Api } from './wire.ts';

export interface VersionRange { readonly min: number; readonly max: number }
/** Which versions of each request the broker speaks. */
export const apiVersions: Api<undefined, { readonly error: number; readonly ranges: ReadonlyMap<number, VersionRange> }> = {
  key: 18, name: 'ApiVersions', version: 0, flexible: false,
  encode: () => { /* empty */ },
  decode: input => {
    const error = input.int16();
    return { error, ranges: new Map(input.array(() => { const key = input.int16(); return [key, { min: input.int16(), max: input.int16() }] as const; })) };
  },
};

export interface PartitionMetadata { readonly error: number; readonly partition: number; readonly leader: number; readonly leaderEpoch: number; readonly replicas: readonly number[]; readonly isr: readonly number[] }
export interface TopicMetadata { readonly error: number; readonly name: string; readonly id: string; readonly internal: boolean; readonly partitions: readonly PartitionMetadata[] }
export interface BrokerAddress { readonly id: number; readonly host: string; readonly port: number }
export interface ClusterMetadata { readonly brokers: readonly BrokerAddress[]; readonly clusterId: string | null; readonly controller: number; readonly topics: readonly TopicMetadata[] }

/** `topics: null` asks for all. Version 10 (Kafka 2.8) is the first one with topic ids. */
export const metadata: Api<{ readonly topics: readonly string[] | null; readonly autoCreate: boolean }, ClusterMetadata> = {
  key: 3, name: 'Metadata', version: 10, flexible: true,
  encode: (out, { topics, autoCreate }) => {
    out.compactArray(topics, name => { out.raw(new Uint8Array(16)).compactString(name).tags(); });
    out.boolean(autoCreate).boolean(false).boolean(false).tags();
  },
  decode: input => {
    input.int32();
    const brokers = input.compactArray((): BrokerAddress => {
      const broker = { id: input.int32(), host: input.compactString() ?? '', port: input.int32() };
      input.compactString();
      input.tags();
      return broker;
    });
    const clusterId = input.compactString();
    const controller = input.int32();
    const topics = input.compactArray((): TopicMetadata => {
      const error = input.int16(), name = input.compactString() ?? '', id = input.uuid(), internal = input.boolean();
      const partitions = input.compactArray((): PartitionMetadata => {
        const found = { error: input.int16(), partition: input.int32(), leader: input.int32(), leaderEpoch: input.int32(), replicas: input.compactArray(() => input.int32()), isr: input.compactArray(() => input.int32()) };
        input.compactArray(() => input.int32());
        input.tags();
        return found;
      });
      input.int32();
      input.tags();
      return { error, name, id, internal, partitions };
    });
    return { brokers, clusterId, controller, topics };
  },
};

export type CoordinatorKind = 'group' | 'transaction';
export interface Coordinator { readonly error: number; readonly message: string | null; readonly broker: BrokerAddress }
export const findCoordinator: Api<{ readonly key: string; readonly kind: CoordinatorKind }, Coordinator> = {
  key: 10, name: 'FindCoordinator', version: 2, flexible: false,
  encode: (out, { key, kind }) => { out.string(key).int8(kind === 'group' ? 0 : 1); },
  decode: input => {
    input.int32();
    return { error: input.int16(), message: input.string(), broker: { id: input.int32(), host: input.string() ?? '', port: input.int32() } };
  },
};
