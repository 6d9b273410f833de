/**
 * Row changes → records: composed once per table schema. `decode` is the general way, through values; `writeKey` and
 * `writeValue` go from the server's bytes to JSON bytes and must give the same text.
 */
import { connectText } from '../../../envelopes/java-values.ts';
import { schemaPrefix, valueJson } from '../../../envelopes/json.ts';
import { STRING } from '../../../envelopes/logical/schemas.ts';
import type { Header } from '../../../envelopes/record.ts';
import type { Struct, StructSchema, Value } from '../../../envelopes/schema.ts';
import type { ByteWriter } from '../../../runtime/api/byte-writer.ts';
import type { EncodedHeader, SourceRecord } from '../../../runtime/api/plugin.ts';
import { ABSENT, type Change, type RecordKind, type RowImage, type TableEncoder, UNCHANGED_TOAST } from './change.ts';
import { zeroOf } from './default-value.ts';
import type { EncodingOptions } from './encoding-options.ts';
import { tailWriter } from './event-tail.ts';
import type { TableColumn, TableSchema } from './schema.ts';
import { sourceStruct, sourceWriter } from './source-info.ts';

const CHANGE: readonly RecordKind[] = ['change'];
const DELETE: readonly RecordKind[] = ['change', 'tombstone'];
const KEY_CHANGE: readonly RecordKind[] = ['key-delete', 'key-tombstone', 'key-create'];
const KEY_CHANGE_BARE: readonly RecordKind[] = ['key-delete', 'key-create'];

const NULL = Buffer.from('null'), CLOSE = Buffer.from('}'), EMPTY = Buffer.from('{}');

/** Bytes that tables have in common, by their text: thousands of tables have few different columns. */
const constants = new Map<string, Buffer>();
const MOST_CONSTANTS = 20_000;

/** The bytes of a text that is written again and again. */
function constant(text: string): Buffer {
  let bytes = constants.get(text);
  if (bytes === undefined) {
    if (constants.size >= MOST_CONSTANTS) constants.clear();
    // Not from node's pool, of which each small piece would keep 8 KB alive.
    bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
    bytes.write(text);
    constants.set(text, bytes);
  }
  return bytes;
}

/** Text of a column in an image, or null for NULL, absent and unchanged values. */
function textOf(image: RowImage, position: number): string | null {
  const start = image.start[position] ?? ABSENT;
  return start < 0 ? null : image.buffer.toString('utf8', start, image.end[position]);
}

/** Value as it goes into a record: a missing one of a required column is its type's zero. */
function columnValue(image: RowImage, position: number, column: TableColumn): Value {
  const { codec, schema } = column;
  if (codec === undefined) return null;
  if (image.start[position] === UNCHANGED_TOAST) return codec.placeholder ?? (schema.optional ? null : zeroOf(schema));
  const text = textOf(image, position);
  const value = text === null ? codec.ofNull ?? null : codec.decode(text);
  return value === null && !schema.optional ? schema.default ?? codec.zero ?? zeroOf(schema) : value;
}

function rowStruct(table: TableSchema, image: RowImage): Struct {
  const values: Value[] = [];
  table.columns.forEach((column, position) => { if (column.codec !== undefined) values.push(columnValue(image, position, column)); });
  return { schema: table.rowSchema, values };
}

function keyStruct(table: TableSchema, schema: StructSchema, image: RowImage): Struct {
  const values = table.keyColumns.map((column, i) => columnValue(image, table.keyPositions[i] ?? -1, column));
  return { schema, values: table.keyField === undefined ? values : [...values, table.keyField] };
}

/** True when an update's old image carries a key that differs from the new one. */
function keyChanged(table: TableSchema, { op, before, after }: Pick<Change, 'op' | 'before' | 'after'>): boolean {
  if (op !== 'u' || before === undefined || after === undefined) return false;
  return table.keyPositions.some(position => {
    const from = before.start[position] ?? ABSENT, to = after.start[position] ?? ABSENT;
    if (from === ABSENT) return true;
    if (from < 0 || to < 0) return from !== to;
    return before.buffer.compare(after.buffer, to, after.end[position], from, before.end[position]) !== 0;
  });
}

