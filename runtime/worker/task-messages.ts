/** What the REST thread and a task's thread say to each other. */
import type { SourceSignal } from '../api/plugin.ts';
import type { TopicOptions } from '../log/log.ts';
import type { MetricSample } from './herder.ts';
import type { LogLevel } from './log-levels.ts';

/** The log of a task in a cluster: topics of Kafka, source offsets in a topic of Connect's format. */
export interface ClusterLog {
  /** The worker's topic of source offsets, and what one of a connector's own is made with. */
  readonly offsetTopic: string;
  readonly offsetPartitions: number;
  readonly offsetReplicas: number;
  readonly offsetSettings: Readonly<Record<string, string>>;
  /** Records and offsets in transactions under this id: exactly once. */
  readonly transactionalId: string | undefined;
}

/** What a task's thread is to do; its first message. */
export interface TaskOrder {
  readonly connector: string;
  readonly task: number;
  /** How many tasks the connector has; one when left out. */
  readonly tasks?: number;
  /** Module whose `connectors` export lists the plugins. */
  readonly pluginsUrl: string;
  readonly config: Readonly<Record<string, string>>;
  readonly worker: Readonly<Record<string, string>>;
  readonly logDirectory: string;
  /** In place of the directory. */
  readonly cluster?: ClusterLog;
  /** What topics get that say nothing themselves. */
  readonly topics: TopicOptions;
  readonly logLevel: LogLevel;
}

/** To the task: first its order. After `stop` it drains, commits and ends; `owned` answers its `claimed`, with the reason when it may not go on. */
export type ToTask = { readonly kind: 'order'; readonly order: TaskOrder } | { readonly kind: 'stop' } | { readonly kind: 'signal'; readonly signal: SourceSignal } | { readonly kind: 'level'; readonly level: LogLevel } | { readonly kind: 'owned'; readonly refusal: string | undefined };

/** What made a task end, as plain data. */
export interface TaskFailure {
  readonly message: string;
  readonly code: string;
  readonly hint: string | undefined;
  readonly trace: string;
  /** Passing trouble: the worker starts the task again by itself. */
  readonly retriable: boolean;
}

export type FromTask =
  /** It has taken its transactional id and waits for word whether it is still the one to write under it. */
  | { readonly kind: 'claimed' }
  | { readonly kind: 'running' }
  | { readonly kind: 'topic'; readonly topic: string }
  | { readonly kind: 'metrics'; readonly samples: readonly MetricSample[] }
  | { readonly kind: 'ended'; readonly failure: TaskFailure | undefined };
