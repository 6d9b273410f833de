/** Connectors: list, create, read, configure, delete, steer. */
import { ConfigError, NotFoundError } from '../../runtime/api/errors.ts';
import type { ConnectorConfig, Herder, TargetState } from '../../runtime/worker/herder.ts';
import { withoutClass } from '../../runtime/worker/secrets.ts';
import { HttpError, unknownConnector } from '../errors.ts';
import { maskConfig, maskInfo, unmaskConfig } from '../masking.ts';
import { empty, ok, param, type Answer, type RestContext, type RestRequest, type Route } from '../route.ts';
import { readConfig, readCreateRequest, readPatch, readSignal } from '../schemas/connector-requests.ts';

/** An unknown class is a bad request here, not a missing resource. */
async function asBadRequest<T>(work: Promise<T>): Promise<T> {
  try { return await work; } catch (error) {
    if (error instanceof NotFoundError && error.code === 'PLUGIN_UNKNOWN') throw new HttpError(400, error.message);
    throw error;
  }
}
function exists(herder: Herder, name: string): boolean { return herder.connectors().includes(name); }

async function list({ query }: RestRequest, context: RestContext): Promise<Answer> {
  const { herder } = context;
  const expand = query.getAll('expand');
  if (expand.length === 0) return ok(herder.connectors());
  const answer: Record<string, Record<string, unknown>> = {};
  for (const name of herder.connectors()) {
    // One that is made or deleted just now has no status, or nothing any more: it is left out, as in Connect.
    try {
      const one: Record<string, unknown> = {};
      if (expand.includes('info')) one['info'] = await maskInfo(context, herder.connector(name));
      if (expand.includes('status')) one['status'] = herder.status(name);
      answer[name] = one;
    } catch (error) { if (!(error instanceof NotFoundError)) throw error; }
  }
  return ok(answer);
}

/** Order of the checks as in Connect: what is missing, whether the names agree, then the configuration itself. */
function named(config: ConnectorConfig, name: string): ConnectorConfig {
  const full = { ...config, name: config['name'] ?? name };
  if (full.name !== name) throw new HttpError(400, `Connector name configuration (${full.name}) doesn't match connector name in the URL (${name})`);
  if (config['connector.class'] === undefined) throw new ConfigError(withoutClass(full), { code: 'CLASS_MISSING' });
  if (name === '') throw new ConfigError('Connector configuration is invalid and contains the following 1 error(s):\nInvalid value  for configuration name: String may not be empty\nYou can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`', { code: 'NAME_EMPTY' });
  return full;
}

async function create({ body }: RestRequest, context: RestContext): Promise<Answer> {
  const request = readCreateRequest(body);
  const config = named(request.config, request.name);
  const info = await asBadRequest(context.herder.create(request.name, config, request.initialState));
  return created(context, request.name, await maskInfo(context, info));
}
function created({ baseUrl }: RestContext, name: string, body: unknown): Answer {
  return { status: 201, body, headers: { location: `${baseUrl}/connectors/${encodeURIComponent(name)}` } };
}

async function putConfig(request: RestRequest, context: RestContext): Promise<Answer> {
  const name = param(request, 'name');
  const stored = exists(context.herder, name) ? context.herder.connector(name).config : {};
  const config = unmaskConfig(context, named(readConfig(request.body), name), stored);
  const { created: made, info } = await asBadRequest(context.herder.putConfig(name, config));
  const shown = await maskInfo(context, info);
  return made ? created(context, name, shown) : ok(shown);
}

async function patchConfig(request: RestRequest, context: RestContext): Promise<Answer> {
  const name = param(request, 'name');
  const stored = context.herder.connector(name).config;
  const patch = readPatch(request.body);
  const hidden = unmaskConfig(context, Object.fromEntries(Object.entries(patch).filter((entry): entry is [string, string] => entry[1] !== null)), stored);
  return ok(await maskInfo(context, await asBadRequest(context.herder.patchConfig(name, { ...patch, ...hidden }))));
}

async function restart(request: RestRequest, { herder }: RestContext): Promise<Answer> {
  const name = param(request, 'name');
  if (!exists(herder, name) && herder.cluster === undefined) throw unknownConnector.restart();
  const includeTasks = request.query.get('includeTasks') === 'true';
  const onlyFailed = request.query.get('onlyFailed') === 'true';
  const status = await herder.restart(name, { includeTasks, onlyFailed });
  return includeTasks || onlyFailed ? { status: 202, body: status } : empty(204);
}

