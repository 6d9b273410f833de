/** The part of a connector's configuration that the worker itself reads. Names, defaults and rules: Kafka Connect 4.3, ConnectorConfig and its source and sink sides. */
import { bool, className, defineConfig, int, list, long, oneOf, short, type Problem, string, type ConfigOf } from '../api/config.ts';

/** Kafka's rule for names: not empty, no control characters. */
function nameProblem(name: string): string | undefined {
  if (name === '') return 'String may not be empty';
  const control = [...name].map(char => char.charCodeAt(0)).filter(code => code < 32 || (code >= 127 && code < 160));
  return control.length === 0 ? undefined : `String may not contain control sequences but had the following ASCII chars: ${control.join(', ')}`;
}

const common = {
  name: string({ required: true, group: 'Common', importance: 'HIGH', displayName: 'Connector name', width: 'MEDIUM', doc: 'Name of the connector, one of a kind in its worker.', check: nameProblem }),
  'connector.class': string({ required: true, group: 'Common', importance: 'HIGH', displayName: 'Connector class', width: 'LONG', doc: 'Class name of the connector, as Kafka Connect knows it, or its alias.' }),
  'tasks.max': int({ default: 1, group: 'Common', importance: 'HIGH', displayName: 'Tasks max', width: 'SHORT', doc: 'The most tasks that this connector may have.', check: n => (n < 1 ? 'Value must be at least 1' : undefined) }),
  'tasks.max.enforce': bool({ default: true, group: 'Common', importance: 'LOW', displayName: 'Enforce tasks max', width: 'SHORT', doc: 'Whether tasks.max is a strict bound.' }),
  'key.converter': className({ group: 'Common', importance: 'LOW', displayName: 'Key converter class', width: 'SHORT', doc: 'Converter of record keys; that of the worker when it is not set.' }),
  'value.converter': className({ group: 'Common', importance: 'LOW', displayName: 'Value converter class', width: 'SHORT', doc: 'Converter of record values; that of the worker when it is not set.' }),
  'header.converter': className({ group: 'Common', importance: 'LOW', displayName: 'Header converter class', width: 'SHORT', doc: 'Converter of record headers; that of the worker when it is not set.' }),
  transforms: list({ default: [], group: 'Transforms', importance: 'LOW', displayName: 'Transforms', width: 'LONG', doc: 'Aliases of the transforms, in order.' }),
  predicates: list({ default: [], group: 'Predicates', importance: 'LOW', displayName: 'Predicates', width: 'LONG', doc: 'Aliases of the predicates that transforms may name.' }),
  'config.action.reload': oneOf(['none', 'restart'], { default: 'restart', group: 'Common', importance: 'LOW', displayName: 'Reload Action', width: 'MEDIUM', doc: 'What happens when a value from a configuration provider changes.' }),
  'errors.retry.timeout': long({ default: 0, group: 'Error Handling', displayName: 'Retry Timeout for Errors', width: 'MEDIUM', doc: 'How long a failed step of a record is tried again, in milliseconds; 0 = not at all, -1 = without end.' }),
  'errors.retry.delay.max.ms': long({ default: 60_000, group: 'Error Handling', displayName: 'Maximum Delay Between Retries for Errors', width: 'MEDIUM', doc: 'The longest pause between two tries, in milliseconds.' }),
  'errors.tolerance': oneOf(['none', 'all'], { default: 'none', group: 'Error Handling', displayName: 'Error Tolerance', width: 'SHORT', doc: 'none: a bad record fails the task; all: it is skipped and reported.' }),
  'errors.log.enable': bool({ default: false, group: 'Error Handling', displayName: 'Log Errors', width: 'SHORT', doc: 'Log each bad record also when it fails the task.' }),
  'errors.log.include.messages': bool({ default: false, group: 'Error Handling', displayName: 'Log Error Details', width: 'SHORT', doc: 'Log partition and offset with it. Keys and values are never logged.' }),
};

