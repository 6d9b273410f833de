import type { Plugin } from '../runtime/api/plugin.ts';

/** All plugins, loaded when they are asked for: one line each. */
export const connectors: readonly (() => Promise<Plugin>)[] = [
  async () => (await import('./sources/postgres/index.ts')).postgresSource,
  async () => (await import('./sources/file/index.ts')).fileSource,
  async () => (await import('./sinks/iceberg/index.ts')).icebergSink,
  async () => (await import('./sinks/delta/index.ts')).deltaSink,
  async () => (await import('./sinks/file/index.ts')).fileSink,
];
