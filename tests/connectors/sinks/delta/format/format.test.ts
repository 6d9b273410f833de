import { expect, test } from 'vitest';
import { decodeActions, encodeActions, fileKey, versionName } from '../../../../../connectors/sinks/delta/format/actions.ts';
import { decodeVector, decodeZ85, encodeVector, encodeZ85, inlineVector, VectorFile, vectorIn, vectorPath } from '../../../../../connectors/sinks/delta/format/deletion-vector.ts';
import { decodeSchema, encodeSchema, nameProblem } from '../../../../../connectors/sinks/delta/format/schema.ts';
import { LogState } from '../../../../../connectors/sinks/delta/format/state.ts';
import { encodeStatistics, loosened, rowsOf } from '../../../../../connectors/sinks/delta/format/statistics.ts';
import { decodeToken, encodeToken } from '../../../../../connectors/sinks/delta/format/token.ts';
import { RoaringBitmap } from '../../../../../connectors/sinks/tables/roaring.ts';

test('Z85 as in its specification, and the UUID example of the Delta protocol', () => {
  expect(encodeZ85(Buffer.from('864fd26fb559f75b', 'hex'))).toBe('HelloWorld');
  expect(decodeZ85('HelloWorld').toString('hex')).toBe('864fd26fb559f75b');
  expect(vectorPath({ storageType: 'u', pathOrInlineDv: 'ab^-aqEH.-t@S}K{vb[*k^', sizeInBytes: 1, cardinality: 1 })).toBe('ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin');
});

test('an inline vector that DuckDB and delta-rs have read as the rows 0, 3 and 18', () => {
  const descriptor = { storageType: 'i', pathOrInlineDv: '^Bg9^0rr910000000000iXQKl0rr91000625c8Xg000935=.[i', sizeInBytes: 38, cardinality: 3 } as const;
  const bitmap = inlineVector(descriptor);
  expect([...bitmap.iterate()]).toEqual([0, 3, 18]);
  expect(new VectorFile('d2c639aa-8816-431a-aaf6-d3fe2512ff61').add(bitmap)).toEqual(descriptor);
});

test('small vectors lie in the log, large ones in a file with a check sum', () => {
  const small = new RoaringBitmap(), large = new RoaringBitmap();
  small.add(3);
  for (let row = 0; row < 100_000; row += 7) large.add(row);
  const file = new VectorFile('d2c639aa-8816-431a-aaf6-d3fe2512ff61');
  const inline = file.add(small), stored = file.add(large);
  expect([inline.storageType, inline.cardinality, stored.storageType, stored.offset]).toEqual(['i', 1, 'u', 1]);
  expect(vectorPath(inline)).toBeUndefined();
  expect(vectorPath(stored)).toBe(file.name);
  const content = file.content() ?? Buffer.alloc(0);
  expect([...vectorIn(content, stored).iterate()]).toEqual([...large.iterate()]);
  expect([...inlineVector(inline).iterate()]).toEqual([3]);
  content.writeUInt8((content.readUInt8(40) + 1) % 256, 40);
  expect(() => vectorIn(content, stored)).toThrow(RangeError);
  expect([...decodeVector(encodeVector(large)).iterate()].length).toBe(large.cardinality());
});

test('schemas survive, with times and UUIDs as text', () => {
  const columns = [
    { name: 'id', type: { kind: 'long' }, required: true }, { name: 'd', type: { kind: 'decimal', precision: 10, scale: 2 }, required: false }, { name: 'at', type: { kind: 'timestamp' }, required: false },
    { name: 'list', type: { kind: 'list', element: { kind: 'map', key: { kind: 'string' }, value: { kind: 'struct', fields: [{ name: 'x', type: { kind: 'double' }, required: false }] } } }, required: false },
  ] as const;
  expect(decodeSchema(encodeSchema(columns))).toEqual(columns);
  expect(decodeSchema(encodeSchema([{ name: 'u', type: { kind: 'uuid' }, required: false }]))).toEqual([{ name: 'u', type: { kind: 'string' }, required: false }]);
  expect(() => decodeSchema('{"fields":[{"name":"v","type":"variant","nullable":true,"metadata":{}}]}')).toThrow(RangeError);
});

