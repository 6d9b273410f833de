/** Error codes of Kafka's protocol (kafka.apache.org/protocol, "Error Codes") and what each asks of a client. */
import { RetriableError } from '../../../api/errors.ts';

/**
 * `retry`: the same request again after a pause. `leader`: metadata is stale, ask anew first. `coordinator`: find the
 * coordinator anew first. `stop`: no repetition helps.
 */
export type Remedy = 'retry' | 'leader' | 'coordinator' | 'stop';

const codes: Readonly<Record<number, readonly [name: string, remedy: Remedy]>> = {
  [-1]: ['UNKNOWN_SERVER_ERROR', 'stop'], 1: ['OFFSET_OUT_OF_RANGE', 'stop'], 2: ['CORRUPT_MESSAGE', 'retry'], 3: ['UNKNOWN_TOPIC_OR_PARTITION', 'leader'],
  4: ['INVALID_FETCH_SIZE', 'stop'], 5: ['LEADER_NOT_AVAILABLE', 'leader'], 6: ['NOT_LEADER_OR_FOLLOWER', 'leader'], 7: ['REQUEST_TIMED_OUT', 'retry'],
  8: ['BROKER_NOT_AVAILABLE', 'leader'], 9: ['REPLICA_NOT_AVAILABLE', 'leader'], 10: ['MESSAGE_TOO_LARGE', 'stop'], 11: ['STALE_CONTROLLER_EPOCH', 'retry'],
  12: ['OFFSET_METADATA_TOO_LARGE', 'stop'], 13: ['NETWORK_EXCEPTION', 'leader'], 14: ['COORDINATOR_LOAD_IN_PROGRESS', 'retry'], 15: ['COORDINATOR_NOT_AVAILABLE', 'coordinator'],
  16: ['NOT_COORDINATOR', 'coordinator'], 17: ['INVALID_TOPIC_EXCEPTION', 'stop'], 18: ['RECORD_LIST_TOO_LARGE', 'stop'], 19: ['NOT_ENOUGH_REPLICAS', 'retry'],
  20: ['NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'retry'], 21: ['INVALID_REQUIRED_ACKS', 'stop'], 22: ['ILLEGAL_GENERATION', 'stop'], 23: ['INCONSISTENT_GROUP_PROTOCOL', 'stop'],
  24: ['INVALID_GROUP_ID', 'stop'], 25: ['UNKNOWN_MEMBER_ID', 'stop'], 26: ['INVALID_SESSION_TIMEOUT', 'stop'], 27: ['REBALANCE_IN_PROGRESS', 'stop'], 28: ['INVALID_COMMIT_OFFSET_SIZE', 'stop'],
  29: ['TOPIC_AUTHORIZATION_FAILED', 'stop'], 30: ['GROUP_AUTHORIZATION_FAILED', 'stop'], 31: ['CLUSTER_AUTHORIZATION_FAILED', 'stop'], 32: ['INVALID_TIMESTAMP', 'stop'],
  33: ['UNSUPPORTED_SASL_MECHANISM', 'stop'], 34: ['ILLEGAL_SASL_STATE', 'stop'], 35: ['UNSUPPORTED_VERSION', 'stop'], 36: ['TOPIC_ALREADY_EXISTS', 'stop'], 37: ['INVALID_PARTITIONS', 'stop'],
  38: ['INVALID_REPLICATION_FACTOR', 'stop'], 39: ['INVALID_REPLICA_ASSIGNMENT', 'stop'], 40: ['INVALID_CONFIG', 'stop'], 41: ['NOT_CONTROLLER', 'leader'], 42: ['INVALID_REQUEST', 'stop'],
  43: ['UNSUPPORTED_FOR_MESSAGE_FORMAT', 'stop'], 44: ['POLICY_VIOLATION', 'stop'], 45: ['OUT_OF_ORDER_SEQUENCE_NUMBER', 'stop'], 46: ['DUPLICATE_SEQUENCE_NUMBER', 'stop'],
  47: ['INVALID_PRODUCER_EPOCH', 'stop'], 48: ['INVALID_TXN_STATE', 'stop'], 49: ['INVALID_PRODUCER_ID_MAPPING', 'stop'], 50: ['INVALID_TRANSACTION_TIMEOUT', 'stop'],
  51: ['CONCURRENT_TRANSACTIONS', 'retry'], 52: ['TRANSACTION_COORDINATOR_FENCED', 'stop'], 53: ['TRANSACTIONAL_ID_AUTHORIZATION_FAILED', 'stop'], 54: ['SECURITY_DISABLED', 'stop'],
  55: ['OPERATION_NOT_ATTEMPTED', 'stop'], 56: ['KAFKA_STORAGE_ERROR', 'leader'], 57: ['LOG_DIR_NOT_FOUND', 'stop'], 58: ['SASL_AUTHENTICATION_FAILED', 'stop'], 59: ['UNKNOWN_PRODUCER_ID', 'stop'],
  60: ['REASSIGNMENT_IN_PROGRESS', 'retry'], 68: ['NON_EMPTY_GROUP', 'stop'], 69: ['GROUP_ID_NOT_FOUND', 'stop'], 70: ['FETCH_SESSION_ID_NOT_FOUND', 'retry'], 71: ['INVALID_FETCH_SESSION_EPOCH', 'retry'],
  72: ['LISTENER_NOT_FOUND', 'leader'], 73: ['TOPIC_DELETION_DISABLED', 'stop'], 74: ['FENCED_LEADER_EPOCH', 'leader'], 75: ['UNKNOWN_LEADER_EPOCH', 'leader'], 76: ['UNSUPPORTED_COMPRESSION_TYPE', 'stop'],
  77: ['STALE_BROKER_EPOCH', 'retry'], 78: ['OFFSET_NOT_AVAILABLE', 'leader'], 79: ['MEMBER_ID_REQUIRED', 'stop'], 80: ['PREFERRED_LEADER_NOT_AVAILABLE', 'leader'], 81: ['GROUP_MAX_SIZE_REACHED', 'stop'],
  82: ['FENCED_INSTANCE_ID', 'stop'], 86: ['GROUP_SUBSCRIBED_TO_TOPIC', 'stop'], 87: ['INVALID_RECORD', 'stop'], 88: ['UNSTABLE_OFFSET_COMMIT', 'retry'], 89: ['THROTTLING_QUOTA_EXCEEDED', 'retry'],
  90: ['PRODUCER_FENCED', 'stop'], 100: ['UNKNOWN_TOPIC_ID', 'leader'], 103: ['INCONSISTENT_TOPIC_ID', 'leader'], 120: ['TRANSACTION_ABORTABLE', 'stop'],
};

export function errorName(code: number): string { return codes[code]?.[0] ?? `ERROR_${code}`; }
export function remedyOf(code: number): Remedy { return codes[code]?.[1] ?? 'stop'; }

/** A broker answered with an error code that asks for another attempt. */
export class BrokerError extends RetriableError {
  readonly kafkaCode: number;
  readonly remedy: Remedy;
  constructor(kafkaCode: number, where: string, detail?: string | null) {
    super(`Kafka answered ${errorName(kafkaCode)} to ${where}${detail === undefined || detail === null || detail === '' ? '' : `: ${detail}`}`, { code: `KAFKA_${errorName(kafkaCode)}` });
    this.kafkaCode = kafkaCode;
    this.remedy = remedyOf(kafkaCode);
  }
}
