import { ok, type Route } from '../route.ts';

/** `GET /` and `GET /health`. */
export const rootRoutes: readonly Route[] = [
  { method: 'GET', path: '/', doc: 'The worker: `version` (of the REST contract), `commit` (ours), `kafka_cluster_id` (the log\'s id).', handle: (_, { herder }) => {
    const { version, commit, kafka_cluster_id } = herder.info();
    return ok({ version, commit, kafka_cluster_id });
  } },
  { method: 'GET', path: '/health', doc: '200 when the worker answers requests, 503 while it starts, 500 when it cannot; asks for no password.', handle: (_, { herder }) => {
    const { state, message } = herder.health();
    return { status: state === 'healthy' ? 200 : state === 'starting' ? 503 : 500, body: { status: state, message } };
  } },
];
