/** The commands of `tributary`. Only parsing and printing; what a command does is handed in or stands in its own file. */
import { Command, InvalidArgumentError } from 'commander';
import { ConfigError, TributaryError } from '../api/errors.ts';
import type { ConfigDef, ConfigOf } from '../api/config.ts';
import { parseConfig } from '../api/config-parse.ts';
import { type DistributedConfig, distributedConfig } from '../cluster/distributed-config.ts';
import { resolveWorker } from '../config-providers.ts';
import { readConfigFile } from '../properties.ts';
import { diagnose, hasErrors, reportText } from './doctor.ts';
import type { LogPlace } from './log-view.ts';
import { loadPlugins } from './plugins.ts';
import { listTopics, readTopic } from './read-command.ts';
import { type WorkerConfig, workerConfig } from './worker-config.ts';

export interface StandaloneRequest {
  readonly config: WorkerConfig;
  readonly properties: Readonly<Record<string, string>>;
  readonly connectors: readonly Readonly<Record<string, string>>[];
  readonly ephemeral: boolean;
}
export interface DistributedRequest {
  readonly config: DistributedConfig;
  readonly properties: Readonly<Record<string, string>>;
}
export interface CommandLine {
  readonly version: string;
  readonly pluginsUrl: string;
  /** Runs until it is told to stop. */
  readonly standalone: (request: StandaloneRequest) => Promise<void>;
  /** The same for a worker of a cluster. */
  readonly distributed: (request: DistributedRequest) => Promise<void>;
}

/** A worker file, parsed. Throws ConfigError with all problems at once. */
function readFileOf<D extends ConfigDef>(file: string, def: D): { readonly config: ConfigOf<D>; readonly properties: Readonly<Record<string, string>> } {
  const properties = resolveWorker(readConfigFile(file));
  const { config, problems, unknown } = parseConfig(def, properties);
  if (config === undefined) throw new ConfigError(`${file}: ${problems.map(({ message }) => message).join('; ')}`, { code: 'WORKER_CONFIG', hint: 'Correct the worker file.' });
  for (const { option, nearest } of unknown) {
    if (nearest !== undefined) throw new ConfigError(`${file}: unknown option ${option}`, { code: 'WORKER_OPTION', hint: `Did you mean ${nearest}?` });
    process.stderr.write(`${file}: unknown option ${option} is ignored\n`);
  }
  return { config, properties };
}
/** The file of a standalone worker. */
export function readWorkerFile(file: string): { readonly config: WorkerConfig; readonly properties: Readonly<Record<string, string>> } { return readFileOf(file, workerConfig); }

function connectorFile(file: string): Readonly<Record<string, string>> {
  const config = readConfigFile(file);
  if (config['name'] === undefined) throw new ConfigError(`${file}: the connector has no name`, { code: 'CONNECTOR_NAME', hint: 'Add name=… to the file.' });
  return config;
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('a whole number from 0 is needed');
  return value;
}

/** The directory from `--log-dir` or from a worker file; the cluster that the worker file names, where it does. */
function placeOf({ logDir, worker }: { readonly logDir?: string; readonly worker?: string }): LogPlace {
  if (logDir !== undefined || worker === undefined) return { directory: logDir ?? 'tributary-log' };
  const distributed = 'group.id' in readConfigFile(worker);
  const { config, properties } = distributed ? readFileOf(worker, distributedConfig) : readWorkerFile(worker);
  return config['bootstrap.servers'].length > 0 ? { worker: properties } : { directory: config['log.dir'] };
}

