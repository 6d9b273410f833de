/** Options that are read but that validate does not list (Debezium reference), and our own. */
import { bool, int, long, oneOf, short, string } from '../../../../runtime/api/config.ts';

const GROUP = 'Postgres';

export const unlistedOptions = {
  'event.converting.failure.handling.mode': oneOf(['skip', 'warn', 'fail'], { default: 'warn', group: GROUP, importance: 'MEDIUM', hidden: true, doc: 'Accepted; a value that cannot be converted becomes null.' }),
  'field.name.adjustment.mode': oneOf(['none', 'avro', 'avro_unicode'], { default: 'none', group: GROUP, importance: 'LOW', hidden: true, doc: 'Replaces what Avro does not allow in field names.' }),
  'incremental.snapshot.allow.schema.changes': bool({ default: false, group: GROUP, importance: 'LOW', hidden: true, doc: 'Accepted; each chunk is read with the structure of its moment.' }),
  'internal.create.slot.command.timeout': long({ default: 90, group: GROUP, importance: 'LOW', hidden: true, doc: 'Seconds that making a slot may take.' }),
  'internal.custom.retriable.exception': string({ group: GROUP, importance: 'LOW', hidden: true, doc: 'Expression of messages of errors that are tried again.' }),
  'internal.slot.seek.to.known.offset.on.start': bool({ default: false, group: GROUP, importance: 'LOW', hidden: true, doc: 'Older form of offset.mismatch.strategy=trust_offset.' }),
  'money.fraction.digits': short({ default: 2, group: GROUP, importance: 'LOW', hidden: true, doc: 'Fraction digits of money columns.' }),
  'offset.mismatch.strategy': oneOf(['no_validation', 'trust_offset', 'trust_slot', 'trust_greater_lsn'], { default: 'no_validation', group: GROUP, importance: 'LOW', hidden: true, doc: 'What rules when the stored position and the slot disagree.' }),
  'queue.provider.type': string({ default: 'memory', group: GROUP, importance: 'LOW', hidden: true, doc: 'Accepted, without effect.' }),
  'read.only': bool({ default: false, group: GROUP, importance: 'LOW', hidden: true, doc: 'Incremental snapshots without writing to the signal table.' }),
  'signal.file': string({ default: 'file-signals.txt', group: GROUP, importance: 'HIGH', hidden: true, doc: 'File of the channel file: one JSON signal a line.' }),
  'signal.kafka.bootstrap.servers': string({ group: GROUP, importance: 'HIGH', hidden: true, doc: 'Accepted; the channel kafka is not supported yet.' }),
  'signal.kafka.groupId': string({ default: 'kafka-signal', group: GROUP, importance: 'LOW', hidden: true, doc: 'Accepted, as above.' }),
  'signal.kafka.poll.timeout.ms': int({ default: 0, group: GROUP, importance: 'LOW', hidden: true, doc: 'Accepted, as above.' }),
  'signal.kafka.topic': string({ group: GROUP, importance: 'HIGH', hidden: true, doc: 'Accepted, as above.' }),
  'skip.messages.without.change': bool({ default: false, group: GROUP, importance: 'MEDIUM', hidden: true, doc: 'Drops updates of which no captured column changed; needs full old rows.' }),
  'topic.cache.size': int({ default: 10000, group: GROUP, importance: 'LOW', hidden: true, doc: 'Accepted, without effect.' }),
  'topic.delimiter': string({ default: '.', group: GROUP, importance: 'LOW', hidden: true, doc: 'Stands between the parts of a topic name.' }),
  'topic.heartbeat.name': string({ group: GROUP, importance: 'LOW', hidden: true, doc: 'Full name of the heartbeat topic.' }),
  'topic.heartbeat.prefix': string({ default: '__debezium-heartbeat', group: GROUP, importance: 'LOW', hidden: true, doc: 'First part of the heartbeat topic name.' }),
  'topic.key.enforce.uniqueness': bool({ default: true, group: GROUP, importance: 'LOW', hidden: true, doc: 'Adds the source table to keys of topics that several tables share.' }),
  'topic.key.field.name': string({ default: '__dbz__physicalTableIdentifier', group: GROUP, importance: 'LOW', hidden: true, doc: 'Name of that key field.' }),
  'topic.key.field.regex': string({ group: GROUP, importance: 'LOW', hidden: true, doc: 'Expression over the original topic name for that field.' }),
  'topic.key.field.replacement': string({ group: GROUP, importance: 'LOW', hidden: true, doc: 'Replacement that goes with it.' }),
  'topic.regex': string({ group: GROUP, importance: 'LOW', hidden: true, doc: 'Expression over topic names, for the regex strategy.' }),
  'topic.replacement': string({ group: GROUP, importance: 'LOW', hidden: true, doc: 'Replacement that goes with it.' }),
  'topic.transaction': string({ default: 'transaction', group: GROUP, importance: 'LOW', hidden: true, doc: 'Last part of the transaction topic name.' }),
  'database.server.name': string({ group: GROUP, importance: 'LOW', hidden: true, doc: 'Former name of topic.prefix; accepted with a warning.' }),
  'snapshot.chunk.pages': int({ default: 16384, group: GROUP, importance: 'LOW', hidden: true, doc: 'Pages of a table that one resumable chunk of the snapshot covers.' }),
  'slot.guard.bytes': long({ default: 0, group: GROUP, importance: 'LOW', hidden: true, doc: 'Retained WAL above which slot.guard.action takes place; 0 for none.' }),
  'slot.guard.action': oneOf(['warn', 'fail'], { default: 'warn', group: GROUP, importance: 'LOW', hidden: true, doc: 'What happens above slot.guard.bytes.' }),
};
