/**
 * Envelope JSON bytes → typed columns, compiled for one pair of schemas:
 *   {"schema":…,"payload":{"before":…,"after":{…}|null,"source":{…},…,"op":"u",…}}
 * The schema text is compared as bytes, the row is read field by field in the schema's order, the rest is passed over.
 * Whatever is not as expected leaves the buffer as it was and goes the general way, which is what this one is checked against.
 */
import type { StructSchema } from '../../../envelopes/schema.ts';
import type { RawJson } from '../../../runtime/api/plugin.ts';
import { type ColumnBuffer, unavailable } from './column-buffer.ts';
import { fieldParser, type FieldParser } from './field-parser.ts';
import { expect, isNull, skipString, skipValue } from './json-bytes.ts';
import type { Column } from './table.ts';
import type { NameFacts } from './table-name.ts';
import type { Binding } from './binding.ts';
import type { TableWriter } from './table-writer.ts';

interface FieldPlan { readonly name: Uint8Array; readonly parse: FieldParser; readonly cell: number }
interface ObjectPlan { readonly fields: readonly FieldPlan[] }

export interface EnvelopeParser {
  readonly writer: TableWriter;
  readonly binding: Binding;
  /** Takes record `i` into the writer's buffer. False: nothing was changed. */
  take(json: RawJson, i: number): boolean;
  /** True when record `i` has the schemas that this parser was compiled for. */
  knows(json: RawJson, i: number, binding: Binding): boolean;
}

const SCHEMA = Buffer.from('{"schema":'), PAYLOAD = Buffer.from(',"payload":'), BEFORE = Buffer.from('{"before":'), AFTER = Buffer.from(',"after":'), SOURCE = Buffer.from(',"source":'), OP = Buffer.from(',"op":"');
const OPEN = 0x7b, CLOSE = 0x7d, COMMA = 0x2c, QUOTE = 0x22;

/** A parser learnt from record `i`, which the general way has taken in; undefined when such records have to stay there. */
export function compileEnvelope(json: RawJson, i: number, writer: TableWriter, binding: Binding, facts: NameFacts): EnvelopeParser | undefined {
  const prefix = json.valueSchemas ? prefixOf(json.buffer, json.valueStart[i] ?? -1) : Buffer.alloc(0);
  if (prefix === undefined || binding.fromKey.some(source => source !== undefined) || facts.table === undefined) return undefined;
  const { keySchema } = binding;
  const keyPrefix = keySchema === undefined ? undefined : json.keySchemas ? prefixOf(json.buffer, json.keyStart[i] ?? -1) : Buffer.alloc(0);
  if (writer.upserts && (keyPrefix === undefined || keySchema === undefined)) return undefined;
  // Records of one topic may belong to several tables: the source block of each has to name this one.
  const needles = [facts.db === undefined ? undefined : `"db":${JSON.stringify(facts.db)}`, facts.schema === undefined ? undefined : `"schema":${JSON.stringify(facts.schema)}`, `"table":${JSON.stringify(facts.table)}`].flatMap(text => (text === undefined ? [] : [Buffer.from(text)]));
  const parser = new Parser(writer, binding, prefix, keyPrefix, needles, !json.valueSchemas, !json.keySchemas);
  return parser.fits(json, i) ? parser : undefined;
}

/** `{"schema":…,"payload":` of a record. */
function prefixOf(b: Buffer, start: number): Buffer | undefined {
  const schema = start < 0 ? -1 : expect(b, start, SCHEMA);
  const end = schema < 0 ? -1 : skipValue(b, schema);
  const payload = end < 0 ? -1 : expect(b, end, PAYLOAD);
  return payload < 0 ? undefined : Buffer.from(b.subarray(start, payload));
}

class Parser implements EnvelopeParser {
  readonly writer: TableWriter;
  readonly binding: Binding;
  private readonly prefix: Buffer;
  private readonly keyPrefix: Buffer | undefined;
  private readonly needles: readonly Buffer[];
  private readonly row: ObjectPlan;
  private readonly key: ObjectPlan;
  private readonly unset: readonly number[];
  /** Columns whose values lie in an arena, and where those ended before the present record. */
  private readonly texts: readonly number[];
  private readonly arenaMarks: number[] = [];
  private readonly hints: number[] = [];
  private after = -1;

