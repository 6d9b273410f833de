/**
 * `producer.override.`, `consumer.override.` and `admin.override.` of a connector, and the worker's policy for them
 * (KIP-458; org.apache.kafka.connect.connector.policy). The policy is named by alias or by its Java class.
 */
import type { Problem } from '../api/config.ts';
import { ConfigError } from '../api/errors.ts';

type Properties = Readonly<Record<string, string>>;
const SCOPES = ['producer', 'consumer', 'admin'] as const;
export type ClientOverrides = Readonly<Record<(typeof SCOPES)[number], Properties>>;

/** The keys without their prefix, by client. */
export function clientOverrides(config: Properties): ClientOverrides {
  const under = (scope: string): Properties => Object.fromEntries(Object.entries(config).filter(([key]) => key.startsWith(`${scope}.override.`)).map(([key, value]) => [key.slice(scope.length + 10), value]));
  return { producer: under('producer'), consumer: under('consumer'), admin: under('admin') };
}

const PRINCIPAL: ReadonlySet<string> = new Set(['security.protocol', 'sasl.jaas.config', 'sasl.mechanism']);
type Policy = 'None' | 'Principal' | 'Allowlist' | 'All';
const POLICIES: readonly Policy[] = ['None', 'Principal', 'Allowlist', 'All'];

/** Throws ConfigError OVERRIDE_POLICY for a name that is none of the four. */
function policyOf(worker: Properties): Policy {
  const name = (worker['connector.client.config.override.policy'] ?? 'All').trim();
  const policy = POLICIES.find(one => name === one || name.endsWith(`.${one}ConnectorClientConfigOverridePolicy`));
  if (policy === undefined) throw new ConfigError(`Invalid value ${name} for configuration connector.client.config.override.policy`, { code: 'OVERRIDE_POLICY', hint: `Use one of ${POLICIES.join(', ')}; other classes cannot run here.` });
  return policy;
}

/** What the policy forbids, in Connect's words. */
export function overrideProblems(config: Properties, worker: Properties): readonly Problem[] {
  const policy = policyOf(worker);
  const listed = new Set((worker['connector.client.config.override.allowlist'] ?? '').split(',').map(key => key.trim()));
  const allowed = (key: string): boolean => policy === 'All' || (policy === 'Principal' && PRINCIPAL.has(key)) || (policy === 'Allowlist' && listed.has(key));
  const overrides = clientOverrides(config);
  return SCOPES.flatMap(scope => Object.keys(overrides[scope]).filter(key => !allowed(key)).map(key => ({ option: `${scope}.override.${key}`, message: `The '${policy}' policy does not allow '${key}' to be overridden in the connector configuration.` })));
}
