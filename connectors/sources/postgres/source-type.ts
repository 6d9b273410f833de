/** Parameters that say what a column was on the server (`column.propagate.source.type`), in the driver metadata's measures that Debezium shows. */
import type { TypeInfo } from './values.ts';

const UNLIMITED = 2_147_483_647;
const FIXED: Readonly<Record<string, readonly [number, number]>> = { int2: [5, 0], int4: [10, 0], int8: [19, 0], oid: [10, 0], float4: [8, 8], float8: [17, 17], bool: [1, 0], date: [13, 0], char: [1, 0] };
const CLOCKS: Readonly<Record<string, number>> = { time: 8, timetz: 14, timestamp: 22, timestamptz: 28 };
const SERIALS: Readonly<Record<string, string>> = { int2: 'SMALLSERIAL', int4: 'SERIAL', int8: 'BIGSERIAL' };

export interface DescribedColumn { readonly name: string; readonly type: TypeInfo; readonly typmod: number; readonly defaultExpression: string | null }

/** `snapshot`: Debezium reads a table's columns otherwise than the stream's; serials and unconstrained numerics differ. */
export function sourceTypeParameters({ name, type, typmod, defaultExpression }: DescribedColumn, snapshot: boolean): Record<string, string> {
  const serial = snapshot && defaultExpression !== null && /^nextval\(/.test(defaultExpression) ? SERIALS[type.name] : undefined;
  const { length, scale } = measures(type, typmod, snapshot);
  return {
    '__debezium.source.column.type': serial ?? type.name.toUpperCase(), '__debezium.source.column.length': String(length),
    ...(scale !== undefined && { '__debezium.source.column.scale': String(scale) }), '__debezium.source.column.name': name,
  };
}

function measures(type: TypeInfo, typmod: number, snapshot: boolean): { length: number; scale: number | undefined } {
  if (type.base !== undefined) return measures(type.base.type, typmod === -1 ? type.base.typmod : typmod, snapshot);
  if (type.element !== undefined) return measures(type.element, typmod, snapshot);
  const { name } = type;
  const fixed = FIXED[name];
  if (fixed !== undefined) return { length: fixed[0], scale: fixed[1] };
  const clock = CLOCKS[name];
  if (clock !== undefined) { const digits = typmod === -1 ? 6 : typmod; return { length: clock + (digits === 0 ? 0 : digits + 1), scale: digits }; }
  if (name === 'numeric') {
    if (typmod === -1) return snapshot ? { length: 0, scale: undefined } : { length: 131_089, scale: 0 };
    return { length: ((typmod - 4) >> 16) & 0xffff, scale: (((typmod - 4) & 0x7ff) << 21) >> 21 };
  }
  if (name === 'interval') return { length: 49, scale: typmod === -1 || (typmod & 0xffff) === 0xffff ? 6 : typmod & 0xffff };
  if (name === 'varchar' || name === 'bpchar') return { length: typmod === -1 ? UNLIMITED : typmod - 4, scale: 0 };
  if (name === 'bit' || name === 'varbit') return { length: typmod === -1 ? UNLIMITED : typmod, scale: 0 };
  return { length: UNLIMITED, scale: 0 };
}
