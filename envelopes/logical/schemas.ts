/**
 * Builders of schemas: the primitives and the semantic types of Debezium (`io.debezium.*`) and Connect
 * (`org.apache.kafka.connect.data.*`). Names and versions: Debezium reference, "Data types".
 */
import type { ArraySchema, Field, MapSchema, PrimitiveSchema, Schema, StructSchema } from '../schema.ts';

type Primitive = PrimitiveSchema['type'];
const plain = (type: Primitive) => ({ type, optional: false }) as const satisfies PrimitiveSchema;
const named = (type: Primitive, name: string, parameters?: Readonly<Record<string, string>>): PrimitiveSchema => ({ type, optional: false, name, version: 1, ...(parameters && { parameters }) });

export const INT8 = plain('int8'), INT16 = plain('int16'), INT32 = plain('int32'), INT64 = plain('int64');
export const FLOAT = plain('float'), DOUBLE = plain('double'), BOOLEAN = plain('boolean'), STRING = plain('string'), BYTES = plain('bytes');

export const optional = <S extends Schema>(schema: S): S => ({ ...schema, optional: true });
export const array = (items: Schema): ArraySchema => ({ type: 'array', items, optional: false });
export const map = (keys: Schema, values: Schema): MapSchema => ({ type: 'map', keys, values, optional: false });
export const struct = (fields: Readonly<Record<string, Schema>>, facts: Partial<Pick<StructSchema, 'name' | 'version' | 'doc'>> = {}): StructSchema => ({
  type: 'struct', fields: Object.entries(fields).map(([name, schema]): Field => ({ name, schema })), optional: false, ...facts,
});

/** Two's-complement unscaled bytes; `precision` is left out when it is not known. */
export const decimal = (scale: number, precision?: number) =>
  named('bytes', 'org.apache.kafka.connect.data.Decimal', { scale: String(scale), ...(precision !== undefined && { 'connect.decimal.precision': String(precision) }) });
export const variableScaleDecimal = struct({ scale: INT32, value: BYTES }, { name: 'io.debezium.data.VariableScaleDecimal', version: 1, doc: 'Variable scaled decimal' });

export const date = named('int32', 'io.debezium.time.Date');
export const time = named('int32', 'io.debezium.time.Time');
export const microTime = named('int64', 'io.debezium.time.MicroTime');
export const nanoTime = named('int64', 'io.debezium.time.NanoTime');
export const timestamp = named('int64', 'io.debezium.time.Timestamp');
export const microTimestamp = named('int64', 'io.debezium.time.MicroTimestamp');
export const nanoTimestamp = named('int64', 'io.debezium.time.NanoTimestamp');
export const zonedTime = named('string', 'io.debezium.time.ZonedTime');
export const zonedTimestamp = named('string', 'io.debezium.time.ZonedTimestamp');
export const microDuration = named('int64', 'io.debezium.time.MicroDuration');
export const interval = named('string', 'io.debezium.time.Interval');
export const isoDate = named('string', 'io.debezium.time.IsoDate');
export const isoTime = named('string', 'io.debezium.time.IsoTime');
export const isoTimestamp = named('string', 'io.debezium.time.IsoTimestamp');
export const connectDate = named('int32', 'org.apache.kafka.connect.data.Date');
export const connectTime = named('int32', 'org.apache.kafka.connect.data.Time');
export const connectTimestamp = named('int64', 'org.apache.kafka.connect.data.Timestamp');

export const json = named('string', 'io.debezium.data.Json');
export const xml = named('string', 'io.debezium.data.Xml');
export const uuid = named('string', 'io.debezium.data.Uuid');
export const ltree = named('string', 'io.debezium.data.Ltree');
export const tsvector = named('string', 'io.debezium.data.Tsvector');
export const bits = (length: number) => named('bytes', 'io.debezium.data.Bits', { length: String(length) });
export const enumeration = (allowed: readonly string[]) => named('string', 'io.debezium.data.Enum', { allowed: allowed.join(',') });
export const point = struct({ x: DOUBLE, y: DOUBLE, wkb: optional(BYTES), srid: optional(INT32) }, { name: 'io.debezium.data.geometry.Point', version: 1, doc: 'Geometry (POINT)' });
export const geometry = struct({ wkb: BYTES, srid: optional(INT32) }, { name: 'io.debezium.data.geometry.Geometry', version: 1, doc: 'Geometry' });
export const geography = struct({ wkb: BYTES, srid: optional(INT32) }, { name: 'io.debezium.data.geometry.Geography', version: 1, doc: 'Geography' });
