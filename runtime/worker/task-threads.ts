/**
 * Threads of tasks. Loading a plugin's modules takes a thread as long as the worker takes to open its log and its REST
 * listener, so threads for the connectors of the command line are started first and load beside it.
 */
import { Worker } from 'node:worker_threads';
import type { TaskOrder, ToTask } from './task-messages.ts';

/** Room for short-lived objects in a task's heap: rows die at once, and more room only makes the process larger. */
const YOUNG_MEGABYTES = 24;

/** What a thread loads before its order comes. */
export type Preload = Pick<TaskOrder, 'connector' | 'pluginsUrl'> & { readonly className: string; readonly task?: number };

function thread(preload: Preload): Worker {
  const module = new URL(`./task-thread${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);
  return new Worker(module, { workerData: preload, name: `${preload.connector}-${preload.task ?? 0}`, resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MEGABYTES } });
}

/** A thread that is told its order at once. */
export function startTaskThread(order: TaskOrder, threads?: TaskThreads): Worker {
  const started = threads?.take(order.connector) ?? thread({ connector: order.connector, task: order.task, pluginsUrl: order.pluginsUrl, className: order.config['connector.class'] ?? '' });
  started.postMessage({ kind: 'order', order } satisfies ToTask);
  return started;
}

/** Threads that wait for their orders. Disposing of it ends those that were never taken. */
export class TaskThreads implements Disposable {
  private readonly waiting = new Map<string, Worker>();

  warmUp(preload: Preload): void {
    const { connector } = preload;
    const started = thread(preload);
    this.waiting.set(connector, started);
    // One that cannot start is left to the task's own start, which tells why.
    started.once('error', () => { if (this.waiting.get(connector) === started) this.waiting.delete(connector); });
  }

  /** The thread that waits for this connector, once. */
  take(connector: string): Worker | undefined {
    const started = this.waiting.get(connector);
    this.waiting.delete(connector);
    return started;
  }

  [Symbol.dispose](): void {
    for (const started of this.waiting.values()) void started.terminate();
    this.waiting.clear();
  }
}
