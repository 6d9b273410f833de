/**
 * A column's default expression → the default in its schema. Literals are taken as they are; a function stands as the
 * zero of its type, as Debezium has it. The literal ends at its first quote, doubled or not, which is Debezium's way too.
 */
import type { Schema, Value } from '../../../envelopes/schema.ts';
import type { ColumnCodec, TypeInfo } from './values.ts';

/** Types whose defaults Debezium does not carry. */
const WITHOUT_DEFAULT = new Set(['bytea', 'money', 'point', 'hstore', 'tsvector', 'timetz']);

/** Undefined: no default in the schema. `expression` is pg_get_expr's text. */
export function defaultValue(expression: string | null, type: TypeInfo, codec: ColumnCodec): Value | undefined {
  const base = baseOf(type);
  if (expression === null || base.element !== undefined || WITHOUT_DEFAULT.has(base.name) || codec.schema.type === 'struct' || /^NULL(::|$)/i.test(expression)) return undefined;
  const literal = literalText(expression);
  if (literal === undefined) return functionZero(codec);
  try {
    return codec.decode(base.name === 'bool' ? literal.slice(0, 1) : zoneless(literal, base.name)) ?? undefined;
  } catch { return undefined; }
}

function baseOf(type: TypeInfo): TypeInfo { return type.base === undefined ? type : baseOf(type.base.type); }

function literalText(expression: string): string | undefined {
  const quoted = /^\(?[BbXx]?'([^']*)'/.exec(expression);
  if (quoted !== null) return quoted[1];
  const bare = /^\(?(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false)\)?(::[\w ".()]+)?$/.exec(expression);
  return bare?.[1];
}

/** The server writes timestamptz literals in the session's zone, which is UTC. */
function zoneless(text: string, type: string): string { return type === 'timestamptz' && !/[+-]\d\d(:?\d\d)?( BC)?$/.test(text) ? `${text}+00` : text; }

function functionZero(codec: ColumnCodec): Value {
  if (codec.schema.name === 'io.debezium.time.ZonedTimestamp') return codec.decode('1970-01-01 00:00:00+00');
  return zeroOf(codec.schema);
}

/** What stands for a missing value of a required column. */
export function zeroOf(schema: Schema): Value {
  switch (schema.type) {
    case 'int8': case 'int16': case 'int32': case 'float': case 'double': return 0;
    case 'int64': return 0n;
    case 'boolean': return false;
    case 'string': return schema.name === 'io.debezium.time.ZonedTimestamp' ? '1970-01-01T00:00:00Z' : schema.name === 'io.debezium.time.ZonedTime' ? '00:00:00Z' : '';
    case 'bytes': return schema.name === 'org.apache.kafka.connect.data.Decimal' ? Uint8Array.of(0) : new Uint8Array(0);
    case 'array': return [];
    case 'map': return { entries: [] };
    case 'struct': return { schema, values: schema.fields.map(field => (field.schema.optional ? null : zeroOf(field.schema))) };
  }
}
