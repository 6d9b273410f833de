/** What the recordings do not reach of Debezium's transforms. */
import { describe, expect, it } from 'vitest';
import type { ConnectRecord } from '../../../envelopes/record.ts';
import type { Schema, StructSchema, Value } from '../../../envelopes/schema.ts';
import { javaHash } from '../../../runtime/transforms/debezium/partition-routing.ts';
import { openZone } from '../../../runtime/transforms/debezium/zone.ts';
import { JsonSchemaData } from '../../../runtime/transforms/debezium/json-schema-data.ts';
import { createTransforms } from '../../../runtime/transforms/transforms.ts';

const int32: Schema = { type: 'int32', optional: true }, text: Schema = { type: 'string', optional: true };
const row: StructSchema = { type: 'struct', optional: true, name: 'pg.public.t.Value', fields: [{ name: 'id', schema: int32 }, { name: 'v', schema: text }] };
const envelope: StructSchema = { type: 'struct', optional: false, name: 'pg.public.t.Envelope', fields: [{ name: 'before', schema: row }, { name: 'after', schema: row }, { name: 'source', schema: { type: 'struct', optional: false, fields: [{ name: 'table', schema: text }] } }, { name: 'op', schema: text }] };
const image = (values: Value[] | null): Value => (values === null ? null : { schema: row, values });
const event = (op: string, before: Value[] | null, after: Value[] | null): ConnectRecord => ({
  topic: 'pg.public.t', partition: null, key: { schema: null, value: null }, timestamp: null, headers: [],
  value: { schema: envelope, value: { schema: envelope, values: [image(before), image(after), { schema: envelope.fields[2]?.schema as StructSchema, values: ['t'] }, op] } },
});
function run(type: string, options: Record<string, string>, input: ConnectRecord): ConnectRecord | null {
  const properties = { transforms: 'x', 'transforms.x.type': `io.debezium.transforms.${type}`, ...Object.fromEntries(Object.entries(options).map(([name, value]) => [`transforms.x.${name}`, value])) };
  return createTransforms(properties).reduce<ConnectRecord | null>((current, transform) => (current === null ? null : transform.apply(current)), input);
}

describe('PartitionRouting', () => {
  it('hashes as Java does', () => {
    // Figures: java.lang.String.hashCode("hello"), Long.valueOf(-1).hashCode(), new BigDecimal("1.50").hashCode().
    expect(javaHash(text, 'hello')).toBe(99_162_322);
    expect(javaHash({ type: 'int64', optional: false }, -1n)).toBe(0);
    expect(javaHash({ type: 'bytes', optional: false, name: 'org.apache.kafka.connect.data.Decimal', parameters: { scale: '2' } }, Uint8Array.of(0, 150))).toBe(4652);
    expect(javaHash({ type: 'boolean', optional: false }, true)).toBe(1231);
    expect(javaHash({ type: 'double', optional: false }, 1.5)).toBe(1_073_217_536);
  });
  it('takes the new row, or the old one of a delete, and leaves out what is not there', () => {
    const options = { 'partition.payload.fields': 'change.v,change.nope', 'partition.topic.num': '7' };
    expect(run('partitions.PartitionRouting', options, event('c', null, [1, 'hello']))?.partition).toBe(99_162_322 % 7);
    expect(run('partitions.PartitionRouting', options, event('d', [1, 'hello'], null))?.partition).toBe(99_162_322 % 7);
    expect(run('partitions.PartitionRouting', options, event('c', null, [1, null]))?.partition).toBeNull();
  });
});

describe('HeaderToValue', () => {
  it('goes into nested structs, and takes moved headers away', () => {
    const out = run('HeaderToValue', { headers: 'h,g', fields: 'top,source.inner', operation: 'move' }, { ...event('c', null, [1, 'a']), headers: [{ name: 'h', schema: text, value: 'x' }, { name: 'g', schema: int32, value: 5 }, { name: 'k', schema: text, value: 'stays' }] });
    expect(out?.headers.map(({ name }) => name)).toEqual(['k']);
    expect(out?.value.schema).toMatchObject({ fields: [{}, {}, { name: 'source', schema: { fields: [{ name: 'table' }, { name: 'inner' }] } }, {}, { name: 'top' }] });
    expect(out?.value.value).toMatchObject({ values: [null, {}, { values: ['t', 5] }, 'c', 'x'] });
  });
});

describe('time zones', () => {
  it('have the offset before the change in gaps and overlaps', () => {
    const zone = openZone('Europe/Berlin');
    expect(zone?.localOffset(Date.UTC(2024, 2, 31, 2, 30))).toBe(3600);
    expect(zone?.localOffset(Date.UTC(2024, 9, 27, 2, 30))).toBe(7200);
    expect(zone?.localOffset(Date.UTC(2024, 9, 27, 3, 30))).toBe(3600);
    expect(openZone('-05:30')?.offset(0)).toBe(-19_800);
    expect(openZone('Nowhere/Land')).toBeUndefined();
    expect(() => run('TimezoneConverter', { 'converted.timezone': 'Nowhere/Land' }, event('c', null, [1, 'a']))).toThrow(/Invalid timezone format/);
  });
});

describe('JSON with a schema of its own', () => {
  const data = new JsonSchemaData({ nulls: 'ignore', fieldName: name => name });
  it('has one schema object for equal shapes, and none for what it cannot map', () => {
    expect(data.expand('{"a": 1}', 'p')?.schema).toBe(data.expand('{"a": 2}', 'p')?.schema);
    expect(data.expand('{"a": 1.0}', 'p')?.schema).not.toBe(data.expand('{"a": 2}', 'p')?.schema);
    for (const odd of ['[1, "a"]', '{"a": [1, "b"]}', '{"a": 123456789012345678901}', 'text', '{"a":']) expect(data.expand(odd, 'p')).toBeUndefined();
  });
});

describe('outbox events', () => {
  it('cannot be truncates', () => { expect(() => run('outbox.EventRouter', {}, event('t', null, null))).toThrow(/without a row/); });
});
