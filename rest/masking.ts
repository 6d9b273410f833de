/**
 * Secrets do not leave through REST: values of options that a plugin declares as passwords, and of keys that look like one,
 * are shown as `[hidden]`. References (`${file:…}`) are shown, they are no secret. What was hidden may be sent back: it
 * then means the stored value, so that read, edit, write keeps working.
 */
import { HIDDEN, passwordOptions } from '../runtime/api/config-infos.ts';
import type { ConfigDef } from '../runtime/api/config.ts';
import type { ConnectorConfig, ConnectorInfo, Herder } from '../runtime/worker/herder.ts';
import { hideSecrets } from '../runtime/worker/secrets.ts';
import type { RestContext } from './route.ts';

const secretsOf = new WeakMap<ConfigDef, ReadonlySet<string>>();

async function declaredSecrets(herder: Herder, config: ConnectorConfig): Promise<ReadonlySet<string>> {
  const type = config['connector.class'];
  if (type === undefined) return new Set();
  try {
    const { config: declaration } = await herder.plugin(type);
    const known = secretsOf.get(declaration) ?? new Set(passwordOptions(declaration));
    secretsOf.set(declaration, known);
    return known;
  } catch { return new Set(); /* an unknown class has no declaration */ }
}

export async function maskConfig({ herder, maskPasswords }: RestContext, config: ConnectorConfig): Promise<ConnectorConfig> {
  if (!maskPasswords) return config;
  return hideSecrets(config, await declaredSecrets(herder, config));
}

export async function maskInfo(context: RestContext, info: ConnectorInfo): Promise<ConnectorInfo> {
  return { name: info.name, config: await maskConfig(context, info.config), tasks: info.tasks, type: info.type };
}

/** Puts stored values where a client sent the mask back. */
export function unmaskConfig({ maskPasswords }: RestContext, config: ConnectorConfig, stored: ConnectorConfig): ConnectorConfig {
  if (!maskPasswords) return config;
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [key, value === HIDDEN ? stored[key] ?? value : value]));
}
