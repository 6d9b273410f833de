/** `io.debezium.transforms.ExtractChangedRecordState`: names of the columns that an update changed, and of those it did not, as headers; both empty for other events. */
import type { Header, SchemaAndValue } from '../../../envelopes/record.ts';
import type { Schema, Struct, Value } from '../../../envelopes/schema.ts';
import { type ConfigOf, defineConfig, string } from '../../api/config.ts';
import type { Transform } from '../../api/converter.ts';
import { isStruct, memberOf } from '../fields.ts';
import { headerSharing, isEnvelope } from './envelope.ts';

const group = 'Transformation';
export const changedRecordStateConfig = defineConfig({
  'header.changed.name': string({ group, importance: 'LOW', doc: 'Header of the changed columns; none without it.' }),
  'header.unchanged.name': string({ group, importance: 'LOW', doc: 'Header of the columns that stayed; none without it.' }),
});

const names = (name: string): Schema => ({ type: 'array', optional: true, name, items: { type: 'string', optional: true } });

export function changedRecordState(config: ConfigOf<typeof changedRecordStateConfig>): Transform {
  const { 'header.changed.name': changed = '', 'header.unchanged.name': unchanged = '' } = config;
  const changedSchema = names(changed), unchangedSchema = names(unchanged);
  const share = headerSharing();
  return {
    apply: record => {
      if (record.value.value === null) return { ...record, headers: share(record, []) };
      if (!isEnvelope(record)) return record;
      const before = memberOf(record.value, 'before')?.value ?? null, after = memberOf(record.value, 'after')?.value ?? null;
      const differs = isStruct(before) && isStruct(after) ? differences(before, after) : [];
      const header = (name: string, schema: Schema, of: boolean): Header[] => (name === '' ? [] : [{ name, schema, value: differs.filter(([, one]) => one === of).map(([column]) => column) } satisfies SchemaAndValue & { name: string }]);
      return { ...record, headers: share(record, [...header(changed, changedSchema, true), ...header(unchanged, unchangedSchema, false)]) };
    },
  };
}

function differences(before: Struct, after: Struct): (readonly [column: string, changed: boolean])[] {
  return after.schema.fields.map(({ name }, i) => [name, !same(before.values[i] ?? null, after.values[i] ?? null)] as const);
}

function same(a: Value, b: Value): boolean {
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object') return Object.is(a, b);
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  if (isStruct(a)) return isStruct(b) && a.values.length === b.values.length && a.values.every((value, i) => same(value, b.values[i] ?? null));
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && (a as readonly Value[]).every((value, i) => same(value, (b as readonly Value[])[i] ?? null));
  if ('entries' in a && 'entries' in b) {
    const other = new Map((b.entries as readonly (readonly [Value, Value])[]).map(([key, value]) => [key, value] as const));
    const pairs = a.entries as readonly (readonly [Value, Value])[];
    return pairs.length === other.size && pairs.every(([key, value]) => other.has(key) && same(value, other.get(key) ?? null));
  }
  return false;
}
