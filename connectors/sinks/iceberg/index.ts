import { definePlugin } from '../../../runtime/api/plugin.ts';
import { warehousePath } from '../tables/options.ts';
import { openTableSink } from '../tables/task.ts';
import { icebergConfig } from './config.ts';
import { icebergPreflight } from './preflight.ts';
import { icebergFormat } from './table.ts';

/** The Apache Iceberg sink. */
export const icebergSink = definePlugin.sink({
  names: ['org.tributary.iceberg.IcebergSinkConnector', 'iceberg'],
  version: '0.1.0',
  config: icebergConfig,
  preflight: config => icebergPreflight(config),
  open: (config, context) => openTableSink(icebergFormat(warehousePath(config.warehouse), config['history.snapshots']), config, context),
});
