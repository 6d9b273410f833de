/** Kafka Connect's predicates: which records a transform is for. */
import type { ConnectRecord } from '../../envelopes/record.ts';
import { defineConfig, string, type ConfigOf } from '../api/config.ts';
import { memberOf } from './fields.ts';
import { noConfig, wholeMatch } from './simple.ts';

export type Predicate = (record: ConnectRecord) => boolean;
const group = 'Predicate';

export const topicNameMatchesConfig = defineConfig({ pattern: string({ required: true, group, doc: 'Java regular expression for the whole topic name.' }) });
export function topicNameMatches(config: ConfigOf<typeof topicNameMatchesConfig>): Predicate {
  const whole = wholeMatch(config.pattern, 'pattern');
  return record => whole.test(record.topic);
}
export const hasHeaderKeyConfig = defineConfig({ name: string({ required: true, group, doc: 'Name of the header.' }) });
export function hasHeaderKey(config: ConfigOf<typeof hasHeaderKeyConfig>): Predicate {
  return record => record.headers.some(({ name }) => name === config.name);
}
export const recordIsTombstoneConfig = noConfig;
export function recordIsTombstone(): Predicate { return record => record.value.value === null; }

export const fieldIsNullConfig = defineConfig({ field: string({ required: true, group, doc: 'Top-level field of the value; absent counts as null.' }) });
/** Ours: `org.tributary.transforms.predicates.FieldIsNull`. With Filter it is "where FIELD is not null"; Connect leaves that to scripts. */
export function fieldIsNull(config: ConfigOf<typeof fieldIsNullConfig>): Predicate {
  return record => (memberOf(record.value, config.field)?.value ?? null) === null;
}
