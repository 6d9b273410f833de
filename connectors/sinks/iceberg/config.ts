import { type ConfigOf, defineConfig, oneOf } from '../../../runtime/api/config.ts';
import { checkTableSink, tableSinkOptions } from '../tables/options.ts';

/** Options of the Iceberg sink: those of every table sink, and its own. */
export const icebergConfig = defineConfig({
  ...tableSinkOptions,
  'catalog.type': oneOf(['hadoop'], { default: 'hadoop', group: 'Tables', importance: 'HIGH', doc: 'Who keeps the pointer to the newest metadata. hadoop: files below the warehouse.' }),
  'format.version': oneOf(['3'], { default: '3', group: 'Tables', importance: 'MEDIUM', doc: 'Iceberg format version of new tables. 3: deletion vectors.' }),
}, { check: config => checkTableSink(config) });
export type IcebergConfig = ConfigOf<typeof icebergConfig>;
