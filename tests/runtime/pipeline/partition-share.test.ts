import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isShared } from '../../../runtime/pipeline/partition-share.ts';

describe('shares of a sink', () => {
  it('give every partition to exactly one task, whole topics to one where that is asked for', () => {
    const place = fc.record({ topic: fc.string(), partition: fc.nat(99) });
    fc.assert(fc.property(fc.array(place), fc.array(fc.string()), fc.integer({ min: 1, max: 12 }), fc.constantFrom('topics' as const, 'partitions' as const), (places, names, of, by) => {
      const owner = new Map<string, number>();
      for (const one of places) {
        const tasks = Array.from({ length: of }, (_, task) => task).filter(task => isShared(one, { task, of, by, names }));
        expect(tasks).toHaveLength(1);
        if (by === 'topics') expect(tasks[0]).toBe(owner.get(one.topic) ?? tasks[0]);
        owner.set(one.topic, tasks[0] ?? -1);
      }
    }));
  });

  it('are even over the partitions of a topic, and over the topics that are named', () => {
    const count = (by: 'topics' | 'partitions', places: readonly { readonly topic: string; readonly partition: number }[], names: readonly string[]): readonly number[] => [0, 1, 2].map(task => places.filter(one => isShared(one, { task, of: 3, by, names })).length);
    expect(count('partitions', Array.from({ length: 12 }, (_, partition) => ({ topic: 'any', partition })), [])).toEqual([4, 4, 4]);
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    expect(count('topics', names.map(topic => ({ topic, partition: 0 })), names)).toEqual([2, 2, 2]);
  });
});