/** Exit status: 0 done, 1 refused or failed, 2 wrong usage. */
export async function runCommandLine(argv: readonly string[], { version, pluginsUrl, standalone, distributed }: CommandLine): Promise<number> {
  const print = (line: string): void => { process.stdout.write(`${line}\n`); };
  let status = 0;
  const program = new Command('tributary').description('Change data capture: databases → a durable log → Iceberg and Delta tables').version(version).exitOverride().showHelpAfterError();
  program.command('standalone').description('run one worker, as connect-standalone is called').argument('<worker>', 'worker .properties file').argument('[connectors...]', 'connector files, .properties or JSON')
    .option('--ephemeral', 'forget connectors made by REST when the worker ends')
    .action(async (worker: string, files: string[], options: { readonly ephemeral?: boolean }) => { await standalone({ ...readWorkerFile(worker), connectors: files.map(connectorFile), ephemeral: options.ephemeral === true }); });
  program.command('distributed').description('run one worker of a cluster over Apache Kafka, as connect-distributed is called').argument('<worker>', 'worker .properties file')
    .action(async (worker: string) => { await distributed(readFileOf(worker, distributedConfig)); });
  program.command('topics').description('list the topics of a log').option('--log-dir <directory>', 'directory of the log').option('--worker <file>', 'worker file that names it, or a Kafka cluster (bootstrap.servers)')
    .action(async (options: { readonly logDir?: string; readonly worker?: string }) => { await listTopics(placeOf(options), print); });
  program.command('read').description('print the records of a topic').argument('<topic>').option('--log-dir <directory>', 'directory of the log').option('--worker <file>', 'worker file that names it, or a Kafka cluster (bootstrap.servers)')
    .option('--partition <number>', 'partition', count, 0).option('--from <offset>', 'first offset', count, 0).option('--max <number>', 'the most records', count).option('--follow', 'wait for more').option('--keys', 'print offset and key as well')
    .action(async (topic: string, options: { readonly logDir?: string; readonly worker?: string; readonly partition: number; readonly from: number; readonly max?: number; readonly follow?: boolean; readonly keys?: boolean }) => {
      const stop = new AbortController();
      process.once('SIGINT', () => { stop.abort(); });
      await readTopic(placeOf(options), { topic, partition: options.partition, from: options.from, max: options.max ?? Infinity, follow: options.follow === true, keys: options.keys === true }, print, stop.signal);
    });
  program.command('doctor').description('look for what would stop or hurt a connector, and say what mends it').argument('<files...>', 'connector and worker files, .properties or JSON')
    .option('--json', 'print JSON').option('--timeout <seconds>', 'longest look at one database', count, 60)
    .action(async (files: string[], options: { readonly json?: boolean; readonly timeout: number }) => { status = await examine(files, pluginsUrl, options, print); });
  program.command('plugins').description('list the connectors that are built in')
    .action(async () => { for (const plugin of await loadPlugins(pluginsUrl)) print(`${plugin.kind.padEnd(6)}  ${plugin.version.padEnd(12)}  ${plugin.names.join(', ')}`); });
  try { await program.parseAsync(argv, { from: 'user' }); } catch (error) { return failed(error); }
  return status;
}

/** Exit status: 0 nothing that hinders, 1 errors were found, 2 a file cannot be read. */
async function examine(files: readonly string[], pluginsUrl: string, { json, timeout }: { readonly json?: boolean; readonly timeout: number }, print: (line: string) => void): Promise<number> {
  try {
    const diagnoses = await diagnose(files, { pluginsUrl, limitMs: timeout * 1000 });
    print(json === true ? JSON.stringify(diagnoses, null, 2) : reportText(diagnoses));
    return hasErrors(diagnoses) ? 1 : 0;
  } catch (error) { if (!(error instanceof ConfigError)) throw error; failed(error); return 2; }
}

function failed(error: unknown): number {
  const { code, exitCode } = error as { readonly code?: string; readonly exitCode?: number };
  if (typeof code === 'string' && code.startsWith('commander.')) return exitCode === 0 ? 0 : 2;
  if (error instanceof TributaryError) process.stderr.write(`${error.message} [${error.code}]\n${error.hint === undefined ? '' : `${error.hint}\n`}`);
  else process.stderr.write(`${error instanceof Error ? error.stack ?? error.message : String(error)}\n`);
  return 1;
}
