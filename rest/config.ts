/** Options of the REST listener. Kafka Connect's keys where it has one; `rest.basic.auth.*`, `rest.mask.passwords` and `rest.request.max.bytes` are ours. */
import { bool, defineConfig, int, list, long, oneOf, password, string, type ConfigOf, type Problem } from '../runtime/api/config.ts';

const group = 'REST', tls = 'REST TLS';

export const restConfig = defineConfig({
  listeners: list({ default: ['http://127.0.0.1:8083'], group, importance: 'HIGH', doc: 'Addresses to listen on, http:// or https://, separated by commas. An empty host (`http://:8083`) means all interfaces; the default is loopback only. Port 0 takes any free port.' }),
  'rest.advertised.listener': oneOf(['http', 'https'], { group, importance: 'LOW', doc: 'Which of the listeners others are told of; the first when unset.' }),
  'rest.advertised.host.name': string({ group, importance: 'LOW', doc: 'Host that others reach this worker by; stands in Location headers.' }),
  'rest.advertised.port': int({ group, importance: 'LOW', doc: 'Port that others reach this worker by.' }),
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
  check: config => {
    const problems: Problem[] = [];
    for (const listener of config.listeners) {
      if (parseListener(listener) === undefined) problems.push({ option: 'listeners', message: `Invalid value ${listener} for configuration listeners: an address such as http://127.0.0.1:8083 is expected` });
    }
    if ((config['rest.basic.auth.user'] === undefined) !== (config['rest.basic.auth.password'] === undefined)) {
      problems.push({ option: 'rest.basic.auth.user', message: 'rest.basic.auth.user and rest.basic.auth.password are set together or not at all' });
    }
    const keyed = config['listeners.https.ssl.keystore.location'] !== undefined || (config['listeners.https.ssl.keystore.key'] !== undefined && config['listeners.https.ssl.keystore.certificate.chain'] !== undefined);
    if (config.listeners.some(listener => listener.toLowerCase().startsWith('https:')) && !keyed) {
      problems.push({ option: 'listeners.https.ssl.keystore.location', message: 'An https listener needs listeners.https.ssl.keystore.location: a PEM file with private key and certificate chain' });
    }
    return problems;
  },
  families: [/./],
});
export type RestConfig = ConfigOf<typeof restConfig>;

export interface Listener { readonly secure: boolean; readonly host: string; readonly port: number }

/** `http://host:port`; the host may be empty (all interfaces) or an IPv6 address in brackets. Undefined when it is neither. */
export function parseListener(text: string): Listener | undefined {
  const parts = /^(https?):\/\/(\[[0-9a-f:.]+\]|[^:/[\]]*):(\d{1,5})\/?$/i.exec(text.trim());
  const port = Number(parts?.[3]);
  if (parts === null || port > 65_535) return undefined;
  const host = (parts[2] ?? '').replace(/^\[|\]$/g, '');
  return { secure: parts[1]?.toLowerCase() === 'https', host: host === '' ? '0.0.0.0' : host, port };
}
