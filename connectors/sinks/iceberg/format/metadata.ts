/** Table metadata (Iceberg specification, "Table Metadata", format versions 2 and 3) as this sink reads and writes it. */
import { FatalError } from '../../../../runtime/api/errors.ts';
import type { Column, ColumnType } from '../../tables/table.ts';
import type { Long } from './avro.ts';

export type JsonType = string
  | { readonly type: 'struct'; readonly fields: readonly JsonField[] }
  | { readonly type: 'list'; readonly 'element-id': number; readonly element: JsonType; readonly 'element-required': boolean }
  | { readonly type: 'map'; readonly 'key-id': number; readonly key: JsonType; readonly 'value-id': number; readonly value: JsonType; readonly 'value-required': boolean };
export interface JsonField { readonly id: number; readonly name: string; readonly required: boolean; readonly type: JsonType }
export interface JsonSchema { readonly type: 'struct'; readonly 'schema-id': number; readonly 'identifier-field-ids'?: readonly number[]; readonly fields: readonly JsonField[] }
export interface Snapshot {
  readonly 'snapshot-id': Long;
  readonly 'parent-snapshot-id'?: Long;
  readonly 'sequence-number': number;
  readonly 'timestamp-ms': number;
  readonly summary: Readonly<Record<string, string>>;
  readonly 'manifest-list': string;
  readonly 'schema-id': number;
  readonly 'first-row-id'?: number;
  readonly 'added-rows'?: number;
}
export interface Metadata {
  readonly 'format-version': 2 | 3;
  readonly 'table-uuid': string;
  readonly location: string;
  readonly 'last-sequence-number': number;
  readonly 'last-updated-ms': number;
  readonly 'last-column-id': number;
  readonly 'current-schema-id': number;
  readonly schemas: readonly JsonSchema[];
  readonly 'default-spec-id': number;
  readonly 'partition-specs': readonly { readonly 'spec-id': number; readonly fields: readonly unknown[] }[];
  readonly 'last-partition-id': number;
  readonly 'default-sort-order-id': number;
  readonly 'sort-orders': readonly { readonly 'order-id': number; readonly fields: readonly unknown[] }[];
  readonly properties?: Readonly<Record<string, string>>;
  readonly 'current-snapshot-id'?: Long | null;
  readonly refs?: Readonly<Record<string, { readonly 'snapshot-id': Long; readonly type: string }>>;
  readonly snapshots?: readonly Snapshot[];
  readonly 'snapshot-log'?: readonly { readonly 'snapshot-id': Long; readonly 'timestamp-ms': number }[];
  readonly 'metadata-log'?: readonly { readonly 'metadata-file': string; readonly 'timestamp-ms': number }[];
  readonly 'next-row-id'?: number;
}

/** Table property that names the key columns, as JSON. */
export const KEY_PROPERTY = 'tributary.key';

/** Whether this sink can write the table without breaking it. Throws FatalError ICEBERG_UNSUPPORTED. */
export function checkMetadata(name: string, metadata: Metadata): void {
  const reasons = [
    metadata['format-version'] !== 2 && metadata['format-version'] !== 3 ? `format version ${String(metadata['format-version'])}` : '',
    metadata['partition-specs'].find(spec => spec['spec-id'] === metadata['default-spec-id'])?.fields.length === 0 ? '' : 'partitions',
  ].filter(reason => reason !== '');
  if (reasons.length > 0) throw new FatalError(`Iceberg table ${name} uses what this sink cannot write: ${reasons.join(', ')}`, { code: 'ICEBERG_UNSUPPORTED', hint: 'Write to a new table with table.name.format.' });
}

/** Version 2 has no nanoseconds: the nearest type that it has. */
export function withoutNanos(type: ColumnType): ColumnType {
  switch (type.kind) {
    case 'timestamp_ns': return { kind: 'timestamp' };
    case 'timestamptz_ns': return { kind: 'timestamptz' };
    case 'list': return { kind: 'list', element: withoutNanos(type.element) };
    case 'map': return { kind: 'map', key: withoutNanos(type.key), value: withoutNanos(type.value) };
    case 'struct': return { kind: 'struct', fields: type.fields.map(field => ({ ...field, type: withoutNanos(field.type) })) };
    default: return type;
  }
}

