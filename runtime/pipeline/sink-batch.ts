/** A record batch of the log as a sink task sees it: raw slices where it can, decoded records where it must. */
import type { Header } from '../../envelopes/record.ts';
import type { Converter } from '../api/converter.ts';
import type { JsonOptions, RawJson, SinkBatch, SinkRecord } from '../api/plugin.ts';
import { headersOf, type SplitRecords } from '../log/record-batch.ts';
import type { RawRecord } from './dead-letters.ts';

export interface SinkConverters { readonly key: Converter; readonly value: Converter; readonly header: Converter }

/** Records of `split` from `first` on, still encoded. */
export class EncodedRecords implements SinkBatch {
  readonly topic: string;
  readonly partition: number;
  readonly length: number;
  readonly bytes: number;
  readonly json?: RawJson;
  private readonly split: SplitRecords;
  private readonly first: number;
  private readonly converters: SinkConverters;

  constructor(place: { readonly topic: string; readonly partition: number }, split: SplitRecords, first: number, length: number, converters: SinkConverters, plain: JsonOptions | undefined) {
    this.topic = place.topic;
    this.partition = place.partition;
    this.split = split;
    this.first = first;
    this.length = length;
    this.converters = converters;
    const cut = (part: Int32Array): Int32Array => (first === 0 && length === part.length ? part : part.subarray(first, first + length));
    const start = split.headersAt[first - 1] ?? 0, end = split.headersAt[first + length - 1] ?? 0;
    this.bytes = end - start;
    if (plain !== undefined) this.json = { ...plain, buffer: split.buffer, keyStart: cut(split.keyStart), keyEnd: cut(split.keyEnd), valueStart: cut(split.valueStart), valueEnd: cut(split.valueEnd) };
  }

  offset(i: number): number { return this.split.baseOffset + (this.split.offsetDelta[this.first + i] ?? 0); }
  timestamp(i: number): number { return this.split.baseTimestamp + (this.split.timestampDelta[this.first + i] ?? 0); }
  keyBytes(i: number): Buffer | null { return this.slice(this.split.keyStart, this.split.keyEnd, i); }
  valueBytes(i: number): Buffer | null { return this.slice(this.split.valueStart, this.split.valueEnd, i); }
  private slice(start: Int32Array, end: Int32Array, i: number): Buffer | null {
    const from = start[this.first + i] ?? -1;
    return from < 0 ? null : this.split.buffer.subarray(from, end[this.first + i]);
  }

  raw(i: number): RawRecord {
    return { key: this.keyBytes(i), value: this.valueBytes(i), headers: headersOf(this.split, this.first + i), timestamp: this.timestamp(i) };
  }
  headers(i: number): readonly Header[] {
    return headersOf(this.split, this.first + i).map(({ name, value }) => ({ name, ...this.converters.header.decode(this.topic, value) }));
  }

  decode(i: number): SinkRecord {
    return {
      topic: this.topic, partition: this.partition, offset: this.offset(i), timestamp: this.timestamp(i),
      key: this.converters.key.decode(this.topic, this.keyBytes(i)), value: this.converters.value.decode(this.topic, this.valueBytes(i)), headers: this.headers(i),
    };
  }

  /** Record `i` alone. */
  single(i: number): EncodedRecords {
    const plain = this.json === undefined ? undefined : { keySchemas: this.json.keySchemas, valueSchemas: this.json.valueSchemas };
    return new EncodedRecords(this, this.split, this.first + i, 1, this.converters, plain);
  }
}

/** Records that were converted and transformed already; offsets increase, with gaps where records were dropped. */
export class DecodedRecords implements SinkBatch {
  readonly topic: string;
  readonly partition: number;
  readonly bytes: number;
  private readonly records: readonly SinkRecord[];

  constructor(place: { readonly topic: string; readonly partition: number }, records: readonly SinkRecord[], bytes: number) {
    this.topic = place.topic;
    this.partition = place.partition;
    this.records = records;
    this.bytes = bytes;
  }
  get length(): number { return this.records.length; }
  private at(i: number): SinkRecord {
    const record = this.records[i];
    if (record === undefined) throw new RangeError(`record ${i} of ${this.length}`);
    return record;
  }
  offset(i: number): number { return this.at(i).offset; }
  timestamp(i: number): number { return this.at(i).timestamp ?? -1; }
  decode(i: number): SinkRecord { return this.at(i); }
  single(i: number): DecodedRecords { return new DecodedRecords(this, [this.at(i)], this.bytes); }
}
