/** `io.debezium.transforms.partitions.PartitionRouting`: the partition by fields of the event. Source: Debezium documentation, "Partition Routing". */
import type { ConnectRecord, SchemaAndValue } from '../../../envelopes/record.ts';
import type { Schema, Value } from '../../../envelopes/schema.ts';
import { type ConfigOf, defineConfig, int, list, oneOf } from '../../api/config.ts';
import type { Transform } from '../../api/converter.ts';
import { murmur2 } from '../../../envelopes/murmur2.ts';
import { memberOf } from '../fields.ts';
import { javaStringHash } from '../../../envelopes/java-hash.ts';
import { decimalOf, javaText } from '../../../envelopes/java-values.ts';
import { isEnvelope } from './envelope.ts';

const group = 'partitions';
export const partitionRoutingConfig = defineConfig({
  'partition.payload.fields': list({ required: true, group, importance: 'HIGH', doc: 'Paths from the envelope, such as source.table; change.FIELD is the field of the row, new or old.' }),
  'partition.topic.num': int({ required: true, group, importance: 'HIGH', doc: 'Partitions of the topic.', check: value => (value > 0 ? undefined : 'A positive, non-zero integer value is expected') }),
  'partition.hash.function': oneOf(['java', 'murmur'], { default: 'java', group, importance: 'LOW', doc: "Hash of a field's value: Java's own, or murmur2." }),
});

export function partitionRouting(config: ConfigOf<typeof partitionRoutingConfig>): Transform {
  const paths = config['partition.payload.fields'].map(path => path.split('.').map(part => part.trim()));
  const hash = config['partition.hash.function'] === 'java' ? javaHash : murmurHash;
  return {
    apply: record => {
      if (record.value.value === null || !isEnvelope(record)) return record;
      const op = memberOf(record.value, 'op')?.value;
      if (op === 't' || op === 'm') return record;
      const values = paths.flatMap(path => { const found = valueOf(record, path, op === 'd'); return found === undefined || found.value === null ? [] : [found]; });
      if (values.length === 0) return record;
      const total = values.reduce((sum, { schema, value }) => (sum + hash(schema, value)) | 0, 0) & 0x7fff_ffff;
      return { ...record, partition: (total === 0x7fff_ffff ? 0 : total) % config['partition.topic.num'] };
    },
  };
}

function valueOf(record: ConnectRecord, path: readonly string[], deleted: boolean): SchemaAndValue | undefined {
  return path.reduce<SchemaAndValue | undefined>((at, name, i) => at && memberOf(at, name === 'change' && i < path.length - 1 ? (deleted ? 'before' : 'after') : name, true), record.value);
}

/** Object.hashCode of the class that Connect has for a value (javadoc of String, Long, Double, BigDecimal, List). */
export function javaHash(schema: Schema | null, value: Value): number {
  if (value === null) return 0;
  const decimal = decimalOf(schema, value);
  if (decimal !== undefined) return (31 * bigIntegerHash(decimal.unscaled) + decimal.scale) | 0;
  if (typeof value === 'string') return javaStringHash(value);
  if (typeof value === 'boolean') return value ? 1231 : 1237;
  if (typeof value === 'bigint') return longHash(value);
  if (typeof value === 'number') return schema?.type === 'double' ? longHash(doubleBits(value)) : schema?.type === 'float' ? floatBits(value) : value | 0;
  if (value instanceof Uint8Array) { let hash = 1; for (let i = value.length - 1; i >= 0; i--) hash = (Math.imul(31, hash) + (((value[i] ?? 0) << 24) >> 24)) | 0; return hash; }
  if (Array.isArray(value)) { const items = schema?.type === 'array' ? schema.items : null; return (value as readonly Value[]).reduce<number>((hash, item) => (Math.imul(31, hash) + javaHash(items, item)) | 0, 1); }
  return 0;
}

const longHash = (value: bigint): number => Number(BigInt.asIntN(32, value ^ (BigInt.asUintN(64, value) >> 32n)));
const doubleBits = (value: number): bigint => new DataView(Float64Array.of(value).buffer).getBigInt64(0, true);
const floatBits = (value: number): number => new DataView(Float32Array.of(value).buffer).getInt32(0, true);

function bigIntegerHash(value: bigint): number {
  const hex = (value < 0n ? -value : value).toString(16);
  let hash = 0;
  for (let end = hex.length % 8 === 0 ? 8 : hex.length % 8, start = 0; start < hex.length; start = end, end += 8) hash = (Math.imul(31, hash) + (Number.parseInt(hex.slice(start, end), 16) | 0)) | 0;
  return value < 0n ? -hash | 0 : hash;
}

function murmurHash(schema: Schema | null, value: Value): number { return murmur2(value instanceof Uint8Array ? Buffer.from(value) : Buffer.from(javaText(schema, value) ?? '')); }
