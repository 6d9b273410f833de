import { type ConfigOf, defineConfig } from '../../../runtime/api/config.ts';
import { tableSinkOptions } from '../tables/options.ts';

/** Options of the Delta sink: those of every table sink. Tables lie below `warehouse` by their names. */
export const deltaConfig = defineConfig({ ...tableSinkOptions });
export type DeltaConfig = ConfigOf<typeof deltaConfig>;
