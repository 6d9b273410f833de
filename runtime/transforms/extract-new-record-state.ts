/**
 * `io.debezium.transforms.ExtractNewRecordState`: the row out of its envelope, for sinks that know only flat records.
 * Source: Debezium documentation, "New Record State Extraction".
 */
import type { ConnectRecord, Header, SchemaAndValue } from '../../envelopes/record.ts';
import type { Schema, Value } from '../../envelopes/schema.ts';
import { bool, defineConfig, list, oneOf, string, type ConfigOf } from '../api/config.ts';
import type { Transform } from '../api/converter.ts';
import { DataError } from '../api/errors.ts';
import { headerSharing, isEnvelope } from './debezium/envelope.ts';
import { basics, derivedSchema, isObject, isStruct, memberOf, perSchema, replaceNull, type Side, valueAt, withMembers, withSide } from './fields.ts';

const group = 'Transformation';
export const extractNewRecordStateConfig = defineConfig({
  'delete.tombstone.handling.mode': oneOf(['drop', 'tombstone', 'rewrite', 'rewrite-with-tombstone', 'delete-to-tombstone'], { default: 'tombstone', group, doc: 'What becomes of a delete and of the tombstone after it: drop both; keep only the tombstone; write the old row with __deleted=true; that and the tombstone; turn the delete itself into a tombstone.' }),
  'route.by.field': string({ default: '', group, doc: 'Field of the row whose value becomes the topic.' }),
  'add.fields': list({ default: [], group, doc: 'Envelope members to add to the row: op, table, lsn, source.ts_ms …, each with an optional new name after a colon.' }),
  'add.fields.prefix': string({ default: '__', group, doc: 'Put before the names of added fields.' }),
  'add.headers': list({ default: [], group, doc: 'Envelope members to add as headers.' }),
  'add.headers.prefix': string({ default: '__', group, doc: 'Put before the names of added headers.' }),
  'drop.fields.header.name': string({ default: '', group, doc: 'Header that lists fields to leave out.' }),
  'drop.fields.from.key': bool({ default: false, group, doc: 'Leave those fields out of the key as well.' }),
  'drop.fields.keep.schema.compatible': bool({ default: true, group, doc: 'Only optional fields are left out.' }),
  'replace.null.with.default': replaceNull,
});
type Config = ConfigOf<typeof extractNewRecordStateConfig>;
type Mode = Config['delete.tombstone.handling.mode'];

const TEXT: Schema = { type: 'string', optional: true }, OP: Schema = { type: 'string', optional: false };

export function extractNewRecordState(config: Config): Transform {
  const fields = config['add.fields'].map(reference => referenceOf(reference, config['add.fields.prefix']));
  const headers = config['add.headers'].map(reference => referenceOf(reference, config['add.headers.prefix']));
  const mode = config['delete.tombstone.handling.mode'];
  const share = headerSharing();
  return {
    apply: record => {
      if (record.value.value === null) return mode === 'rewrite-with-tombstone' ? { ...record, headers: share(record, tombstoneHeaders(headers)) } : null;
      if (!isEnvelope(record)) return record;
      const before = memberOf(record.value, 'before'), after = memberOf(record.value, 'after');
      const deleted = (after?.value ?? null) === null;
      if (deleted && (before?.value ?? null) === null) return null;
      const kept = deleted ? deletedRow(mode, before, after, config) : after === undefined ? undefined : rewritten(after, mode, 'false', config);
      if (kept === undefined) return null;
      const added = headers.flatMap((reference): Header[] => { const found = find(record.value, reference); return found === undefined ? [] : [{ name: reference.name, ...found }]; });
      const out = { ...record, headers: share(record, added), topic: routeOf(config['route.by.field'], deleted ? before : kept) ?? record.topic, value: kept };
      if (!deleted) return dropped(withFields(out, record, fields), config);
      const rest = dropped(out, config);
      return rest.value.value === null ? rest : withFields(rest, record, fields);
    },
  };
}

/** The operation is known of a tombstone, nothing else. */
function tombstoneHeaders(references: readonly Reference[]): Header[] { return references.filter(({ field }) => field === 'op').map(({ name }) => ({ name, schema: OP, value: 'd' })); }

/** Undefined drops the record, a null value makes it a tombstone. */
function deletedRow(mode: Mode, before: SchemaAndValue | undefined, after: SchemaAndValue | undefined, config: Config): SchemaAndValue | undefined {
  switch (mode) {
    case 'drop': return undefined;
    case 'tombstone': return after ?? { schema: null, value: null };
    case 'delete-to-tombstone': return { schema: null, value: null };
    default: return before === undefined ? undefined : rewritten(before, mode, 'true', config);
  }
}

