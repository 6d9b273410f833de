/** Notifications of snapshots, to a topic or to the log (Debezium reference, "Notifications"). */
import { randomUUID } from 'node:crypto';
import { INT64, map, optional, STRING, struct } from '../../../envelopes/logical/schemas.ts';
import type { Logger } from '../../../runtime/api/logger.ts';
import type { SourceRecord } from '../../../runtime/api/plugin.ts';

const keySchema = struct({ id: STRING }, { name: 'io.debezium.connector.common.NotificationKey', version: 1 });
const valueSchema = struct({ id: STRING, type: STRING, aggregate_type: STRING, additional_data: optional(map(STRING, STRING)), timestamp: INT64 }, { name: 'io.debezium.connector.common.Notification', version: 1 });

export type Aggregate = 'Initial Snapshot' | 'Incremental Snapshot';
/** Members of `additional_data`, written in this order. */
export interface NotificationFacts {
  readonly scanned_collection?: string;
  readonly current_collection_in_progress?: string;
  readonly maximum_key?: string;
  readonly last_processed_key?: string;
  readonly total_rows_scanned?: string;
  readonly status?: 'SUCCEEDED' | 'EMPTY' | 'NO_PRIMARY_KEY' | 'SKIPPED' | 'SQL_EXCEPTION' | 'UNKNOWN_SCHEMA';
  readonly data_collections?: string;
}

export class Notifier {
  private readonly topic: string | undefined;
  private readonly log: Logger | undefined;
  private readonly server: string;

  /** `channels` of notification.enabled.channels; other names than sink and log are passed over. */
  constructor(channels: readonly string[], topic: string | undefined, server: string, logger: Logger) {
    this.topic = channels.includes('sink') ? topic : undefined;
    this.log = channels.includes('log') ? logger : undefined;
    this.server = server;
  }

  /** The record to emit, if the channel sink is on. Without an id the notification gets its own. */
  make(aggregate: Aggregate, type: string, facts: NotificationFacts = {}, id: string = randomUUID()): SourceRecord | undefined {
    const { scanned_collection: scanned, current_collection_in_progress: current, ...rest } = facts;
    const data = Object.entries({ scanned_collection: scanned, current_collection_in_progress: current, connector_name: this.server, ...rest }).filter((entry): entry is [string, string] => entry[1] !== undefined);
    this.log?.info({ id, aggregate, type, ...Object.fromEntries(data) }, 'notification');
    if (this.topic === undefined) return undefined;
    return {
      topic: this.topic, partition: null, timestamp: null, headers: [], key: { schema: keySchema, value: { schema: keySchema, values: [id] } },
      value: { schema: valueSchema, value: { schema: valueSchema, values: [id, type, aggregate, { entries: data }, BigInt(Date.now())] } },
    };
  }
}
