/** Key index and last writes against plain maps. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ColumnBuffer } from '../../../../connectors/sinks/tables/column-buffer.ts';
import { KeyCodec } from '../../../../connectors/sinks/tables/key-codec.ts';
import { KeyIndex } from '../../../../connectors/sinks/tables/key-index.ts';
import { LastWrite } from '../../../../connectors/sinks/tables/last-write.ts';

test('the index finds what was put, under equal hashes too', () => {
  const steps = fc.array(fc.record({ low: fc.integer({ min: 0, max: 40 }), high: fc.constantFrom(0, 1, 0xffffffff), row: fc.nat({ max: 1_000_000 }), remove: fc.boolean() }), { maxLength: 400 });
  fc.assert(fc.property(steps, list => {
    const index = new KeyIndex(1), model = new Map<string, Set<number>>();
    for (const { low, high, row, remove } of list) {
      const key = `${low},${high}`, rows = model.get(key) ?? new Set<number>();
      model.set(key, rows);
      if (remove) { const slot = index.at(low, high, row); expect(slot >= 0).toBe(rows.delete(row)); if (slot >= 0) index.remove(slot); }
      else if (!rows.has(row)) { rows.add(row); index.add(low, high, row); }
    }
    for (const [key, rows] of model) {
      const [low = 0, high = 0] = key.split(',').map(Number), found = new Set<number>();
      for (let slot = index.find(low, high); slot >= 0; slot = index.next(slot)) found.add(index.position(slot));
      expect(found).toEqual(rows);
    }
    expect(index.count).toBe([...model.values()].reduce((sum, rows) => sum + rows.size, 0));
  }), { numRuns: 200 });
});

test('an index outgrows its first size', () => {
  const index = new KeyIndex(0);
  for (let key = 0; key < 50_000; key++) index.add(key, key % 3, key);
  for (let key = 0; key < 50_000; key++) expect(index.position(index.find(key, key % 3))).toBe(key);
  expect(index.find(50_001, 0)).toBe(-1);
  expect(index.bytes).toBeLessThanOrEqual(KeyIndex.bytesFor(50_000));
  // At least 60 % of the slots are taken, whatever the number of keys.
  expect(index.bytes).toBeLessThan(50_000 * 12 / 0.6);
});

test('an index that takes in and gives up keys for ever stays as large as what it holds', () => {
  const index = new KeyIndex(0);
  for (let key = 0; key < 400_000; key++) {
    index.add(key, 0, key);
    if (key >= 20_000) index.remove(index.at(key - 20_000, 0, key - 20_000));
  }
  expect(index.count).toBe(20_000);
  expect(index.bytes).toBeLessThanOrEqual(KeyIndex.bytesFor(30_000));
  for (let key = 380_000; key < 400_000; key++) expect(index.position(index.find(key, 0))).toBe(key);
});

test('keys are told apart by their bytes, in one column and in several', () => {
  const pair = fc.tuple(fc.string({ maxLength: 3 }), fc.integer({ min: -3, max: 3 }));
  fc.assert(fc.property(fc.array(pair, { maxLength: 100 }), keys => {
    const columns = [new ColumnBuffer({ name: 'a', type: { kind: 'string' }, required: true }), new ColumnBuffer({ name: 'b', type: { kind: 'int' }, required: true })];
    const codec = new KeyCodec(columns), last = new LastWrite(), model = new Map<string, number>();
    expect(codec.exact).toBe(false);
    keys.forEach(([text, number], row) => {
      columns[0]?.setText(0, text);
      columns[1]?.setInt(0, number);
      expect(codec.encode(columns, 0)).toBe(true);
      const entry = last.entry(codec), known = model.get(JSON.stringify([text, number]));
      if (known === undefined) model.set(JSON.stringify([text, number]), entry); else expect(entry).toBe(known);
      last.row[entry] = row;
    });
    expect(last.count).toBe(model.size);
  }));
});

test('a key of one number is its own hash', () => {
  const columns = [new ColumnBuffer({ name: 'id', type: { kind: 'long' }, required: true })];
  const codec = new KeyCodec(columns), seen = new Set<string>();
  expect(codec.exact).toBe(true);
  for (const value of [0n, 1n, -1n, 2n ** 32n, 2n ** 32n + 1n, -(2n ** 63n), 2n ** 63n - 1n]) {
    columns[0]?.setLong(0, value);
    codec.encode(columns, 0);
    expect((BigInt(codec.high) << 32n) | BigInt(codec.low)).toBe(BigInt.asUintN(64, value));
    seen.add(`${codec.high}:${codec.low}`);
  }
  expect(seen.size).toBe(7);
  columns[0]?.setNull(0);
  expect(codec.encode(columns, 0)).toBe(false);
});
