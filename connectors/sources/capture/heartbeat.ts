/** Heartbeat records (Debezium reference, `heartbeat.*`). */
import { INT64, STRING, struct } from '../../../envelopes/logical/schemas.ts';
import type { SourceRecord } from '../../../runtime/api/plugin.ts';

const keySchema = struct({ serverName: STRING }, { name: 'io.debezium.connector.common.ServerNameKey', version: 1 });
const valueSchema = struct({ ts_ms: INT64 }, { name: 'io.debezium.connector.common.Heartbeat', version: 1 });

/** `server` is topic.prefix. */
export function heartbeatRecord(topic: string, server: string, now: number): SourceRecord {
  return {
    topic, partition: null, timestamp: null, headers: [], key: { schema: keySchema, value: { schema: keySchema, values: [server] } },
    value: { schema: valueSchema, value: { schema: valueSchema, values: [BigInt(now)] } },
  };
}
