/**
 * A declaration and what a user wrote, in the JSON of `PUT /connector-plugins/{p}/config/validate` and
 * `GET /connector-plugins/{p}/config` (Connect's ConfigInfos, ConfigKeyInfo, ConfigValueInfo).
 */
import type { ConfigDef, Option, Problem } from './config.ts';
import { parseConfig, type Properties } from './config-parse.ts';

export interface ConfigKeyInfo {
  readonly name: string;
  readonly type: string;
  readonly required: boolean;
  readonly default_value: string | null;
  readonly importance: string;
  readonly documentation: string;
  readonly group: string | null;
  readonly order_in_group: number;
  readonly width: string;
  readonly display_name: string;
  readonly dependents: readonly string[];
}
export interface ConfigValueInfo {
  readonly name: string;
  /** As given or defaulted; null when it could not be read. Passwords are `[hidden]`. */
  readonly value: string | null;
  readonly recommended_values: readonly string[];
  readonly errors: readonly string[];
  readonly visible: boolean;
}
export interface ConfigInfo { readonly definition: ConfigKeyInfo; readonly value: ConfigValueInfo }
export interface ConfigInfos {
  readonly name: string;
  readonly error_count: number;
  readonly groups: readonly string[];
  readonly configs: readonly ConfigInfo[];
}

/** Kafka's own stand-in for a password. */
export const HIDDEN = '[hidden]';

/** Options of a declaration as Connect describes them, hidden ones left out. */
export function configKeys(def: ConfigDef): ConfigKeyInfo[] {
  const orders = new Map<string, number>();
  let previous = '';
  return Object.entries(def.options).filter(([, option]) => !option.hidden).map(([name, option]) => {
    // An older name of the option before it shares its place.
    const order = (orders.get(option.group) ?? 0) + (name === `internal.${previous}` ? 0 : 1);
    previous = name;
    orders.set(option.group, order);
    const grouped = option.group !== '';
    return {
      name, type: option.type,
      // Debezium declares nothing as required to Connect and complains itself.
      required: option.required && def.wording === 'kafka',
      default_value: option.type === 'PASSWORD' && option.defaultText !== null ? HIDDEN : option.defaultText,
      importance: option.importance, documentation: option.doc, group: grouped ? option.group : null,
      order_in_group: grouped ? order : -1, width: option.width, display_name: option.displayName ?? name, dependents: option.dependents,
    };
  });
}

/** Every option of `def` with its value, and with those of `problems` that name it. */
export function configInfo(def: ConfigDef, properties: Properties, problems: readonly Problem[]): ConfigInfo[] {
  return configKeys(def).map(definition => {
    const option = def.options[definition.name] as Option<unknown>;
    return { definition, value: {
      name: definition.name,
      value: shownValue(def, definition.name, option, properties),
      recommended_values: option.choices ?? [],
      errors: problems.filter(problem => problem.option === definition.name).map(problem => problem.message),
      visible: true,
    } };
  });
}

function shownValue(def: ConfigDef, name: string, option: Option<unknown>, properties: Properties): string | null {
  // Debezium's answers carry no values: its validation makes ConfigValues of names and errors alone.
  if (def.wording === 'debezium') return null;
  const text = [name, ...option.aliases].map(key => properties[key]).find(value => value !== undefined) ?? option.defaultText;
  if (text === null || text === undefined) return null;
  if (option.type === 'PASSWORD') return HIDDEN;
  try { option.parse(text); } catch (error) {
    if (/^(Not a number of type|Expected value to be either|Class .* could not be found)/.test((error as Error).message)) return null;
  }
  return text;
}

/** The answer of `config/validate` out of its parts, in their order. */
export function configInfos(name: string, configs: readonly ConfigInfo[]): ConfigInfos {
  const groups = new Set(configs.flatMap(({ definition }) => (definition.group === null ? [] : [definition.group])));
  return { name, error_count: configs.reduce((sum, { value }) => sum + value.errors.length, 0), groups: [...groups], configs };
}

/** `parseConfig` in the REST shape. */
export function validateConfig(name: string, def: ConfigDef, properties: Properties): ConfigInfos {
  return configInfos(name, configInfo(def, properties, parseConfig(def, properties).problems));
}

/** Names and aliases of a declaration's passwords. */
export function passwordOptions(def: ConfigDef): string[] {
  return Object.entries(def.options).flatMap(([name, option]) => (option.type === 'PASSWORD' ? [name, ...option.aliases] : []));
}
