import { definePlugin } from '../../../runtime/api/plugin.ts';
import { postgresConfig } from './config.ts';
import { DEBEZIUM_VERSION } from './source-info.ts';
import { findings, preflight } from './preflight.ts';
import { openTask } from './task.ts';

/** The PostgreSQL source. */
export const postgresSource = definePlugin.source({
  names: ['io.debezium.connector.postgresql.PostgresConnector', 'postgres'],
  version: DEBEZIUM_VERSION,
  config: postgresConfig,
  preflight,
  diagnose: findings,
  signals: true,
  exactlyOnce: () => true,
  open: openTask,
});
