import { definePlugin } from '../../../runtime/api/plugin.ts';
import { warehouseProblems } from '../tables/local-files.ts';
import { warehousePath } from '../tables/options.ts';
import { deltaConfig } from './config.ts';

/** The Delta Lake sink. */
export const deltaSink = definePlugin.sink({
  names: ['org.tributary.delta.DeltaSinkConnector', 'delta'],
  version: '0.1.0',
  config: deltaConfig,
  shares: 'topics',
  preflight: config => warehouseProblems(warehousePath(config.warehouse)),
  // Only a task that writes tables pays for loading DuckDB.
  open: async (config, context) => {
    const [{ openTableSink }, { deltaFormat }] = await Promise.all([import('../tables/task.ts'), import('./table.ts')]);
    return openTableSink(deltaFormat(warehousePath(config.warehouse)), config, context);
  },
});
