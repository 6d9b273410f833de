/** A PostgreSQL source with its pipeline over a log, as a task's thread runs it. */
import { postgresConfig } from '../../connectors/sources/postgres/config.ts';
import { openTask } from '../../connectors/sources/postgres/task.ts';
import { parseConfig } from '../../runtime/api/config-parse.ts';
import { stringifyExact } from '../../runtime/api/exact-json.ts';
import type { Logger } from '../../runtime/api/logger.ts';
import { createHeaderConverter, DEFAULT_HEADER_CONVERTER } from '../../runtime/converters/converters.ts';
import { jsonConverter } from '../../runtime/converters/json.ts';
import type { Log } from '../../runtime/log/log.ts';
import { runSourcePipeline } from '../../runtime/pipeline/source-pipeline.ts';

const NAME = 'source';

/** Ends when `signal` aborts. `remembering` stands around each write of the source's own memory. */
export async function runSource(log: Log, properties: Readonly<Record<string, string>>, logger: Logger, signal: AbortSignal, remembering: (work: () => Promise<void>) => Promise<void> = work => work()): Promise<void> {
  const { config, problems, extra } = parseConfig(postgresConfig, properties);
  if (config === undefined) throw new Error(JSON.stringify(problems));
  const metrics = { set: () => { /* not looked at */ }, add: () => { /* not looked at */ } };
  const memory = log.state('source-memory');
  await using task = await openTask(config, {
    connector: NAME, task: 0, logger, metrics,
    memory: { get: () => memory.get(NAME), put: text => remembering(() => memory.put([[NAME, text]])) },
    offset: async partition => (await log.sourceOffsets(NAME)).find(stored => stringifyExact(stored.partition) === stringifyExact(partition))?.offset,
  }, extra);
  const converter = jsonConverter({ schemas: false });
  await runSourcePipeline({ connector: NAME, task, log, keyConverter: converter, valueConverter: converter, headerConverter: createHeaderConverter(DEFAULT_HEADER_CONVERTER, {}), transforms: [], metrics, topicSeen: () => { /* not asked for */ } }, signal);
}
