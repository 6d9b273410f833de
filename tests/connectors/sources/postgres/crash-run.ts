/**
 * One database and one log over a row of deaths: the child dies at a step while something is written, the source goes on in
 * this process, and the log has to hold what was written: all of it, once, in order. What the server was told to forget
 * must lie in the log at every death.
 */
import pg from 'pg';
import { openEmbeddedLog } from '../../../../runtime/log/embedded/embedded-log.ts';
import type { Log } from '../../../../runtime/log/log.ts';
import { until } from '../../../kit/condition.ts';
import { type CrashStep, startChild } from '../../../kit/crash-child.ts';
import { temporaryDirectory } from '../../../kit/directories.ts';
import { valuesOf } from '../../../kit/log-suite.ts';
import type { PostgresServer } from '../../../kit/postgres.ts';
import { quietLogger } from '../../../kit/quiet-logger.ts';
import { runSource } from '../../../kit/source-over-log.ts';

type Options = Readonly<Record<string, string>>;
interface Payload { readonly op?: string; readonly before?: Record<string, unknown> | null; readonly after?: Record<string, unknown> | null; readonly message?: { readonly content: string } }

/** A step with its name; `first` is one to die at before, `options` hold only until the death, `write` takes the place of the usual writing. */
export interface Death extends CrashStep { readonly name: string; readonly first?: CrashStep; readonly options?: Options; readonly write?: readonly string[] }

/** Short form of a {@link Death}: what is awaited, when, and the rest. */
export function death(name: string, at: CrashStep['at'], when: CrashStep['when'], matching: string, more: Partial<Death> = {}): Death { return { name: `${when} ${name}`, at, when, matching, ...more }; }

export interface CrashRunOptions {
  readonly server: PostgresServer;
  readonly program: string;
  readonly database: string;
  /** Statements for the new database, which gets the table `mark` besides. */
  readonly setup: string;
  readonly options: Options;
}

export class CrashRun implements Disposable {
  private readonly home = temporaryDirectory('stream-crash-');
  private readonly how: CrashRunOptions;
  private readonly config: Options;
  private marks = 0;

  private constructor(how: CrashRunOptions) {
    this.how = how;
    const { server, database } = how;
    this.config = {
      'database.hostname': server.host, 'database.port': String(server.port), 'database.user': server.user, 'database.password': server.password, 'database.dbname': database, 'topic.prefix': 't', 'plugin.name': 'pgoutput',
      'slot.name': `slot_${database}`, 'publication.name': 'pub', 'tombstones.on.delete': 'false', 'status.update.interval.ms': '100', ...how.options,
    };
  }

  /** A database whose first snapshot is in the log. */
  static async open(how: CrashRunOptions): Promise<CrashRun> {
    const run = new CrashRun(how);
    await how.server.sql(`CREATE DATABASE ${how.database}`);
    await how.server.sql(`CREATE TABLE mark (id int PRIMARY KEY); ${how.setup}`, how.database);
    await run.goOn();
    return run;
  }

  sql(text: string): Promise<unknown> { return this.how.server.sql(text, this.how.database); }

  /** A connection of its own. */
  async client(): Promise<{ query(text: string): Promise<unknown> } & AsyncDisposable> {
    const client = new pg.Client({ connectionString: this.how.server.url.replace(/postgres$/, this.how.database) });
    await client.connect();
    return { query: text => client.query(text), [Symbol.asyncDispose]: () => client.end() };
  }

  /** The child runs until its death; `write` goes on beside it and may wait for the child's notice. */
  async die(step: Death, write: (noticed: Promise<void>) => Promise<void>, options: Options = {}): Promise<void> {
    const config = { ...this.config, ...options, ...step.options };
    const { program } = this.how;
    if (step.first !== undefined) {
      const early = startChild(program, this.home.path, config, `${step.name}, the first`, step.first);
      await this.marked();
      await early.dead;
      await this.confirmed();
    }
    const child = startChild(program, this.home.path, config, step.name, step);
    await write(child.noticed);
    await child.dead;
  }

  private async marked(): Promise<number> {
    const mark = ++this.marks;
    await this.sql(`INSERT INTO mark VALUES (${mark})`);
    return mark;
  }

  /** Goes on in this process until a new row of the table `mark`, and `done`, are there; returns what each topic holds then. */
  async goOn(options: Options = {}, done: (records: ReadonlyMap<string, readonly string[]>, offset: string) => boolean = () => true): Promise<ReadonlyMap<string, readonly string[]>> {
    await using log = await openEmbeddedLog(this.home.path, { mode: 'writer' });
    await this.requireSlotWithin(log);
    const stop = new AbortController();
    let failure: unknown;
    const running = runSource(log, { ...this.config, ...options }, quietLogger, stop.signal).catch((error: unknown) => { failure = error; });
    try {
      const mark = await this.marked();
      return await until('the mark', async () => {
        if (failure !== undefined) throw failure;
        const marks = (await records(log, 't.public.mark')).get('mark') ?? [];
        // Topics are read one after the other: what came before the mark is surely there only when read after it.
        const all = marks.some(one => one === `c ${mark}` || one === `r ${mark}`) ? await records(log) : undefined;
        if (all === undefined || !done(all, await offsetOf(log))) return false;
        const ids = (all.get('mark') ?? []).map(one => Number(one.slice(2)));
        if (ids.some((id, i) => id !== i + 1)) throw new Error(`rows of the table mark came twice or not at all: ${ids.join()}`);
        return all;
      }, 90_000);
    } finally { stop.abort(); await running; }
  }

  /** The slot must not stand behind what the log holds durably. */
  private async requireSlotWithin(log: Log): Promise<void> {
    const [stored] = await log.sourceOffsets('source');
    if (stored === undefined) return;
    const confirmed = await this.confirmed();
    const { lsn, lsn_commit: commit = lsn } = stored.offset;
    if (confirmed > BigInt(String(commit))) throw new Error(`the slot was told ${confirmed}, the log holds all up to ${String(commit)}`);
  }

  /** What the server was told, once nobody reads the slot any more. */
  private async confirmed(): Promise<bigint> {
    const { server, database } = this.how;
    return await until('the slot to be left', async () => {
      const { rows: [slot] } = await server.sql(`SELECT active, confirmed_flush_lsn - '0/0'::pg_lsn AS confirmed FROM pg_replication_slots WHERE slot_name = 'slot_${database}'`) as { rows: { active: boolean; confirmed: string }[] };
      return slot?.active === false && BigInt(slot.confirmed);
    });
  }

  [Symbol.dispose](): void { this.home[Symbol.dispose](); }
}

async function offsetOf(log: Log): Promise<string> {
  const [stored] = await log.sourceOffsets('source');
  return JSON.stringify(stored?.offset, (_, member: unknown) => (typeof member === 'bigint' ? String(member) : member));
}

/** Per table (or `message`) its records in their order: operation and id, or the content; of all topics, or of `only` one. */
async function records(log: Log, only?: string): Promise<Map<string, string[]>> {
  const all = new Map<string, string[]>();
  for (const { name } of await log.topics()) {
    if (only !== undefined && name !== only) continue;
    all.set(name.replace(/^t\.(public\.)?/, ''), (await valuesOf(log, name)).map(text => {
      const { op, before, after, message } = JSON.parse(text) as Payload;
      return message === undefined ? `${op} ${String((after ?? before)?.['id'] ?? '')}`.trim() : Buffer.from(message.content, 'base64').toString();
    }));
  }
  return all;
}
