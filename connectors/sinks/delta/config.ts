import { type ConfigOf, defineConfig } from '../../../runtime/api/config.ts';
import { checkTableSink, tableSinkOptions } from '../tables/options.ts';

/** Options of the Delta sink: those of every table sink. Tables lie below `warehouse` by their names. */
export const deltaConfig = defineConfig({ ...tableSinkOptions }, { check: config => checkTableSink(config) });
export type DeltaConfig = ConfigOf<typeof deltaConfig>;
