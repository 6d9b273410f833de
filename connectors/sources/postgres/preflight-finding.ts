/** What a preflight check sees and says. */
import type { Finding as PluginFinding } from '../../../runtime/api/plugin.ts';
import { anchored } from '../capture/table-filter.ts';
import type { PostgresConfig } from './config.ts';
import type { CatalogueTable, Query } from './schema.ts';

export interface Finding extends PluginFinding {
  /** True when the server could not be reached at all. */
  readonly unreached?: true;
}

/** What the checks share; read once. */
export interface ServerFacts {
  readonly query: Query;
  readonly config: PostgresConfig;
  readonly version: number;
  readonly user: string;
  readonly superuser: boolean;
  readonly replication: boolean;
  readonly standby: boolean;
  readonly tables: readonly CatalogueTable[];
}
/** Throws only what the server says. */
export type Check = (facts: ServerFacts) => Promise<readonly Finding[]>;

/** One finding, as a list. */
export const found = (code: string, severity: Finding['severity'], option: string, message: string, mend: string): Finding[] => [{ code, severity, option, message, mend }];

/** True when `pattern` of a list fits no name. */
export function fitsNothing(pattern: string, names: readonly string[]): boolean { const expression = anchored(pattern); return !names.some(name => expression.test(name)); }
