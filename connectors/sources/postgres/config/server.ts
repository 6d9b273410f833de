/** Options of the connection, the slot and the publication, in the order in which validate lists them. Names, defaults and importance: Debezium reference. */
import { bool, int, list, long, oneOf, password, string } from '../../../../runtime/api/config.ts';
import { notNegative, operations, positive, slotName, topicPrefix } from './checks.ts';

const GROUP = 'Postgres';

export const serverOptions = {
  'topic.prefix': string({ required: true, group: GROUP, importance: 'HIGH', width: 'MEDIUM', displayName: 'Topic prefix', check: topicPrefix, doc: 'Name of this server in topics and in the source block.' }),
  'database.hostname': string({ required: true, group: GROUP, importance: 'HIGH', width: 'MEDIUM', displayName: 'Hostname', doc: 'Host name or address of the server.' }),
  'database.port': int({ default: 5432, group: GROUP, importance: 'HIGH', width: 'SHORT', displayName: 'Port', doc: 'Port of the server.' }),
  'database.user': string({ required: true, group: GROUP, importance: 'HIGH', width: 'SHORT', displayName: 'User', doc: 'Role to log in as; it needs LOGIN and REPLICATION.' }),
  'database.password': password({ group: GROUP, importance: 'HIGH', width: 'SHORT', displayName: 'Password', doc: 'Password of that role.' }),
  'database.dbname': string({ required: true, group: GROUP, importance: 'HIGH', width: 'MEDIUM', displayName: 'Database', doc: 'Database whose changes are captured.' }),
  'database.query.timeout.ms': int({ default: 600000, group: GROUP, importance: 'LOW', displayName: 'Query timeout', doc: 'Longest time for one statement, in milliseconds; 0 for no limit.' }),
  'plugin.name': oneOf(['decoderbufs', 'pgoutput'], { default: 'decoderbufs', group: GROUP, importance: 'MEDIUM', width: 'MEDIUM', displayName: 'Plugin', doc: 'Output plugin; pgoutput is used whatever stands here.' }),
  'slot.name': string({ default: 'debezium', group: GROUP, importance: 'MEDIUM', width: 'MEDIUM', displayName: 'Slot', check: slotName, doc: 'Logical replication slot; made when absent.' }),
  'publication.name': string({ default: 'dbz_publication', group: GROUP, importance: 'MEDIUM', width: 'MEDIUM', displayName: 'Publication', doc: 'Publication to read; made when absent, as publication.autocreate.mode says.' }),
  'publication.autocreate.mode': oneOf(['no_tables', 'filtered', 'disabled', 'all_tables'], { default: 'all_tables', group: GROUP, importance: 'MEDIUM', width: 'MEDIUM', displayName: 'Publication Auto Create Mode', doc: 'What a publication that we make covers, and whether we may make one.' }),
  'replica.identity.autoset.values': string({ group: GROUP, importance: 'MEDIUM', width: 'LONG', displayName: 'Replica Identity Auto Set Values', doc: 'Replica identities to set at the start: table expressions, a colon, and DEFAULT, FULL, NOTHING or INDEX name, separated by commas.' }),
  'slot.drop.on.stop': bool({ default: false, group: GROUP, importance: 'MEDIUM', displayName: 'Drop slot on stop', doc: 'Drops the slot when the task stops cleanly; what happens in between is lost.' }),
  'slot.failover': bool({ default: false, group: GROUP, importance: 'MEDIUM', displayName: 'Create failover slot', doc: 'Asks a primary of version 17 or later to keep the slot on its standbys too.' }),
  'slot.stream.params': string({ group: GROUP, importance: 'LOW', width: 'LONG', displayName: 'Optional parameters to pass to the logical decoder when the stream is started.', doc: 'Further options for START_REPLICATION: name=value, separated by semicolons.' }),
  'database.initial.statements': string({ group: GROUP, importance: 'LOW', width: 'LONG', displayName: 'Initial statements', doc: 'Statements to run on each new connection, separated by semicolons; a doubled one stands for itself.' }),
  'database.sslmode': oneOf(['allow', 'prefer', 'disable', 'verify-ca', 'require', 'verify-full'], { default: 'prefer', group: GROUP, importance: 'MEDIUM', width: 'MEDIUM', displayName: 'SSL mode', doc: 'Whether and how strictly TLS is used, in the words of libpq.' }),
  'database.sslcert': string({ group: GROUP, importance: 'MEDIUM', width: 'LONG', displayName: 'SSL Client Certificate', doc: 'PEM file with the client certificate.' }),
  'database.sslpassword': password({ group: GROUP, importance: 'MEDIUM', width: 'MEDIUM', displayName: 'SSL Client Key Password', doc: 'Password of the client key.' }),
  'database.sslrootcert': string({ group: GROUP, importance: 'MEDIUM', width: 'LONG', displayName: 'SSL Root Certificate', doc: 'PEM file with the authorities that may sign the server certificate.' }),
  'database.sslkey': string({ group: GROUP, importance: 'MEDIUM', width: 'LONG', displayName: 'SSL Client Key', doc: 'PEM file with the key of the client certificate.' }),
  'slot.max.retries': int({ default: 6, group: GROUP, importance: 'LOW', displayName: 'Retry count', doc: 'How often to try for a slot that is busy.' }),
  'slot.retry.delay.ms': long({ default: 10000, group: GROUP, importance: 'LOW', displayName: 'Retry delay', doc: 'Milliseconds between two such tries.' }),
  'database.sslfactory': string({ group: GROUP, importance: 'MEDIUM', width: 'LONG', displayName: 'SSL Root Certificate', doc: 'A Java socket class: org.postgresql.ssl.NonValidatingFactory leaves the certificate unchecked, others have no effect.' }),
  'status.update.interval.ms': int({ default: 10000, group: GROUP, importance: 'MEDIUM', width: 'SHORT', displayName: 'Status update interval (ms)', check: positive, doc: 'How often the server hears how far we are, in milliseconds.' }),
  'lsn.flush.timeout.ms': long({ default: 30000, group: GROUP, importance: 'MEDIUM', width: 'SHORT', displayName: 'LSN flush timeout (ms)', check: positive, doc: 'Accepted; a position is confirmed without waiting for an answer.' }),
  'lsn.flush.timeout.action': oneOf(['fail', 'warn', 'ignore'], { default: 'fail', group: GROUP, importance: 'MEDIUM', width: 'MEDIUM', displayName: 'LSN flush timeout action', doc: 'Accepted, as lsn.flush.timeout.ms.' }),
  'database.tcpKeepAlive': bool({ default: true, group: GROUP, importance: 'MEDIUM', width: 'SHORT', displayName: 'TCP keep-alive probe', doc: 'Lets the system probe idle connections.' }),
  'xmin.fetch.interval.ms': long({ default: 0, group: GROUP, importance: 'MEDIUM', width: 'SHORT', displayName: 'Xmin fetch interval (ms)', check: notNegative, doc: 'How often the xmin of the slot is read for the source block, in milliseconds; 0 leaves it out.' }),
  'skipped.operations': list({ default: ['t'], group: GROUP, importance: 'LOW', width: 'SHORT', displayName: 'Skipped Operations', check: operations, doc: 'Operations that are left out: c, u, d, t, or none.' }),
  'lsn.flush.mode': oneOf(['connector_and_driver', 'connector', 'manual'], { group: GROUP, importance: 'LOW', width: 'SHORT', displayName: 'LSN flush mode', doc: 'Who confirms positions to the server: connector after they are durable, manual never.' }),
  'flush.lsn.source': bool({ default: true, group: GROUP, importance: 'LOW', width: 'SHORT', displayName: 'Boolean to determine if Debezium should flush LSN in the source database', doc: 'Older form of lsn.flush.mode: false means manual.' }),
};
