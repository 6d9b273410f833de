/** The answer of `config/validate`: the worker's options, those of transforms and predicates by alias, then the plugin's own. */
import { configInfo, configInfos, configKeys, type ConfigInfo, type ConfigInfos, type ConfigKeyInfo } from '../runtime/api/config-infos.ts';
import type { Problem } from '../runtime/api/config.ts';
import type { Plugin } from '../runtime/api/plugin.ts';
import { sinkConnectorConfig, sourceConnectorConfig } from '../runtime/worker/connector-config.ts';
import type { ConnectorConfig, Herder } from '../runtime/worker/herder.ts';
import { CONNECT_VERSION } from '../runtime/worker/connector-validation.ts';
import { partConfig } from '../runtime/worker/parts.ts';

/** Waits for the plugin's preflight; throws ConfigError or NotFoundError when the class is missing or unknown. */
export async function validationAnswer(herder: Herder, config: ConnectorConfig, signal: AbortSignal): Promise<ConfigInfos> {
  const problems = await herder.problems(config, signal);
  const type = config['connector.class'] ?? '';
  const plugin = await herder.plugin(type);
  const common = asConnectListsThem(configInfo(plugin.kind === 'source' ? sourceConnectorConfig : sinkConnectorConfig, config, problems), plugin.version);
  const infos = [...common, ...aliased(config, 'transforms', 'Transforms', 'Transformation'), ...aliased(config, 'predicates', 'Predicates', 'Predicate'), ...configInfo(plugin.config, config, problems)];
  return configInfos(type, place(infos, problems));
}

/** The answer of `GET /connector-plugins/NAME/config`: the plugin's own options, then those that every connector has. */
export function pluginKeys(plugin: Plugin): readonly ConfigKeyInfo[] {
  const common = asConnectListsThem(configInfo(plugin.kind === 'source' ? sourceConnectorConfig : sinkConnectorConfig, {}, []), plugin.version);
  return [...configKeys(plugin.config), ...common.map(({ definition }) => (/^(key|value|header)\.converter/.test(definition.name) ? { ...definition, default_value: null } : definition))];
}

/** The same for a converter, transform or predicate by its full class name; undefined for anything else. */
export function partKeys(name: string): readonly ConfigKeyInfo[] | undefined {
  const { kind, config } = partConfig(name) ?? {};
  if (config === undefined) return undefined;
  // Connect counts from 0 in a converter's groups, and its transforms have no groups.
  return configKeys(config).map(key => (kind === 'converter' && key.group !== null ? { ...key, order_in_group: key.order_in_group - 1 } : { ...key, group: null, order_in_group: -1 }));
}

/** Options that have a version beside them in Connect's list; ours come with the program, so there is just one. */
const VERSIONED: Readonly<Record<string, { readonly name: string; readonly display: string; readonly importance: string; readonly width: string }>> = {
  'connector.class': { name: 'connector.plugin.version', display: 'Connector version', importance: 'MEDIUM', width: 'MEDIUM' },
  'key.converter': { name: 'key.converter.plugin.version', display: 'Key converter version', importance: 'LOW', width: 'SHORT' },
  'value.converter': { name: 'value.converter.plugin.version', display: 'Value converter version', importance: 'LOW', width: 'SHORT' },
  'header.converter': { name: 'header.converter.plugin.version', display: 'Header converter version', importance: 'LOW', width: 'SHORT' },
};
const DEFAULTS: Readonly<Record<string, string>> = {
  'key.converter': 'org.apache.kafka.connect.json.JsonConverter', 'value.converter': 'org.apache.kafka.connect.json.JsonConverter', 'header.converter': 'org.apache.kafka.connect.storage.SimpleHeaderConverter',
};
/** Connect counts these three groups as one. */
const COUNTED_TOGETHER = new Set(['Common', 'Transforms', 'Predicates']);

/** Connect's own options with its numbering, defaults and versions; it recommends no values for them. */
function asConnectListsThem(infos: readonly ConfigInfo[], version: string): ConfigInfo[] {
  let counted = 0;
  const number = (info: ConfigInfo): ConfigInfo => {
    const { definition } = info;
    const order = COUNTED_TOGETHER.has(definition.group ?? '') ? ++counted : definition.group === 'Exactly Once Support' ? definition.order_in_group + 1 : definition.order_in_group;
    const fallback = DEFAULTS[definition.name];
    return {
      definition: { ...definition, order_in_group: order, default_value: definition.default_value ?? fallback ?? null },
      value: { ...info.value, value: info.value.value ?? (info.value.errors.length === 0 ? fallback ?? null : null), recommended_values: [] },
    };
  };
  return infos.flatMap(info => {
    const beside = VERSIONED[info.definition.name];
    if (beside === undefined) return [number(info)];
    const unknown = info.value.errors.length > 0;
    const own = unknown ? null : beside.name === 'connector.plugin.version' ? version : CONNECT_VERSION;
    const extra: ConfigInfo = {
      definition: { ...info.definition, name: beside.name, type: 'STRING', required: false, default_value: own, importance: beside.importance, documentation: 'Version of the class; it comes with this program.', width: beside.width, display_name: beside.display },
      value: { name: beside.name, value: own, recommended_values: own === null ? [] : [own], errors: [], visible: !unknown },
    };
    const first = number(info);
    const second = number(extra);
    return [first, { definition: second.definition, value: extra.value }];
  });
}

function aliased(config: ConnectorConfig, key: 'transforms' | 'predicates', group: string, noun: string): ConfigInfo[] {
  const aliases = (config[key] ?? '').split(',').map(alias => alias.trim()).filter(alias => alias !== '');
  return aliases.flatMap(alias => {
    const name = `${key}.${alias}.type`, named = `${group}: ${alias}`;
    const type = undeclared(name, 'CLASS', config[name] ?? null, { group: named, display: `${noun} type for ${alias}`, doc: `Class of '${alias}'.` });
    const version = undeclared(`${key}.${alias}.plugin.version`, 'STRING', null, { group: named, display: `${noun} version for ${alias}`, doc: 'Version of the class; it comes with this program.' });
    return [type, { ...version, definition: { ...version.definition, required: false, order_in_group: 1 } }];
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
