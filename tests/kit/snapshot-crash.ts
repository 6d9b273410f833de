/**
 * The child of the crash matrix: a PostgreSQL source over an embedded log, which kills itself with SIGKILL at one step.
 * `node snapshot-crash.js DIRECTORY CONFIG STEP`; the step is `{"at","when","matching","nth"}`, where `at` says whether
 * statements to the server or appends to the log are looked at, and `when` is before or after the nth that matches.
 */
import pg from 'pg';
import type { Log, LogWriter } from '../../runtime/log/log.ts';
import { openEmbeddedLog } from '../../runtime/log/embedded/embedded-log.ts';
import { quietLogger } from './quiet-logger.ts';
import { runSource } from './source-over-log.ts';

interface Step { readonly at: 'statement' | 'append' | 'memory'; readonly when: 'before' | 'after'; readonly matching: string; readonly nth: number }

const die = (): void => { process.kill(process.pid, 'SIGKILL'); };

/** Calls `work` and dies at the step. */
function watched({ at, when, matching, nth }: Step): <T>(kind: Step['at'], text: string, work: () => Promise<T>) => Promise<T> {
  const pattern = new RegExp(matching);
  let seen = 0;
  return async (kind, text, work) => {
    const here = kind === at && pattern.test(text) && ++seen === nth;
    if (here && when === 'before') die();
    const result = await work();
    if (here) die();
    return result;
  };
}

async function main(): Promise<void> {
  const [, , directory = '', config = '{}', text = '{}'] = process.argv;
  const watch = watched(JSON.parse(text) as Step);
  const driver = pg.Client.prototype as unknown as { query: (...args: unknown[]) => Promise<unknown> };
  const { query } = driver;
  driver.query = function (this: unknown, ...args) {
    const [asked] = args;
    return watch('statement', typeof asked === 'string' ? asked : String((asked as { readonly text: unknown }).text), () => query.apply(this, args));
  };
  const log = await openEmbeddedLog(directory, { mode: 'writer' });
  const shown = (value: unknown): string => JSON.stringify(value, (_, member: unknown) => (typeof member === 'bigint' ? String(member) : member));
  const watchedLog = new Proxy(log, {
    get: (target, name) => {
      if (name === 'writer') {
        return async (id: string): Promise<LogWriter> => {
          const writer = await target.writer(id);
          return { append: (entries, offsets, signal) => watch('append', shown(offsets?.offsets), () => writer.append(entries, offsets, signal)), [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose]() };
        };
      }
      const value = Reflect.get(target, name, target) as unknown;
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  }) as Log;
  await runSource(watchedLog, JSON.parse(config) as Record<string, string>, quietLogger, new AbortController().signal, work => watch('memory', 'put', work));
}

main().catch((error: unknown) => { process.stderr.write(`${String((error as Error).stack)}\n`); process.exitCode = 1; });
