/** Which values of a connector's configuration are shown as `[hidden]`. */
import { HIDDEN } from '../api/config-infos.ts';
import type { ConnectorConfig } from './herder.ts';

/** For transforms, converters and client overrides, whose declarations a plugin does not have. */
const LOOKS_SECRET = /(password|passwd|passphrase|secret|secret[._-]?key|token|sasl\.jaas\.config|basic\.auth\.user\.info)$/i;
const REFERENCE = /^\$\{[^}]+\}$/;

/** `declared` are the options that a plugin declares as passwords. References (`${file:…}`) are shown, they are no secret. */
export function hideSecrets(config: ConnectorConfig, declared: ReadonlySet<string>): ConnectorConfig {
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [key, (declared.has(key) || LOOKS_SECRET.test(key)) && !REFERENCE.test(value) ? HIDDEN : value]));
}

/** What Connect says of a configuration that names no class. */
export function withoutClass(config: ConnectorConfig): string {
  const shown = Object.entries(hideSecrets(config, new Set())).map(([key, value]) => `${key}=${value}`);
  return `Connector config {${shown.sort().join(', ')}} contains no connector type`;
}
