import { empty, ok, param, type Route } from '../route.ts';

/** Topics that a connector used. Connect answers for unknown connectors as for those without topics. */
export const topicRoutes: readonly Route[] = [
  { method: 'GET', path: '/connectors/:name/topics', doc: 'Topics that the connector used since they were reset.', handle: async (request, { herder }) => {
    const name = param(request, 'name');
    return ok({ [name]: { topics: herder.connectors().includes(name) ? await herder.topics(name) : [] } });
  } },
  { method: 'PUT', path: '/connectors/:name/topics/reset', doc: 'Forgets that list. 202.', handle: async (request, { herder }) => {
    const name = param(request, 'name');
    if (herder.connectors().includes(name)) await herder.resetTopics(name);
    return empty(202);
  } },
];
