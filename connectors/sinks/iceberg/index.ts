import { definePlugin } from '../../../runtime/api/plugin.ts';
import { warehouseProblems } from '../tables/local-files.ts';
import { warehousePath } from '../tables/options.ts';
import { icebergConfig } from './config.ts';

/** The Apache Iceberg sink. */
export const icebergSink = definePlugin.sink({
  names: ['org.tributary.iceberg.IcebergSinkConnector', 'iceberg'],
  version: '0.1.0',
  config: icebergConfig,
  shares: 'topics',
  preflight: config => warehouseProblems(warehousePath(config.warehouse)),
  // Only a task that writes tables pays for loading DuckDB.
  open: async (config, context) => {
    const [{ openTableSink }, { icebergFormat }] = await Promise.all([import('../tables/task.ts'), import('./table.ts')]);
    return openTableSink(icebergFormat(warehousePath(config.warehouse), { history: config['history.snapshots'], version: config['format.version'] === '2' ? 2 : 3 }), config, context);
  },
});