  constructor(writer: TableWriter, binding: Binding, prefix: Buffer, keyPrefix: Buffer | undefined, needles: readonly Buffer[], bareRows: boolean, bareKeys: boolean) {
    this.writer = writer;
    this.binding = binding;
    this.prefix = prefix;
    this.keyPrefix = keyPrefix;
    this.needles = needles;
    const columns = writer.rows.columns.map(cell => cell.column), keys = writer.keys.map(cell => cell.column);
    this.row = planOf(binding.rowSchema, columns, writer.placeholder, bareRows);
    this.key = binding.keySchema === undefined ? { fields: [] } : planOf(binding.keySchema, keys, writer.placeholder, bareKeys);
    this.texts = writer.rows.columns.flatMap((cell, index) => (cell.width === 0 ? [index] : []));
    this.unset = columns.flatMap((column, index) => (binding.rowSchema.fields.some(field => field.name === column.name) ? [] : [index]));
  }

  knows(json: RawJson, i: number, binding: Binding): boolean { return binding === this.binding && this.payloadAt(json, i) >= 0; }
  /** True when record `i` is an envelope whose parts are where this parser looks for them. */
  fits(json: RawJson, i: number): boolean {
    const at = this.payloadAt(json, i);
    const after = at < 0 ? -1 : this.afterEnd(json.buffer, at), source = this.sourceEnd(json.buffer, after);
    // The whole block is passed over in two ways here; later the short one is enough.
    return source >= 0 && source === skipValue(json.buffer, after + SOURCE.length);
  }

  private payloadAt({ buffer, valueStart, valueEnd }: RawJson, i: number): number {
    const start = valueStart[i] ?? -1, end = start + this.prefix.length;
    return start < 0 || end > (valueEnd[i] ?? 0) || buffer.compare(this.prefix, 0, this.prefix.length, start, end) !== 0 ? -1 : end;
  }
  /** Passes `before` over, notes where `after` begins in `this.after`. */
  private afterAt(b: Buffer, payload: number): number {
    const before = expect(b, payload, BEFORE);
    const end = before < 0 ? -1 : isNull(b, before) ? before + 4 : skipValue(b, before);
    this.after = end < 0 ? -1 : expect(b, end, AFTER);
    return this.after;
  }
  private afterEnd(b: Buffer, payload: number): number { const at = this.afterAt(b, payload); return at < 0 ? -1 : skipValue(b, at); }

  /** Position after the source block that follows `at`, when it names this table. */
  private sourceEnd(b: Buffer, at: number): number {
    const source = at < 0 ? -1 : expect(b, at, SOURCE);
    if (source < 0) return -1;
    let last = source;
    for (let i = 0; i < this.needles.length; i++) {
      const needle = this.needles[i];
      if (needle === undefined) continue;
      // The parts before it seldom change their length: mostly it lies where it lay last time.
      let found = source + (this.hints[i] ?? 0);
      if (expect(b, found, needle) < 0) {
        found = b.indexOf(needle, source);
        if (found < 0) return -1;
        this.hints[i] = found - source;
      }
      last = Math.max(last, found + needle.length);
    }
    // Quotes in text are escaped, so a needle is a member; the block has no objects in it and ends at the next brace.
    return this.flatEnd(b, last);
  }
  private flatEnd(b: Buffer, from: number): number {
    for (let i = from; i < b.length; i++) {
      const byte = b[i];
      if (byte === CLOSE) return i + 1;
      if (byte === OPEN) return -1;
      if (byte === QUOTE) { i = skipString(b, i) - 1; if (i < 0) return -1; }
    }
    return -1;
  }
  /** The op character behind `at`, or -1. */
  private opAt(b: Buffer, at: number): number {
    let i = at;
    while (b[i] === COMMA) {
      const op = expect(b, i, OP);
      if (op >= 0) return b[op + 1] === 0x22 ? b[op] ?? -1 : -1;
      const name = skipValue(b, i + 1);
      if (name < 0) return -1;
      i = skipValue(b, name + 1);
    }
    return -1;
  }