const SIMPLE = {
  boolean: 'boolean', int: 'int', long: 'long', float: 'float', double: 'double', date: 'date', time: 'time', timestamp: 'timestamp', timestamptz: 'timestamptz',
  timestamp_ns: 'timestamp_ns', timestamptz_ns: 'timestamptz_ns', string: 'string', uuid: 'uuid', binary: 'binary',
} as const;
const KINDS = new Set<string>(Object.keys(SIMPLE));

/** Gives ids to new columns: the column's own, then those of its members depth first. */
export class FieldIds {
  last: number;
  constructor(last: number) { this.last = last; }
  assign(column: Column): Column {
    const id = ++this.last;
    return { ...column, id, ids: this.nested(column.type) };
  }
  private nested(type: ColumnType): readonly number[] { return membersOf(type).flatMap(member => [++this.last, ...this.nested(member)]); }
}
function membersOf(type: ColumnType): readonly ColumnType[] {
  switch (type.kind) {
    case 'list': return [type.element];
    case 'map': return [type.key, type.value];
    case 'struct': return type.fields.map(field => field.type);
    default: return [];
  }
}

/** Columns with ids → a schema. Key columns that are required become the identifier fields. */
export function encodeSchema(columns: readonly Column[], key: readonly string[], id: number): JsonSchema {
  const fields = columns.map(column => {
    const ids = [...(column.ids ?? [])];
    return { id: column.id ?? 0, name: column.name, required: column.required, type: encodeType(column.type, () => ids.shift() ?? 0) };
  });
  const identifiers = key.map(name => columns.find(column => column.name === name)).filter(column => column?.required === true && column.type.kind !== 'float' && column.type.kind !== 'double');
  return { type: 'struct', 'schema-id': id, ...(key.length > 0 && identifiers.length === key.length ? { 'identifier-field-ids': identifiers.map(column => column?.id ?? 0) } : {}), fields };
}
function encodeType(type: ColumnType, next: () => number): JsonType {
  switch (type.kind) {
    case 'decimal': return `decimal(${type.precision}, ${type.scale})`;
    case 'list': { const id = next(); return { type: 'list', 'element-id': id, element: encodeType(type.element, next), 'element-required': false }; }
    case 'map': {
      const keyId = next(), key = encodeType(type.key, next), valueId = next();
      return { type: 'map', 'key-id': keyId, key, 'value-id': valueId, value: encodeType(type.value, next), 'value-required': false };
    }
    case 'struct': return { type: 'struct', fields: type.fields.map(field => { const id = next(); return { id, name: field.name, required: false, type: encodeType(field.type, next) }; }) };
    default: return SIMPLE[type.kind];
  }
}

export function decodeSchema(schema: JsonSchema): readonly Column[] {
  return schema.fields.map(field => {
    const ids: number[] = [];
    const type = decodeType(field.type, ids);
    return { name: field.name, required: field.required, type, id: field.id, ids };
  });
}
function decodeType(type: JsonType, ids: number[]): ColumnType {
  if (typeof type === 'string') {
    const decimal = /^decimal\((\d+), ?(\d+)\)$/.exec(type);
    if (decimal !== null) return { kind: 'decimal', precision: Number(decimal[1]), scale: Number(decimal[2]) };
    if (KINDS.has(type)) return { kind: type } as ColumnType;
    if (type.startsWith('fixed[')) return { kind: 'binary' };
    throw new FatalError(`Iceberg type ${type} is not known to this sink`, { code: 'ICEBERG_TYPE', hint: 'Write to a new table with table.name.format.' });
  }
  switch (type.type) {
    case 'list': ids.push(type['element-id']); return { kind: 'list', element: decodeType(type.element, ids) };
    case 'map': {
      ids.push(type['key-id']);
      const key = decodeType(type.key, ids);
      ids.push(type['value-id']);
      return { kind: 'map', key, value: decodeType(type.value, ids) };
    }
    case 'struct': return { kind: 'struct', fields: type.fields.map(field => { ids.push(field.id); return { name: field.name, required: field.required, type: decodeType(field.type, ids) }; }) };
  }
}

