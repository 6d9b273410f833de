/** One task from its configuration to its end: plugin, converters and transforms are opened, then the pipeline runs. */
import type { Transform } from '../api/converter.ts';
import { parseConfig, propertiesUnder } from '../api/config-parse.ts';
import type { ConfigDef, ConfigOf, ParseResult } from '../api/config.ts';
import { ConfigError } from '../api/errors.ts';
import type { Logger } from '../api/logger.ts';
import type { Metrics } from '../api/metrics.ts';
import { stringifyExact } from '../api/exact-json.ts';
import type { SinkPlugin, SinkRecord, SourcePlugin, SourceRecord, SourceSignal } from '../api/plugin.ts';
import { createConverter, createHeaderConverter, DEFAULT_CONVERTER, DEFAULT_HEADER_CONVERTER } from '../converters/converters.ts';
import type { Log } from '../log/log.ts';
import { DeadLetters } from '../pipeline/dead-letters.ts';
import type { SinkConverters } from '../pipeline/sink-batch.ts';
import { runSinkPipeline } from '../pipeline/sink-pipeline.ts';
import { runSourcePipeline, sourceWriter } from '../pipeline/source-pipeline.ts';
import { Tolerance, type ToleranceOptions } from '../pipeline/tolerance.ts';
import { createTransforms } from '../transforms/transforms.ts';
import { sinkConnectorConfig, sourceConnectorConfig } from './connector-config.ts';
import { findPlugin } from './plugins.ts';
import type { TaskOrder } from './task-messages.ts';
import { openFeed } from './topic-feed.ts';
import { boundaryOf } from './transaction-boundary.ts';

export interface TaskEnvironment {
  readonly log: Log;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Awaited when a source's writer is open and earlier ones are shut out; throws when this task may not write any more. */
  readonly claimed?: () => Promise<void>;
  /** Called once when the plugin is open. */
  readonly running: () => void;
  readonly topicSeen: (topic: string) => void;
  /** Where a source's signals go from now on. */
  readonly signals: (deliver: (signal: SourceSignal) => void) => void;
}
type Properties = Readonly<Record<string, string>>;

/** Throws ConfigError CONFIG_INVALID with all problems. */
function parsed<D extends ConfigDef>(def: D, properties: Properties): ParseResult<ConfigOf<D>> & { readonly config: ConfigOf<D> } {
  const result = parseConfig(def, properties);
  const { config, problems } = result;
  if (config === undefined) throw new ConfigError(problems.map(({ message }) => message).join('\n'), { code: 'CONFIG_INVALID', hint: 'Correct the configuration of this connector.' });
  return { ...result, config };
}
/** The plugin's part; what neither it nor the worker knows is named in the log. */
function parsedPlugin<D extends ConfigDef>(def: D, properties: Properties, logger: Logger): { readonly config: ConfigOf<D>; readonly extra: Properties } {
  const { config, extra, unknown } = parsed(def, properties);
  for (const { option, nearest } of unknown) logger.warn({ option, ...(nearest === undefined ? {} : { meant: nearest }) }, 'unknown option');
  return { config, extra };
}

/** The converter for each role, with the connector's settings before the worker's. */
export function convertersFor(config: Properties, worker: Properties): SinkConverters {
  const pick = (role: string, fallback: string): [string, Properties] => {
    const own = config[role];
    return own === undefined ? [worker[role] ?? fallback, propertiesUnder(role, worker)] : [own, propertiesUnder(role, config)];
  };
  return {
    key: createConverter('key.converter', ...pick('key.converter', DEFAULT_CONVERTER)),
    value: createConverter('value.converter', ...pick('value.converter', DEFAULT_CONVERTER)),
    header: createHeaderConverter(...pick('header.converter', DEFAULT_HEADER_CONVERTER)),
  };
}

