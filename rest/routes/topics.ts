import { HttpError } from '../errors.ts';
import { empty, ok, param, type Route } from '../route.ts';

/** Topics that a connector used. Connect answers for unknown connectors as for those without topics. */
export const topicRoutes: readonly Route[] = [
  { method: 'GET', path: '/connectors/:name/topics', doc: 'Topics that the connector used since they were reset.', handle: async (request, { herder, topics }) => {
    if (!topics.shown) throw new HttpError(403, 'Topic tracking is disabled.');
    const name = param(request, 'name');
    return ok({ [name]: { topics: herder.connectors().includes(name) ? await herder.topics(name) : [] } });
  } },
  { method: 'PUT', path: '/connectors/:name/topics/reset', doc: 'Forgets that list. 202.', handle: async (request, { herder, topics }) => {
    if (!topics.shown) throw new HttpError(403, 'Topic tracking is disabled.');
    if (!topics.reset) throw new HttpError(403, 'Topic tracking reset is disabled.');
    const name = param(request, 'name');
    if (herder.connectors().includes(name)) await herder.resetTopics(name);
    return empty(202);
  } },
];
