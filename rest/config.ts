/** Options of the REST listener. Kafka Connect's keys where it has one; `rest.basic.auth.*`, `rest.mask.passwords` and `rest.request.max.bytes` are ours. */
import { bool, type ConfigOf, defineConfig, long, oneOf, password, string } from '../runtime/api/config.ts';
import { parseConfig, type Properties } from '../runtime/api/config-parse.ts';
import { ConfigError } from '../runtime/api/errors.ts';

const group = 'REST', tls = 'REST TLS';

export const restConfig = defineConfig({
  'rest.advertised.listener': oneOf(['http', 'https'], { group, importance: 'LOW', doc: 'Which of the listeners others are told of; the first when unset.' }),
  'rest.basic.auth.user': string({ group, doc: 'User name for HTTP basic authentication. Set together with the password; all paths but /health then ask for it.' }),
  'rest.basic.auth.password': password({ group, doc: 'Password that goes with it.' }),
  'rest.mask.passwords': bool({ default: true, group, doc: 'Shows passwords as [hidden]; sending [hidden] back keeps the stored value. false shows configurations as they were sent, as Kafka Connect does.' }),
  'rest.request.max.bytes': long({ default: 1_048_576, group, importance: 'LOW', doc: 'Longest request body.' }),
  'listeners.https.ssl.keystore.location': string({ aliases: ['ssl.keystore.location'], group: tls, doc: 'PEM file with the private key and its certificate chain.' }),
  'listeners.https.ssl.keystore.key': password({ aliases: ['ssl.keystore.key'], group: tls, doc: 'Private key as PEM text, instead of a file.' }),
  'listeners.https.ssl.keystore.certificate.chain': string({ aliases: ['ssl.keystore.certificate.chain'], group: tls, doc: 'Certificate chain as PEM text, together with the key.' }),
  'listeners.https.ssl.key.password': password({ aliases: ['ssl.key.password'], group: tls, doc: 'Password of an encrypted private key.' }),
  'listeners.https.ssl.truststore.location': string({ aliases: ['ssl.truststore.location'], group: tls, doc: 'PEM file with the authorities that client certificates are checked against.' }),
  'listeners.https.ssl.client.auth': oneOf(['none', 'requested', 'required'], { default: 'none', aliases: ['ssl.client.auth'], group: tls, doc: 'Whether clients show a certificate.' }),
}, {
  check: config => ((config['rest.basic.auth.user'] === undefined) === (config['rest.basic.auth.password'] === undefined) ? []
    : [{ option: 'rest.basic.auth.user', message: 'rest.basic.auth.user and rest.basic.auth.password are set together or not at all' }]),
});
export type RestConfig = ConfigOf<typeof restConfig>;

/** Keys of a worker file that can only be meant for this declaration; the rest of the file is the worker's. */
const OURS = /^(rest\.(basic|mask|request)|listeners\.https)\./;

/** Throws ConfigError REST_CONFIG with all problems, a misspelt option among them. */
export function readRestConfig(properties: Properties): RestConfig {
  const { config, problems, unknown } = parseConfig(restConfig, properties);
  const misspelt = unknown.filter(({ option, nearest }) => OURS.test(option) && nearest !== undefined).map(({ option, nearest }) => `unknown option ${option}, did you mean ${nearest ?? ''}?`);
  const all = [...problems.map(({ message }) => message), ...misspelt];
  if (config === undefined || all.length > 0) throw new ConfigError(all.join('; '), { code: 'REST_CONFIG', hint: 'Correct the worker file.' });
  return config;
}

export interface Listener { readonly secure: boolean; readonly host: string; readonly port: number }

/** `http://host:port`; the host may be empty (all interfaces) or an IPv6 address in brackets. Undefined when it is neither. */
export function parseListener(text: string): Listener | undefined {
  const parts = /^(https?):\/\/(\[[0-9a-f:.]+\]|[^:/[\]]*):(\d{1,5})\/?$/i.exec(text.trim());
  const port = Number(parts?.[3]);
  if (parts === null || port > 65_535) return undefined;
  const host = (parts[2] ?? '').replace(/^\[|\]$/g, '');
  return { secure: parts[1]?.toLowerCase() === 'https', host: host === '' ? '0.0.0.0' : host, port };
}

/** Throws ConfigError LISTENER_INVALID, LISTENER_TLS. */
export function readListeners(texts: readonly string[], config: RestConfig): readonly [Listener, ...Listener[]] {
  const [first, ...others] = texts.map(text => {
    const listener = parseListener(text);
    if (listener === undefined) throw new ConfigError(`Invalid value ${text} for configuration listeners`, { code: 'LISTENER_INVALID', hint: 'Write listeners=http://127.0.0.1:8083, or several with commas between.' });
    return listener;
  });
  if (first === undefined) throw new ConfigError('Invalid value  for configuration listeners: at least one address is needed', { code: 'LISTENER_INVALID', hint: 'Write listeners=http://127.0.0.1:8083.' });
  const keyed = config['listeners.https.ssl.keystore.location'] !== undefined || (config['listeners.https.ssl.keystore.key'] !== undefined && config['listeners.https.ssl.keystore.certificate.chain'] !== undefined);
  if ([first, ...others].some(({ secure }) => secure) && !keyed) throw new ConfigError('An https listener has no key and certificate', { code: 'LISTENER_TLS', hint: 'Set listeners.https.ssl.keystore.location to a PEM file with the private key and its certificate chain.' });
  return [first, ...others];
}
