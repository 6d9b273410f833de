/** What the recordings do not reach of Kafka Connect's transforms: odd values, schemaless records, refusals. */
import { describe, expect, it } from 'vitest';
import type { ConnectRecord } from '../../../envelopes/record.ts';
import type { Schema, StructSchema, Value } from '../../../envelopes/schema.ts';
import { createTransforms } from '../../../runtime/transforms/transforms.ts';
import { javaDateFormat } from '../../../runtime/transforms/java-date-format.ts';

const struct = (fields: Record<string, readonly [Schema, Value]>, name = 'row'): ConnectRecord['value'] => {
  const schema: StructSchema = { type: 'struct', optional: false, name, version: 3, fields: Object.entries(fields).map(([field, [child]]) => ({ name: field, schema: child })) };
  return { schema, value: { schema, values: Object.values(fields).map(([, value]) => value) } };
};
const record = (value: ConnectRecord['value'], more: Partial<ConnectRecord> = {}): ConnectRecord => ({ topic: 't', partition: null, key: { schema: null, value: null }, value, headers: [], timestamp: 1_577_934_245_678, ...more });
function run(type: string, options: Record<string, string>, input: ConnectRecord): ConnectRecord | null {
  const properties = { transforms: 'x', 'transforms.x.type': `org.apache.kafka.connect.transforms.${type}`, ...Object.fromEntries(Object.entries(options).map(([name, value]) => [`transforms.x.${name}`, value])) };
  return createTransforms(properties).reduce<ConnectRecord | null>((current, transform) => (current === null ? null : transform.apply(current)), input);
}
const plain = (out: ConnectRecord | null): unknown => { const value = out?.value.value as { schema: StructSchema; values: Value[] }; return Object.fromEntries(value.schema.fields.map(({ name }, i) => [name, value.values[i]])); };
const int32: Schema = { type: 'int32', optional: true }, text: Schema = { type: 'string', optional: true }, double: Schema = { type: 'double', optional: true };

describe('Cast', () => {
  it('wraps whole numbers, saturates fractions and reads text, as Java does', () => {
    const out = run('Cast$Value', { spec: 'a:int8,b:int32,c:int64,d:boolean,e:string,f:int32' }, record(struct({ a: [int32, 300], b: [double, 1e20], c: [text, '-9223372036854775808'], d: [text, 'TRUE'], e: [double, 1e10], f: [double, Number.NaN] })));
    expect(plain(out)).toEqual({ a: 44, b: 2_147_483_647, c: -9_223_372_036_854_775_808n, d: true, e: '1.0E10', f: 0 });
    expect(out?.value.schema).toMatchObject({ name: 'row', version: 3, fields: [{ schema: { type: 'int8', optional: true } }, {}, {}, {}, {}, {}] });
  });
  it('casts the whole, and objects without a schema', () => {
    expect(run('Cast$Value', { spec: 'string' }, record({ schema: int32, value: 7 }))?.value).toEqual({ schema: { type: 'string', optional: true }, value: '7' });
    expect(run('Cast$Value', { spec: 'a:float64' }, record({ schema: null, value: { a: '1.5', b: 2 } as unknown as Value }))?.value.value).toEqual({ a: 1.5, b: 2 });
    expect(run('Cast$Value', { spec: 'a:int8' }, record({ schema: null, value: null }))?.value.value).toBeNull();
  });
  it('refuses text that is no such number, types that do not exist, and a whole beside fields', () => {
    expect(() => run('Cast$Value', { spec: 'a:int8' }, record(struct({ a: [text, '128'] })))).toThrow(/out of range/);
    expect(() => run('Cast$Value', { spec: 'a:date' }, record(struct({})))).toThrow(/Unsupported type/);
    expect(() => run('Cast$Value', { spec: 'int8,a:int8' }, record(struct({})))).toThrow(/single cast/);
  });
});

describe('Flatten', () => {
  it('makes what lies below an optional struct optional', () => {
    const inner: StructSchema = { type: 'struct', optional: true, fields: [{ name: 'b', schema: { type: 'int32', optional: false } }] };
    const out = run('Flatten$Value', { delimiter: '_' }, record(struct({ a: [inner, null], c: [int32, 1] })));
    expect(plain(out)).toEqual({ a_b: null, c: 1 });
    expect(out?.value.schema).toMatchObject({ name: 'row', fields: [{ name: 'a_b', schema: { type: 'int32', optional: true } }, { name: 'c' }] });
    expect(run('Flatten$Value', {}, record({ schema: null, value: { a: { b: 1, c: [2] } } as unknown as Value }))?.value.value).toEqual({ 'a.b': 1, 'a.c': [2] });
  });
});

