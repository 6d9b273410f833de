/** One connector in this worker: its target state, its task's thread, and what REST shows of both. */
import type { Worker } from 'node:worker_threads';
import { ConflictError, RetriableError } from '../api/errors.ts';
import type { Logger } from '../api/logger.ts';
import type { SourceSignal } from '../api/plugin.ts';
import type { ConnectorConfig, ConnectorStatus, MetricSample, State, StateInfo, TargetState, TaskStatus } from './herder.ts';
import type { LogLevel } from './log-levels.ts';
import { RestartPolicy } from './restart-policy.ts';
import type { FromTask, TaskFailure, TaskOrder, ToTask } from './task-messages.ts';
import { startTaskThread, type TaskThreads } from './task-threads.ts';

export interface ConnectorFacts {
  readonly name: string;
  /** Number of the task, where it is one of several; 0 when left out. */
  readonly task?: number;
  readonly type: 'source' | 'sink';
  readonly version: string;
  readonly workerId: string;
  readonly logger: Logger;
  readonly graceMs: number;
  readonly order: (config: ConnectorConfig) => TaskOrder;
  readonly topicSeen: (topic: string) => void;
  /** Where a thread may wait for the first start already. */
  readonly threads?: TaskThreads;
  /** Told after each change of the task's state or trace. */
  readonly changed?: (status: TaskStatus) => void;
  /** Awaited before each start of the task; what it throws fails the task. */
  readonly before?: () => Promise<void>;
  /** Asked when a source task has shut earlier writers out; what it throws keeps the task from writing. Only where delivery is exactly once. */
  readonly claimed?: () => Promise<void>;
}
interface Running { readonly thread: Worker; readonly ended: Promise<void>; stopping: boolean }

export class Connector {
  readonly facts: ConnectorFacts;
  config: ConnectorConfig;
  target: TargetState;
  samples: readonly MetricSample[] = [];
  private running: Running | undefined;
  private current: { readonly state: State; readonly trace: string | undefined } = { state: 'UNASSIGNED', trace: undefined };
  private retry: NodeJS.Timeout | undefined;
  /** When the task starts again by itself, in milliseconds since 1970; 0 = it is not waiting for that. */
  private nextAttempt = 0;
  private readonly policy = new RestartPolicy();
  private restarts = 0;
  private step: Promise<void> = Promise.resolve();
  /** Changes that wait for their turn. They look at configuration and target when it comes, so one of a kind is enough. */
  private applying: Promise<void> | undefined;
  private restarting: Promise<void> | undefined;
  private closing = false;

  constructor(facts: ConnectorFacts, config: ConnectorConfig, target: TargetState) {
    this.facts = facts;
    this.config = config;
    this.target = target;
  }

  private get state(): State { return this.current.state; }
  private get task(): number { return this.facts.task ?? 0; }
  private show(state: State, trace?: string): void {
    if (state === this.current.state && trace === this.current.trace) return;
    this.current = { state, trace };
    this.facts.changed?.(this.taskStatus());
  }

  /** One change of state after the other. */
  private inTurn(change: () => Promise<void>): Promise<void> {
    const next = this.step.then(change);
    this.step = next.catch(() => { /* met by its own caller */ });
    return next;
  }

  /** Brings the task into the target state. */
  apply(): Promise<void> {
    return this.applying ??= this.inTurn(async () => {
      this.applying = undefined;
      if (this.closing) return;
      this.policy.reset();
      if (this.target === 'RUNNING') { this.unassigned = false; if (this.running === undefined) await this.start(); return; }
      await this.halt();
      this.show(this.target);
    });
  }
  /** Stops the task, takes the configuration as it is now, and starts it where the target says so. */
  restart(): Promise<void> {
    this.show('RESTARTING', this.current.trace);
    return this.restarting ??= this.inTurn(async () => {
      this.restarting = undefined;
      if (this.closing) return;
      await this.halt();
      this.policy.reset();
      if (this.target === 'RUNNING') await this.start(); else this.show(this.target);
    });
  }
  /** What was asked for before and has not begun is left out. */
  close(): Promise<void> {
    this.closing = true;
    return this.inTurn(async () => {
      try { await this.halt(); } finally { this.closing = false; }
    });
  }
  /** From now on the running task logs at this level; one that starts later is told by its order. */
  setLogLevel(level: LogLevel): void { this.running?.thread.postMessage({ kind: 'level', level } satisfies ToTask); }
  /** Hands a signal to the running task. Throws ConflictError TASK_NOT_RUNNING. */
  signal(signal: SourceSignal): void {
    if (this.running === undefined || this.running.stopping) throw new ConflictError(`The task of connector ${this.facts.name} does not run, so it cannot take a signal`, { code: 'TASK_NOT_RUNNING' });
    this.running.thread.postMessage({ kind: 'signal', signal } satisfies ToTask);
  }
  /** Ends the thread at once; what it had not appended is read again by the next one. */
  terminate(): void { void this.running?.thread.terminate(); }

