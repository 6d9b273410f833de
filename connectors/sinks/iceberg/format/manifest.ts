/** Manifests and manifest lists (Iceberg specification, "Manifests" and "Manifest Lists"; field ids are the specification's). */
import { decodeContainer, encodeContainer, type Long } from './avro.ts';

/** Status of an entry: 0 existing, 1 added, 2 deleted. */
export interface ManifestEntry {
  readonly status: 0 | 1 | 2;
  readonly snapshot_id: Long | null;
  readonly sequence_number: number | null;
  readonly file_sequence_number: number | null;
  readonly data_file: DataFile;
}
export interface KeyValue<V> { readonly key: number; readonly value: V }
export interface DataFile {
  /** 0 data, 1 position deletes or a deletion vector, 2 equality deletes. */
  readonly content: number;
  readonly file_path: string;
  readonly file_format: string;
  readonly partition: Readonly<Record<string, never>>;
  readonly record_count: number;
  readonly file_size_in_bytes: number;
  readonly column_sizes: readonly KeyValue<number>[] | null;
  readonly value_counts: readonly KeyValue<number>[] | null;
  readonly null_value_counts: readonly KeyValue<number>[] | null;
  readonly nan_value_counts: readonly KeyValue<number>[] | null;
  readonly lower_bounds: readonly KeyValue<Buffer>[] | null;
  readonly upper_bounds: readonly KeyValue<Buffer>[] | null;
  readonly key_metadata: Buffer | null;
  readonly split_offsets: readonly number[] | null;
  readonly equality_ids: readonly number[] | null;
  readonly sort_order_id: number | null;
  readonly first_row_id?: number | null;
  readonly referenced_data_file: string | null;
  readonly content_offset?: number | null;
  readonly content_size_in_bytes?: number | null;
}
export interface ManifestFile {
  readonly manifest_path: string;
  readonly manifest_length: number;
  readonly partition_spec_id: number;
  /** 0 data, 1 deletes. */
  readonly content: number;
  readonly sequence_number: number;
  readonly min_sequence_number: number;
  readonly added_snapshot_id: Long;
  readonly added_files_count: number;
  readonly existing_files_count: number;
  readonly deleted_files_count: number;
  readonly added_rows_count: number;
  readonly existing_rows_count: number;
  readonly deleted_rows_count: number;
  readonly partitions: readonly unknown[] | null;
  readonly key_metadata: Buffer | null;
  readonly first_row_id?: number | null;
}

type Avro = string | { readonly [key: string]: unknown } | readonly Avro[];
function field(id: number, name: string, type: Avro): Avro { return { name, type, 'field-id': id }; }
function optional(id: number, name: string, type: Avro): Avro { return { name, type: ['null', type], default: null, 'field-id': id }; }
function map(keyId: number, valueId: number, value: Avro): Avro {
  return { type: 'array', logicalType: 'map', items: { type: 'record', name: `k${keyId}_v${valueId}`, fields: [field(keyId, 'key', 'int'), field(valueId, 'value', value)] } };
}
function list(elementId: number, element: Avro): Avro { return { type: 'array', items: element, 'element-id': elementId }; }

function entrySchema(version: 2 | 3): string {
  const dataFile = {
    type: 'record', name: 'r2', fields: [
      field(134, 'content', 'int'), field(100, 'file_path', 'string'), field(101, 'file_format', 'string'), field(102, 'partition', { type: 'record', name: 'r102', fields: [] }),
      field(103, 'record_count', 'long'), field(104, 'file_size_in_bytes', 'long'), optional(108, 'column_sizes', map(117, 118, 'long')), optional(109, 'value_counts', map(119, 120, 'long')),
      optional(110, 'null_value_counts', map(121, 122, 'long')), optional(137, 'nan_value_counts', map(138, 139, 'long')), optional(125, 'lower_bounds', map(126, 127, 'bytes')), optional(128, 'upper_bounds', map(129, 130, 'bytes')),
      optional(131, 'key_metadata', 'bytes'), optional(132, 'split_offsets', list(133, 'long')), optional(135, 'equality_ids', list(136, 'int')), optional(140, 'sort_order_id', 'int'),
      ...(version === 3 ? [optional(142, 'first_row_id', 'long')] : []),
      optional(143, 'referenced_data_file', 'string'),
      ...(version === 3 ? [optional(144, 'content_offset', 'long'), optional(145, 'content_size_in_bytes', 'long')] : []),
    ],
  };
  return JSON.stringify({ type: 'record', name: 'manifest_entry', fields: [field(0, 'status', 'int'), optional(1, 'snapshot_id', 'long'), optional(3, 'sequence_number', 'long'), optional(4, 'file_sequence_number', 'long'), field(2, 'data_file', dataFile)] });
}
function listSchema(version: 2 | 3): string {
  const summary = { type: 'record', name: 'r508', fields: [field(509, 'contains_null', 'boolean'), optional(518, 'contains_nan', 'boolean'), optional(510, 'lower_bound', 'bytes'), optional(511, 'upper_bound', 'bytes')] };
  return JSON.stringify({ type: 'record', name: 'manifest_file', fields: [
    field(500, 'manifest_path', 'string'), field(501, 'manifest_length', 'long'), field(502, 'partition_spec_id', 'int'), field(517, 'content', 'int'), field(515, 'sequence_number', 'long'), field(516, 'min_sequence_number', 'long'),
    field(503, 'added_snapshot_id', 'long'), field(504, 'added_files_count', 'int'), field(505, 'existing_files_count', 'int'), field(506, 'deleted_files_count', 'int'),
    field(512, 'added_rows_count', 'long'), field(513, 'existing_rows_count', 'long'), field(514, 'deleted_rows_count', 'long'), optional(507, 'partitions', list(508, summary)), optional(519, 'key_metadata', 'bytes'),
    ...(version === 3 ? [optional(520, 'first_row_id', 'long')] : []),
  ] });
}
const schemas = { 2: { entry: entrySchema(2), list: listSchema(2) }, 3: { entry: entrySchema(3), list: listSchema(3) } } as const;

/** `schema`: the table's schema as JSON. */
export function encodeManifest(version: 2 | 3, content: 'data' | 'deletes', schema: { readonly 'schema-id': number }, entries: readonly ManifestEntry[]): Buffer {
  return encodeContainer(schemas[version].entry, { schema: JSON.stringify(schema), 'schema-id': String(schema['schema-id']), 'partition-spec': '[]', 'partition-spec-id': '0', 'format-version': String(version), content }, entries);
}
export function decodeManifest(file: Buffer): readonly ManifestEntry[] { return decodeContainer(file).rows as readonly ManifestEntry[]; }

export function encodeManifestList(version: 2 | 3, facts: { readonly snapshot: Long; readonly parent: Long | undefined; readonly sequence: number }, manifests: readonly ManifestFile[]): Buffer {
  return encodeContainer(schemas[version].list, { 'snapshot-id': String(facts.snapshot), 'parent-snapshot-id': facts.parent === undefined ? 'null' : String(facts.parent), 'sequence-number': String(facts.sequence), 'format-version': String(version) }, manifests);
}
export function decodeManifestList(file: Buffer): readonly ManifestFile[] { return decodeContainer(file).rows as readonly ManifestFile[]; }
