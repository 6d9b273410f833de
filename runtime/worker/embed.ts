/** The worker inside another Node program: `import { openWorker } from 'tributary'`. */
import type { Logger } from '../api/logger.ts';
import { parseConfig } from '../api/config-parse.ts';
import { ConfigError } from '../api/errors.ts';
import type { Herder } from './herder.ts';
import { LogLevels, loggerNames } from './log-levels.ts';
import { namedLogger } from './logging.ts';
import { StandaloneWorker } from './standalone.ts';
import { workerConfig } from './worker-config.ts';

export type { Herder } from './herder.ts';

export interface EmbedOptions {
  /** The worker file's keys, `log.dir` above all. The REST listener is not opened. */
  readonly worker: Readonly<Record<string, string>>;
  /** One map per connector, with `name` and `connector.class`, as in a connector file. */
  readonly connectors?: readonly Readonly<Record<string, string>>[];
  /** Module with a `connectors` export, for programs that bring plugins of their own; the built-in ones when left out. */
  readonly pluginsUrl?: string;
  readonly logger?: Logger;
}

/**
 * Opens the log, starts the connectors and answers the worker, which is steered as REST steers it. Disposing of it drains
 * and commits. Throws ConfigError with all problems of the worker's keys, or of a connector's.
 */
export async function openWorker(options: EmbedOptions): Promise<Herder & AsyncDisposable> {
  const { config, problems } = parseConfig(workerConfig, options.worker);
  if (config === undefined) throw new ConfigError(problems.map(({ message }) => message).join('\n'), { code: 'WORKER_CONFIG', hint: 'Correct the worker keys.' });
  const pluginsUrl = options.pluginsUrl ?? new URL(`../../connectors/index.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url).href;
  const levels = new LogLevels(config['log.level']);
  const worker = await StandaloneWorker.open({ config, properties: options.worker, pluginsUrl, logger: options.logger ?? namedLogger(levels, loggerNames.worker), levels, commit: 'embedded', ephemeral: true });
  try { await worker.start(options.connectors ?? []); } catch (error) { await worker[Symbol.asyncDispose](); throw error; }
  return worker;
}
