import { definePlugin } from '../../../runtime/api/plugin.ts';
import { warehousePath } from '../tables/options.ts';
import { openTableSink } from '../tables/task.ts';
import { deltaConfig } from './config.ts';
import { deltaPreflight } from './preflight.ts';
import { deltaFormat } from './table.ts';

/** The Delta Lake sink. */
export const deltaSink = definePlugin.sink({
  names: ['org.tributary.delta.DeltaSinkConnector', 'delta'],
  version: '0.1.0',
  config: deltaConfig,
  preflight: config => deltaPreflight(config),
  open: (config, context) => openTableSink(deltaFormat(warehousePath(config.warehouse)), config, context),
});
