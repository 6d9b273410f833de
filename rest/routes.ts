/** All routes, as data. */
import type { Route } from './route.ts';
import { clusterRoutes } from './routes/cluster.ts';
import { connectorRoutes } from './routes/connectors.ts';
import { loggerRoutes } from './routes/loggers.ts';
import { metricRoutes } from './routes/metrics.ts';
import { offsetRoutes } from './routes/offsets.ts';
import { pluginRoutes } from './routes/plugins.ts';
import { rootRoutes } from './routes/root.ts';
import { taskRoutes } from './routes/tasks.ts';
import { topicRoutes } from './routes/topics.ts';

export const mainRoutes: readonly Route[] = [...rootRoutes, ...connectorRoutes, ...taskRoutes, ...offsetRoutes, ...topicRoutes, ...pluginRoutes, ...metricRoutes, ...clusterRoutes];
/** Those that `admin.listeners` moves. */
export const adminRoutes: readonly Route[] = loggerRoutes;
