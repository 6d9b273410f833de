/**
 * `io.debezium.transforms.outbox.EventRouter`: rows of an outbox table become messages of their own.
 * Source: Debezium documentation, "Outbox Event Router".
 */
import type { ConnectRecord, Header, SchemaAndValue } from '../../envelopes/record.ts';
import type { Field, Schema, StructSchema } from '../../envelopes/schema.ts';
import { bool, type ConfigOf, defineConfig, list, oneOf, string } from '../api/config.ts';
import type { Transform } from '../api/converter.ts';
import { DataError, FatalError } from '../api/errors.ts';
import { isEnvelope, schemaIdentity } from './debezium/envelope.ts';
import { fieldNameAdjuster } from '../../envelopes/name-adjustment.ts';
import { JsonSchemaData } from './debezium/json-schema-data.ts';
import { memberOf } from './fields.ts';
import { javaReplacement, wholeMatch } from './simple.ts';

const group = 'Transformation';
const placement = (value: readonly string[]): string | undefined => (value.every(text => /^[^:]+:(header|envelope|partition)(:[^:]+)?$/i.test(text)) ? undefined : 'A comma-separated list of valid String pairs or trios is expected');
export const eventRouterConfig = defineConfig({
  'route.by.field': string({ default: 'aggregatetype', group, importance: 'HIGH', doc: 'Column whose value becomes part of the topic.' }),
  'route.topic.regex': string({ default: '(?<routedByValue>.*)', group, doc: 'Expression over that value.' }),
  'route.topic.replacement': string({ default: 'outbox.event.${routedByValue}', group, importance: 'HIGH', doc: 'The topic, with the groups of that expression.' }),
  'route.tombstone.on.empty.payload': bool({ default: false, group, doc: 'An empty payload becomes a tombstone.' }),
  'table.field.event.id': string({ default: 'id', group, doc: 'Column of the event id, which becomes the header id.' }),
  'table.field.event.key': string({ default: 'aggregateid', group, doc: 'Column of the key.' }),
  'table.field.event.payload': string({ default: 'payload', group, doc: 'Column of the payload.' }),
  'table.field.event.type': string({ default: 'type', group, doc: 'Column of the type.' }),
  'table.field.event.timestamp': string({ group, doc: 'Column of the record time; the time at which the event was processed without it.' }),
  'table.field.event.schema.version': string({ group, doc: 'Column of the schema version.' }),
  'table.fields.additional.placement': list({ default: [], group, check: placement, doc: 'Further columns: column:header|envelope|partition, with an optional new name after another colon.' }),
  'table.field.additional.missing': oneOf(['error', 'ignore'], { default: 'error', group, doc: 'What a missing further column does.' }),
  'table.op.invalid.behavior': oneOf(['warn', 'error', 'fatal'], { default: 'warn', group, doc: 'What an update of the outbox table does: it is left out (warn, error), or fails the task.' }),
  'table.expand.json.payload': bool({ default: false, group, doc: 'Makes a struct of a JSON payload.' }),
  'table.json.payload.null.behavior': oneOf(['ignore', 'optional_bytes'], { default: 'ignore', group, doc: 'What a JSON null becomes then.' }),
  'field.name.adjustment.mode': oneOf(['none', 'avro', 'avro_unicode'], { default: 'none', group, hidden: true, doc: 'Replaces what Avro does not allow in the names of fields of such a struct.' }),
});
type Config = ConfigOf<typeof eventRouterConfig>;

interface Placement { readonly column: string; readonly place: string; readonly name: string }
type Placed = Placement & { readonly member: SchemaAndValue };

export function eventRouter(config: Config): Transform {
  const regex = wholeMatch(config['route.topic.regex'], 'route.topic.regex'), replacement = javaReplacement(config['route.topic.replacement']);
  const placements = config['table.fields.additional.placement'].map((text): Placement => { const [column = '', place = 'header', name = column] = text.split(':'); return { column, place: place.toLowerCase(), name }; });
  const json = config['table.expand.json.payload'] ? new JsonSchemaData({ nulls: config['table.json.payload.null.behavior'], fieldName: fieldNameAdjuster(config['field.name.adjustment.mode']) }) : undefined;
  const envelopes = new Envelopes();
  return {
    apply: record => {
      if (record.value.value === null) return null;
      if (!isEnvelope(record)) return record;
      const op = memberOf(record.value, 'op')?.value, after = memberOf(record.value, 'after');
      if (op === 'd') return null;
      if (op === 'u') { refused(config); return null; }
      if (after === undefined || after.value === null) throw new DataError('The outbox router was given an event without a row', { code: 'OUTBOX_ROW', hint: 'Leave truncates and messages out of it with skipped.operations or a predicate.' });
      return routed(config, record, after, placements, { json, envelopes, topic: value => (regex.test(value) ? value.replace(regex, replacement) : value) });
    },
  };
}

