import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RoaringBitmap } from '../../../../connectors/sinks/tables/roaring.ts';

const positions = fc.array(fc.oneof(fc.nat({ max: 70_000 }), fc.nat(), fc.integer({ min: 0, max: 2 ** 45 })), { maxLength: 300 });
const of = (values: Iterable<number>): RoaringBitmap => { const bitmap = new RoaringBitmap(); for (const value of values) bitmap.add(value); return bitmap; };

test('a bitmap holds what a set holds, also over its bytes', () => {
  fc.assert(fc.property(positions, positions, (a, b) => {
    const left = of(a), sorted = [...new Set([...a, ...b])].sort((x, y) => x - y);
    left.or(of(b));
    expect([...left.iterate()]).toEqual(sorted);
    expect(left.cardinality()).toBe(sorted.length);
    const again = RoaringBitmap.deserialize(left.serialize());
    expect([...again.iterate()]).toEqual(sorted);
    expect(b.every(value => again.has(value))).toBe(true);
    expect(again.has(2 ** 46)).toBe(false);
    expect([...left.minus(of(b)).iterate()]).toEqual(sorted.filter(value => !b.includes(value)));
  }));
});

test('dense stretches become bitmaps and come back', () => {
  const dense = of(Array.from({ length: 200_000 }, (_, i) => (i * 3) % 300_001));
  const again = RoaringBitmap.deserialize(dense.serialize());
  expect(again.cardinality()).toBe(dense.cardinality());
  expect([...again.iterate()]).toEqual([...dense.iterate()]);
});