export function newMetadata(facts: { readonly uuid: string; readonly location: string; readonly version: 2 | 3; readonly columns: readonly Column[]; readonly key: readonly string[]; readonly now: number }): Metadata {
  const ids = new FieldIds(0);
  const columns = facts.columns.map(column => ids.assign(column));
  return {
    'format-version': facts.version, 'table-uuid': facts.uuid, location: facts.location, 'last-sequence-number': 0, 'last-updated-ms': facts.now, 'last-column-id': ids.last,
    'current-schema-id': 0, schemas: [encodeSchema(columns, facts.key, 0)], 'default-spec-id': 0, 'partition-specs': [{ 'spec-id': 0, fields: [] }], 'last-partition-id': 999,
    'default-sort-order-id': 0, 'sort-orders': [{ 'order-id': 0, fields: [] }],
    properties: { 'write.format.default': 'parquet', 'write.delete.mode': 'merge-on-read', 'write.update.mode': 'merge-on-read', 'write.merge.mode': 'merge-on-read', 'write.parquet.compression-codec': 'zstd', [KEY_PROPERTY]: JSON.stringify(facts.key) },
    refs: {}, snapshots: [], 'snapshot-log': [], 'metadata-log': [], ...(facts.version === 3 ? { 'next-row-id': 0 } : {}),
  };
}

export function currentSchema(metadata: Metadata): JsonSchema {
  const found = metadata.schemas.find(schema => schema['schema-id'] === metadata['current-schema-id']);
  if (found === undefined) throw new FatalError('Iceberg metadata has no current schema', { code: 'ICEBERG_METADATA', hint: 'Restore the newest metadata file of the table.' });
  return found;
}
export function currentSnapshot(metadata: Metadata): Snapshot | undefined {
  const id = metadata['current-snapshot-id'];
  return id === undefined || id === null || id === -1 ? undefined : metadata.snapshots?.find(snapshot => snapshot['snapshot-id'] === id);
}
/** The current snapshot and those before it, newest first. */
export function * ancestry(metadata: Metadata): Generator<Snapshot> {
  const byId = new Map((metadata.snapshots ?? []).map(snapshot => [snapshot['snapshot-id'], snapshot]));
  for (let snapshot = currentSnapshot(metadata); snapshot !== undefined;) {
    yield snapshot;
    const parent = snapshot['parent-snapshot-id'];
    snapshot = parent === undefined ? undefined : byId.get(parent);
  }
}

/**
 * The metadata after one more snapshot. `file` names the metadata before it, for its log; `keep` is how many snapshots stay,
 * since old ones only cost time to read. Branches and tags of others have histories of their own: with any, all stay.
 */
export function withSnapshot(metadata: Metadata, snapshot: Snapshot, { file, keep, properties }: { readonly file: string; readonly keep: number; readonly properties: Readonly<Record<string, string>> }): Metadata {
  const before = metadata.snapshots ?? [], branched = Object.keys(metadata.refs ?? {}).some(name => name !== 'main');
  const kept = branched ? before : before.slice(Math.max(0, before.length + 1 - keep));
  const known = new Set([...kept.map(one => one['snapshot-id']), snapshot['snapshot-id']]);
  return {
    ...logged(metadata, file), 'last-sequence-number': snapshot['sequence-number'], 'last-updated-ms': snapshot['timestamp-ms'], 'current-snapshot-id': snapshot['snapshot-id'],
    refs: { ...metadata.refs, main: { ...metadata.refs?.['main'], 'snapshot-id': snapshot['snapshot-id'], type: 'branch' } }, snapshots: [...kept, snapshot], properties: { ...metadata.properties, ...properties },
    'snapshot-log': [...(metadata['snapshot-log'] ?? []).filter(entry => known.has(entry['snapshot-id'])), { 'snapshot-id': snapshot['snapshot-id'], 'timestamp-ms': snapshot['timestamp-ms'] }],
    ...(metadata['format-version'] === 3 ? { 'next-row-id': (metadata['next-row-id'] ?? 0) + (snapshot['added-rows'] ?? 0) } : {}),
  };
}
/** The metadata with another current schema. */
export function withSchema(metadata: Metadata, schema: JsonSchema, lastColumnId: number, file: string, now: number): Metadata {
  return { ...logged(metadata, file), 'last-updated-ms': now, 'last-column-id': lastColumnId, 'current-schema-id': schema['schema-id'], schemas: [...metadata.schemas, schema] };
}
function logged(metadata: Metadata, file: string): Metadata {
  return { ...metadata, 'metadata-log': [...(metadata['metadata-log'] ?? []).slice(-99), { 'metadata-file': file, 'timestamp-ms': metadata['last-updated-ms'] }] };
}
