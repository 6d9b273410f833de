/**
 * Keys in Debezium's offsets. `debezium-offsets.ndjson` are the answers of `GET /connectors/NAME/offsets` of a real Debezium
 * 3.6.1 in Kafka Connect 4.3.1, stopped (`PUT …/stop`) while an incremental snapshot read a table whose key has the type
 * that `key` names; the last row of the table is in `max`. `java-objects.ndjson` was written by Java 17's ObjectOutputStream.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { javaKey, textsOfJavaKey } from '../../../../../connectors/sources/postgres/incremental/java-keys.ts';
import { readJava } from '../../../../../connectors/sources/postgres/incremental/java-reader.ts';
import { incrementalKeys, incrementalState } from '../../../../../connectors/sources/postgres/incremental/state.ts';
import { quietLogger } from '../../../../kit/quiet-logger.ts';

const lines = <T>(file: string): T[] => readFileSync(new URL(`./${file}`, import.meta.url), 'utf8').trim().split('\n').map(line => JSON.parse(line) as T);
interface Recorded { readonly key: string; readonly types: readonly string[]; readonly max: readonly string[]; readonly offset: Readonly<Record<string, unknown>> }
const recorded = lines<Recorded>('debezium-offsets.ndjson');

describe("Debezium's offsets in the middle of an incremental snapshot", () => {
  it.each(recorded)('of a key of type $key are read', ({ max, offset, key }) => {
    const state = incrementalState(offset, quietLogger);
    expect(state?.id).toBe(`sig-${key}`);
    expect(state?.collections).toEqual([{ name: `public.k_${key}`, filter: undefined, surrogate: undefined }, { name: 'public.k_pair', filter: '(v > 0)', surrogate: undefined }]);
    expect(state?.max).toEqual(max);
    expect(state?.last).toHaveLength(max.length);
  });

  it.each(recorded.filter(({ types }) => types.length > 0))('of a key of type $key are written byte for byte', ({ offset, types }) => {
    const state = incrementalState(offset, quietLogger);
    const written = incrementalKeys(state === undefined ? undefined : { ...state, types });
    for (const name of Object.keys(offset).filter(one => one.startsWith('incremental_snapshot_'))) expect(written[name]).toBe(offset[name]);
  });

  it('that cannot be read begin their table again', () => {
    const [{ offset } = { offset: {} }] = recorded;
    for (const broken of ['00', 'aced', 'ACED0005757200', 'zz']) {
      const state = incrementalState({ ...offset, incremental_snapshot_primary_key: broken }, quietLogger);
      expect([state?.collections.length, state?.last, state?.max]).toEqual([2, undefined, undefined]);
    }
    expect(incrementalState({ ...offset, incremental_snapshot_collections: '[]' }, quietLogger)).toBeUndefined();
    expect(incrementalState({ ...offset, incremental_snapshot_collections: 'public.a,public.b' }, quietLogger)?.collections.map(({ name }) => name)).toEqual(['public.a', 'public.b']);
  });

  it('give way to what was kept beside them, as long as that is there', () => {
    const [{ offset } = { offset: {} }] = recorded;
    const state = incrementalState(offset, quietLogger);
    if (state === undefined) throw new Error('nothing was recorded');
    const paused = { ...state, paused: true, rows: 7 };
    expect(incrementalState({ ...offset, ...incrementalKeys(paused) }, quietLogger)).toEqual(paused);
  });
});

describe('serialised Java objects', () => {
  const objects = lines<{ readonly name: string; readonly hex: string; readonly texts: readonly string[] | null }>('java-objects.ndjson');
  it.each(objects)('$name', ({ hex, texts }) => { expect(textsOfJavaKey(hex)).toEqual(texts ?? undefined); });
  it('cut at any place are an error, never something else', () => {
    for (const { hex } of objects) {
      const bytes = Buffer.from(hex, 'hex');
      for (let length = 0; length < bytes.length; length++) expect(() => readJava(bytes.subarray(0, length))).toThrow(/not a serialised Java object/);
    }
  });
  it('with any byte changed end in a value or an error', () => {
    for (const { hex } of objects) {
      const bytes = Buffer.from(hex, 'hex');
      for (let at = 0; at < bytes.length; at++) for (const value of [0, 0x70, 0x71, 0x73, 0x75, 0x7f, 0xff]) {
        const changed = Buffer.from(bytes);
        changed[at] = value;
        try { textsOfJavaKey(changed.toString('hex')); } catch (error) { expect((error as Error).name).toBe('DataError'); }
      }
    }
  });
  it('of types whose Java object is not known are not written', () => {
    expect(javaKey(['x'], ['geometry'])).toBeUndefined();
    expect(javaKey(['NaN'], ['numeric'])).toBeUndefined();
    expect(javaKey(undefined, [])?.toLowerCase()).toBe('aced000570');
  });
});
