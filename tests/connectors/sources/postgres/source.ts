/** A PostgreSQL source without a log: every record is taken both ways, general and fast, and the two are held together. */
import { postgresConfig } from '../../../../connectors/sources/postgres/config.ts';
import { openTask } from '../../../../connectors/sources/postgres/task.ts';
import { ByteWriter } from '../../../../runtime/api/byte-writer.ts';
import { parseConfig } from '../../../../runtime/api/config-parse.ts';
import type { Logger } from '../../../../runtime/api/logger.ts';
import type { PartitionOffset, SourceContext, SourceMemory, SourceOffset } from '../../../../runtime/api/plugin.ts';
import { jsonConverter } from '../../../../runtime/converters/json.ts';
import type { PostgresServer } from '../../../kit/postgres.ts';

export interface Taken { readonly topic: string; readonly key: string | null; readonly value: string | null; readonly payload: { readonly op?: string; readonly before?: Record<string, unknown> | null; readonly after?: Record<string, unknown> | null; readonly source?: Record<string, unknown> } | null }
export interface Run { readonly records: readonly Taken[]; readonly offset: SourceOffset | undefined; readonly failure: unknown; readonly figures: ReadonlyMap<string, number>; readonly unequal: readonly string[]; /** The offsets in their order, each with the number of records before it. */ readonly offsets: readonly { readonly offset: SourceOffset; readonly count: number }[] }

/** The driver warns once a process when it is given a statement while another runs: no run may have made it do so. */
const warnings: string[] = [];
process.on('warning', ({ message }) => { if (/already executing/.test(message)) warnings.push(message); });

const quiet: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => quiet };

export interface Wish {
  readonly server: PostgresServer;
  readonly database: string;
  readonly options?: Readonly<Record<string, string>>;
  readonly stored?: SourceOffset | undefined;
  /** Ends the run when true; asked after each batch, with the records so far. */
  readonly until: (records: readonly Taken[]) => boolean;
  /** Called once when the stream's first batch, or the end of the snapshot, has come. */
  readonly after?: (() => Promise<void>) | undefined;
  /** When `after` is due; at the first batch after the snapshot that moves the offset without a record, by default. */
  readonly when?: (records: readonly Taken[]) => boolean;
  /** False, or false for now: what was taken is not durable. */
  readonly confirm?: boolean | (() => boolean);
  readonly feed?: NonNullable<SourceContext['feed']>;
  /** Awaited after each batch: a slow log. */
  readonly each?: (() => Promise<void>) | undefined;
  readonly logger?: Logger;
  /** Where the metrics are collected, to be looked at while it runs. */
  readonly figures?: Map<string, number>;
  readonly memory?: SourceMemory;
}

/** Runs the source until the wish is fulfilled, or it fails. */
export async function run({ server, database, options = {}, stored, until, after, when, confirm = true, each, logger = quiet, memory, feed, figures = new Map<string, number>() }: Wish): Promise<Run> {
  const { config, problems, extra } = parseConfig(postgresConfig, {
    'database.hostname': server.host, 'database.port': String(server.port), 'database.user': server.user, 'database.password': server.password, 'database.dbname': database,
    'topic.prefix': 't', 'plugin.name': 'pgoutput', 'slot.name': `slot_${database}`, 'publication.name': 'pub', 'status.update.interval.ms': '200', ...options,
  });
  if (config === undefined) throw new Error(JSON.stringify(problems));
  const metrics = { set: (name: string, value: number, labels?: Readonly<Record<string, string>>) => { figures.set(`${name}${labels === undefined ? '' : JSON.stringify(labels)}`, value); }, add: () => {} };
  const task = await openTask(config, { connector: 'test', task: 0, logger, metrics, ...(memory !== undefined && { memory }), ...(feed !== undefined && { feed }), offset: async () => stored }, extra);
  const stop = new AbortController();
  const records: Taken[] = [], unequal: string[] = [], offsets: { offset: SourceOffset; count: number }[] = [];
  let last: PartitionOffset | undefined, failure: unknown, begun = false;
  const converter = jsonConverter({ schemas: true }), out = new ByteWriter();
  const written = (write: (out: ByteWriter) => boolean): string | null => { out.reset(); return write(out) ? Buffer.from(out.view()).toString() : null; };
  try {
    for await (const batch of task.batches(stop.signal)) {
      const json = batch.json?.({ keySchemas: true, valueSchemas: true });
      for (let i = 0; i < batch.length; i++) {
        const record = batch.decode(i);
        const general = [record.key, record.value].map(({ schema, value }) => { const bytes = converter.encode(record.topic, schema, value); return bytes === null ? null : Buffer.from(bytes).toString(); });
        const fast = [written(to => json?.writeKey(i, to) ?? false), written(to => json?.writeValue(i, to) ?? false)];
        if (fast[0] !== general[0] || fast[1] !== general[1]) unequal.push(`${general.join('\n')}\n${fast.join('\n')}`);
        const value = general[1] ?? null;
        records.push({ topic: record.topic, key: general[0] ?? null, value, payload: value === null ? null : (JSON.parse(value) as { payload: Taken['payload'] }).payload });
      }
      if (batch.offset !== undefined) { last = batch.offset; offsets.push({ offset: batch.offset.offset, count: records.length }); if (typeof confirm === 'boolean' ? confirm : confirm()) await task.committed(batch.offset); }
      if (until(records)) break;
      await each?.();
      if (!begun && after !== undefined && (when?.(records) ?? (batch.length === 0 && batch.offset !== undefined && figures.get('snapshot_running') !== 1))) { begun = true; await after(); }
    }
  } catch (error) { failure = error; } finally { stop.abort(); await task[Symbol.asyncDispose](); }
  if (warnings.length > 0) throw new Error(warnings.join());
  return { records, offset: last?.offset, failure, figures, unequal, offsets };
}
