/** Records of pg_logical_emit_message (Debezium reference for PostgreSQL, "Message events"). */
import { topicName, transactionBlock } from '../../../envelopes/change-event.ts';
import { BYTES, INT64, optional, STRING, struct } from '../../../envelopes/logical/schemas.ts';
import type { Schema, StructSchema } from '../../../envelopes/schema.ts';
import type { SourceRecord } from '../../../runtime/api/plugin.ts';
import type { EventSource, TransactionInfo } from './change.ts';
import type { EncodingOptions } from './encoding-options.ts';
import { binaryText } from './values/scalars.ts';
import { sourceSchema, sourceStruct } from './source-info.ts';

const messageSchema = (content: Schema): StructSchema => struct({ prefix: optional(STRING), content: optional(content) }, { name: 'io.debezium.connector.postgresql.Message', version: 1 });
const keySchema = struct({ prefix: optional(STRING) }, { name: 'io.debezium.connector.postgresql.MessageKey', version: 1 });
const valueSchema = (message: Schema): StructSchema => struct({ op: STRING, ts_ms: optional(INT64), source: sourceSchema, transaction: optional(transactionBlock), message }, { name: 'io.debezium.connector.postgresql.MessageValue', version: 1 });
const asBytes = messageSchema(BYTES), asText = messageSchema(STRING);
const bytesValue = valueSchema(asBytes), textValue = valueSchema(asText);

/** A message as a record of the topic PREFIX.message. */
export function messageRecord(options: EncodingOptions, event: { readonly prefix: string; readonly content: Uint8Array; readonly source: EventSource; readonly processedNs: bigint; readonly transaction: TransactionInfo | undefined }): SourceRecord {
  const { transaction } = event;
  const block = transaction === undefined ? null : { schema: transactionBlock, values: [transaction.id, transaction.totalOrder, transaction.dataCollectionOrder] };
  const plain = options.binaryMode === 'bytes';
  const message = plain ? asBytes : asText, schema = plain ? bytesValue : textValue;
  return {
    topic: topicName(options.topicPrefix, 'message'), partition: null, timestamp: null, headers: [],
    key: { schema: keySchema, value: { schema: keySchema, values: [event.prefix] } },
    value: { schema, value: { schema, values: ['m', event.processedNs / 1_000_000n, sourceStruct(options, '', '', event.source), block, { schema: message, values: [event.prefix, binaryText(event.content, options.binaryMode)] }] } },
  };
}