export const sourceConnectorConfig = defineConfig({
  ...common,
  'topic.creation.groups': list({ default: [], group: 'Topic Creation', importance: 'LOW', displayName: 'Topic Creation Groups', width: 'LONG', doc: 'Groups of settings for topics that this connector makes.' }),
  'exactly.once.support': oneOf(['requested', 'required'], { default: 'requested', group: 'Exactly Once Support', displayName: 'Exactly once support', width: 'SHORT', doc: 'required refuses to start where exactly-once delivery is not given; the embedded log always gives it.' }, 'String must be one of (case insensitive): REQUIRED, REQUESTED'),
  'transaction.boundary': oneOf(['poll', 'interval', 'connector'], { default: 'poll', group: 'Exactly Once Support', displayName: 'Transaction Boundary', width: 'SHORT', doc: 'What ends a transaction on Kafka, where the worker delivers exactly once: each batch, an interval, or the connector itself, if it can. Without meaning on the embedded log.' }, 'String must be one of (case insensitive): INTERVAL, POLL, CONNECTOR'),
  'transaction.boundary.interval.ms': long({ group: 'Exactly Once Support', importance: 'LOW', displayName: 'Transaction boundary interval', width: 'SHORT', doc: 'Interval of transactions with transaction.boundary=interval, in milliseconds; offset.flush.interval.ms of the worker when left out.' }),
  'offsets.storage.topic': string({ group: 'offsets.topic', importance: 'LOW', displayName: 'Offsets topic', width: 'LONG', doc: 'Topic of its own for the offsets of this connector, in a cluster. It answers before that of the worker, which gets a copy.', check: name => (name === '' ? 'String must be non-empty' : undefined) }),
}, {
  // Not a bound of the option itself: Kafka says nothing more of what is no number here.
  check: ({ 'transaction.boundary.interval.ms': ms }) => (ms !== undefined && ms < 0 ? [{ option: 'transaction.boundary.interval.ms', message: `Invalid value ${ms} for configuration transaction.boundary.interval.ms: Value must be at least 0` }] : []),
});

export const sinkConnectorConfig = defineConfig({
  ...common,
  topics: list({ default: [], group: 'Common', importance: 'HIGH', displayName: 'Topics', width: 'LONG', doc: 'Topics to read, separated by commas.' }),
  'topics.regex': string({ default: '', group: 'Common', importance: 'HIGH', displayName: 'Topics regex', width: 'LONG', doc: 'Regular expression that the names of the topics to read match; instead of topics.' }),
  'errors.deadletterqueue.topic.name': string({ default: '', group: 'Error Handling', displayName: 'Dead Letter Queue Topic Name', width: 'MEDIUM', doc: 'Topic for records that could not be handled; none when empty.' }),
  'errors.deadletterqueue.topic.replication.factor': short({ default: 3, group: 'Error Handling', displayName: 'Dead Letter Queue Topic Replication Factor', width: 'MEDIUM', doc: 'Replication factor of that topic on Kafka.' }),
  'errors.deadletterqueue.context.headers.enable': bool({ default: false, group: 'Error Handling', displayName: 'Enable Error Context Headers', width: 'MEDIUM', doc: 'Add headers that say what failed, and where.' }),
}, {
  check: config => {
    const { topics, 'topics.regex': regex, 'errors.deadletterqueue.topic.name': dead } = config;
    if (topics.length === 0 && regex === '') return both('Must configure one of topics or topics.regex');
    if (topics.length > 0 && regex !== '') return both('topics and topics.regex are mutually exclusive options, but both are set.');
    if (dead !== '' && (topics.includes(dead) || (regex !== '' && new RegExp(`^(?:${regex})$`, 'u').test(dead)))) return [{ option: 'errors.deadletterqueue.topic.name', message: topics.includes(dead) ? `The DLQ topic '${dead}' may not be included in the list of topics ('topics=[${topics.join(', ')}]') consumed by the connector` : `The DLQ topic '${dead}' may not be included in the regex matching topics ('topics.regex=${regex}') consumed by the connector` }];
    return [];
  },
});
/** Connect reports what concerns two options at each of them. */
function both(message: string): Problem[] { return [{ option: 'topics', message }, { option: 'topics.regex', message }]; }

export type SourceConnectorConfig = ConfigOf<typeof sourceConnectorConfig>;
export type SinkConnectorConfig = ConfigOf<typeof sinkConnectorConfig>;
