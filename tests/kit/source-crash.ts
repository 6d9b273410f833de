/**
 * The child of the crash matrices: a PostgreSQL source over an embedded log, which kills itself with SIGKILL at one step.
 * `node source-crash.js DIRECTORY CONFIG STEP`; the step is a {@link CrashStep} as JSON.
 */
import pg from 'pg';
import type { Log, LogWriter } from '../../runtime/log/log.ts';
import { openEmbeddedLog } from '../../runtime/log/embedded/embedded-log.ts';
import type { CrashStep } from './crash-child.ts';
import { quietLogger } from './quiet-logger.ts';
import { watchCalls } from './source-calls.ts';
import { runSource } from './source-over-log.ts';

const die = (): void => { process.kill(process.pid, 'SIGKILL'); };

type Watch = <T>(kind: CrashStep['at'], text: string, work: () => T) => T;

/** Calls `work` and dies at the step; a promise is waited for before its step is over. */
function watched({ at, when, matching, nth = 1, notice }: CrashStep): Watch {
  const pattern = new RegExp(matching), noticed = notice === undefined ? undefined : new RegExp(notice.matching);
  let seen = 0, notices = 0;
  return (kind, text, work) => {
    const here = kind === at && pattern.test(text) && ++seen === nth;
    if (here && when === 'before') die();
    const result = work();
    if (kind === 'call' && noticed?.test(text) === true && ++notices === notice?.nth) process.stdout.write('noticed\n');
    if (here && result instanceof Promise) return result.then((value: unknown) => { die(); return value; }) as typeof result;
    if (here) die();
    return result;
  };
}

async function main(): Promise<void> {
  const [, , directory = '', config = '{}', text = '{}'] = process.argv;
  const watch = watched(JSON.parse(text) as CrashStep);
  const driver = pg.Client.prototype as unknown as { query: (...args: unknown[]) => Promise<unknown> };
  const { query } = driver;
  driver.query = function (this: unknown, ...args) {
    const [asked] = args;
    return watch('statement', typeof asked === 'string' ? asked : String((asked as { readonly text: unknown }).text), () => query.apply(this, args));
  };
  watchCalls((called, work) => watch('call', called, work));
  const log = await openEmbeddedLog(directory, { mode: 'writer' });
  const shown = (value: unknown): string => JSON.stringify(value, (_, member: unknown) => (typeof member === 'bigint' ? String(member) : member));
  const watchedLog = new Proxy(log, {
    get: (target, name) => {
      if (name === 'writer') {
        return async (id: string): Promise<LogWriter> => {
          const writer = await target.writer(id);
          return { append: (entries, offsets, signal) => watch('append', `${entries.length} entries ${shown(offsets?.offsets)}`, () => writer.append(entries, offsets, signal)), [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose]() };
        };
      }
      const value = Reflect.get(target, name, target) as unknown;
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  }) as Log;
  await runSource(watchedLog, JSON.parse(config) as Record<string, string>, quietLogger, new AbortController().signal, work => watch('memory', 'put', work));
}

main().catch((error: unknown) => { process.stderr.write(`${String((error as Error).stack)}\n`); process.exitCode = 1; });
