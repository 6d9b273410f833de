/**
 * Connect schemas: what a key, a value or a header looks like.
 *
 * The model is that of `org.apache.kafka.connect.data.Schema` (Kafka Connect API): a physical type,
 * optionality, and optionally a semantic name, version, parameters, doc and default.
 */

/** Physical types, spelt as Connect's JsonConverter spells them on the wire. */
export type SchemaType =
  | 'int8' | 'int16' | 'int32' | 'int64' | 'float' | 'double' | 'boolean' | 'string' | 'bytes' | 'array' | 'map' | 'struct';

/**
 * A value in its **physical** form, whatever its semantic type:
 * int8–int32, float, double → number; int64 → bigint; boolean; string; bytes → Uint8Array;
 * array → readonly Value[]; map → readonly (readonly [Value, Value])[]; struct → {@link Struct}.
 * Semantic types keep the physical form: a Decimal is its two's-complement big-endian unscaled bytes,
 * a Connect Timestamp its milliseconds as bigint, an io.debezium.time.Date its days as number.
 */
export type Value = null | number | bigint | boolean | string | Uint8Array | readonly Value[] | ValueMap | Struct;
export interface ValueMap { readonly entries: readonly (readonly [Value, Value])[] }

/** Values by position over a struct schema. `values[i]` belongs to `schema.fields[i]`. */
export interface Struct { readonly schema: StructSchema; readonly values: readonly Value[] }

interface Common {
  readonly optional: boolean;
  readonly name?: string;
  readonly version?: number;
  readonly doc?: string;
  readonly parameters?: Readonly<Record<string, string>>;
  readonly default?: Value;
}
export interface PrimitiveSchema extends Common { readonly type: Exclude<SchemaType, 'array' | 'map' | 'struct'> }
export interface ArraySchema extends Common { readonly type: 'array'; readonly items: Schema }
export interface MapSchema extends Common { readonly type: 'map'; readonly keys: Schema; readonly values: Schema }
export interface StructSchema extends Common { readonly type: 'struct'; readonly fields: readonly Field[] }
export type Schema = PrimitiveSchema | ArraySchema | MapSchema | StructSchema;

/** A named member of a struct; its position is its index in `fields`. */
export interface Field { readonly name: string; readonly schema: Schema }

/** Position of a field by name, or -1. Linear: look up once per schema, not once per record. */
export function fieldIndex(schema: StructSchema, name: string): number {
  return schema.fields.findIndex(field => field.name === name);
}
