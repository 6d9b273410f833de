/** What is no connector but has a class name and options: converters, transforms, predicates. */
import type { ConfigDef } from '../api/config.ts';
import { converterNames, DEFAULT_HEADER_CONVERTER } from '../converters/converters.ts';
import { converterConfig } from '../converters/options.ts';
import { predicateNames, transformConfig, transformNames } from '../transforms/transforms.ts';
import type { PluginEntry } from './herder.ts';

const kinds: readonly (readonly [PluginEntry['type'], readonly string[]])[] = [
  ['converter', converterNames], ['header_converter', [DEFAULT_HEADER_CONVERTER]], ['transformation', transformNames], ['predicate', predicateNames],
];

/** All of them, by kind. */
export const parts: readonly { readonly name: string; readonly type: PluginEntry['type'] }[] = kinds.flatMap(([type, names]) => names.map(name => ({ name, type })));

/** The declaration of one by its full class name. */
export function partConfig(name: string): { readonly kind: 'converter' | 'transform'; readonly config: ConfigDef } | undefined {
  const part = parts.find(one => one.name === name);
  if (part === undefined) return undefined;
  if (part.type === 'converter' || part.type === 'header_converter') return { kind: 'converter', config: converterConfig(name) };
  const config = transformConfig(name);
  return config === undefined ? undefined : { kind: 'transform', config };
}