async function status(request: RestRequest, { herder, logger }: RestContext): Promise<Answer> {
  const name = param(request, 'name');
  const found = herder.status(name);
  if (request.query.get('progress') !== 'true') return ok(found);
  // The states are known even where the worker that runs the task cannot be asked.
  const progress = await herder.progress(name).catch((error: unknown) => { logger.warn({ connector: name, reason: (error as Error).message }, 'progress of a task is not known'); return []; });
  return ok({ ...found, tasks: found.tasks.map(task => ({ ...task, progress: progress.find(({ id }) => id === task.id) ?? null })) });
}

async function signal(request: RestRequest, { herder }: RestContext): Promise<Answer> {
  const name = param(request, 'name');
  const { config } = herder.connector(name);
  const asked = readSignal(request.body);
  const plugin = await herder.plugin(config['connector.class'] ?? '');
  if (plugin.kind !== 'source' || plugin.signals !== true) throw new HttpError(400, `Connector ${name} takes no signals`);
  await herder.signal(name, asked);
  return { status: 202, body: asked };
}

function steer(operation: 'pause' | 'resume' | 'stop', target: TargetState, status: 202 | 204, doc: string): Route {
  return { method: 'PUT', path: `/connectors/:name/${operation}`, doc, handle: async (request, { herder }) => {
    const name = param(request, 'name');
    if (!exists(herder, name) && herder.cluster === undefined) throw unknownConnector[operation](name);
    await herder.setTarget(name, target);
    return empty(status);
  } };
}

export const connectorRoutes: readonly Route[] = [
  { method: 'GET', path: '/connectors', doc: 'Names; with `expand=info` and `expand=status` what is known of each.', handle: list },
  { method: 'POST', path: '/connectors', doc: 'Makes a connector: `{"name", "config", "initial_state"}`, the last RUNNING, PAUSED or STOPPED. 201; 409 when it exists; 400 with all problems.', json: true, handle: create },
  { method: 'GET', path: '/connectors/:name', doc: 'Its configuration and tasks.', handle: async (request, context) => ok(await maskInfo(context, context.herder.connector(param(request, 'name')))) },
  { method: 'DELETE', path: '/connectors/:name', doc: 'Removes it, and its position as a sink. 204. Offsets of a source stay, and so do its slot and publication.', handle: async (request, { herder }) => { await herder.remove(param(request, 'name')); return empty(204); } },
  { method: 'GET', path: '/connectors/:name/config', doc: 'Its configuration, passwords hidden.', handle: async (request, context) => ok(await maskConfig(context, context.herder.connector(param(request, 'name')).config)) },
  { method: 'PUT', path: '/connectors/:name/config', doc: 'Replaces its configuration, or makes it: 200 or 201. `[hidden]` keeps what is stored.', json: true, handle: putConfig },
  { method: 'PATCH', path: '/connectors/:name/config', doc: 'Changes some keys of it; null removes one.', json: true, handle: patchConfig },
  { method: 'GET', path: '/connectors/:name/status', doc: 'States of the connector and its tasks; with `progress=true` each task also has `progress`: when it starts again (`next_attempt`), how far its `snapshot` and `incremental_snapshot` are and the time that they still take.', handle: status },
  { method: 'POST', path: '/connectors/:name/signals', doc: 'A signal for the running task of a source, as Debezium has them in process: `{"id", "type", "data"}`, `type` one of execute-snapshot, stop-snapshot, pause-snapshot, resume-snapshot, log. 202 with the signal as it was taken; 409 when the task does not run.', json: true, handle: signal },
  { method: 'POST', path: '/connectors/:name/restart', doc: 'Restarts it: `includeTasks=true` its task too, `onlyFailed=true` only what failed. 204, or 202 with the status.', handle: restart },
  steer('pause', 'PAUSED', 202, 'Stops its task; it keeps its place. 202.'),
  steer('resume', 'RUNNING', 202, 'Goes on after pause or stop. 202.'),
  steer('stop', 'STOPPED', 204, 'Ends its task, so that its offsets can be changed. 204 when it has ended.'),
];
