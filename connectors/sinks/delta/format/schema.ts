/** Columns ↔ Delta's schema string (PROTOCOL.md, "Schema Serialization Format"). */
import type { Column, ColumnType } from '../../tables/table.ts';

interface JsonField { readonly name: string; readonly type: JsonType; readonly nullable: boolean; readonly metadata: Readonly<Record<string, unknown>> }
type JsonType = string
  | { readonly type: 'struct'; readonly fields: readonly JsonField[] }
  | { readonly type: 'array'; readonly elementType: JsonType; readonly containsNull: boolean }
  | { readonly type: 'map'; readonly keyType: JsonType; readonly valueType: JsonType; readonly valueContainsNull: boolean };

/** The nearest type that Delta has: times and UUIDs become text, nanoseconds microseconds. */
export function nearestType(type: ColumnType): ColumnType {
  switch (type.kind) {
    case 'time': case 'uuid': return { kind: 'string' };
    case 'timestamp_ns': return { kind: 'timestamp' };
    case 'timestamptz_ns': return { kind: 'timestamptz' };
    case 'list': return { kind: 'list', element: nearestType(type.element) };
    case 'map': return { kind: 'map', key: nearestType(type.key), value: nearestType(type.value) };
    case 'struct': return { kind: 'struct', fields: type.fields.map(field => ({ ...field, type: nearestType(field.type) })) };
    default: return type;
  }
}

const NAMES = { boolean: 'boolean', int: 'integer', long: 'long', float: 'float', double: 'double', date: 'date', timestamp: 'timestamp_ntz', timestamptz: 'timestamp', string: 'string', binary: 'binary' } as const;
const KINDS = new Map<string, ColumnType['kind']>([...Object.entries(NAMES).map(([kind, name]) => [name, kind as ColumnType['kind']] as const), ['short', 'int'], ['byte', 'int']]);

export function encodeSchema(columns: readonly Column[]): string { return JSON.stringify({ type: 'struct', fields: columns.map(field) }); }
function field({ name, type, required }: Column): JsonField { return { name, type: encodeType(type), nullable: !required, metadata: {} }; }
function encodeType(type: ColumnType): JsonType {
  switch (type.kind) {
    case 'decimal': return `decimal(${type.precision},${type.scale})`;
    case 'list': return { type: 'array', elementType: encodeType(type.element), containsNull: true };
    case 'map': return { type: 'map', keyType: encodeType(type.key), valueType: encodeType(type.value), valueContainsNull: true };
    case 'struct': return { type: 'struct', fields: type.fields.map(field) };
    case 'time': case 'uuid': case 'timestamp_ns': case 'timestamptz_ns': return encodeType(nearestType(type));
    default: return NAMES[type.kind];
  }
}

/** Throws RangeError for a type that we cannot write. */
export function decodeSchema(text: string): readonly Column[] { return (JSON.parse(text) as { readonly fields: readonly JsonField[] }).fields.map(decodeField); }
function decodeField({ name, type, nullable }: JsonField): Column { return { name, type: decodeType(type), required: !nullable }; }
function decodeType(type: JsonType): ColumnType {
  if (typeof type === 'string') {
    const decimal = /^decimal\((\d+),\s*(\d+)\)$/.exec(type);
    if (decimal !== null) return { kind: 'decimal', precision: Number(decimal[1]), scale: Number(decimal[2]) };
    const kind = KINDS.get(type);
    if (kind === undefined) throw new RangeError(`Delta type ${type}`);
    return { kind } as ColumnType;
  }
  switch (type.type) {
    case 'struct': return { kind: 'struct', fields: type.fields.map(decodeField) };
    case 'array': return { kind: 'list', element: decodeType(type.elementType) };
    case 'map': return { kind: 'map', key: decodeType(type.keyType), value: decodeType(type.valueType) };
  }
}

/** What Delta without column mapping does not take in a name (Spark refuses to read such a table), and names that differ in case only. Undefined when all are well. */
export function nameProblem(columns: readonly Column[]): string | undefined {
  const seen = new Set<string>();
  for (const { name, type } of columns) {
    if (/[ ,;{}()\n\t=]/.test(name)) return `${JSON.stringify(name)} has a character that Delta tables do not take in names (space , ; { } ( ) = tab, line break)`;
    if (seen.has(name.toLowerCase())) return `${JSON.stringify(name)} and another column differ in case only, which is one name in Delta`;
    seen.add(name.toLowerCase());
    const inner = type.kind === 'struct' ? nameProblem(type.fields) : undefined;
    if (inner !== undefined) return inner;
  }
  return undefined;
}

/** True when some column, at any depth, is a timestamp without zone: a table feature of its own. */
export function hasZoneless(columns: readonly Column[]): boolean { return columns.some(column => zoneless(column.type)); }
function zoneless(type: ColumnType): boolean {
  switch (type.kind) {
    case 'timestamp': case 'timestamp_ns': return true;
    case 'list': return zoneless(type.element);
    case 'map': return zoneless(type.key) || zoneless(type.value);
    case 'struct': return hasZoneless(type.fields);
    default: return false;
  }
}