/** In the rewriting modes with `__deleted`, and nulls as defaults where that is asked. */
function rewritten(row: SchemaAndValue, mode: Mode, deleted: string, config: Config): SchemaAndValue {
  if (mode !== 'rewrite' && mode !== 'rewrite-with-tombstone') return row;
  const { value } = row;
  const filled = isStruct(value) ? { schema: row.schema, value: { schema: value.schema, values: value.values.map((_, i): Value => valueAt(value, i, config['replace.null.with.default'])) } } : row;
  return withMembers(filled, [['__deleted', { schema: TEXT, value: deleted }]]);
}

function withFields(record: ConnectRecord, original: ConnectRecord, references: readonly Reference[]): ConnectRecord {
  const members = references.flatMap((reference): [string, SchemaAndValue][] => { const found = find(original.value, reference); return found === undefined ? [] : [[reference.name, found]]; });
  return { ...record, value: withMembers(record.value, members) };
}

function routeOf(field: string, row: SchemaAndValue | undefined): string | undefined {
  if (field === '' || row === undefined) return undefined;
  const found = memberOf(row, field, true);
  if (found === undefined) throw new DataError(`${field} is not a valid field name`, { code: 'FIELD_UNKNOWN', hint: 'route.by.field must name a column of every table whose events come here.' });
  if (found.value !== null && typeof found.value !== 'string') throw new DataError(`Field '${field}' is not of type STRING`, { code: 'FIELD_TYPE', hint: 'route.by.field must name a text column.' });
  return found.value === null || found.value.trim() === '' ? undefined : found.value;
}

/** Leaves out the fields that a header lists. */
function dropped(record: ConnectRecord, config: Config): ConnectRecord {
  const name = config['drop.fields.header.name'];
  const listed = name.trim() === '' ? undefined : record.headers.find(header => header.name === name)?.value;
  if (!Array.isArray(listed) || listed.length === 0) return record;
  const names = new Set((listed as readonly Value[]).map(String));
  const without = (from: ConnectRecord, side: Side): ConnectRecord => {
    const { value } = from[side];
    if (isObject(value) && !isStruct(value)) return withSide(from, side, { schema: null, value: Object.fromEntries(Object.entries(value).filter(([field]) => !names.has(field))) as unknown as Value });
    if (!isStruct(value)) return from;
    const kept = value.schema.fields.map((field, i) => ({ field, i })).filter(({ field }) => !names.has(field.name) || (config['drop.fields.keep.schema.compatible'] && !field.schema.optional));
    if (kept.length === value.schema.fields.length) return from;
    const schema = derivedSchema(value.schema, kept.map(({ field }) => field));
    return withSide(from, side, { schema, value: { schema, values: kept.map(({ i }) => valueAt(value, i, true)) } });
  };
  return without(config['drop.fields.from.key'] ? without(record, 'key') : record, 'value');
}

interface Reference { readonly name: string; readonly block: string | undefined; readonly field: string }

const OF_TRANSACTION = new Set(['id', 'total_order', 'data_collection_order']), OF_ENVELOPE = new Set(['op', 'ts_ms', 'ts_us', 'ts_ns']);

/** `field`, `block.field`, each with `:name`; a bare field's block follows from what it is. */
function referenceOf(reference: string, prefix: string): Reference {
  const [path = '', renamed] = reference.split(':');
  const [first = '', second] = path.split('.');
  if (second !== undefined) return { name: prefix + (renamed ?? `${first}_${second}`), block: first, field: second };
  return { name: prefix + (renamed ?? first), block: OF_TRANSACTION.has(first) ? 'transaction' : OF_ENVELOPE.has(first) ? undefined : 'source', field: first };
}

const optionalBasics = perSchema((schema: Schema): Schema => { const { default: _default, name: _name, version: _version, doc: _doc, parameters: _parameters, ...shape } = schema; return { ...shape, optional: true, ...basics(schema) } as Schema; });

/** In its block, else in the envelope itself; undefined where neither has it. A field keeps its type, without a default. */
function find(envelope: SchemaAndValue, { block, field }: Reference): SchemaAndValue | undefined {
  const home = block === undefined ? envelope : memberOf(envelope, block);
  const typed = home === undefined ? undefined : home.schema?.type === 'struct' && home.value === null ? missing(home.schema, field) : memberOf(home, field);
  const found = typed ?? memberOf(envelope, field);
  return found === undefined ? undefined : { schema: found.schema === null ? null : optionalBasics(found.schema), value: found.value };
}

/** A field of a block that is not there: the type is known, the value is null. */
function missing(block: Schema & { readonly type: 'struct' }, field: string): SchemaAndValue | undefined {
  const found = block.fields.find(({ name }) => name === field);
  return found === undefined ? undefined : { schema: found.schema, value: null };
}
