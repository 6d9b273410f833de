/**
 * `io.debezium.connector.postgresql.transforms.DecodeLogicalDecodingMessageContent`: the JSON content of a logical decoding
 * message as the new row of an event, which the outbox router then reads. Source: Debezium documentation, "Decode Logical Decoding Message Content".
 */
import type { Field, StructSchema, Value } from '../../../envelopes/schema.ts';
import { type ConfigOf, defineConfig, oneOf } from '../../api/config.ts';
import type { Transform } from '../../api/converter.ts';
import { DataError } from '../../api/errors.ts';
import { isStruct, memberOf, perSchema } from '../fields.ts';
import { fieldNameAdjuster } from '../../../envelopes/name-adjustment.ts';
import { JsonSchemaData } from './json-schema-data.ts';

export const decodeMessageConfig = defineConfig({
  'field.name.adjustment.mode': oneOf(['none', 'avro', 'avro_unicode'], { default: 'none', group: 'Transformation', importance: 'LOW', doc: 'Replaces what Avro does not allow in the names of fields.' }),
});
const MESSAGE = 'io.debezium.connector.postgresql.MessageValue';

export function decodeMessage(config: ConfigOf<typeof decodeMessageConfig>): Transform {
  const json = new JsonSchemaData({ nulls: 'ignore', fieldName: fieldNameAdjuster(config['field.name.adjustment.mode']) });
  const schemaOf = perSchema((content: StructSchema) => perSchema((old: StructSchema): StructSchema => ({ type: 'struct', optional: false, name: `${MESSAGE}.Envelope`, fields: [...old.fields.filter(({ name }) => name !== 'message'), { name: 'after', schema: content } satisfies Field] })));
  return {
    apply: record => {
      const { schema, value } = record.value;
      if (schema?.name !== MESSAGE || !isStruct(value)) return record;
      const message = memberOf(record.value, 'message');
      const content = message === undefined ? undefined : memberOf(message, 'content')?.value;
      const text = content instanceof Uint8Array ? Buffer.from(content).toString('utf8') : undefined;
      if (text === undefined) throw new DataError('The content of a logical decoding message is non-binary', { code: 'MESSAGE_CONTENT', hint: 'Use binary.handling.mode=bytes.' });
      const row = json.expand(text, undefined);
      if (row === undefined || row.schema?.type !== 'struct') throw new DataError('The content of a logical decoding message is no JSON object', { code: 'MESSAGE_CONTENT', hint: 'Leave other messages out with message.prefix.include.list or a predicate.' });
      const made = schemaOf(row.schema)(value.schema);
      const values = made.fields.map(({ name }): Value => (name === 'after' ? row.value : name === 'op' ? 'c' : memberOf(record.value, name)?.value ?? null));
      return { ...record, key: { schema: null, value: null }, value: { schema: made, value: { schema: made, values } } };
    },
  };
}
