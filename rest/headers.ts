/** Headers beside an answer: cross-origin ones (as Jetty's handler gives them for Connect) and those of `response.http.headers.config`. */
import { ConfigError } from '../runtime/api/errors.ts';
import type { RestConfig } from './config.ts';

export interface CrossOrigin {
  /** What a request from that origin is answered with beside the rest; empty for an origin that is not allowed. */
  headers(origin: string | undefined): Readonly<Record<string, string>>;
  /** The same for the question that a browser asks first. */
  preflight(origin: string | undefined, method: string): Readonly<Record<string, string>>;
  readonly enabled: boolean;
}

const DEFAULT_METHODS = ['GET', 'POST', 'HEAD'];
const REQUEST_HEADERS = 'X-Requested-With,Content-Type,Accept,Origin,Authorization';
const MAX_AGE_S = '1800';

function parts(text: string): readonly string[] { return text.split(',').map(part => part.trim()).filter(part => part !== ''); }
function pattern(text: string): RegExp { return new RegExp(`^${text.split('*').map(part => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&')).join('.*')}$`, 'i'); }

export function crossOrigin(config: RestConfig): CrossOrigin {
  const origins = parts(config['access.control.allow.origin']).map(pattern);
  const given = parts(config['access.control.allow.methods']).map(method => method.toUpperCase());
  const methods = given.length === 0 ? DEFAULT_METHODS : given;
  const headers: CrossOrigin['headers'] = origin => (origin !== undefined && origins.some(one => one.test(origin)) ? { 'access-control-allow-origin': origin, 'access-control-allow-credentials': 'true', vary: 'Origin' } : {});
  return {
    enabled: origins.length > 0, headers,
    preflight: (origin, method) => {
      const allowed = headers(origin);
      if (allowed['access-control-allow-origin'] === undefined || !methods.includes(method.toUpperCase())) return {};
      return { ...allowed, 'access-control-allow-methods': methods.join(','), 'access-control-allow-headers': REQUEST_HEADERS, 'access-control-max-age': MAX_AGE_S };
    },
  };
}

export interface HeaderRule { readonly action: 'set' | 'add' | 'setDate' | 'addDate'; readonly name: string; readonly value: string }

/** Throws ConfigError REST_HEADERS. */
export function headerRules(text: string): readonly HeaderRule[] {
  return [...text.matchAll(/"([^"]*)"|([^,"]+)/g)].map(([, quoted, plain]) => (quoted ?? plain ?? '').trim()).filter(rule => rule !== '').map(rule => {
    const [, action, name = '', value = ''] = /^(set|add|setDate|addDate)\s+([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*:\s*(.*)$/.exec(rule) ?? [];
    const wrong = action === undefined || /[^\t\x20-\x7e]/.test(value) || (action.endsWith('Date') && !/^-?\d+$/.test(value));
    if (wrong) throw new ConfigError(`Invalid value for configuration response.http.headers.config: ${rule}`, { code: 'REST_HEADERS', hint: 'Write rules such as: set X-Frame-Options: DENY, add Cache-Control: no-store.' });
    return { action: action as HeaderRule['action'], name, value };
  });
}

/** Header and value as they go out now. */
export function headerOf({ action, value }: HeaderRule): string {
  return action.endsWith('Date') ? new Date(Date.now() + Number(value)).toUTCString() : value;
}
