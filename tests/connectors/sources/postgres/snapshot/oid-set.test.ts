/** The text of a set gives the same set, whatever is in it and in whatever order it came. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { OidSet } from '../../../../../connectors/sources/postgres/snapshot/oid-set.ts';

const oid = fc.integer({ min: 1, max: 4_294_967_295 });

it('comes back from its text', () => {
  fc.assert(fc.property(fc.array(oid), fc.array(oid), (there, others) => {
    const set = new OidSet();
    for (const one of there) { set.add(one); set.toString(); }
    const back = new OidSet(set.toString());
    const wanted = new Set(there);
    return back.size === wanted.size && set.size === wanted.size && [...there, ...others].every(one => back.has(one) === wanted.has(one));
  }));
});

it('is small for the tables of one database, and cheap to write after each of them', () => {
  const set = new OidSet();
  let text = '';
  for (let i = 0; i < 10_000; i++) { set.add(16_384 + i * 6); text = set.toString(); }
  expect(text.length).toBeLessThan(25_000);
  expect(new OidSet(text).size).toBe(10_000);
});

it('leaves out what is no number', () => {
  expect(new OidSet('').size).toBe(0);
  expect(new OidSet('?,1:,:2,zz').size).toBe(0);
});
