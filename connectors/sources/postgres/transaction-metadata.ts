/** `provide.transaction.metadata`: BEGIN and END records, and the order of events in their transaction (Debezium reference, "Transaction metadata"). */
import { hashOrder } from '../../../envelopes/java-hash.ts';
import { array, INT64, optional, STRING, struct } from '../../../envelopes/logical/schemas.ts';
import type { SourceRecord } from '../../../runtime/api/plugin.ts';
import type { TransactionInfo } from './change.ts';

const keySchema = struct({ id: STRING }, { name: 'io.debezium.connector.common.TransactionMetadataKey', version: 1 });
const collection = struct({ data_collection: STRING, event_count: INT64 }, { name: 'event.collection', version: 1 });
const valueSchema = struct({ status: STRING, id: STRING, event_count: optional(INT64), data_collections: optional(array(optional(collection))), ts_ms: INT64 }, { name: 'io.debezium.connector.common.TransactionMetadataValue', version: 1 });

/** One per stream. A transaction's BEGIN is handed out with its first event, or its END, so that no record stands before an offset that covers it. */
export class TransactionTracker {
  private readonly topic: string;
  private id: bigint | undefined;
  private begun: SourceRecord | undefined;
  private total = 0n;
  private readonly counts = new Map<string, bigint>();

  constructor(topic: string) { this.topic = topic; }

  /** `quiet`: BEGIN is in the log already. */
  begin(id: bigint, lsn: bigint, commitUs: bigint, quiet: boolean): void {
    this.id = id;
    this.total = 0n;
    this.counts.clear();
    this.begun = quiet ? undefined : this.record('BEGIN', lsn, commitUs, null, null);
  }

  /** The BEGIN record, once. */
  takeBegin(): SourceRecord | undefined { const { begun } = this; this.begun = undefined; return begun; }

  /** Counts `records` events of one collection and gives the place of the first. */
  event(name: string, lsn: bigint, records: number): TransactionInfo | undefined {
    if (this.id === undefined) return undefined;
    const order = (this.counts.get(name) ?? 0n) + 1n;
    const totalOrder = this.total + 1n;
    this.counts.set(name, order + BigInt(records) - 1n);
    this.total += BigInt(records);
    return { id: `${this.id}:${lsn}`, totalOrder, dataCollectionOrder: order };
  }

  end(lsn: bigint, commitUs: bigint): SourceRecord {
    const collections = hashOrder([...this.counts], ([name]) => name).map(([name, count]) => ({ schema: collection, values: [name, count] }));
    return this.record('END', lsn, commitUs, this.total, collections);
  }

  /** Debezium's keys of the offset. */
  offsetKeys(): Readonly<Record<string, unknown>> {
    if (this.id === undefined) return {};
    return { transaction_id: String(this.id), ...Object.fromEntries([...this.counts].map(([name, count]) => [`transaction_data_collection_order_${name}`, count])) };
  }

  private record(status: string, lsn: bigint, commitUs: bigint, count: bigint | null, collections: readonly { schema: typeof collection; values: readonly (string | bigint)[] }[] | null): SourceRecord {
    const id = `${this.id}:${lsn}`;
    return {
      topic: this.topic, partition: null, timestamp: null, headers: [], key: { schema: keySchema, value: { schema: keySchema, values: [id] } },
      value: { schema: valueSchema, value: { schema: valueSchema, values: [status, id, count, collections, commitUs / 1000n] } },
    };
  }
}
