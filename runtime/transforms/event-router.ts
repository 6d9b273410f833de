/**
 * `io.debezium.transforms.outbox.EventRouter`: rows of an outbox table become messages of their own.
 * Source: Debezium documentation, "Outbox Event Router".
 */
import type { ConnectRecord, Header, SchemaAndValue } from '../../envelopes/record.ts';
import type { Field, Schema, StructSchema, Value } from '../../envelopes/schema.ts';
import { bool, type ConfigOf, defineConfig, list, oneOf, string } from '../api/config.ts';
import type { Transform } from '../api/converter.ts';
import { DataError, FatalError } from '../api/errors.ts';
import { memberOf } from './fields.ts';

const group = 'Transformation';
export const eventRouterConfig = defineConfig({
  'route.by.field': string({ default: 'aggregatetype', group, importance: 'HIGH', doc: 'Column whose value becomes part of the topic.' }),
  'route.topic.regex': string({ default: '(?<routedByValue>.*)', group, doc: 'Expression over that value.' }),
  'route.topic.replacement': string({ default: 'outbox.event.${routedByValue}', group, importance: 'HIGH', doc: 'The topic, with the groups of that expression.' }),
  'route.tombstone.on.empty.payload': bool({ default: false, group, doc: 'An empty payload becomes a tombstone.' }),
  'table.field.event.id': string({ default: 'id', group, doc: 'Column of the event id, which becomes the header id.' }),
  'table.field.event.key': string({ default: 'aggregateid', group, doc: 'Column of the key.' }),
  'table.field.event.payload': string({ default: 'payload', group, doc: 'Column of the payload.' }),
  'table.field.event.type': string({ default: 'type', group, doc: 'Column of the type.' }),
  'table.field.event.timestamp': string({ group, doc: 'Column of the record time.' }),
  'table.field.event.schema.version': string({ group, doc: 'Column of the schema version.' }),
  'table.fields.additional.placement': list({ default: [], group, doc: 'Further columns: column:header|envelope|partition, with an optional new name after another colon.' }),
  'table.field.additional.missing': oneOf(['error', 'ignore'], { default: 'error', group, doc: 'What a missing further column does.' }),
  'table.op.invalid.behavior': oneOf(['warn', 'error', 'fatal'], { default: 'warn', group, doc: 'What an update of the outbox table does: it is left out, or is an error.' }),
  'table.expand.json.payload': bool({ default: false, group, doc: 'Makes a struct of a JSON payload.' }),
  'table.json.payload.null.behavior': oneOf(['ignore', 'optional_bytes'], { default: 'ignore', group, doc: 'What a JSON null becomes then.' }),
}, { check: config => (config['table.expand.json.payload'] ? [{ option: 'table.expand.json.payload', message: 'table.expand.json.payload=true is not supported yet' }] : []) });
type Config = ConfigOf<typeof eventRouterConfig>;

interface Placement { readonly column: string; readonly place: string; readonly name: string }

export function eventRouter(config: Config): Transform {
  const regex = new RegExp(config['route.topic.regex']);
  const replacement = config['route.topic.replacement'].replace(/\$\{(\w+)\}/g, (_, name: string) => (/^\d+$/.test(name) ? `$${name}` : `$<${name}>`));
  const placements = config['table.fields.additional.placement'].map((text): Placement => { const [column = '', place = 'header', name = column] = text.split(':'); return { column, place, name }; });
  const envelopes = new Map<string, StructSchema>();
  return {
    apply: record => {
      const op = record.value.value === null ? undefined : memberOf(record.value, 'op');
      const after = op === undefined ? undefined : memberOf(record.value, 'after');
      if (record.value.value === null) return null;
      if (op === undefined || op.value === 'm' || after === undefined) return op?.value === 'd' ? null : record;
      if (op.value === 'd') return null;
      if (op.value !== 'c' && op.value !== 'r') { refused(config); return null; }
      return routed(config, record, after, topicOf(after, config, regex, replacement), placements, envelopes);
    },
  };
}

function refused(config: Config): void {
  const what = 'An outbox table was changed otherwise than by inserts and deletes';
  if (config['table.op.invalid.behavior'] === 'error') throw new DataError(what, { code: 'OUTBOX_OPERATION', hint: 'Insert a new row instead.' });
  if (config['table.op.invalid.behavior'] === 'fatal') throw new FatalError(what, { code: 'OUTBOX_OPERATION', hint: 'Insert a new row instead.' });
}

function column(row: SchemaAndValue, name: string): SchemaAndValue {
  const member = memberOf(row, name);
  if (member === undefined) throw new DataError(`The outbox table has no column '${name}'`, { code: 'OUTBOX_COLUMN', hint: 'Name it in the options table.field.event.* of the transform.' });
  return member;
}

function topicOf(row: SchemaAndValue, config: Config, regex: RegExp, replacement: string): string {
  return String(column(row, config['route.by.field']).value).replace(regex, replacement);
}

function routed(config: Config, record: ConnectRecord, row: SchemaAndValue, topic: string, placements: readonly Placement[], envelopes: Map<string, StructSchema>): ConnectRecord {
  const id = column(row, config['table.field.event.id']), payload = column(row, config['table.field.event.payload']), key = column(row, config['table.field.event.key']);
  const placed = placements.flatMap(({ column: name, place, name: shown }) => {
    const member = memberOf(row, name);
    if (member === undefined && config['table.field.additional.missing'] === 'error') column(row, name);
    return member === undefined ? [] : [{ place, name: shown, member }];
  });
  const headers: Header[] = [...record.headers, { name: 'id', schema: id.schema, value: id.value }, ...placed.filter(({ place }) => place === 'header').map(({ name, member }) => ({ name, ...member }))];
  const inside = placed.filter(({ place }) => place === 'envelope');
  const partition = placed.find(({ place }) => place === 'partition')?.member.value;
  const time = config['table.field.event.timestamp'] === undefined ? undefined : column(row, config['table.field.event.timestamp']).value;
  const empty = payload.value === null || payload.value === '';
  return {
    ...record, topic, headers, key, partition: partition === undefined || partition === null ? record.partition : Number(partition), timestamp: time === undefined ? record.timestamp : Number(time),
    value: empty && config['route.tombstone.on.empty.payload'] ? { schema: null, value: null } : inside.length === 0 ? payload : enveloped(payload, inside, envelopes),
  } as ConnectRecord;
}

function enveloped(payload: SchemaAndValue, inside: readonly { readonly name: string; readonly member: SchemaAndValue }[], known: Map<string, StructSchema>): SchemaAndValue {
  const plain: Schema = { type: 'string', optional: true };
  const fields: Field[] = [{ name: 'payload', schema: payload.schema ?? plain }, ...inside.map(({ name, member }) => ({ name, schema: member.schema ?? plain }))];
  const name = JSON.stringify(fields);
  let schema = known.get(name);
  if (schema === undefined) { schema = { type: 'struct', optional: false, fields }; known.set(name, schema); }
  const values: Value[] = [payload.value, ...inside.map(({ member }) => member.value)];
  return { schema, value: { schema, values } };
}
