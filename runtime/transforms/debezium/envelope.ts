/** What Debezium's transforms ask of a record. */
import type { ConnectRecord, Header } from '../../../envelopes/record.ts';
import type { StructSchema } from '../../../envelopes/schema.ts';
import { memberOf } from '../fields.ts';

/** A change event: by the name of its schema, or without one by its members. */
export function isEnvelope({ value }: ConnectRecord): boolean {
  if (value.schema !== null) return value.value !== null && value.schema.name?.endsWith('.Envelope') === true;
  return memberOf(value, 'op') !== undefined && memberOf(value, 'source') !== undefined;
}

/**
 * Debezium gives a delete and its tombstone one list of headers, so what its own transforms add to the first shows on the
 * second too. One per transform; `record` is what came in, `added` what it gets.
 */
export function headerSharing(): (record: ConnectRecord, added: readonly Header[]) => readonly Header[] {
  let last: { readonly topic: string; readonly key: string; readonly added: readonly Header[] } | undefined;
  return (record, added) => {
    const { topic } = record;
    const tombstone = record.value.value === null;
    if (!tombstone && memberOf(record.value, 'op')?.value !== 'd') { last = undefined; return [...record.headers, ...added]; }
    const key = schemaIdentity([record.key.value]);
    const before = tombstone && last?.topic === topic && last.key === key ? last.added : [];
    last = tombstone ? undefined : { topic, key, added };
    return [...record.headers, ...before, ...added];
  };
}

/** A struct schema's field names and schemas as text: equal schemas have equal text, whichever object they are. */
export function schemaIdentity(schema: StructSchema | object | null): string {
  return JSON.stringify(schema, (_key, member: unknown) => (typeof member === 'bigint' ? `${member}n` : member instanceof Uint8Array ? Buffer.from(member).toString('base64') : member));
}