/** Ends when `signal` aborts; throws what made the task fail. */
export async function runTask(order: TaskOrder, environment: TaskEnvironment, signal: AbortSignal): Promise<void> {
  const plugin = await findPlugin(order.pluginsUrl, order.config['connector.class'] ?? '');
  environment.logger.info({ class: plugin.names[0] }, 'task starting');
  if (plugin.kind === 'source') await runSource(plugin, order, environment, signal);
  else await runSink(plugin, order, environment, signal);
  environment.logger.info({}, 'task stopped');
}

/** `errors.*` of a connector. */
function toleranceOf(common: Pick<ConfigOf<typeof sourceConnectorConfig>, 'errors.tolerance' | 'errors.retry.timeout' | 'errors.retry.delay.max.ms' | 'errors.log.enable' | 'errors.log.include.messages'>): ToleranceOptions {
  return {
    tolerance: common['errors.tolerance'], retryTimeoutMs: common['errors.retry.timeout'], retryDelayMaxMs: common['errors.retry.delay.max.ms'],
    log: common['errors.log.enable'], logMessages: common['errors.log.include.messages'],
  };
}

async function runSource(plugin: SourcePlugin, order: TaskOrder, { log, logger, metrics, claimed, running, topicSeen, signals }: TaskEnvironment, signal: AbortSignal): Promise<void> {
  const { config: common } = parsed(sourceConnectorConfig, order.config);
  const boundary = boundaryOf(order);
  const { config, extra } = parsedPlugin(plugin.config, order.config, logger);
  const { key, value, header } = convertersFor(order.config, order.worker);
  const transforms = createTransforms(order.config) as readonly Transform<SourceRecord>[];
  const memory = log.state('source-memory');
  // First: what an earlier task left open is ended by it, so that the offset read below is the last one there is.
  await using writer = await log.writer(sourceWriter(order.connector));
  await claimed?.();
  await using task = await plugin.open(config, {
    connector: order.connector, task: order.task, logger, metrics, ...(boundary.by === 'source' ? { definesTransactions: true } : {}),
    memory: { get: () => memory.get(order.connector), put: text => memory.put([[order.connector, text]]) },
    feed: request => openFeed(log, order, request, logger),
    offset: async partition => {
      const wanted = stringifyExact(partition);
      return (await log.sourceOffsets(order.connector)).find(stored => stringifyExact(stored.partition) === wanted)?.offset;
    },
  }, extra);
  signals(signal => { task.signal?.(signal); });
  running();
  await runSourcePipeline({
    connector: order.connector, task, log, writer, boundary, keyConverter: key, valueConverter: value,
    headerConverter: header, transforms, metrics, topicSeen, tolerance: new Tolerance(toleranceOf(common), { logger, metrics }),
  }, signal);
}

async function runSink(plugin: SinkPlugin, order: TaskOrder, { log, logger, metrics, running, topicSeen }: TaskEnvironment, signal: AbortSignal): Promise<void> {
  const { config: common } = parsed(sinkConnectorConfig, order.config);
  const { config, extra } = parsedPlugin(plugin.config, order.config, logger);
  const regex = common['topics.regex'] === '' ? undefined : new RegExp(`^(?:${common['topics.regex']})$`, 'u');
  const dead = common['errors.deadletterqueue.topic.name'];
  const letters = dead === '' ? undefined : await DeadLetters.open(log, { topic: dead, contextHeaders: common['errors.deadletterqueue.context.headers.enable'], connector: order.connector, task: order.task });
  try {
    await using task = await plugin.open(config, { connector: order.connector, task: order.task, logger, metrics }, extra);
    running();
    await runSinkPipeline({
      connector: order.connector, group: `connect-${order.connector}`, task, log, topics: { names: common.topics, regex },
      share: { task: order.task, of: order.tasks ?? 1, by: plugin.shares ?? 'partitions', names: common.topics }, converters: convertersFor(order.config, order.worker),
      transforms: createTransforms(order.config) as readonly Transform<SinkRecord>[], tolerance: toleranceOf(common), deadLetters: letters, logger, metrics, topicSeen,
    }, signal);
  } finally { await letters?.[Symbol.asyncDispose](); }
}
