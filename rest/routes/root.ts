import { ok, type Route } from '../route.ts';

/** `GET /` and `GET /health`. */
export const rootRoutes: readonly Route[] = [
  { method: 'GET', path: '/', handle: (_, { herder }) => {
    const { version, commit, kafka_cluster_id } = herder.info();
    return ok({ version, commit, kafka_cluster_id });
  } },
  { method: 'GET', path: '/health', handle: (_, { herder }) => {
    const { state, message } = herder.health();
    return { status: state === 'healthy' ? 200 : state === 'starting' ? 503 : 500, body: { status: state, message } };
  } },
];
