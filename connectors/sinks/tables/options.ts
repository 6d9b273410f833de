import { bool, int, list, long, oneOf, string } from '../../../runtime/api/config.ts';

/** Options that every table sink has; a format spreads them into its own declaration. That topics and topics.regex exclude each other is the worker's rule for all sinks. */
export const tableSinkOptions = {
  'topics': list({ default: [] as readonly string[], group: 'Input', importance: 'HIGH', doc: 'Topics to read, separated by commas. Either this or topics.regex.' }),
  'topics.regex': string({ group: 'Input', importance: 'HIGH', doc: 'Java-style regular expression that a topic name has to match as a whole. Either this or topics.', check: regexProblem }),
  'warehouse': string({ required: true, group: 'Tables', importance: 'HIGH', doc: 'Folder under which the tables lie: a path on local disk, with or without file://.' }),
  'table.name.format': string({
    default: '', group: 'Tables', importance: 'MEDIUM',
    doc: 'Name of the table for a record, parts separated by dots. ${topic}, ${source.db}, ${source.schema} and ${source.table} stand for what the record says. Empty: schema and table of the source block, else the topic name.',
  }),
  'mode': oneOf(['upsert', 'append'], { default: 'upsert', group: 'Tables', importance: 'HIGH', doc: 'upsert: the table equals the source table; needs a record key. append: the new row of each insert, update and snapshot record is added, deletes change nothing.' }),
  'unavailable.value.placeholder': string({ default: '__debezium_unavailable_value', group: 'Tables', importance: 'LOW', doc: 'What stands for a value that the source did not send, as set at the source. It never reaches the table: the old value stays.' }),
  'truncate.enabled': bool({ default: true, group: 'Tables', importance: 'MEDIUM', doc: 'Whether a truncate event empties the table.' }),
  'commit.interval.ms': int({ default: 10_000, group: 'Commit', importance: 'MEDIUM', doc: 'Time between two table commits, in milliseconds.', check: atLeast(1) }),
  'commit.max.bytes': long({ default: 32 * 1024 * 1024, group: 'Commit', importance: 'MEDIUM', doc: 'Bytes of buffered rows that bring a commit forward.', check: atLeast(64 * 1024) }),
  'sink.memory.bytes': long({ default: 384 * 1024 * 1024, group: 'Commit', importance: 'MEDIUM', doc: 'Bytes that key indexes and the Parquet writer of this sink may use. A table whose index does not fit is searched by a scan of its key columns at each commit.', check: atLeast(16 * 1024 * 1024) }),
} as const;

/** Parsed {@link tableSinkOptions}. */
export interface TableSinkConfig {
  readonly 'topics': readonly string[];
  readonly 'topics.regex': string | undefined;
  readonly 'warehouse': string;
  readonly 'table.name.format': string;
  readonly 'mode': 'upsert' | 'append';
  readonly 'unavailable.value.placeholder': string;
  readonly 'truncate.enabled': boolean;
  readonly 'commit.interval.ms': number;
  readonly 'commit.max.bytes': number;
  readonly 'sink.memory.bytes': number;
}

/** Folder of the warehouse as a path. */
export function warehousePath(warehouse: string): string {
  return warehouse.startsWith('file:') ? decodeURIComponent(new URL(warehouse).pathname) : warehouse;
}

function atLeast(least: number): (value: number) => string | undefined { return value => (value < least ? `Value must be at least ${least}` : undefined); }
function regexProblem(text: string): string | undefined {
  try { new RegExp(text); return undefined; } catch (error) { return `Not a regular expression: ${(error as Error).message}`; }
}
