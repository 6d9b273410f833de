/** Log levels: list, read, change. */
import { parseLevel, type LoggerLevel } from '../../runtime/worker/log-levels.ts';
import { HttpError } from '../errors.ts';
import { empty, ok, param, type Answer, type RestContext, type RestRequest, type Route } from '../route.ts';
import { readObject } from '../schemas/json-body.ts';

function shown({ level, lastModified }: LoggerLevel): unknown { return { level, last_modified: lastModified }; }

async function change(request: RestRequest, { herder, levels }: RestContext): Promise<Answer> {
  const name = param(request, 'logger');
  const asked = readObject(request.body, 'java.util.LinkedHashMap<java.lang.String,java.lang.String>', 'text')?.['level'];
  if (asked === undefined || asked === null) throw new HttpError(400, "Desired 'level' parameter was not specified in request.");
  const level = parseLevel(String(asked));
  if (level === undefined) throw new HttpError(404, `invalid log level '${String(asked)}'.`);
  // Connect takes any other scope for `worker`.
  if (request.query.get('scope')?.toLowerCase() !== 'cluster') return ok(levels.change(name, level));
  if (herder.setClusterLogLevel === undefined) levels.change(name, level);
  else await herder.setClusterLogLevel(name, level);
  return empty(204);
}

export const loggerRoutes: readonly Route[] = [
  { method: 'GET', path: '/admin/loggers', doc: 'Loggers with their levels.', handle: (_, { levels }) => ok(Object.fromEntries([...levels.all()].map(([name, level]) => [name, shown(level)]))) },
  { method: 'GET', path: '/admin/loggers/:logger', doc: 'Level of one logger.', handle: (request, { levels }) => ok(shown(levels.get(param(request, 'logger')))) },
  { method: 'PUT', path: '/admin/loggers/:logger', doc: 'Sets the level of a logger and of all whose names go on after it: `{"level": "DEBUG"}`. The names that changed; with `scope=cluster` on all workers, 204.', json: true, handle: change },
];
