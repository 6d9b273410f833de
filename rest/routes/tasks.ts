import { HttpError, httpError, unknownConnector } from '../errors.ts';
import { maskConfig } from '../masking.ts';
import { empty, ok, param, type RestRequest, type Route } from '../route.ts';

/** A task number that is none is a path that does not exist. */
function taskNumber(request: RestRequest): number {
  const text = param(request, 'task');
  if (!/^\d{1,9}$/.test(text)) throw httpError(404);
  return Number(text);
}

/** Tasks of a connector: list, status, restart. */
export const taskRoutes: readonly Route[] = [
  { method: 'GET', path: '/connectors/:name/tasks', doc: 'Tasks with their configurations.', handle: async (request, context) =>
    ok(await Promise.all(context.herder.tasks(param(request, 'name')).map(async ({ id, config }) => ({ id, config: await maskConfig(context, config) })))) },
  { method: 'GET', path: '/connectors/:name/tasks/:task/status', doc: 'State of one task; `trace` says why it failed or what it waits for.', handle: (request, { herder }) => ok(herder.taskStatus(param(request, 'name'), taskNumber(request))) },
  { method: 'POST', path: '/connectors/:name/tasks/:task/restart', doc: 'Restarts one task. 204.', handle: async (request, { herder }) => {
    const name = param(request, 'name');
    const task = taskNumber(request);
    if (herder.cluster === undefined) {
      if (!herder.connectors().includes(name)) throw unknownConnector.restartTask(name, String(task));
      if (!herder.connector(name).tasks.some(id => id.task === task)) throw new HttpError(404, `Task ${name}-${task} not found`);
    }
    await herder.restartTask(name, task);
    return empty(204);
  } },
];
