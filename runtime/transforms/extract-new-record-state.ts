/**
 * `io.debezium.transforms.ExtractNewRecordState`: the row out of its envelope, for sinks that know only flat records.
 * Source: Debezium documentation, "New Record State Extraction".
 */
import type { ConnectRecord, Header, SchemaAndValue } from '../../envelopes/record.ts';
import type { Schema, StructSchema } from '../../envelopes/schema.ts';
import { bool, defineConfig, list, oneOf, string, type ConfigOf } from '../api/config.ts';
import type { Transform } from '../api/converter.ts';
import { isStruct, memberOf, withMembers } from './fields.ts';

const group = 'Transformation';
export const extractNewRecordStateConfig = defineConfig({
  'drop.tombstones': bool({ default: true, group, doc: 'Older name of the tombstone handling: true drops tombstones. Superseded by delete.tombstone.handling.mode.' }),
  'delete.handling.mode': oneOf(['none', 'drop', 'rewrite'], { default: 'drop', group, doc: 'Older name of the delete handling. Superseded by delete.tombstone.handling.mode.' }),
  'delete.tombstone.handling.mode': oneOf(['drop', 'tombstone', 'rewrite', 'rewrite-with-tombstone', 'delete-to-tombstone'], { default: 'tombstone', group, doc: 'What becomes of a delete and of the tombstone after it: drop both; keep only the tombstone; write the old row with __deleted=true; that and the tombstone; turn the delete itself into a tombstone.' }),
  'route.by.field': string({ default: '', group, doc: 'Field of the row whose value becomes the topic.' }),
  'add.fields': list({ default: [], group, doc: 'Envelope members to add to the row: op, table, lsn, source.ts_ms …, each with an optional new name after a colon.' }),
  'add.fields.prefix': string({ default: '__', group, doc: 'Put before the names of added fields.' }),
  'add.headers': list({ default: [], group, doc: 'Envelope members to add as headers.' }),
  'add.headers.prefix': string({ default: '__', group, doc: 'Put before the names of added headers.' }),
  'drop.fields.header.name': string({ default: '', group, doc: 'Header that lists fields to leave out.' }),
  'drop.fields.from.key': bool({ default: false, group, doc: 'Leave those fields out of the key as well.' }),
  'drop.fields.keep.schema.compatible': bool({ default: true, group, doc: 'Only optional fields are left out.' }),
  'replace.null.with.default': bool({ default: true, group, doc: 'A null in a field with a default becomes the default.' }),
});
type Config = ConfigOf<typeof extractNewRecordStateConfig>;
type Mode = Config['delete.tombstone.handling.mode'];

const TEXT: Schema = { type: 'string', optional: true };

export function extractNewRecordState(config: Config): Transform {
  const fields = config['add.fields'].map(reference => wanted(reference, config['add.fields.prefix']));
  const headers = config['add.headers'].map(reference => wanted(reference, config['add.headers.prefix']));
  const mode = config['delete.tombstone.handling.mode'];
  const route = config['route.by.field'];
  return {
    apply: record => {
      if (record.value.value === null) return keepsTombstone(mode) ? record : null;
      const op = memberOf(record.value, 'op');
      if (op === undefined || memberOf(record.value, 'source') === undefined) return record;
      if (op.value === 'm') return record;
      if (op.value === 't') return null;
      const row = rowOf(record.value, op.value === 'd', mode);
      if (row === undefined) return null;
      const added = fields.map(({ name, path }): [string, SchemaAndValue] => { const { schema, value } = find(record.value, path); return [name, { schema: schema && optionalOf(schema), value }]; });
      if (mode === 'rewrite' || mode === 'rewrite-with-tombstone') added.unshift(['__deleted', { schema: TEXT, value: op.value === 'd' ? 'true' : 'false' }]);
      const value = row.value === null || added.length === 0 ? row : withMembers(row, added);
      const more = headers.map(({ name, path }): Header => ({ name, ...find(record.value, path) }));
      const topic = route === '' ? record.topic : String(memberOf(row, route)?.value ?? record.topic);
      return { ...record, topic, value, headers: more.length === 0 ? record.headers : [...record.headers, ...more] } as ConnectRecord;
    },
  };
}

/** In mode tombstone the delete itself becomes the null that stands for it. */
function keepsTombstone(mode: Mode): boolean { return mode === 'rewrite-with-tombstone'; }

const interned = new WeakMap<Schema, Schema>();
function withOptional(schema: Schema, optional: boolean): Schema {
  if (schema.optional === optional) return schema;
  let other = interned.get(schema);
  if (other === undefined) { other = { ...schema, optional }; interned.set(schema, other); }
  return other;
}
const optionalOf = (schema: Schema): Schema => withOptional(schema, true);

/** A row on its own is required, though it was an optional member of its envelope. */
function standing({ schema, value }: SchemaAndValue): SchemaAndValue {
  if (schema === null || !isStruct(value)) return { schema, value };
  const required = withOptional(schema, false) as StructSchema;
  return { schema: required, value: { ...value, schema: required } };
}

/** The row to keep; undefined drops the record, a null value makes it a tombstone. */
function rowOf(envelope: SchemaAndValue, deleted: boolean, mode: Mode): SchemaAndValue | undefined {
  const after = memberOf(envelope, 'after'), before = memberOf(envelope, 'before');
  if (!deleted) return after && standing(after);
  if (mode === 'drop') return undefined;
  if (mode === 'tombstone') return after;
  if (mode === 'delete-to-tombstone') return { schema: null, value: null };
  return before && standing(before);
}

interface Wanted { readonly name: string; readonly path: readonly string[] }
function wanted(reference: string, prefix: string): Wanted {
  const [path = '', renamed] = reference.split(':');
  return { name: prefix + (renamed ?? path.replaceAll('.', '_')), path: path.split('.') };
}

/** A dotted path from the envelope; a bare name is looked up in the envelope, then in source and transaction. */
function find(envelope: SchemaAndValue, path: readonly string[]): SchemaAndValue {
  const direct = path.reduce<SchemaAndValue | undefined>((at, name) => at && memberOf(at, name), envelope);
  if (direct !== undefined) return direct;
  for (const block of ['source', 'transaction']) {
    const inside = memberOf(envelope, block);
    const member = inside && path.reduce<SchemaAndValue | undefined>((at, name) => at && memberOf(at, name), inside);
    if (member !== undefined) return member;
  }
  return { schema: TEXT, value: null };
}
