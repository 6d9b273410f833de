/** `org.apache.kafka.connect.transforms.TimestampConverter`: between text, numbers since the epoch and Connect's date types. Source: Kafka Connect documentation, "Transformations". */
import type { Field, PrimitiveSchema, Schema, Struct, StructSchema, Value } from '../../../envelopes/schema.ts';
import { type ConfigOf, defineConfig, oneOf, string } from '../../api/config.ts';
import type { Transform } from '../../api/converter.ts';
import { ConfigError, DataError } from '../../api/errors.ts';
import { basics, isObject, isStruct, perSchema, type PlainObject, replaceNull, type Side, valueAt, withSide } from '../fields.ts';
import { type DateFormat, javaDateFormat } from '../java-date-format.ts';
import { DATE, DAY_MS, epochMillis, TIME, TIMESTAMP } from '../../../envelopes/java-values.ts';

const group = 'Transformation';
export const timestampConverterConfig = defineConfig({
  field: string({ default: '', group, importance: 'HIGH', doc: 'Field to convert; the whole key or value when empty.' }),
  'target.type': oneOf(['string', 'unix', 'Date', 'Time', 'Timestamp'], { required: true, group, importance: 'HIGH', doc: 'What it becomes.' }),
  format: string({ default: '', group, doc: "Format of text, in the letters of Java's SimpleDateFormat, UTC." }),
  'unix.precision': oneOf(['milliseconds', 'seconds', 'microseconds', 'nanoseconds'], { default: 'milliseconds', group, importance: 'LOW', doc: 'Unit of numbers.' }),
  'replace.null.with.default': replaceNull,
}, { check: config => (config['target.type'] === 'string' && config.format === '' ? [{ option: 'format', message: 'TimestampConverter requires format option to be specified when using string timestamps' }] : []) });
type Config = ConfigOf<typeof timestampConverterConfig>;

const SCHEMAS: Readonly<Record<Config['target.type'], Omit<PrimitiveSchema, 'optional'>>> = {
  string: { type: 'string' }, unix: { type: 'int64' }, Date: { type: 'int32', name: DATE, version: 1 }, Time: { type: 'int32', name: TIME, version: 1 }, Timestamp: { type: 'int64', name: TIMESTAMP, version: 1 },
};

export function timestampConverter(side: Side) {
  return (config: Config): Transform => {
    const format = config.format === '' ? undefined : dateFormat(config.format);
    const target = perSchema((schema: Schema): Schema => ({ ...(SCHEMAS[config['target.type']] as Omit<PrimitiveSchema, 'optional'>), optional: schema.optional }));
    const convert = (schema: Schema | null, value: Value): Value => (value === null ? null : made(config, format, read(config, format, schema, value)));
    const structSchema = perSchema((schema: StructSchema): StructSchema => ({
      type: 'struct', optional: schema.optional, ...basics(schema), fields: schema.fields.map(({ name, schema: child }): Field => ({ name, schema: name === config.field ? target(child) : child })),
    }));
    const struct = (from: Struct): Struct => {
      const schema = structSchema(from.schema);
      return { schema, values: from.schema.fields.map(({ name, schema: child }, i) => { const value = valueAt(from, i, config['replace.null.with.default']); return name === config.field ? convert(child, value) : value; }) };
    };
    return {
      apply: record => {
        const { schema, value } = record[side];
        if (config.field === '') return withSide(record, side, { schema: schema === null ? null : target(schema), value: convert(schema, value) });
        if (isStruct(value)) { const changed = struct(value); return withSide(record, side, { schema: changed.schema, value: changed }); }
        if (!isObject(value)) return record;
        return withSide(record, side, { schema: null, value: { ...(value as PlainObject), [config.field]: convert(null, (value as PlainObject)[config.field] ?? null) } as unknown as Value });
      },
    };
  };
}

function dateFormat(pattern: string): DateFormat {
  try { return javaDateFormat(pattern); } catch (error) { throw new ConfigError(`TimestampConverter requires a SimpleDateFormat-compatible pattern for string timestamps: ${pattern}`, { code: 'DATE_FORMAT', cause: error }); }
}

const PER_MS: Readonly<Record<Config['unix.precision'], readonly [numerator: bigint, denominator: bigint]>> = { milliseconds: [1n, 1n], seconds: [1000n, 1n], microseconds: [1n, 1000n], nanoseconds: [1n, 1_000_000n] };

/** Milliseconds since the epoch. */
function read(config: Config, format: DateFormat | undefined, schema: Schema | null, value: Value): number {
  const known = schema === null ? undefined : epochMillis(schema, value);
  if (known !== undefined) return known;
  if (typeof value === 'string') {
    const millis = format?.parse(value);
    if (millis === undefined) throw new DataError(`Could not parse timestamp: value (${value}) does not match pattern (${config.format})`, { code: 'TIMESTAMP_TEXT', hint: 'Set format to how the text is written.' });
    return millis;
  }
  if ((schema === null || schema.type === 'int64') && (typeof value === 'bigint' || typeof value === 'number')) {
    const [numerator, denominator] = PER_MS[config['unix.precision']];
    return Number(BigInt(value) * numerator / denominator);
  }
  throw new DataError(`Schema ${schema?.name ?? schema?.type ?? typeof value} does not correspond to a known timestamp type format`, { code: 'TIMESTAMP_TYPE', hint: 'TimestampConverter reads text, int64 and the date types of Kafka Connect (time.precision.mode=connect).' });
}

function made(config: Config, format: DateFormat | undefined, millis: number): Value {
  switch (config['target.type']) {
    case 'string': return format?.format(millis) ?? null;
    case 'unix': { const [numerator, denominator] = PER_MS[config['unix.precision']]; return BigInt(millis) * denominator / numerator; }
    case 'Date': return Math.floor(millis / DAY_MS);
    case 'Time': return ((millis % DAY_MS) + DAY_MS) % DAY_MS;
    case 'Timestamp': return BigInt(millis);
  }
}
