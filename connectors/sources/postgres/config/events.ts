/** Options of what is captured and how events are shaped, in the order in which validate lists them. Names, defaults and importance: Debezium reference. */
import { bool, className, int, list, long, oneOf, string } from '../../../../runtime/api/config.ts';
import { notNegative, patterns, positive } from './checks.ts';

const GROUP = 'Events';

export const eventsOptions = {
  'converters': string({ group: GROUP, importance: 'LOW', width: 'MEDIUM', displayName: 'List of prefixes defining custom values converters.', doc: 'Names of custom converters; Java classes cannot be loaded, so they are refused.' }),
  'post.processors': string({ group: GROUP, importance: 'LOW', width: 'MEDIUM', displayName: 'List of change event post processors.', doc: 'Names of post processors; ReselectColumnsPostProcessor and others are not supported yet.' }),
  'tombstones.on.delete': bool({ default: true, group: GROUP, importance: 'MEDIUM', width: 'SHORT', displayName: 'Change the behaviour of Debezium with regards to delete operations', doc: 'Puts a null value under the same key behind every delete.' }),
  'heartbeat.interval.ms': int({ default: 0, group: GROUP, importance: 'MEDIUM', width: 'MEDIUM', displayName: 'Connector heartbeat interval (milli-seconds)', check: notNegative, doc: 'Milliseconds between two heartbeat records; 0 for none.' }),
  'heartbeat.topics.prefix': string({ default: '__debezium-heartbeat', group: GROUP, importance: 'LOW', width: 'MEDIUM', displayName: 'A prefix used for naming of heartbeat topics', doc: 'Accepted, without effect as in Debezium: topic.heartbeat.prefix names the topic.' }),
  'signal.data.collection': list({ group: GROUP, importance: 'MEDIUM', width: 'MEDIUM', displayName: 'Signaling data collection', doc: 'Table through which signals come: schema.table.' }),
  'signal.poll.interval.ms': long({ default: 5000, group: GROUP, importance: 'MEDIUM', width: 'SHORT', displayName: 'Signal processor poll interval', check: positive, doc: 'How often signal files are looked at, in milliseconds.' }),
  'signal.enabled.channels': list({ default: ['source'], group: GROUP, importance: 'MEDIUM', width: 'LONG', displayName: 'Enabled channels names', doc: 'Ways by which signals may come: source, file, in-process.' }),
  'topic.naming.strategy': className({ default: 'io.debezium.schema.SchemaTopicNamingStrategy', group: GROUP, importance: 'MEDIUM', width: 'MEDIUM', displayName: 'Topic naming strategy class', doc: 'Class that names topics: the schema, default, regex and Unicode strategies are known.' }),
  'notification.enabled.channels': list({ group: GROUP, importance: 'MEDIUM', width: 'LONG', displayName: 'Enabled notification channels names', doc: 'Where notifications go: sink, log.' }),
  'notification.sink.topic.name': string({ group: GROUP, importance: 'HIGH', width: 'LONG', displayName: 'Notification topic name', doc: 'Topic of the notifications of channel sink.' }),
  'transaction.metadata.factory': className({ default: 'io.debezium.pipeline.txmetadata.DefaultTransactionMetadataFactory', group: GROUP, importance: 'LOW', width: 'MEDIUM', displayName: 'Factory class to create transaction context & transaction struct maker classes', doc: 'A Java class; accepted, without effect.' }),
  'custom.metric.tags': list({ group: GROUP, importance: 'LOW', width: 'MEDIUM', displayName: 'Customize metric tags', doc: 'Accepted; metrics carry the connector\'s name.' }),
  'column.include.list': list({ group: GROUP, importance: 'MEDIUM', width: 'LONG', displayName: 'Include Columns', check: patterns, doc: 'Expressions of schema.table.column to carry; all others are left out.' }),
  'column.exclude.list': list({ group: GROUP, importance: 'MEDIUM', width: 'LONG', displayName: 'Exclude Columns', check: patterns, doc: 'Expressions of schema.table.column to leave out.' }),
  'table.include.list': list({ group: GROUP, importance: 'HIGH', width: 'LONG', displayName: 'Include Tables', check: patterns, doc: 'Expressions of schema.table to capture.' }),
  'table.exclude.list': list({ group: GROUP, importance: 'MEDIUM', width: 'LONG', displayName: 'Exclude Tables', check: patterns, doc: 'Expressions of schema.table not to capture.' }),
  'table.ignore.builtin': bool({ default: true, group: GROUP, importance: 'LOW', width: 'SHORT', displayName: 'Ignore system databases', doc: 'Accepted; the system\'s own tables are never captured.' }),
  'schema.include.list': list({ group: GROUP, importance: 'HIGH', width: 'LONG', displayName: 'Include Schemas', dependents: ['table.include.list'], check: patterns, doc: 'Expressions of schemas to capture.' }),
  'schema.exclude.list': list({ group: GROUP, importance: 'MEDIUM', width: 'LONG', displayName: 'Exclude Schemas', check: patterns, doc: 'Expressions of schemas not to capture.' }),
  'message.key.columns': string({ group: GROUP, importance: 'MEDIUM', width: 'LONG', displayName: 'Columns PK mapping', doc: 'Key columns for tables: expression:column,column, separated by semicolons.' }),
  'snapshot.select.statement.overrides': string({ group: GROUP, importance: 'MEDIUM', width: 'LONG', displayName: 'List of tables where the default select statement used during snapshotting should be overridden.', doc: 'Tables for which snapshot.select.statement.overrides.SCHEMA.TABLE holds the statement that the snapshot runs.' }),
  'column.mask.hash.([^.]+).with.salt.(.+)': string({ group: GROUP, importance: 'MEDIUM', width: 'LONG', displayName: 'Mask Columns Using Hash and Salt', doc: 'Family: columns whose text is replaced by a salted hash.' }),
  'column.mask.with.(d+).chars': string({ group: GROUP, importance: 'MEDIUM', displayName: 'Mask Columns With n Asterisks', doc: 'Family: columns whose text is replaced by that many asterisks.' }),
  'column.truncate.to.(d+).chars': int({ group: GROUP, importance: 'MEDIUM', displayName: 'Truncate Columns To n Characters', doc: 'Family: columns whose text is cut to that length.' }),
  'include.schema.comments': bool({ default: false, group: GROUP, importance: 'MEDIUM', width: 'SHORT', displayName: 'Include Table and Column Comments', doc: 'Accepted; Debezium does not show comments of PostgreSQL either.' }),
  'column.propagate.source.type': list({ group: GROUP, importance: 'MEDIUM', displayName: 'Propagate Source Types by Columns', check: patterns, doc: 'Expressions of columns whose schema tells the type, length and scale on the server.' }),
  'datatype.propagate.source.type': list({ group: GROUP, importance: 'MEDIUM', displayName: 'Propagate Source Types by Data Type', check: patterns, doc: 'Expressions of types whose columns tell it.' }),
  'internal.snapshot.scan.all.columns.force': bool({ default: false, group: GROUP, importance: 'LOW', width: 'SHORT', displayName: 'Snapshot force scan all columns of all tables', doc: 'Accepted, without effect.' }),
  'snapshot.tables.order.by.row.count': oneOf(['disabled', 'ascending', 'descending'], { default: 'disabled', group: GROUP, importance: 'MEDIUM', displayName: 'Initial snapshot tables order by row count', doc: 'Order of the tables in a snapshot by their number of rows.' }),
  'heartbeat.action.query': string({ group: GROUP, importance: 'LOW', width: 'MEDIUM', displayName: 'An optional query to execute with every heartbeat', doc: 'Statement that is run with each heartbeat.' }),
  'include.unknown.datatypes': bool({ default: false, group: GROUP, importance: 'MEDIUM', width: 'SHORT', displayName: 'Include unknown datatypes', doc: 'Carries columns of types without a mapping as the bytes of their text.' }),
  'sourceinfo.struct.maker': className({ default: 'io.debezium.connector.postgresql.PostgresSourceInfoStructMaker', group: GROUP, importance: 'LOW', width: 'MEDIUM', displayName: 'Source info struct maker class', doc: 'A Java class; accepted, without effect.' }),
};
