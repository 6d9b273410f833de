/** Changes collected in source order, as the pipeline takes them. */
import { schemaPrefix, valueJson } from '../../../envelopes/json.ts';
import type { ByteWriter } from '../../../runtime/api/byte-writer.ts';
import type { EncodedHeader, JsonOptions, JsonRecords, PartitionOffset, SourceBatch, SourceRecord } from '../../../runtime/api/plugin.ts';
import type { SchemaAndValue } from '../../../envelopes/record.ts';
import type { Change, RecordKind, TableEncoder } from './change.ts';

const NO_HEADERS: readonly EncodedHeader[] = [];

/** A record of a row change, or a ready record of another kind (a logical message). */
type Entry = { readonly change: Change; readonly kind: RecordKind; readonly encoder: TableEncoder } | { readonly record: SourceRecord };

export class ChangeBatch implements SourceBatch, JsonRecords {
  private readonly entries: Entry[] = [];
  private options: JsonOptions = { keySchemas: true, valueSchemas: true };
  bytes = 0;
  more = false;
  offset: PartitionOffset | undefined;

  get length(): number { return this.entries.length; }

  /** Adds the records that a change becomes. */
  add(change: Change, encoder: TableEncoder): void {
    for (const kind of encoder.kinds(change)) this.entries.push({ change, kind, encoder });
  }

  addRecord(record: SourceRecord): void { this.entries.push({ record }); }

  private entry(i: number): Entry {
    const entry = this.entries[i];
    if (entry === undefined) throw new RangeError(`record ${i} of ${this.length}`);
    return entry;
  }

  topic(i: number): string {
    const entry = this.entry(i);
    return 'record' in entry ? entry.record.topic : entry.change.table.topic;
  }

  decode(i: number): SourceRecord {
    const entry = this.entry(i);
    return 'record' in entry ? entry.record : entry.encoder.decode(entry.change, entry.kind);
  }

  json(options: JsonOptions): JsonRecords { this.options = options; return this; }

  writeKey(i: number, out: ByteWriter): boolean {
    const entry = this.entry(i);
    return 'record' in entry ? writePlain(entry.record.key, this.options.keySchemas, out) : entry.encoder.writeKey(entry.change, entry.kind, this.options.keySchemas, out);
  }

  writeValue(i: number, out: ByteWriter): boolean {
    const entry = this.entry(i);
    return 'record' in entry ? writePlain(entry.record.value, this.options.valueSchemas, out) : entry.encoder.writeValue(entry.change, entry.kind, this.options.valueSchemas, out);
  }

  headers(i: number): readonly EncodedHeader[] {
    const entry = this.entry(i);
    return 'record' in entry ? NO_HEADERS : entry.encoder.headers(entry.change, entry.kind);
  }
}

function writePlain({ schema, value }: SchemaAndValue, schemas: boolean, out: ByteWriter): boolean {
  if (schema === null) return false;
  if (schemas) { out.write(schemaPrefix(schema)); }
  out.writeText(valueJson(schema, value));
  if (schemas) out.writeText('}');
  return true;
}
