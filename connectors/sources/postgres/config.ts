/** Options of the PostgreSQL source, under Debezium's names and with Debezium's defaults (reference, connector properties). */
import { bool, type ConfigOf, defineConfig, int, list, long, oneOf, password, string } from '../../../runtime/api/config.ts';

const CONNECTION = 'Connection', REPLICATION = 'Replication', SNAPSHOT = 'Snapshot', FILTERS = 'Filters', VALUES = 'Values', EVENTS = 'Events';

export const postgresConfig = defineConfig({
  'database.hostname': string({ required: true, group: CONNECTION, importance: 'HIGH', doc: 'Host name or address of the server.' }),
  'database.port': int({ default: 5432, group: CONNECTION, importance: 'HIGH', doc: 'Port of the server.' }),
  'database.user': string({ required: true, group: CONNECTION, importance: 'HIGH', doc: 'Role to log in as; it needs LOGIN and REPLICATION.' }),
  'database.password': password({ group: CONNECTION, importance: 'HIGH', doc: 'Password of that role.' }),
  'database.dbname': string({ required: true, group: CONNECTION, importance: 'HIGH', doc: 'Database whose changes are captured.' }),
  'database.sslmode': oneOf(['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'], { default: 'prefer', group: CONNECTION, doc: 'Whether and how strictly TLS is used, in the words of libpq.' }),
  'database.sslrootcert': string({ group: CONNECTION, doc: 'PEM file with the authorities that may sign the server certificate.' }),
  'database.sslcert': string({ group: CONNECTION, doc: 'PEM file with the client certificate.' }),
  'database.sslkey': string({ group: CONNECTION, doc: 'PEM file with the key of the client certificate.' }),
  'database.sslpassword': password({ group: CONNECTION, doc: 'Password of that key.' }),
  'database.tcpKeepAlive': bool({ default: true, group: CONNECTION, doc: 'Lets the system probe idle connections.' }),
  'database.server.name': string({ group: CONNECTION, importance: 'LOW', doc: 'Former name of topic.prefix; accepted with a warning.' }),
  'connection.validation.timeout.ms': long({ default: 60_000, group: CONNECTION, importance: 'LOW', doc: 'How long opening a connection may take, in milliseconds.' }),
  'topic.prefix': string({ required: true, group: EVENTS, importance: 'HIGH', doc: 'Name of this server in topics and in the source block.', check: value => (/^[a-zA-Z0-9._-]+$/.test(value) ? undefined : 'only letters, digits, dots, underscores and hyphens are allowed') }),
  'plugin.name': oneOf(['pgoutput', 'decoderbufs'], { default: 'decoderbufs', group: REPLICATION, doc: 'Output plugin; pgoutput is used whatever stands here.' }),
  'slot.name': string({ default: 'debezium', group: REPLICATION, doc: 'Logical replication slot; made when absent.', check: value => (/^[a-z0-9_]{1,63}$/.test(value) ? undefined : 'a slot name has 1 to 63 lower-case letters, digits and underscores') }),
  'slot.drop.on.stop': bool({ default: false, group: REPLICATION, doc: 'Drops the slot when the task stops cleanly; what happens in between is lost.' }),
  'slot.failover': bool({ default: false, group: REPLICATION, doc: 'Asks a primary of version 17 or later to keep the slot on its standbys too.' }),
  'publication.name': string({ default: 'dbz_publication', group: REPLICATION, doc: 'Publication to read; made when absent, as publication.autocreate.mode says.' }),
  'publication.autocreate.mode': oneOf(['disabled', 'all_tables', 'filtered', 'no_tables'], { default: 'all_tables', group: REPLICATION, doc: 'What a publication that we make covers.' }),
  'publish.via.partition.root': bool({ default: false, group: REPLICATION, doc: 'Publishes the changes of partitions under their root table.' }),
  'status.update.interval.ms': int({ default: 10_000, group: REPLICATION, doc: 'How often the server hears how far we are, in milliseconds.' }),
  'snapshot.mode': oneOf(['always', 'initial', 'initial_only', 'no_data', 'never', 'when_needed', 'configuration_based', 'custom'], { default: 'initial', group: SNAPSHOT, doc: 'When whole tables are read before their changes.' }),
  'snapshot.fetch.size': int({ group: SNAPSHOT, doc: 'Accepted; rows are read through COPY, which needs no fetch size.' }),
  'schema.include.list': list({ default: [], group: FILTERS, importance: 'HIGH', doc: 'Regular expressions of schemas to capture.' }),
  'schema.exclude.list': list({ default: [], group: FILTERS, importance: 'HIGH', doc: 'Regular expressions of schemas not to capture.' }),
  'table.include.list': list({ default: [], group: FILTERS, importance: 'HIGH', doc: 'Regular expressions of schema.table to capture.' }),
  'table.exclude.list': list({ default: [], group: FILTERS, importance: 'HIGH', doc: 'Regular expressions of schema.table not to capture.' }),
  'skipped.operations': list({ default: ['t'], group: EVENTS, doc: 'Operations that are left out: c, u, d, t, or none.' }),
  'tombstones.on.delete': bool({ default: true, group: EVENTS, doc: 'Puts a null value under the same key behind every delete.' }),
  'extended.headers.enabled': bool({ default: true, group: EVENTS, importance: 'LOW', doc: 'Adds the __debezium.context headers.' }),
  'decimal.handling.mode': oneOf(['precise', 'string', 'double'], { default: 'precise', group: VALUES, doc: 'How numeric and money columns are carried.' }),
  'time.precision.mode': oneOf(['adaptive', 'adaptive_time_microseconds', 'connect', 'isostring', 'microseconds', 'nanoseconds'], { default: 'adaptive', group: VALUES, doc: 'Unit and type of dates and times.' }),
  'binary.handling.mode': oneOf(['bytes', 'base64', 'base64-url-safe', 'hex'], { default: 'bytes', group: VALUES, doc: 'How bytea columns are carried.' }),
  'interval.handling.mode': oneOf(['numeric', 'string'], { default: 'numeric', group: VALUES, doc: 'Intervals as microseconds or as ISO 8601 text.' }),
  'hstore.handling.mode': oneOf(['json', 'map'], { default: 'json', group: VALUES, doc: 'hstore columns as JSON text or as a map.' }),
  'money.fraction.digits': int({ default: 2, group: VALUES, doc: 'Fraction digits of money columns.' }),
  'unavailable.value.placeholder': string({ default: '__debezium_unavailable_value', group: VALUES, doc: 'Stands for a TOAST value that an update left alone.' }),
  'include.unknown.datatypes': bool({ default: false, group: VALUES, doc: 'Carries columns of types without a mapping as the bytes of their text.' }),
  'message.prefix.include.list': list({ default: [], group: FILTERS, doc: 'Prefixes of logical decoding messages to emit.' }),
  'message.prefix.exclude.list': list({ default: [], group: FILTERS, doc: 'Prefixes of logical decoding messages to leave out.' }),
  'max.batch.size': int({ default: 2048, group: EVENTS, doc: 'Most records in one batch.' }),
  'max.queue.size': int({ default: 8192, group: EVENTS, doc: 'Accepted; what waits is bounded in bytes.' }),
  'poll.interval.ms': long({ default: 500, group: EVENTS, doc: 'Accepted; waiting wakes up with the next event.' }),
  'retriable.restart.connector.wait.ms': long({ default: 10_000, group: EVENTS, doc: 'Accepted; the worker backs off by its own policy.' }),
}, {
  check: config => (config['table.include.list'].length > 0 && config['table.exclude.list'].length > 0
    ? [{ option: 'table.include.list', message: '"table.include.list" is already specified with "table.exclude.list"; use one of them' }] : []),
  families: [/^column\.mask\./, /^column\.truncate\./, /^topic\.creation\./],
});

export type PostgresConfig = ConfigOf<typeof postgresConfig>;