test('tokens survive any name, and those of others are not ours', () => {
  const token = { connector: 'a/b c', topic: 'ä.b', topicId: 'x-1', partition: 3, epoch: 2, offset: 99 };
  expect(decodeToken(encodeToken(token, 5))).toEqual(token);
  expect(decodeToken({ appId: 'spark-query', version: 3 })).toBeUndefined();
});

test('statistics name exact bounds only', () => {
  const column = (name: string, kind: 'long' | 'string' | 'double' | 'date') => ({ name, type: { kind }, required: false }) as const;
  const bounds = (name: string, min: string, max: string) => ({ column: name, nullCount: 1, min, max, bytes: 1 });
  const text = encodeStatistics({ path: 'x', rows: 9, bytes: 1, stats: [bounds('a', '-9223372036854775808', '5'), bounds('b', 'x', 'y'.repeat(40)), bounds('c', '0.1', '2'), bounds('d', '2020-01-01', '2020-01-02')] }, [column('a', 'long'), column('b', 'string'), column('c', 'double'), column('d', 'date')]);
  expect(text).toBe('{"numRecords":9,"minValues":{"a":-9223372036854775808,"d":"2020-01-01"},"maxValues":{"a":5,"d":"2020-01-02"},"nullCount":{"a":1,"b":1,"c":1,"d":1},"tightBounds":true}');
  expect(loosened(text)).toContain('"tightBounds":false');
  expect([rowsOf(text), rowsOf(undefined)]).toEqual([9, undefined]);
});

test('a file with a new deletion vector replaces itself, whatever the order in the commit', () => {
  const add = { path: 'a', partitionValues: {}, size: 1, modificationTime: 1, dataChange: true }, vector = { storageType: 'i', pathOrInlineDv: '00000', sizeInBytes: 4, cardinality: 1 } as const;
  const remove = { path: 'a', deletionTimestamp: 5, dataChange: true, extendedFileMetadata: true, partitionValues: {}, size: 1 };
  for (const actions of [[{ remove }, { add: { ...add, deletionVector: vector } }], [{ add: { ...add, deletionVector: vector } }, { remove }]]) {
    const state = new LogState();
    state.apply(0, [{ add }]);
    state.apply(1, decodeActions(encodeActions(actions)));
    expect([...state.files.values()]).toEqual([{ ...add, deletionVector: vector }]);
    expect([...state.removed.keys()]).toEqual([fileKey(remove)]);
    expect(state.actions().length).toBe(2);
    state.forgetRemoved(4);
    expect(state.actions().length).toBe(2);
    state.forgetRemoved(5);
    expect(state.actions().length).toBe(1);
  }
  expect(versionName(12)).toBe('00000000000000000012');
});

test('names that Delta readers would refuse are told', () => {
  const column = (name: string, fields: readonly string[] = []) => ({ name, type: fields.length === 0 ? { kind: 'int' } as const : { kind: 'struct', fields: fields.map(field => ({ name: field, type: { kind: 'int' } as const, required: false })) } as const, required: false });
  for (const name of ['a b', 'a,b', 'a;b', 'a{', 'a}', '(a', 'a)', 'a\tb', 'a\nb', 'a=b']) expect(nameProblem([column('ok'), column(name)])).toContain('do not take');
  expect(nameProblem([column('Id'), column('id')])).toContain('differ in case');
  expect(nameProblem([column('s', ['x y'])])).toBeDefined();
  expect(nameProblem([column('a-b'), column('ä.c'), column('__deleted'), column('s', ['x', 'y'])])).toBeUndefined();
});
