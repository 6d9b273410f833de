import { describe, expect, it } from 'vitest';
import type { ConnectRecord } from '../../../envelopes/record.ts';
import type { Value } from '../../../envelopes/schema.ts';
import { createTransforms } from '../../../runtime/transforms/transforms.ts';

const plain = (value: unknown): { schema: null; value: Value } => ({ schema: null, value: value as Value });
function record(value: unknown, more: Partial<ConnectRecord> = {}): ConnectRecord {
  return { topic: 'cdc.public.orders', partition: 0, key: plain({ id: 1 }), value: plain(value), headers: [], timestamp: 5, ...more };
}
function run(properties: Record<string, string>, input: ConnectRecord): ConnectRecord | null {
  return createTransforms(properties).reduce<ConnectRecord | null>((current, transform) => (current === null ? null : transform.apply(current)), input);
}
const envelope = (op: string, before: unknown, after: unknown): unknown => ({ before, after, op, source: { table: 'orders', lsn: 7 }, ts_ms: 1 });
const unwrap = { transforms: 'u', 'transforms.u.type': 'io.debezium.transforms.ExtractNewRecordState' };

describe('ExtractNewRecordState', () => {
  it('keeps the new row; a delete becomes a null row, and its tombstone is dropped', () => {
    expect(run(unwrap, record(envelope('u', { id: 1 }, { id: 1, a: 2 })))?.value.value).toEqual({ id: 1, a: 2 });
    expect(run(unwrap, record(envelope('d', { id: 1 }, null)))?.value.value).toBeNull();
    expect(run(unwrap, record(null))).toBeNull();
  });
  it('rewrites deletes and adds fields and headers', () => {
    const properties = { ...unwrap, 'transforms.u.delete.tombstone.handling.mode': 'rewrite', 'transforms.u.add.fields': 'op,table,source.lsn:position', 'transforms.u.add.headers': 'op' };
    const out = run(properties, record(envelope('d', { id: 1 }, null)));
    expect(out?.value.value).toEqual({ id: 1, __op: 'd', __table: 'orders', __position: 7, __deleted: 'true' });
    expect(out?.headers.map(({ name, value }) => [name, value])).toEqual([['__op', 'd']]);
    expect(run(properties, record(null))).toBeNull();
  });
  it('leaves other records alone', () => { expect(run(unwrap, record({ id: 4 }))?.value.value).toEqual({ id: 4 }); });
});

describe('transform chain', () => {
  it('routes, and only where the predicate says so', () => {
    const route = { transforms: 'r', 'transforms.r.type': 'org.apache.kafka.connect.transforms.RegexRouter', 'transforms.r.regex': 'cdc\\.(.*)', 'transforms.r.replacement': '$1' };
    expect(run(route, record({}))?.topic).toBe('public.orders');
    const only = { ...route, 'transforms.r.predicate': 'p', predicates: 'p', 'predicates.p.type': 'org.apache.kafka.connect.transforms.predicates.RecordIsTombstone' };
    expect(run(only, record({}))?.topic).toBe('cdc.public.orders');
    expect(run({ ...only, 'transforms.r.negate': 'true' }, record({}))?.topic).toBe('public.orders');
  });
  it('keeps the records that have a field', () => {
    const some = { transforms: 'f', 'transforms.f.type': 'org.apache.kafka.connect.transforms.Filter', 'transforms.f.predicate': 'p', predicates: 'p', 'predicates.p.type': 'org.tributary.transforms.predicates.FieldIsNull', 'predicates.p.field': 'event_id' };
    expect(run(some, record({ event_id: 'a' }))?.value.value).toEqual({ event_id: 'a' });
    for (const value of [{ event_id: null }, { other: 1 }, null]) expect(run(some, record(value))).toBeNull();
  });
  it('filters, makes keys, and inserts fields', () => {
    expect(run({ transforms: 'f', 'transforms.f.type': 'Filter' }, record({}))).toBeNull();
    expect(run({ transforms: 'k', 'transforms.k.type': 'ValueToKey', 'transforms.k.fields': 'a' }, record({ a: 3, b: 4 }))?.key.value).toEqual({ a: 3 });
    expect(run({ transforms: 'i', 'transforms.i.type': 'InsertField$Value', 'transforms.i.topic.field': 't', 'transforms.i.static.field': 's', 'transforms.i.static.value': 'v' }, record({ a: 3 }))?.value.value).toEqual({ a: 3, t: 'cdc.public.orders', s: 'v' });
  });
  it('keeps schemas and values in step', () => {
    const schema = { type: 'struct', optional: false, name: 'row', fields: [{ name: 'a', schema: { type: 'int32', optional: false } }, { name: 'b', schema: { type: 'string', optional: true } }] } as const;
    const input = record(null, { value: { schema, value: { schema, values: [1, 'x'] } } });
    const out = run({ transforms: 'r', 'transforms.r.type': 'ReplaceField$Value', 'transforms.r.exclude': 'b', 'transforms.r.renames': 'a:id' }, input);
    expect(out?.value.schema).toMatchObject({ name: 'row', fields: [{ name: 'id' }] });
    expect(out?.value.value).toMatchObject({ values: [1] });
  });
  it('names what is wrong with its configuration', () => {
    expect(() => createTransforms({ transforms: 'x' })).toThrow(/Missing required configuration "transforms\.x\.type"/);
    expect(() => createTransforms({ transforms: 'x', 'transforms.x.type': 'no.Such' })).toThrow(/Class no\.Such could not be found/);
    expect(() => createTransforms({ transforms: 'x', 'transforms.x.type': 'RegexRouter' })).toThrow(/transforms\.x\.regex/);
    expect(() => createTransforms({ transforms: 'x', 'transforms.x.type': 'RegexRouter', 'transforms.x.regex': '(', 'transforms.x.replacement': '' })).toThrow(/Invalid value \( for configuration regex/);
  });
});