  take(json: RawJson, i: number): boolean {
    const { buffer } = json;
    if ((json.valueStart[i] ?? -1) < 0) return this.writer.upserts && this.takeKey(json, i);
    const payload = this.payloadAt(json, i);
    const after = payload < 0 ? -1 : this.afterAt(buffer, payload);
    if (after < 0) return false;
    if (isNull(buffer, after)) {
      const end = this.sourceEnd(buffer, after + 4);
      if (end < 0 || this.opAt(buffer, end) !== 0x64) return false;
      if (this.writer.upserts) return this.takeKey(json, i);
      this.writer.touch();
      return true;
    }
    return this.takeRow(json, i, after);
  }

  private takeRow(json: RawJson, i: number, after: number): boolean {
    const { buffer } = json, { rows } = this.writer;
    if (this.writer.upserts && (json.keyStart[i] ?? -1) < 0) return false;
    const row = rows.add(), { columns } = rows;
    this.mark(columns);
    const missing = unavailable.cells;
    const parsed = this.object(this.row, buffer, after, columns, row);
    const end = parsed < 0 ? -1 : this.sourceEnd(buffer, parsed);
    const op = end < 0 ? -1 : this.opAt(buffer, end);
    const write = op === 0x63 || op === 0x75 || op === 0x72, partial = unavailable.cells !== missing;
    // A new row with values left out came from another key: only the headers say which.
    if (!write || (partial && op !== 0x75)) {
      rows.drop();
      for (let i = 0; i < this.texts.length; i++) { const cell = columns[this.texts[i] ?? -1]; if (cell !== undefined) cell.arenaEnd = this.arenaMarks[i] ?? cell.arenaEnd; }
      return false;
    }
    for (let i = 0; i < this.unset.length; i++) columns[this.unset[i] ?? -1]?.setNull(row);
    this.writer.keep(row, -1, partial);
    return true;
  }
  private mark(columns: readonly ColumnBuffer[]): void { for (let i = 0; i < this.texts.length; i++) this.arenaMarks[i] = columns[this.texts[i] ?? -1]?.arenaEnd ?? 0; }

  /** Deletes the row of the record's key. */
  private takeKey({ buffer, keyStart, keyEnd }: RawJson, i: number): boolean {
    const { keyPrefix } = this, start = keyStart[i] ?? -1;
    if (keyPrefix === undefined || start < 0) return false;
    const payload = start + keyPrefix.length;
    if (payload > (keyEnd[i] ?? 0) || (keyPrefix.length > 0 && buffer.compare(keyPrefix, 0, keyPrefix.length, start, payload) !== 0)) return false;
    for (const cell of this.writer.keys) cell.arenaEnd = 0;
    return this.object(this.key, buffer, payload, this.writer.keys, 0) >= 0 && this.writer.deleteScratch();
  }

  private object({ fields }: ObjectPlan, b: Buffer, start: number, columns: TableWriter['keys'], row: number): number {
    let at = start;
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i];
      if (field === undefined) return -1;
      at = expect(b, at, field.name);
      if (at < 0) return -1;
      const cell = columns[field.cell];
      // A field without a column has been null so far.
      at = cell !== undefined ? field.parse(b, at, cell, row) : isNull(b, at) ? at + 4 : -1;
      if (at < 0) return -1;
    }
    return b[at] === CLOSE ? at + 1 : -1;
  }
}

/** What JSON alone does not tell how to read: the general way decides (inference.ts). */
const AMBIGUOUS: ReadonlySet<string> = new Set(['time', 'timestamp', 'timestamp_ns', 'decimal', 'list', 'map', 'struct']);

function planOf(schema: StructSchema, columns: readonly Column[], placeholder: string, bare: boolean): ObjectPlan {
  return { fields: schema.fields.map(({ name, schema: field }, i) => {
    const cell = columns.findIndex(one => one.name === name), column = columns[cell];
    const parse: FieldParser = column === undefined ? () => -1 : bare && AMBIGUOUS.has(column.type.kind) ? nullOnly : fieldParser(field, column, placeholder);
    return { name: Buffer.from(`${i === 0 ? '{' : ','}${JSON.stringify(name)}:`), cell, parse };
  }) };
}
const nullOnly: FieldParser = (b, at, cell, row) => {
  if (!isNull(b, at)) return -1;
  cell.setNull(row);
  return at + 4;
};
