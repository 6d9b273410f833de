/** `io.debezium.transforms.TimezoneConverter`: timestamps of events in another zone. Source: Debezium documentation, "Timezone Converter". */
import type { ConnectRecord, SchemaAndValue } from '../../../envelopes/record.ts';
import type { Field, Struct, Value } from '../../../envelopes/schema.ts';
import { type ConfigOf, defineConfig, list, string } from '../../api/config.ts';
import type { Transform } from '../../api/converter.ts';
import { DataError } from '../../api/errors.ts';
import { isStruct, memberOf } from '../fields.ts';
import { TIMESTAMP } from '../../../envelopes/java-values.ts';
import { isEnvelope } from './envelope.ts';
import { openZone, type Zone } from './zone.ts';

const group = 'Transformation';
const rules = (value: readonly string[]): string | undefined => (value.every(rule => /^(?:(?:source|topic):)?[^:]+(?::[^:]+)?$/.test(rule)) ? undefined : 'Invalid list format. Please specify a list of rules in the format of "source:<tablename>:<fieldnames>", "topic:<topicname>:<fieldnames>", "<matchname>:<fieldnames>"');
export const timezoneConverterConfig = defineConfig({
  'converted.timezone': string({ required: true, group, importance: 'HIGH', doc: 'Zone by name (Europe/Berlin) or by offset (+08:00).', check: zone => (openZone(zone) === undefined ? 'Invalid timezone format. Please specify either a geographic timezone (e.g. America/Los_Angeles) or a UTC offset in the format of +/-hh:mm, (e.g. +08:00).' : undefined) }),
  'include.list': list({ default: [], group, importance: 'HIGH', check: rules, doc: 'What to convert: source:TABLE, topic:TOPIC or a name that may be either, each with :FIELD for one field alone.' }),
  'exclude.list': list({ default: [], group, importance: 'HIGH', check: rules, doc: 'What not to convert, in the same form.' }),
}, { check: config => (config['include.list'].length > 0 && config['exclude.list'].length > 0 ? [{ option: 'include.list', message: 'Both include and exclude lists are specified. Please specify only one.' }] : []) });

type Rules = Readonly<Record<'topic' | 'source' | 'any', Map<string, Set<string>>>>;
/** Which fields of which block: all of them, those named, or those not named. */
interface Choice { readonly kind: 'all' | 'include' | 'exclude'; readonly fields: ReadonlySet<string> }
const ALL: Choice = { kind: 'all', fields: new Set() };

export function timezoneConverter(config: ConfigOf<typeof timezoneConverterConfig>): Transform {
  const zone = openZone(config['converted.timezone']);
  if (zone === undefined) throw new DataError('no zone', { code: 'ZONE' });
  const excluding = config['include.list'].length === 0;
  const known = rulesOf(excluding ? config['exclude.list'] : config['include.list']);
  const choice = (record: ConnectRecord): Choice | undefined => {
    const source = memberOf(record.value, 'source');
    const table = String(source === undefined ? '' : memberOf(source, 'table')?.value ?? '');
    const fields = known.topic.get(record.topic) ?? known.source.get(table) ?? known.any.get(record.topic) ?? known.any.get(table);
    if (excluding) return fields === undefined ? ALL : fields.size === 0 ? undefined : { kind: 'exclude', fields };
    return fields === undefined ? undefined : fields.size === 0 ? ALL : { kind: 'include', fields };
  };
  return {
    apply: record => {
      const { value } = record.value;
      if (!isStruct(value) || !isEnvelope(record)) return record;
      const chosen = choice(record);
      if (chosen === undefined) return record;
      const values = value.schema.fields.map((field, i) => block(field, value.values[i] ?? null, chosen, zone));
      return { ...record, value: { schema: value.schema, value: { schema: value.schema, values } } satisfies SchemaAndValue };
    },
  };
}

/** A prefix holds for the rules behind it too, as Debezium has it. */
function rulesOf(list: readonly string[]): Rules {
  const made: Rules = { topic: new Map(), source: new Map(), any: new Map() };
  let prefix: keyof Rules = 'any';
  for (const rule of list) {
    const parts = rule.split(':');
    const first = parts[0]?.toLowerCase();
    if (parts.length > 1 && (first === 'source' || first === 'topic')) { prefix = first; parts.shift(); }
    const [name = '', field] = parts;
    const fields = made[prefix].get(name) ?? new Set();
    if (field !== undefined) fields.add(field);
    made[prefix].set(name, fields);
  }
  return made;
}

