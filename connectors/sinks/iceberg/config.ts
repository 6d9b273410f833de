import { type ConfigOf, defineConfig, int, oneOf } from '../../../runtime/api/config.ts';
import { tableSinkOptions } from '../tables/options.ts';

/** Options of the Iceberg sink: those of every table sink, and its own. */
export const icebergConfig = defineConfig({
  ...tableSinkOptions,
  'catalog.type': oneOf(['hadoop'], { default: 'hadoop', group: 'Tables', importance: 'HIGH', doc: 'Who keeps the pointer to the newest metadata. hadoop: files below the warehouse.' }),
  'format.version': oneOf(['3', '2'], { default: '3', group: 'Tables', importance: 'MEDIUM', doc: 'Iceberg format version of new tables. 3: deletion vectors. 2: position delete files, for engines that do not know version 3. A table that is there keeps its version.' }),
  'history.snapshots': int({ default: 100, group: 'Tables', importance: 'LOW', doc: 'Snapshots that a table keeps for time travel; older ones are dropped from its metadata. Their files stay.', check: value => (value < 1 ? 'Value must be at least 1' : undefined) }),
});
export type IcebergConfig = ConfigOf<typeof icebergConfig>;