function sameValue(before: RowImage, after: RowImage, position: number): boolean {
  const from = before.start[position] ?? ABSENT, to = after.start[position] ?? ABSENT;
  if (to === UNCHANGED_TOAST) return true;
  if (from < 0 || to < 0) return from === to;
  return before.buffer.compare(after.buffer, to, after.end[position], from, before.end[position]) === 0;
}

/** Composes the writers of one table version. */
export function compileTable(table: TableSchema, options: EncodingOptions): TableEncoder {
  const { keySchema } = table;
  const deleteKinds = options.tombstones ? DELETE : CHANGE;
  const keyKinds = options.tombstones ? KEY_CHANGE : KEY_CHANGE_BARE;
  const context = contextHeaders(options);
  const writeRow = rowWriter(table.columns.map((column, position) => ({ column, position })).filter(({ column }) => column.codec !== undefined));
  const writeKeyRow = rowWriter(table.keyColumns.map((column, i) => ({ column, position: table.keyPositions[i] ?? -1 })), keyTail(table));
  const writeTail = tailWriter(sourceWriter(options, table.schema, table.table));

  const keyImage = (change: Change, kind: RecordKind): RowImage | undefined =>
    (kind === 'key-delete' || kind === 'key-tombstone' || change.op === 'd' ? change.before : change.after) ?? change.before;
  const headers = (change: Change, kind: RecordKind): readonly EncodedHeader[] => {
    const other = otherKey(table, change, kind);
    return other === undefined ? context : [{ name: other.name, value: Buffer.from(connectText(other.value.schema, other.value) ?? '') }, ...context];
  };
  const carried = table.columns.flatMap((column, position) => (column.codec === undefined ? [] : [position]));
  return {
    headers,
    keyChanged: (op, before, after) => keySchema !== null && keyChanged(table, { op, before, after }),
    unchanged: (before, after) => before !== undefined && after !== undefined && carried.every(position => sameValue(before, after, position)),
    kinds: change => (change.op === 'd' ? deleteKinds : keySchema !== null && keyChanged(table, change) ? keyKinds : CHANGE),
    decode: (change, kind) => decode(table, options, change, kind, keyImage(change, kind), decodedHeaders(table, change, kind, context)),
    writeKey: (change, kind, schemas, out) => {
      const image = keyImage(change, kind);
      if (keySchema === null || image === undefined || change.op === 't') return false;
      if (schemas) out.write(schemaPrefix(keySchema));
      writeKeyRow(image, out);
      if (schemas) out.write(CLOSE);
      return true;
    },
    writeValue: (change, kind, schemas, out) => {
      if (kind === 'tombstone' || kind === 'key-tombstone') return false;
      if (schemas) out.write(schemaPrefix(table.envelope));
      const { op, before, after } = shape(change, kind);
      out.write(BEFORE);
      if (before === undefined) out.write(NULL); else writeRow(before, out);
      out.write(AFTER);
      if (after === undefined) out.write(NULL); else writeRow(after, out);
      writeTail(change, op, transactionOf(change, kind), out);
      if (schemas) out.write(CLOSE);
      return true;
    },
  };
}

const BEFORE = Buffer.from('{"before":'), AFTER = Buffer.from(',"after":');

/** The create half of a key change is the event after its delete half. */
function transactionOf({ transaction }: Change, kind: RecordKind): Change['transaction'] {
  if (transaction === undefined || kind !== 'key-create') return transaction;
  return { ...transaction, totalOrder: transaction.totalOrder + 1n, dataCollectionOrder: transaction.dataCollectionOrder + 1n };
}

/** What the record of this kind shows of a change. */
function shape(change: Change, kind: RecordKind): { op: string; before: RowImage | undefined; after: RowImage | undefined } {
  if (kind === 'key-delete') return { op: 'd', before: change.before, after: undefined };
  if (kind === 'key-create') return { op: 'c', before: undefined, after: change.after };
  return { op: change.op, before: change.before, after: change.op === 'd' ? undefined : change.after };
}

