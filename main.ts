#!/usr/bin/env node
/**
 * Properties → plugins → worker → REST. The one file that knows all four folders. What only one command needs is loaded by
 * that command; the threads of tasks load their own parts meanwhile.
 */
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { type DistributedRequest, type StandaloneRequest, runCommandLine } from './runtime/worker/command-line.ts';
import { LogLevels, loggerNames } from './runtime/worker/log-levels.ts';
import { namedLogger } from './runtime/worker/logging.ts';
import { StandaloneWorker } from './runtime/worker/standalone.ts';
import { TaskThreads } from './runtime/worker/task-threads.ts';
import { ThreadPriority } from './runtime/worker/thread-priority.ts';

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const pluginsUrl = new URL(`./connectors/index.${extension}`, import.meta.url).href;
// Apart from the functions below: tsc leaves the `.ts` of an import that stands in a function with `using`.
const loadRest = async (): Promise<typeof import('./rest/server.ts')> => import('./rest/server.ts');
const loadAdvertised = async (): Promise<typeof import('./runtime/cluster/advertised.ts')> => import('./runtime/cluster/advertised.ts');
const loadCluster = async (): Promise<typeof import('./runtime/cluster/open.ts')> => import('./runtime/cluster/open.ts');
const { version } = JSON.parse(readFileSync(new URL(extension === 'ts' ? './package.json' : '../package.json', import.meta.url), 'utf8')) as { readonly version: string };

/** SIGTERM or SIGINT; a second one ends the process at once. */
function endSignal(): Promise<string> {
  return new Promise<string>(stop => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => { process.once(signal, () => process.exit(130)); stop(signal); });
  });
}

/** Runs until SIGTERM or SIGINT: tasks drain and commit, then the process ends; a second signal ends it at once. */
async function standalone({ config, properties, connectors, ephemeral }: StandaloneRequest): Promise<void> {
  const levels = new LogLevels(config['log.level']);
  const logger = namedLogger(levels, loggerNames.worker);
  const stopped = endSignal();
  using _priority = new ThreadPriority();
  using threads = new TaskThreads();
  for (const { name = '', 'connector.class': className = '' } of connectors) threads.warmUp({ connector: name, pluginsUrl, className });
  const { startRest } = await loadRest();
  await using worker = await StandaloneWorker.open({ config, properties, pluginsUrl, logger, levels, commit: `tributary-${version}`, ephemeral, threads });
  await using rest = await startRest({ herder: worker, config, properties, logger: namedLogger(levels, loggerNames.rest), levels, version });
  worker.listening(rest.port);
  logger.info({ url: rest.url, log: config['log.dir'], node: process.version }, 'worker started');
  await worker.start(connectors);
  const signal = await stopped;
  logger.info({ signal }, 'worker stopping');
}

/** The same for a worker of a cluster. One that cannot go on ends with the reason, as Connect's does. */
async function distributed({ config, properties }: DistributedRequest): Promise<void> {
  const levels = new LogLevels(config['log.level']);
  const logger = namedLogger(levels, loggerNames.worker);
  const stopped = endSignal();
  using _priority = new ThreadPriority();
  const [{ startRest }, { advertisedAddress }, { openDistributed }] = await Promise.all([loadRest(), loadAdvertised(), loadCluster()]);
  const advertised = advertisedAddress(config, properties);
  await using worker = await openDistributed({ config, properties, pluginsUrl, logger, levels, commit: `tributary-${version}` }, advertised);
  await using rest = await startRest({ herder: worker.herder, config, properties, logger: namedLogger(levels, loggerNames.rest), levels, version });
  logger.info({ url: rest.url, advertised: advertised.url, group: config['group.id'], node: process.version }, 'worker started');
  const signal = await Promise.race([stopped, worker.start().then(() => stopped)]);
  logger.info({ signal }, 'worker stopping');
}

// All heaps of the process grow by half of what lives in them before they are collected, not to up to four times of it: a
// task's live objects are few, and what is alive between two batches would make the process larger for nothing.
setFlagsFromString('--heap-growing-percent=50');
process.exitCode = await runCommandLine(process.argv.slice(2), { version, pluginsUrl, standalone, distributed });