  private async start(): Promise<void> {
    clearTimeout(this.retry);
    this.retry = undefined;
    this.nextAttempt = 0;
    this.policy.started();
    let order: TaskOrder;
    try {
      await this.facts.before?.();
      order = this.facts.order(this.config);
    } catch (error) {
      const { message } = error as Error;
      const passing = error instanceof RetriableError || error instanceof ConflictError;
      if (passing) this.again({ message, code: error.code, hint: error.hint, trace: message, retriable: true });
      else this.fail({ message, code: 'CONFIG_UNRESOLVED', hint: 'Mend what the configuration refers to and restart the connector.', trace: message, retriable: false });
      return;
    }
    const thread = startTaskThread(order, this.facts.threads);
    let failure: TaskFailure | undefined;
    let told = false;
    const ended = new Promise<void>(done => {
      thread.on('message', (message: FromTask) => {
        if (message.kind === 'running') this.show('RUNNING');
        else if (message.kind === 'claimed') void this.answerClaim(thread);
        else if (message.kind === 'metrics') this.samples = message.samples;
        else if (message.kind === 'topic') this.facts.topicSeen(message.topic);
        else { told = true; failure = message.failure; }
      });
      thread.on('error', error => { told = true; failure = { message: error.message, code: 'THREAD_DIED', hint: undefined, retriable: true, trace: error.stack ?? error.message }; });
      thread.on('exit', code => { if (!told) failure = { message: `The task's thread ended with status ${code}`, code: 'THREAD_DIED', hint: undefined, retriable: true, trace: `thread exit ${code}` }; done(); });
    });
    const running: Running = { thread, ended, stopping: false };
    this.running = running;
    if (this.state !== 'RESTARTING' || this.restarts === 0) this.show('RUNNING', this.current.trace);
    void ended.then(() => { this.finished(running, failure); });
  }

  private async answerClaim(thread: Worker): Promise<void> {
    const refusal = await this.facts.claimed?.().then(() => undefined, (error: unknown) => (error as Error).message);
    thread.postMessage({ kind: 'owned', refusal } satisfies ToTask);
  }

  private finished(running: Running, failure: TaskFailure | undefined): void {
    if (this.running === running) this.running = undefined;
    if (running.stopping || this.target !== 'RUNNING') return;
    // A worker that did not know yet that its task is another's took the id: the rightful one, this, takes it back.
    const robbed = failure?.code === 'LOG_WRITER_FENCED' && this.facts.claimed !== undefined;
    if (failure !== undefined && !failure.retriable && !robbed) this.fail(failure); else this.again(failure);
  }

  /** After a pause. */
  private again(failure: TaskFailure | undefined): void {
    const { logger, name } = this.facts;
    const delay = this.policy.failed();
    this.restarts++;
    this.nextAttempt = Date.now() + delay;
    const at = new Date(this.nextAttempt).toISOString();
    this.show('RESTARTING', `${failure?.trace ?? 'The task ended by itself.'}\nAttempt ${this.policy.attempt} failed; the next one is at ${at}.`);
    logger.warn({ connector: name, task: this.task, code: failure?.code, reason: failure?.message, attempt: this.policy.attempt, retryMs: delay }, 'task restarts');
    this.retry = setTimeout(() => { void this.inTurn(async () => { if (this.target === 'RUNNING' && this.running === undefined) await this.start(); }); }, delay);
  }

  private fail(failure: TaskFailure): void {
    this.show('FAILED', failure.trace);
    this.facts.logger.error({ connector: this.facts.name, task: this.task, code: failure.code, reason: failure.message, hint: failure.hint }, 'task failed');
  }

  private async halt(): Promise<void> {
    clearTimeout(this.retry);
    this.retry = undefined;
    this.nextAttempt = 0;
    const { running } = this;
    if (running === undefined) return;
    running.stopping = true;
    running.thread.postMessage({ kind: 'stop' } satisfies ToTask);
    const timer = setTimeout(() => {
      this.facts.logger.warn({ connector: this.facts.name, task: this.task, graceMs: this.facts.graceMs }, 'task did not stop in time');
      void running.thread.terminate();
    }, this.facts.graceMs);
    try { await running.ended; } finally { clearTimeout(timer); }
    this.running = undefined;
  }

  /** Metrics of the task and of its life. */
  metrics(): readonly MetricSample[] {
    const labels = { connector: this.facts.name, task: String(this.task) };
    const own: MetricSample[] = [
      { name: 'task_running', kind: 'gauge', value: this.state === 'RUNNING' ? 1 : 0, labels },
      { name: 'task_restarts', kind: 'counter', value: this.restarts, labels },
      { name: 'task_next_attempt_timestamp_seconds', kind: 'gauge', value: this.nextAttempt / 1000, labels },
    ];
    return [...own, ...this.samples.map(sample => ({ ...sample, labels: { ...labels, ...sample.labels } }))];
  }

  /** Made in the state PAUSED and never run since: such a connector has no task yet, as in Connect. */
  unassigned = false;
  get tasks(): number { return this.target === 'STOPPED' || (this.unassigned && this.target === 'PAUSED') ? 0 : 1; }
  private info(state: State, trace: string | undefined): StateInfo {
    return { state, worker_id: this.facts.workerId, version: this.facts.version, ...(trace === undefined ? {} : { trace }) };
  }
  taskStatus(): TaskStatus { return { id: this.task, ...this.info(this.current.state, this.current.trace) }; }
  status(): ConnectorStatus {
    const state: State = this.target === 'RUNNING' ? 'RUNNING' : this.target;
    return { name: this.facts.name, connector: this.info(state, undefined), tasks: this.tasks === 0 ? [] : [this.taskStatus()], type: this.facts.type };
  }
  /** The answer of a restart request: what is about to restart, in state RESTARTING; a failed task's trace stays in it. */
  statusWhileRestarting(parts: { readonly connector: boolean; readonly task: boolean }): ConnectorStatus {
    const now = this.status();
    return { ...now, connector: parts.connector ? { ...now.connector, state: 'RESTARTING' } : now.connector, tasks: parts.task ? now.tasks.map(task => ({ ...task, state: 'RESTARTING' })) : now.tasks };
  }
  get failed(): boolean { return this.state === 'FAILED'; }
}
