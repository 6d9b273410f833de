/** The list of plugins behind a module URL, found by class name, simple name or alias, as Connect finds them. */
import type { Plugin } from '../api/plugin.ts';
import { NotFoundError } from '../api/errors.ts';

interface Module { readonly connectors: readonly (() => Promise<Plugin>)[] }

const loaders = async (url: string): Promise<Module['connectors']> => (await import(url) as Module).connectors;

export async function loadPlugins(url: string): Promise<readonly Plugin[]> {
  return Promise.all((await loaders(url)).map(load => load()));
}

/** All names that mean a plugin: full, simple, simple without `Connector`. */
export function namesOf(plugin: Plugin): readonly string[] {
  return plugin.names.flatMap(name => {
    const simple = name.slice(name.lastIndexOf('.') + 1);
    return [name, simple, simple.replace(/Connector$/, '')];
  });
}

/** Loads no plugin behind the one that is found. Throws NotFoundError PLUGIN_UNKNOWN with Connect's wording. */
export async function findPlugin(url: string, name: string): Promise<Plugin> {
  for (const load of await loaders(url)) {
    const plugin = await load();
    if (namesOf(plugin).includes(name)) return plugin;
  }
  const available = (await loadPlugins(url)).map(plugin => plugin.names[0]).join(', ');
  throw new NotFoundError(`Failed to find any class that implements Connector and which name matches ${name}, available connectors are: ${available}`, { code: 'PLUGIN_UNKNOWN', hint: 'Check connector.class.' });
}
