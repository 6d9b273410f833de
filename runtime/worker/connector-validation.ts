/** What can be wrong with a connector's configuration, and which classes there are to name in one: the same in every kind of worker. */
import type { Problem } from '../api/config.ts';
import { parseConfig } from '../api/config-parse.ts';
import { ConfigError, TributaryError } from '../api/errors.ts';
import { configProviders, resolveProviders } from '../config-providers.ts';
import { transformProblems } from '../transforms/transforms.ts';
import { overrideProblems } from './client-overrides.ts';
import type { SourcePlugin } from '../api/plugin.ts';
import { sinkConnectorConfig, sourceConnectorConfig } from './connector-config.ts';
import type { ConnectorConfig, PluginEntry } from './herder.ts';
import { parts } from './parts.ts';
import { findPlugin, loadPlugins } from './plugins.ts';
import { withoutClass } from './secrets.ts';
import { convertersFor } from './task-run.ts';

/** Kafka Connect's version whose REST contract is kept (ruling in docs/compatibility.md). */
export const CONNECT_VERSION = '4.3.1';
const PREFLIGHT_MS = 10_000;

export interface ValidationScope {
  readonly pluginsUrl: string;
  /** The worker file's raw text, for converters. */
  readonly properties: Readonly<Record<string, string>>;
  /** Only in a cluster: whether its sources deliver exactly once. Elsewhere what connectors ask for in this is not looked at, as in Connect. */
  readonly exactlyOnce?: boolean;
}

/**
 * Declaration, converters, transforms, and with `live` the plugin's look at the system. Throws ConfigError CLASS_MISSING
 * or PROVIDER_…, NotFoundError PLUGIN_UNKNOWN.
 */
export async function connectorProblems(given: ConnectorConfig, { pluginsUrl, properties, exactlyOnce }: ValidationScope, signal: AbortSignal, live: boolean): Promise<readonly Problem[]> {
  const config = resolveProviders(given, configProviders(properties));
  const type = config['connector.class'];
  if (type === undefined) throw new ConfigError(withoutClass(given), { code: 'CLASS_MISSING' });
  const plugin = await findPlugin(pluginsUrl, type);
  const worker = parseConfig(plugin.kind === 'source' ? sourceConnectorConfig : sinkConnectorConfig, config);
  const own = parseConfig(plugin.config, config);
  const found = [...worker.problems, ...own.problems.filter(({ option }) => !worker.problems.some(problem => problem.option === option))];
  try { convertersFor(config, properties); } catch (error) {
    if (!(error instanceof TributaryError)) throw error;
    found.push({ option: /configuration (\S+?):/.exec(error.message)?.[1] ?? 'value.converter', message: error.message });
  }
  if (exactlyOnce !== undefined && plugin.kind === 'source') found.push(...exactlyOnceProblems(plugin, config, exactlyOnce).filter(({ option }) => !found.some(problem => problem.option === option)));
  found.push(...transformProblems(config), ...overrideProblems(config, properties));
  if (live && own.config !== undefined && plugin.preflight !== undefined) found.push(...await plugin.preflight(own.config, signal));
  return found;
}

/** What stands against exactly-once delivery where it is required, in the words of Connect's DistributedHerder. */
function exactlyOnceProblems(plugin: SourcePlugin, config: ConnectorConfig, enabled: boolean): Problem[] {
  const found: Problem[] = [];
  const support = 'exactly.once.support', boundary = 'transaction.boundary';
  if (config[support]?.trim().toLowerCase() === 'required') {
    if (!enabled) found.push({ option: support, message: 'This worker does not have exactly-once source support enabled.' });
    const given = plugin.exactlyOnce?.(config);
    if (given === undefined) found.push({ option: support, message: 'The connector does not implement the API required for preflight validation of exactly-once source support. Please consult the documentation for the connector to determine whether it supports exactly-once semantics, and then consider reconfiguring the connector to use the value "requested" for this property (which will disable this preflight check and allow the connector to be created).' });
    else if (!given) found.push({ option: support, message: 'The connector does not support exactly-once semantics with the provided configuration.' });
  }
  if (config[boundary]?.trim().toLowerCase() === 'connector' && plugin.definesTransactions?.(config) !== true) {
    found.push({ option: boundary, message: 'The connector does not support connector-defined transaction boundaries with the given configuration. Please reconfigure it to use a different transaction boundary definition.' });
  }
  return found;
}

/**
 * Throws ConfigError CONFIG_INVALID with all problems, in Connect's words. With `live` also what of the plugin's look at the
 * system makes a connector useless from the start, as Debezium has it for a request. Not so for files: a worker comes up
 * without its database and waits for it.
 */
export async function checkConnector(config: ConnectorConfig, scope: ValidationScope, live: boolean): Promise<void> {
  const problems = (await connectorProblems(config, scope, AbortSignal.timeout(PREFLIGHT_MS), live)).filter(({ later }) => later !== true);
  if (problems.length === 0) return;
  const lines = problems.map(({ message }) => message).join('\n');
  throw new ConfigError(`Connector configuration is invalid and contains the following ${problems.length} error(s):\n${lines}\nYou can also find the above list of errors at the endpoint \`/connector-plugins/{connectorType}/config/validate\``, { code: 'CONFIG_INVALID' });
}

/** Connectors only, sinks first, or everything that has a class name. */
export async function pluginEntries(pluginsUrl: string, connectorsOnly: boolean): Promise<readonly PluginEntry[]> {
  const connectors = (await loadPlugins(pluginsUrl)).map((plugin): PluginEntry => ({ class: plugin.names[0], type: plugin.kind, version: plugin.version }));
  const sorted = [...connectors.filter(({ type }) => type === 'sink'), ...connectors.filter(({ type }) => type === 'source')];
  if (connectorsOnly) return sorted;
  return [...sorted, ...parts.map(({ name, type }) => ({ class: name, type, version: CONNECT_VERSION }))];
}