describe('MaskField', () => {
  it('puts zeros, or what it is given', () => {
    expect(plain(run('MaskField$Value', { fields: 'a,b,c' }, record(struct({ a: [int32, 5], b: [text, 'x'], c: [text, null], d: [int32, 4] }))))).toEqual({ a: 0, b: '', c: null, d: 4 });
    expect(plain(run('MaskField$Value', { fields: 'a,b', replacement: '7' }, record(struct({ a: [int32, 5], b: [text, 'x'] }))))).toEqual({ a: 7, b: '7' });
    expect(() => run('MaskField$Value', { fields: 'a', replacement: '7' }, record(struct({ a: [{ type: 'boolean', optional: false }, true] })))).toThrow(/custom replacement/);
  });
});

describe('TimestampConverter and TimestampRouter', () => {
  const stamp: Schema = { type: 'int64', optional: true, name: 'org.apache.kafka.connect.data.Timestamp', version: 1 };
  it('goes from text to numbers and back', () => {
    const format = { field: 'a', format: 'yyyy-MM-dd HH:mm:ss.SSS' };
    const unix = run('TimestampConverter$Value', { ...format, 'target.type': 'unix', 'unix.precision': 'microseconds' }, record(struct({ a: [text, '2020-01-02 03:04:05.678'] })));
    expect(plain(unix)).toEqual({ a: 1_577_934_245_678_000n });
    expect(plain(run('TimestampConverter$Value', { ...format, 'target.type': 'string' }, record(struct({ a: [stamp, 1_577_934_245_678n] }))))).toEqual({ a: '2020-01-02 03:04:05.678' });
    expect(plain(run('TimestampConverter$Value', { ...format, 'target.type': 'Date' }, record(struct({ a: [stamp, -1n] }))))).toEqual({ a: -1 });
    expect(() => run('TimestampConverter$Value', { ...format, 'target.type': 'unix' }, record(struct({ a: [text, 'soon'] })))).toThrow(/does not match pattern/);
    expect(() => run('TimestampConverter$Value', { field: 'a', 'target.type': 'string' }, record(struct({})))).toThrow(/requires .*format option/);
  });
  it('puts the time of a record into its topic', () => {
    expect(run('TimestampRouter', { 'topic.format': '${timestamp}/${topic}', 'timestamp.format': 'yyyyMM' }, record(struct({})))?.topic).toBe('202001/t');
    expect(() => run('TimestampRouter', {}, record(struct({}), { timestamp: null }))).toThrow(/Timestamp missing/);
  });
  it("knows the letters of Java's date formats", () => {
    const at = Date.UTC(2020, 6, 5, 15, 4, 5, 6);
    expect(javaDateFormat("EEE, d MMM yyyy h:mm a 'o''clock' Z X zzz D u k").format(at)).toBe("Sun, 5 Jul 2020 3:04 PM o'clock +0000 Z UTC 187 7 15");
    expect(javaDateFormat('yyyyMMddHHmmssSSS').parse('20200705150405006')).toBe(at);
    expect(javaDateFormat('d MMMM yy hh:mm:ss.SSS a XXX').parse('5 July 20 05:04:05.006 PM +02:00')).toBe(at);
    expect(() => javaDateFormat('YYYY')).toThrow(/no date format/);
  });
});

describe('headers, schemas and paths', () => {
  it('moves fields to headers, and refuses tombstones as Connect does', () => {
    const out = run('HeaderFrom$Value', { fields: 'a', headers: 'h', operation: 'move' }, record(struct({ a: [int32, 5], b: [int32, 6] })));
    expect(plain(out)).toEqual({ b: 6 });
    expect(out?.headers).toEqual([{ name: 'h', schema: int32, value: 5 }]);
    expect(() => run('HeaderFrom$Value', { fields: 'a', headers: 'h', operation: 'copy' }, record({ schema: null, value: null }))).toThrow(/null/);
    expect(() => run('HeaderFrom$Value', { fields: 'a,b', headers: 'h', operation: 'copy' }, record(struct({})))).toThrow(/same number/);
  });
  it('names schemas', () => {
    expect(run('SetSchemaMetadata$Value', { 'schema.name': 'n', 'schema.version': '9' }, record(struct({ a: [int32, 5] })))?.value.schema).toMatchObject({ name: 'n', version: 9 });
    expect(() => run('SetSchemaMetadata$Value', { 'schema.name': 'n' }, record({ schema: null, value: 1 }))).toThrow(/Schema required/);
  });
  it('steps into nested members', () => {
    const inner: StructSchema = { type: 'struct', optional: true, fields: [{ name: 'b.c', schema: int32 }] };
    const nested = record(struct({ a: [inner, { schema: inner, values: [8] }] }));
    expect(run('ExtractField$Value', { field: 'a.`b.c`', 'field.syntax.version': 'V2' }, nested)?.value.value).toBe(8);
    expect(() => run('ExtractField$Value', { field: 'a.b' }, nested)).toThrow(/Unknown field: a\.b/);
  });
});
