import { renderMetrics } from '../metrics.ts';
import type { Route } from '../route.ts';

/** `GET /metrics` for Prometheus. */
export const metricRoutes: readonly Route[] = [
  { method: 'GET', path: '/metrics', doc: 'Metrics for Prometheus, see [metrics.md](metrics.md).', handle: async (_, { herder }) => {
    const { text, contentType } = await renderMetrics(herder);
    return { status: 200, text, headers: { 'content-type': contentType } };
  } },
];
