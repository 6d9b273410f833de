/** Plugins: list, their options, and validation of a configuration. */
import { ConfigError, NotFoundError } from '../../runtime/api/errors.ts';
import { withoutClass } from '../../runtime/worker/secrets.ts';
import { HttpError } from '../errors.ts';
import { ok, param, type Answer, type RestContext, type RestRequest, type Route } from '../route.ts';
import { readConfig } from '../schemas/connector-requests.ts';
import { partKeys, pluginKeys, validationAnswer } from '../validation.ts';

/** Connect names a connector with or without `Connector`, with or without its package. */
function sameClass(included: string, asked: string): boolean {
  const plain = (name: string) => name.replace(/Connector$/, '').toLowerCase();
  return plain(included).endsWith(plain(asked)) || plain(asked).endsWith(plain(included));
}

async function validate(request: RestRequest, { herder }: RestContext): Promise<Answer> {
  const asked = param(request, 'plugin');
  const config = readConfig(request.body);
  const included = config['connector.class'];
  // Connect's validation runs behind a future, which turns its bad requests into internal errors with the class in front.
  const late = (message: string) => new HttpError(500, `org.apache.kafka.connect.runtime.rest.errors.BadRequestException: ${message}`);
  if (included === undefined) {
    throw late(withoutClass(config));
  }
  if (!sameClass(included, asked)) {
    const found = await Promise.all([herder.plugin(included), herder.plugin(asked)]).catch(() => []);
    if (found.length === 0 || found[0] !== found[1]) throw new HttpError(400, `Included connector type ${included} does not match request type ${asked}`);
  }
  try { return ok(await validationAnswer(herder, config, request.signal)); } catch (error) {
    if (error instanceof ConfigError || (error instanceof NotFoundError && error.code === 'PLUGIN_UNKNOWN')) throw late(error.message);
    throw error;
  }
}

export const pluginRoutes: readonly Route[] = [
  { method: 'GET', path: '/connector-plugins', doc: 'Connectors; with `connectorsOnly=false` also converters, transforms and predicates.', handle: async ({ query }, { herder }) => ok(await herder.plugins(query.get('connectorsOnly') !== 'false')) },
  { method: 'GET', path: '/connector-plugins/:plugin/config', doc: 'Options of a plugin.', handle: async (request, { herder }) => {
    const name = param(request, 'plugin');
    const part = partKeys(name);
    if (part !== undefined) return ok(part);
    const plugin = await herder.plugin(name).catch(() => { throw new HttpError(404, `Unknown plugin ${name}.`); });
    return ok(pluginKeys(plugin));
  } },
  { method: 'PUT', path: '/connector-plugins/:plugin/config/validate', doc: 'Checks a configuration, on the live system too; 200 with the problems of each option.', json: true, handle: validate },
];
