/**
 * Entry of a task's worker thread: opens the log and the plugin, runs one pipeline, reports. The thread does all of the
 * work on records, so the thread that answers REST is never kept from it.
 */
import { isMainThread, type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { ConfigError, RetriableError, TributaryError } from '../api/errors.ts';
import type { SourceSignal } from '../api/plugin.ts';
import { openLogger } from './logging.ts';
import { openTaskLog } from './open-log.ts';
import { findPlugin } from './plugins.ts';
import { runTask } from './task-run.ts';
import type { FromTask, TaskFailure, TaskOrder, ToTask } from './task-messages.ts';
import { TaskMetrics } from './task-metrics.ts';
import type { Preload } from './task-threads.ts';

const METRICS_INTERVAL_MS = 500;

/** Anything thrown → plain data. Unknown errors (a bug, an exhausted heap) are not tried again for ever: they fail the task. */
export function failureOf(error: unknown): TaskFailure {
  if (error instanceof TributaryError) {
    const { code, hint } = error;
    const causes = error.cause instanceof Error ? `\nCaused by: ${error.cause.message}` : '';
    return { message: error.message, code, hint, retriable: error instanceof RetriableError, trace: `${error.name}: ${error.message} [${code}]${hint === undefined ? '' : `\n${hint}`}${causes}` };
  }
  const known = error instanceof Error ? error : new Error(String(error));
  return { message: known.message, code: 'INTERNAL', hint: 'This is a defect; please report it with the trace.', retriable: false, trace: known.stack ?? known.message };
}

async function run(order: TaskOrder, port: MessagePort): Promise<TaskFailure | undefined> {
  const send = (message: FromTask): void => { port.postMessage(message); };
  const stop = new AbortController();
  const leveled = openLogger(order.logLevel);
  let answered: (refusal: string | undefined) => void = () => { /* nothing was asked */ };
  // Signals wait until the source is open; one that is no source never takes them.
  let deliver: ((signal: SourceSignal) => void) | undefined;
  const early: SourceSignal[] = [];
  const signals = (to: (signal: SourceSignal) => void): void => { deliver = to; early.splice(0).forEach(to); };
  port.on('message', (message: ToTask) => {
    if (message.kind === 'stop') stop.abort();
    else if (message.kind === 'owned') answered(message.refusal);
    else if (message.kind === 'level') leveled.setLevel(message.level);
    else if (message.kind === 'signal') { if (deliver === undefined) early.push(message.signal); else deliver(message.signal); }
  });
  const claimed = async (): Promise<void> => {
    if (order.cluster?.transactionalId === undefined) return;
    const word = new Promise<string | undefined>(done => { answered = done; stop.signal.addEventListener('abort', () => { done('The task was stopped'); }, { once: true }); });
    send({ kind: 'claimed' });
    const refusal = await word;
    if (refusal !== undefined) throw new RetriableError(refusal, { code: 'TASK_NOT_OWNED', hint: 'Nothing to do: the task runs where the group has put it.' });
  };
  const metrics = new TaskMetrics();
  const report = (): void => { send({ kind: 'metrics', samples: metrics.samples() }); };
  const timer = setInterval(report, METRICS_INTERVAL_MS);
  const logger = leveled.logger.child({ connector: order.connector, task: order.task });
  try {
    await using log = await openTaskLog(order, logger);
    await runTask(order, { log, logger, metrics, claimed, running: () => { send({ kind: 'running' }); }, topicSeen: topic => { send({ kind: 'topic', topic }); }, signals }, stop.signal);
    return undefined;
  } catch (error) {
    if (stop.signal.aborted && !(error instanceof ConfigError)) logger.warn({ reason: (error as Error).message }, 'task stopped with an error');
    return failureOf(error);
  } finally {
    clearInterval(timer);
    report();
  }
}

if (!isMainThread && parentPort !== null) {
  const port = parentPort;
  const { pluginsUrl, className } = workerData as Preload;
  // Its error is met again, and told, when the task runs.
  findPlugin(pluginsUrl, className).catch(() => undefined);
  port.once('message', (message: ToTask) => {
    if (message.kind !== 'order') throw new Error(`a task's thread was told '${message.kind}' before its order`);
    void run(message.order, port).then(failure => {
      port.postMessage({ kind: 'ended', failure } satisfies FromTask);
      port.close();
    });
  });
}
