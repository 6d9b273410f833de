/** The answer of `config/validate`: the worker's options, those of transforms and predicates by alias, then the plugin's own. */
import { configInfo, configInfos, type ConfigInfo, type ConfigInfos } from '../runtime/api/config-infos.ts';
import type { Problem } from '../runtime/api/config.ts';
import { sinkConnectorConfig, sourceConnectorConfig } from '../runtime/worker/connector-config.ts';
import type { ConnectorConfig, Herder } from '../runtime/worker/herder.ts';

/** Waits for the plugin's preflight; throws ConfigError or NotFoundError when the class is missing or unknown. */
export async function validationAnswer(herder: Herder, config: ConnectorConfig, signal: AbortSignal): Promise<ConfigInfos> {
  const problems = await herder.problems(config, signal);
  const type = config['connector.class'] ?? '';
  const plugin = await herder.plugin(type);
  const common = configInfo(plugin.kind === 'source' ? sourceConnectorConfig : sinkConnectorConfig, config, problems);
  const infos = [...common, ...aliased(config, 'transforms', 'Transforms', 'Transformation'), ...aliased(config, 'predicates', 'Predicates', 'Predicate'), ...configInfo(plugin.config, config, problems)];
  return configInfos(type, place(infos, problems));
}

function aliased(config: ConnectorConfig, key: 'transforms' | 'predicates', group: string, noun: string): ConfigInfo[] {
  const aliases = (config[key] ?? '').split(',').map(alias => alias.trim()).filter(alias => alias !== '');
  return aliases.map(alias => {
    const name = `${key}.${alias}.type`;
    return undeclared(name, 'CLASS', config[name] ?? null, { group: `${group}: ${alias}`, display: `${noun} type for ${alias}`, doc: `Class of '${alias}'.` });
  });
}

function undeclared(name: string, type: string, value: string | null, { group, display, doc }: { readonly group: string | null; readonly display: string; readonly doc: string }): ConfigInfo {
  return {
    definition: { name, type, required: group !== null, default_value: null, importance: 'HIGH', documentation: doc, group, order_in_group: group === null ? -1 : 0, width: 'LONG', display_name: display, dependents: [] },
    value: { name, value, recommended_values: [], errors: [], visible: true },
  };
}

/** Gives each problem that no option shows yet to its option, or to an entry of its own: none is lost. */
function place(infos: readonly ConfigInfo[], problems: readonly Problem[]): ConfigInfo[] {
  const placed = [...infos];
  for (const { option, message } of problems) {
    if (placed.some(({ value }) => value.name === option && value.errors.includes(message))) continue;
    const at = placed.findIndex(({ value }) => value.name === option);
    const found = placed[at] ?? undeclared(option, 'STRING', null, { group: null, display: option, doc: '' });
    const withError = { ...found, value: { ...found.value, errors: [...found.value.errors, message] } };
    if (at < 0) placed.push(withError); else placed[at] = withError;
  }
  return placed;
}
