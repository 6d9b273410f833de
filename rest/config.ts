/** Options of the REST listener. Kafka Connect's keys where it has one; `rest.basic.auth.*`, `rest.mask.passwords` and `rest.request.max.bytes` are ours. */
import { bool, type ConfigOf, defineConfig, list, long, oneOf, password, type Problem, string } from '../runtime/api/config.ts';
import { parseConfig, type Properties } from '../runtime/api/config-parse.ts';
import { ConfigError } from '../runtime/api/errors.ts';

const group = 'REST', tls = 'REST TLS', cors = 'REST headers';

export const restConfig = defineConfig({
  'admin.listeners': list({ group, importance: 'LOW', doc: 'Addresses on which /admin answers, apart from the rest; empty: nowhere. On all listeners when unset.' }),
  'rest.advertised.listener': oneOf(['http', 'https'], { group, importance: 'LOW', doc: 'Which of the listeners others are told of; the first when unset.' }),
  'rest.basic.auth.user': string({ group, doc: 'User name for HTTP basic authentication. Set together with the password; all paths but /health then ask for it.' }),
  'rest.basic.auth.password': password({ group, doc: 'Password that goes with it.' }),
  'rest.mask.passwords': bool({ default: true, group, doc: 'Shows passwords as [hidden]; sending [hidden] back keeps the stored value. false shows configurations as they were sent, as Kafka Connect does.' }),
  'rest.request.max.bytes': long({ default: 1_048_576, group, importance: 'LOW', doc: 'Longest request body.' }),
  'rest.request.timeout.ms': long({ default: 60_000, group, importance: 'LOW', doc: 'How long a client may take to send a request, in milliseconds; 408 after that.', check: ms => (ms < 1 ? 'Value must be at least 1' : undefined) }),
  'rest.extension.classes': list({ default: [], group, importance: 'LOW', doc: 'Java classes, which cannot run here: refused unless empty. For HTTP basic authentication see rest.basic.auth.user.' }),
  'access.control.allow.origin': string({ default: '', group: cors, importance: 'LOW', doc: 'Origins whose pages may call this API, separated by commas; * stands for any text. None when empty.' }),
  'access.control.allow.methods': string({ default: '', group: cors, importance: 'LOW', doc: 'Methods that such pages may use, separated by commas; GET, POST and HEAD when empty.' }),
  'response.http.headers.config': string({ default: '', group: cors, importance: 'LOW', doc: 'Headers of every answer: `set Name: value, add Name: value, setDate Name: milliseconds from now`; a rule with a comma in it stands in double quotes.' }),
  'listeners.https.ssl.keystore.location': string({ aliases: ['ssl.keystore.location'], group: tls, doc: 'PEM file with the private key and its certificate chain.' }),
  'listeners.https.ssl.keystore.key': password({ aliases: ['ssl.keystore.key'], group: tls, doc: 'Private key as PEM text, instead of a file.' }),
  'listeners.https.ssl.keystore.certificate.chain': string({ aliases: ['ssl.keystore.certificate.chain'], group: tls, doc: 'Certificate chain as PEM text, together with the key.' }),
  'listeners.https.ssl.key.password': password({ aliases: ['ssl.key.password'], group: tls, doc: 'Password of an encrypted private key.' }),
  'listeners.https.ssl.truststore.location': string({ aliases: ['ssl.truststore.location'], group: tls, doc: 'PEM file with the authorities that client certificates are checked against.' }),
  'listeners.https.ssl.truststore.certificates': string({ aliases: ['ssl.truststore.certificates'], group: tls, doc: 'The same authorities as PEM text, instead of a file.' }),
  'listeners.https.ssl.client.auth': oneOf(['none', 'requested', 'required'], { default: 'none', aliases: ['ssl.client.auth'], group: tls, doc: 'Whether clients show a certificate.' }),
}, {
  check: config => {
    const problems: Problem[] = [];
    if ((config['rest.basic.auth.user'] === undefined) !== (config['rest.basic.auth.password'] === undefined)) problems.push({ option: 'rest.basic.auth.user', message: 'rest.basic.auth.user and rest.basic.auth.password are set together or not at all' });
    // One of them may be what asks for a password: to ignore it would open the listener.
    if (config['rest.extension.classes'].length > 0) problems.push({ option: 'rest.extension.classes', message: `rest.extension.classes names Java classes, which cannot run here: ${config['rest.extension.classes'].join(', ')}` });
    const trust = config['listeners.https.ssl.truststore.location'] ?? config['listeners.https.ssl.truststore.certificates'];
    if (config['listeners.https.ssl.client.auth'] === 'required' && trust === undefined) problems.push({ option: 'listeners.https.ssl.client.auth', message: 'ssl.client.auth=required needs ssl.truststore.location: the authorities that client certificates are checked against' });
    return problems;
  },
});
export type RestConfig = ConfigOf<typeof restConfig>;

/** Keys of a worker file that can only be meant for this declaration; the rest of the file is the worker's. */
const OURS = /^(rest\.(basic|mask|request)|listeners\.https|access\.control)\./;

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
export function readListeners(option: 'listeners' | 'admin.listeners', texts: readonly string[], config: RestConfig): readonly Listener[] {
  const listeners = texts.map(text => {
    const listener = parseListener(text);
    if (listener === undefined) throw new ConfigError(`Invalid value ${text} for configuration ${option}`, { code: 'LISTENER_INVALID', hint: `Write ${option}=http://127.0.0.1:8083, or several with commas between.` });
    return listener;
  });
  if (listeners.length === 0 && option === 'listeners') throw new ConfigError('Invalid value  for configuration listeners: at least one address is needed', { code: 'LISTENER_INVALID', hint: 'Write listeners=http://127.0.0.1:8083.' });
  const keyed = config['listeners.https.ssl.keystore.location'] !== undefined || (config['listeners.https.ssl.keystore.key'] !== undefined && config['listeners.https.ssl.keystore.certificate.chain'] !== undefined);
  if (listeners.some(({ secure }) => secure) && !keyed) throw new ConfigError('An https listener has no key and certificate', { code: 'LISTENER_TLS', hint: 'Set listeners.https.ssl.keystore.location to a PEM file with the private key and its certificate chain.' });
  return listeners;
}