function decode(table: TableSchema, options: EncodingOptions, change: Change, kind: RecordKind, keyImage: RowImage | undefined, headers: readonly Header[]): SourceRecord {
  const { keySchema, envelope, topic } = table;
  const key = keySchema === null || keyImage === undefined || change.op === 't' ? { schema: null, value: null } : { schema: keySchema, value: keyStruct(table, keySchema, keyImage) };
  const base = { topic, partition: null, key, timestamp: null, headers };
  if (kind === 'tombstone' || kind === 'key-tombstone') return { ...base, value: { schema: null, value: null } };
  const { op, before, after } = shape(change, kind);
  const { processedNs } = change;
  const transaction = transactionOf(change, kind);
  const block = envelope.fields[3]?.schema as StructSchema;
  const value: Struct = {
    schema: envelope,
    values: [
      before === undefined ? null : rowStruct(table, before), after === undefined ? null : rowStruct(table, after),
      sourceStruct(options, table.schema, table.table, change.source),
      transaction === undefined ? null : { schema: block, values: [transaction.id, transaction.totalOrder, transaction.dataCollectionOrder] },
      op, processedNs / 1_000_000n, processedNs / 1000n, processedNs,
    ],
  };
  return { ...base, value: { schema: envelope, value } };
}

/** The other key of a key change, which each half shows in a header. */
function otherKey(table: TableSchema, change: Change, kind: RecordKind): { readonly name: string; readonly value: Struct } | undefined {
  if (table.keySchema === null || !kind.startsWith('key-')) return undefined;
  const other = kind === 'key-create' ? change.before : change.after;
  return other === undefined ? undefined : { name: kind === 'key-create' ? '__debezium.oldkey' : '__debezium.newkey', value: keyStruct(table, table.keySchema, other) };
}

function decodedHeaders(table: TableSchema, change: Change, kind: RecordKind, context: readonly EncodedHeader[]): readonly Header[] {
  const other = otherKey(table, change, kind);
  const known = context.map(({ name, value }): Header => ({ name, schema: STRING, value: value === null ? null : Buffer.from(value).toString('utf8') }));
  return other === undefined ? known : [{ name: other.name, schema: other.value.schema, value: other.value }, ...known];
}

/** `__debezium.context.*` of every data record. */
function contextHeaders(options: EncodingOptions): readonly EncodedHeader[] {
  if (!options.contextHeaders) return [];
  const text = (name: string, value: string): EncodedHeader => ({ name: `__debezium.context.${name}`, value: Buffer.from(value) });
  return [text('connectorLogicalName', options.topicPrefix), text('taskId', options.taskId), text('connectorName', 'postgresql'), text('runId', options.runId)];
}

/** The table's own mark in a shared key, with the closing brace. */
function keyTail({ keyField, keySchema }: TableSchema): Buffer {
  const name = keySchema?.fields.at(-1)?.name;
  if (keyField === undefined || name === undefined) return CLOSE;
  return Buffer.from(`${keySchema?.fields.length === 1 ? '{' : ','}${JSON.stringify(name)}:${JSON.stringify(keyField)}}`);
}

function rowWriter(columns: readonly { readonly column: TableColumn; readonly position: number }[], tail: Buffer = CLOSE): (image: RowImage, out: ByteWriter) => void {
  const writers = columns.map(({ column, position }, i) => {
    const { codec, schema } = column;
    const missing = codec?.ofNull ?? (schema.default !== undefined ? schema.default : schema.optional ? null : codec?.zero ?? zeroOf(schema));
    const toast = codec?.placeholder ?? (schema.optional ? null : zeroOf(schema));
    return {
      position, write: codec?.writeJson, prefix: constant(`${i === 0 ? '{' : ','}${JSON.stringify(column.name)}:`),
      missing: constant(valueJson({ ...schema, optional: true }, missing)), toast: constant(valueJson({ ...schema, optional: true }, toast)),
    };
  });
  return (image, out) => {
    const { buffer, start, end } = image;
    for (const { position, prefix, write, missing, toast } of writers) {
      out.write(prefix);
      const at = start[position] as number;
      if (at >= 0 && write !== undefined) write(buffer, at, end[position] as number, out);
      else out.write(at === UNCHANGED_TOAST ? toast : missing);
    }
    out.write(columns.length === 0 && tail === CLOSE ? EMPTY : tail);
  };
}

