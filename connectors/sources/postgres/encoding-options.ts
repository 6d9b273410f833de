import type { ColumnRules } from '../capture/column-rules.ts';
import type { ColumnConverter } from './converters/column-converters.ts';
import type { TableTopic } from './topics.ts';

/** What of a connector's configuration decides how rows become records. Names follow the Debezium options. */
export interface EncodingOptions {
  readonly topicPrefix: string;
  readonly connectorName: string;
  readonly databaseName: string;
  readonly decimalMode: 'precise' | 'string' | 'double';
  readonly timeMode: 'adaptive' | 'adaptive_time_microseconds' | 'connect' | 'isostring' | 'microseconds' | 'nanoseconds';
  readonly binaryMode: 'bytes' | 'base64' | 'base64-url-safe' | 'hex';
  readonly intervalMode: 'numeric' | 'string';
  readonly hstoreMode: 'json' | 'map';
  readonly moneyDigits: number;
  /** Bytes that stand for a value which the server did not send. */
  readonly placeholder: string;
  readonly includeUnknown: boolean;
  readonly tombstones: boolean;
  readonly contextHeaders: boolean;
  /** Fresh for every start of the task: header `__debezium.context.runId`. */
  readonly runId: string;
  readonly taskId: string;
  readonly columns: ColumnRules;
  /** message.key.columns: expressions of the columns that make the key of tables that fit. */
  readonly keyColumns: readonly { readonly table: RegExp; readonly columns: readonly RegExp[] }[];
  readonly schemaName: (name: string) => string;
  readonly fieldName: (name: string) => string;
  readonly topic: (schema: string, table: string) => TableTopic;
  /** Drops updates of which no captured column changed. */
  readonly skipUnchanged: boolean;
  /** Takes columns out of the usual mapping. */
  readonly converter: ColumnConverter;
}