function block({ name }: Field, value: Value, choice: Choice, zone: Zone): Value {
  if (!isStruct(value) || (name !== 'before' && name !== 'after' && name !== 'source')) return value;
  const mine = new Set([...choice.fields].flatMap(field => {
    const dot = /^(source|before|after)\.(.+)$/.exec(field);
    if (dot === null) return name === 'source' ? [] : [field];
    return dot[1] === name ? [dot[2] ?? ''] : [];
  }));
  if (name === 'source' && mine.size === 0) return value;
  const wanted = (field: string): boolean => choice.kind === 'all' || (choice.kind === 'include') === mine.has(field);
  return { schema: value.schema, values: value.schema.fields.map((field, i) => { const part = value.values[i] ?? null; return part !== null && wanted(field.name) ? convert(field, part, name === 'source', zone) : part; }) } satisfies Struct;
}

const EPOCHS: Readonly<Record<string, bigint>> = { ts_ms: 1000n, ts_us: 1_000_000n, ts_ns: 1_000_000_000n };
const UNITS: Readonly<Record<string, bigint>> = { 'io.debezium.time.Timestamp': 1000n, [TIMESTAMP]: 1000n, 'io.debezium.time.MicroTimestamp': 1_000_000n, 'io.debezium.time.NanoTimestamp': 1_000_000_000n };

function convert({ name, schema }: Field, value: Value, inSource: boolean, zone: Zone): Value {
  const unit = schema.name === undefined ? undefined : UNITS[schema.name];
  if (unit !== undefined && typeof value === 'bigint') return value - BigInt(zone.localOffset(Number(value * 1000n / unit))) * unit;
  if (typeof value === 'string' && schema.name === 'io.debezium.time.ZonedTimestamp') return zonedTimestamp(value, zone);
  if (typeof value === 'string' && schema.name === 'io.debezium.time.ZonedTime') return zonedTime(value, zone);
  const epoch = inSource && schema.name === undefined ? EPOCHS[name] : undefined;
  return epoch !== undefined && typeof value === 'bigint' ? value + BigInt(zone.offset(Number(value * 1000n / epoch))) * epoch : value;
}

const two = (value: number): string => String(value).padStart(2, '0');
const offsetText = (seconds: number): string => {
  if (seconds === 0) return 'Z';
  const size = Math.abs(seconds);
  return `${seconds < 0 ? '-' : '+'}${two(Math.floor(size / 3600))}:${two(Math.floor(size / 60) % 60)}${size % 60 === 0 ? '' : `:${two(size % 60)}`}`;
};
const fractionText = (fraction: string): string => { const digits = fraction.replace(/0+$/, ''); return digits === '' ? '' : `.${digits}`; };

/** The instant stays; its offset is that of the zone at the time as the clock in the text shows it. */
function zonedTimestamp(text: string, zone: Zone): string {
  const match = /^(.+T\d\d:\d\d:\d\d)(?:\.(\d+))?Z$/.exec(text);
  const seconds = match === null ? Number.NaN : Date.parse(`${match[1]}Z`) / 1000;
  if (Number.isNaN(seconds)) throw new DataError(`Text '${text}' could not be parsed at index 0`, { code: 'ZONED_TIMESTAMP', hint: 'Leave that field out of the conversion: infinite and very early or late times have no zone.' });
  const offset = zone.localOffset(seconds * 1000);
  return `${new Date((seconds + offset) * 1000).toISOString().slice(0, -5)}${fractionText(match?.[2] ?? '')}${offsetText(offset)}`;
}

/** With the offset that the zone has now, for a time without a date. */
function zonedTime(text: string, zone: Zone): string {
  const match = /^(\d\d):(\d\d):(\d\d)(?:\.(\d+))?Z$/.exec(text);
  if (match === null) return text;
  const offset = zone.offset(Date.now());
  const seconds = (((Number(match[1]) * 3600 + Number(match[2]) * 60 + Number(match[3]) + offset) % 86_400) + 86_400) % 86_400;
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}${fractionText(match[4] ?? '')}${offsetText(offset)}`;
}
