/** `org.apache.kafka.connect.transforms.Cast`: fields, or the whole key or value, as another primitive type. Source: Kafka Connect documentation, "Transformations". */
import type { SchemaAndValue } from '../../../envelopes/record.ts';
import type { Field, PrimitiveSchema, Schema, Struct, StructSchema, Value } from '../../../envelopes/schema.ts';
import { type ConfigOf, defineConfig, list } from '../../api/config.ts';
import type { Transform } from '../../api/converter.ts';
import { ConfigError, DataError } from '../../api/errors.ts';
import { basics, isObject, isStruct, perSchema, type PlainObject, replaceNull, type Side, valueAt, withSide } from '../fields.ts';
import { type Decimal, decimalOf, epochMillis, javaText, toWhole } from '../../../envelopes/java-values.ts';

type Target = Exclude<PrimitiveSchema['type'], 'bytes'>;
const TARGETS: Readonly<Record<string, Target>> = { int8: 'int8', int16: 'int16', int32: 'int32', int64: 'int64', float32: 'float', float64: 'double', boolean: 'boolean', string: 'string' };

export const castConfig = defineConfig({
  spec: list({ required: true, group: 'Transformation', importance: 'HIGH', doc: 'field:type pairs, or one type for the whole: int8, int16, int32, int64, float32, float64, boolean, string.' }),
  'replace.null.with.default': replaceNull,
});

interface Spec { readonly whole: Target | undefined; readonly fields: ReadonlyMap<string, Target> }

function specOf(spec: readonly string[]): Spec {
  const wrong = (what: string): ConfigError => new ConfigError(`Invalid value ${spec.join(',')} for configuration spec: ${what}`, { code: 'CAST_SPEC', hint: `Types: ${Object.keys(TARGETS).join(', ')}.` });
  const fields = new Map<string, Target>();
  let whole: Target | undefined;
  for (const part of spec) {
    const [name = '', type, ...rest] = part.split(':').map(text => text.trim());
    const target = TARGETS[(type ?? name).toLowerCase()];
    if (rest.length > 0) throw wrong(`Invalid rename mapping: ${part}`);
    if (target === undefined) throw wrong(`Unsupported type found in casting spec: ${type ?? name}`);
    if (type === undefined) whole = target; else fields.set(name, target);
  }
  if (whole !== undefined && spec.length > 1) throw wrong('Cast transformations that specify a type to cast the entire value to may ony specify a single cast in their spec');
  if (spec.length === 0) throw wrong('Must specify at least one field to cast.');
  return { whole, fields };
}

export function cast(side: Side) {
  return (config: ConfigOf<typeof castConfig>): Transform => {
    const { whole, fields } = specOf(config.spec);
    const structSchema = perSchema((schema: StructSchema): StructSchema => ({
      type: 'struct', optional: false, ...basics(schema),
      fields: schema.fields.map(({ name, schema: child }): Field => { const target = fields.get(name); return { name, schema: target === undefined ? child : castSchema(child, target) }; }),
    }));
    const wholeSchema = perSchema((schema: Schema): Schema => ({ type: whole ?? 'string', optional: schema.optional }));
    const struct = (from: Struct): SchemaAndValue => {
      const schema = structSchema(from.schema);
      const values = from.schema.fields.map(({ name, schema: child }, i) => {
        const value = valueAt(from, i, config['replace.null.with.default']), target = fields.get(name);
        return target === undefined ? value : castValue(child, value, target);
      });
      return { schema, value: { schema, values } };
    };
    return {
      apply: record => {
        const { schema, value } = record[side];
        if (value === null) return record;
        if (whole !== undefined) return withSide(record, side, { schema: schema === null ? null : wholeSchema(schema), value: castValue(schema, value, whole) });
        if (isStruct(value)) return withSide(record, side, struct(value));
        if (!isObject(value)) throw new DataError(`Only Struct objects supported for [cast types], found a value of type ${schema?.type ?? typeof value}`, { code: 'CAST_TYPE', hint: 'Give one type in spec to cast the whole.' });
        return withSide(record, side, { schema: null, value: castObject(value, fields) });
      },
    };
  };
}

function castSchema(schema: Schema, target: Target): Schema {
  return { type: target, optional: schema.optional, ...(schema.default !== undefined && schema.default !== null && { default: castValue(schema, schema.default, target) }) };
}

function castObject(value: PlainObject, fields: ReadonlyMap<string, Target>): Value {
  return Object.fromEntries(Object.entries(value).map(([name, member]) => { const target = fields.get(name); return [name, target === undefined ? member : castValue(null, member, target)]; })) as unknown as Value;
}

const INT_BITS = { int8: 8, int16: 16, int32: 32, int64: 64 } as const;

/** One value. Throws DataError CAST_VALUE for text that is no number, CAST_TYPE for what cannot be cast. */
export function castValue(schema: Schema | null, value: Value, target: Target): Value {
  if (value === null) return null;
  if (target === 'string') {
    const text = javaText(schema, value);
    if (text === undefined) throw unsupported(schema, value);
    return text;
  }
  const from = (schema === null ? undefined : dateNumber(schema, value)) ?? decimalOf(schema, value) ?? value;
  if (target === 'boolean') return truth(from, schema);
  if (target === 'float' || target === 'double') { const number = floating(from, schema); return target === 'float' ? Math.fround(number) : number; }
  const whole = wholeOf(from, INT_BITS[target], schema);
  return target === 'int64' ? whole : Number(whole);
}

/** Dates count as the number that carries them. */
function dateNumber(schema: Schema, value: Value): number | bigint | undefined {
  return epochMillis(schema, value) === undefined ? undefined : value as number | bigint;
}

type Plain = Value | Decimal;
const isDecimal = (value: Plain): value is Decimal => typeof value === 'object' && value !== null && 'unscaled' in value;

function wholeOf(value: Plain, bits: number, schema: Schema | null): bigint {
  if (typeof value === 'number' || typeof value === 'bigint' || isDecimal(value)) return toWhole(value, bits);
  if (typeof value === 'boolean') return value ? 1n : 0n;
  if (typeof value !== 'string') throw unsupported(schema, value);
  const limit = 1n << BigInt(bits - 1);
  const number = /^[+-]?\d+$/.test(value) ? BigInt(value.replace(/^\+/, '')) : undefined;
  if (number === undefined || number >= limit || number < -limit) throw new DataError(`Value (${value}) was out of range for requested data type`, { code: 'CAST_VALUE', hint: 'Cast only text that holds such a number.' });
  return number;
}

function floating(value: Plain, schema: Schema | null): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  if (isDecimal(value)) return Number(`${value.unscaled}e${-value.scale}`);
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (typeof value !== 'string') throw unsupported(schema, value);
  const text = value.trim();
  if (!/^[+-]?(NaN|Infinity|(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[fFdD]?)$/.test(text)) throw new DataError(`Value (${value}) was out of range for requested data type`, { code: 'CAST_VALUE', hint: 'Cast only text that holds such a number.' });
  return Number(text.replace(/[fFdD]$/, ''));
}

function truth(value: Plain, schema: Schema | null): boolean {
  if (typeof value === 'boolean') return value;
  if (typeof value === 'string') return value.toLowerCase() === 'true';
  if (typeof value === 'number' || typeof value === 'bigint' || isDecimal(value)) return toWhole(value, 64) !== 0n;
  throw unsupported(schema, value);
}

function unsupported(schema: Schema | null, value: Plain): DataError {
  return new DataError(`Cast transformation does not support casting from ${schema?.type ?? typeof value}`, { code: 'CAST_TYPE', hint: 'Leave that field out of spec.' });
}
