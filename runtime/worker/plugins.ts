/** The list of plugins behind a module URL, found by class name, simple name or alias, as Connect finds them. */
import type { Plugin } from '../api/plugin.ts';
import { NotFoundError } from '../api/errors.ts';

type Loaders = readonly (() => Promise<Plugin>)[];
const loaded = new Map<string, Promise<readonly Plugin[]>>();

export function loadPlugins(url: string): Promise<readonly Plugin[]> {
  let plugins = loaded.get(url);
  if (plugins === undefined) {
    plugins = import(url).then(async (module: { readonly connectors: Loaders }) => Promise.all(module.connectors.map(load => load())));
    loaded.set(url, plugins);
  }
  return plugins;
}

/** All names that mean a plugin: full, simple, simple without `Connector`. */
export function namesOf(plugin: Plugin): readonly string[] {
  return plugin.names.flatMap(name => {
    const simple = name.slice(name.lastIndexOf('.') + 1);
    return [name, simple, simple.replace(/Connector$/, '')];
  });
}

/** Throws NotFoundError PLUGIN_UNKNOWN with Connect's wording. */
export async function findPlugin(url: string, name: string): Promise<Plugin> {
  const plugins = await loadPlugins(url);
  const found = plugins.find(plugin => namesOf(plugin).includes(name));
  if (found !== undefined) return found;
  const available = plugins.map(plugin => plugin.names[0]).join(', ');
  throw new NotFoundError(`Failed to find any class that implements Connector and which name matches ${name}, available connectors are: ${available}`, { code: 'PLUGIN_UNKNOWN', hint: 'Check connector.class.' });
}