/** `error` is a line in the log of Debezium, `fatal` an exception. */
function refused(config: Config): void {
  if (config['table.op.invalid.behavior'] === 'fatal') throw new FatalError('An outbox table was changed otherwise than by inserts and deletes', { code: 'OUTBOX_OPERATION', hint: 'Insert a new row instead.' });
}

function column(row: SchemaAndValue, name: string): SchemaAndValue {
  const member = memberOf(row, name, true);
  if (member === undefined) throw new DataError(`The outbox table has no column '${name}'`, { code: 'OUTBOX_COLUMN', hint: 'Name it in the options table.field.event.* of the transform.' });
  return member;
}

function textOf(row: SchemaAndValue, name: string): string {
  const { schema, value } = column(row, name);
  if (typeof value === 'string') return value;
  throw new DataError(`Field '${name}' is not of type STRING but ${schema?.type ?? typeof value}`, { code: 'OUTBOX_COLUMN', hint: 'route.by.field must name a text column without NULL.' });
}

interface Parts { readonly json: JsonSchemaData | undefined; readonly envelopes: Envelopes; readonly topic: (value: string) => string }

function routed(config: Config, record: ConnectRecord, row: SchemaAndValue, placements: readonly Placement[], { json, envelopes, topic }: Parts): ConnectRecord {
  const id = column(row, config['table.field.event.id']), stored = column(row, config['table.field.event.payload']), key = column(row, config['table.field.event.key']);
  const route = textOf(row, config['route.by.field']);
  const payload = (typeof stored.value === 'string' ? json?.expand(stored.value, config['table.field.event.payload']) : undefined) ?? stored;
  const placed = placements.flatMap((one): Placed[] => {
    const member = config['table.field.additional.missing'] === 'error' ? column(row, one.column) : memberOf(row, one.column, true);
    return member === undefined ? [] : [{ ...one, member }];
  });
  const headers: Header[] = [...record.headers, { name: 'id', ...id }, ...placed.filter(({ place }) => place === 'header').map(({ name, member }) => ({ name, ...member }))];
  const partition = placed.find(({ place }) => place === 'partition')?.member.value ?? null;
  const empty = payload.value === null || (typeof payload.value === 'string' && payload.value.trim() === '');
  const versionField = config['table.field.event.schema.version'];
  const enveloped = (): SchemaAndValue => envelopes.make(payload, placed.filter(({ place }) => place === 'envelope'), { row: row.schema?.name, route, version: versionField === undefined ? undefined : Number(column(row, versionField).value) });
  return {
    ...record, topic: topic(route), headers, key, partition: partition === null ? null : Number(partition), timestamp: timestampOf(config, record, row),
    value: empty && config['route.tombstone.on.empty.payload'] ? { schema: null, value: null } : placements.some(({ place }) => place === 'envelope') ? enveloped() : payload,
  } as ConnectRecord;
}

const PER_MS: Readonly<Record<string, bigint>> = { 'io.debezium.time.Timestamp': 1n, 'io.debezium.time.MicroTimestamp': 1000n, 'io.debezium.time.NanoTimestamp': 1_000_000n };

function timestampOf(config: Config, record: ConnectRecord, row: SchemaAndValue): number {
  const name = config['table.field.event.timestamp'];
  const processed = (): number => Number(memberOf(record.value, 'ts_ms')?.value ?? Date.now());
  if (name === undefined) return processed();
  const { schema, value } = column(row, name);
  if (value === null) return processed();
  const perMs = PER_MS[schema?.name ?? ''];
  if (perMs === undefined || typeof value !== 'bigint') throw new DataError(`Unsupported field type ${schema?.name ?? schema?.type ?? typeof value} for event timestamp`, { code: 'OUTBOX_TIMESTAMP', hint: 'Name a timestamp column without time zone, and a time.precision.mode that carries it as a number.' });
  return Number(value / perMs);
}

interface Facts { readonly row: string | undefined; readonly route: string; readonly version: number | undefined }

/** Payload and further columns in one struct. Debezium keeps one schema for a version, else for a payload's schema, whatever it is routed by. */
class Envelopes {
  private readonly known = new Map<string, StructSchema>();

  make(payload: SchemaAndValue, inside: readonly Placed[], { row, route, version }: Facts): SchemaAndValue {
    const key = version === undefined ? schemaIdentity(payload.schema) : String(version);
    let schema = this.known.get(key);
    if (schema === undefined) {
      const plain: Schema = { type: 'string', optional: true };
      const fields: Field[] = [{ name: 'payload', schema: payload.schema ?? plain }, ...inside.map(({ name, member }) => ({ name, schema: member.schema ?? plain }))];
      const dot = row?.lastIndexOf('.') ?? -1;
      const name = row === undefined ? route : dot < 0 ? `${route}.${row}` : `${row.slice(0, dot + 1)}${route}.${row.slice(dot + 1)}`;
      schema = { type: 'struct', optional: false, name, ...(version !== undefined && { version }), fields };
      if (this.known.size >= 10_000) this.known.clear();
      this.known.set(key, schema);
    }
    return { schema, value: { schema, values: [payload.value, ...inside.map(({ member }) => member.value)] } };
  }
}
