/** What ends the transactions of a source task, from its connector's options and its worker's (KIP-618). */
import { parseConfig } from '../api/config-parse.ts';
import type { TransactionBoundary } from '../pipeline/source-appends.ts';
import { sourceConnectorConfig } from './connector-config.ts';
import type { TaskOrder } from './task-messages.ts';
import { workerConfig } from './worker-config.ts';

/** Kafka's own default of `transaction.timeout.ms`, which also is what a transaction may take beyond its interval. */
const TIMEOUT_MS = 60_000;

/** Without a transactional id every append is for itself; an interval that is not set is the worker's `offset.flush.interval.ms`, as in Connect. */
export function boundaryOf({ config, worker, cluster }: Pick<TaskOrder, 'config' | 'worker' | 'cluster'>): TransactionBoundary {
  const parsed = parseConfig(sourceConnectorConfig, config).config;
  const kind = parsed?.['transaction.boundary'] ?? 'poll';
  if (cluster?.transactionalId === undefined || kind === 'poll') return { by: 'append' };
  if (kind === 'connector') return { by: 'source' };
  const fallback = parseConfig(workerConfig, worker).config?.['offset.flush.interval.ms'] ?? TIMEOUT_MS;
  return { by: 'interval', intervalMs: parsed?.['transaction.boundary.interval.ms'] ?? fallback };
}

/**
 * How long the brokers let a transaction stay open where nobody has said: longer than its interval, or they would end what
 * goes on as it should. (Connect leaves 60 s to both, so that its default interval is at the edge.)
 */
export function transactionTimeout(order: Pick<TaskOrder, 'config' | 'worker' | 'cluster'>): Readonly<Record<string, string>> {
  const boundary = boundaryOf(order);
  if (boundary.by !== 'interval' || order.worker['producer.transaction.timeout.ms'] !== undefined) return {};
  return { 'transaction.timeout.ms': String(boundary.intervalMs + TIMEOUT_MS) };
}
