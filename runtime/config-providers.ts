/**
 * `${file:/path:key}`, `${env:NAME}`, `${dir:/path:file}` in worker and connector configurations: Kafka Connect's
 * FileConfigProvider, EnvVarConfigProvider and DirectoryConfigProvider, with their allow lists. `file`, `env`, `dir` and
 * `directory` are there without being declared; a declaration of the same name replaces one.
 */
import { realpathSync } from 'node:fs';
import { join, resolve, sep } from 'node:path';
import { ConfigError } from './api/errors.ts';
import { parseProperties, type Properties, textOf } from './properties.ts';

type Kind = 'file' | 'env' | 'dir';
interface Provider { readonly kind: Kind; /** Folders or files that may be read; undefined = all. */ readonly allowed: readonly string[] | undefined; readonly names: RegExp | undefined }
export type Providers = ReadonlyMap<string, Provider>;
type Environment = Readonly<Record<string, string | undefined>>;

const CLASSES: Readonly<Record<string, Kind>> = { FileConfigProvider: 'file', EnvVarConfigProvider: 'env', DirectoryConfigProvider: 'dir' };
const plain = (kind: Kind): Provider => ({ kind, allowed: undefined, names: undefined });
const BUILT_IN: Providers = new Map([['file', plain('file')], ['env', plain('env')], ['dir', plain('dir')], ['directory', plain('dir')]]);

/** What `config.providers` of a worker file declares, and what is always there. Throws ConfigError PROVIDER_CLASS, PROVIDER_PARAM. */
export function configProviders(worker: Properties): Providers {
  const providers = new Map(BUILT_IN);
  for (const name of (worker['config.providers'] ?? '').split(',').map(text => text.trim()).filter(text => text !== '')) {
    const at = `config.providers.${name}`;
    const type = worker[`${at}.class`];
    const kind = type === undefined ? providers.get(name)?.kind : CLASSES[type.trim().replace(/^org\.apache\.kafka\.common\.config\.provider\./, '')];
    if (kind === undefined) throw new ConfigError(`Invalid value ${type ?? 'null'} for configuration ${at}.class: there is no such provider here`, { code: 'PROVIDER_CLASS', hint: `Use one of ${Object.keys(CLASSES).join(', ')}; other providers are Java classes.` });
    const paths = worker[`${at}.param.allowed.paths`], pattern = worker[`${at}.param.allowlist.pattern`];
    providers.set(name, { kind, allowed: paths?.split(',').map(path => path.trim()).filter(path => path !== ''), names: pattern === undefined ? undefined : whole(`${at}.param.allowlist.pattern`, pattern) });
  }
  return providers;
}

function whole(option: string, pattern: string): RegExp {
  try { return new RegExp(`^(?:${pattern})$`, 'u'); } catch (error) { throw new ConfigError(`Invalid value for configuration ${option}: ${(error as Error).message}`, { code: 'PROVIDER_PARAM', hint: 'Write a regular expression that the name of a variable has to match.' }); }
}

/** Fills in references; other text with a dollar stays. Throws ConfigError PROVIDER_…, never showing a value. */
export function resolveProviders(properties: Properties, providers: Providers = BUILT_IN, environment: Environment = process.env): Record<string, string> {
  const resolveOne = (key: string, value: string): string => value.replace(/\$\{([^}:]+):([^}]*)\}/g, (all, name: string, rest: string) => {
    const provider = providers.get(name);
    return provider === undefined ? all : provided(key, name, provider, rest, environment);
  });
  return Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, resolveOne(key, value)]));
}

/** A worker file's own references, by the providers that the file itself declares. */
export function resolveWorker(properties: Properties, environment: Environment = process.env): Record<string, string> {
  return resolveProviders(properties, configProviders(properties), environment);
}

function provided(key: string, name: string, { kind, allowed, names }: Provider, rest: string, environment: Environment): string {
  if (kind === 'env') {
    if (names?.test(rest) === false) throw new ConfigError(`${key}: provider ${name} may not read the variable ${rest}`, { code: 'PROVIDER_DENIED', hint: `Widen config.providers.${name}.param.allowlist.pattern in the worker file.` });
    const value = environment[rest];
    if (value === undefined) throw new ConfigError(`${key}: the environment has no variable ${rest}`, { code: 'PROVIDER_ENV', hint: `Set ${rest} before starting the worker.` });
    return value;
  }
  const colon = rest.lastIndexOf(':');
  if (colon < 0) throw new ConfigError(`${key}: \${${name}:…} needs a path and a name, separated by a colon`, { code: 'PROVIDER_SYNTAX', hint: `Write \${${name}:/path:name}.` });
  const path = rest.slice(0, colon), member = rest.slice(colon + 1);
  const file = kind === 'dir' ? join(path, member) : path;
  if (allowed !== undefined && !allowed.some(folder => within(file, folder))) throw new ConfigError(`${key}: provider ${name} may not read ${file}`, { code: 'PROVIDER_DENIED', hint: `Add its folder to config.providers.${name}.param.allowed.paths in the worker file.` });
  if (kind === 'dir') {
    if (member === '' || member.includes('/') || member.includes(sep) || member === '..') throw new ConfigError(`${key}: ${member} is no name of a file in ${path}`, { code: 'PROVIDER_SYNTAX', hint: `Write \${${name}:/path:name}.` });
    return textOf(file);
  }
  const value = parseProperties(textOf(path), path)[member];
  if (value === undefined) throw new ConfigError(`${key}: ${path} has no key ${member}`, { code: 'PROVIDER_FILE', hint: `Add ${member}=… to ${path}.` });
  return value;
}

/** Whether a path lies in a folder, or is it, links followed. */
function within(path: string, folder: string): boolean {
  const [real, root] = [realOf(path), realOf(folder)];
  return real === root || real.startsWith(root.endsWith(sep) ? root : `${root}${sep}`);
}
function realOf(path: string): string { try { return realpathSync(path); } catch { return resolve(path); } }
