/**
 * Levels of the log by logger name, changeable while the worker runs. Names are dotted and a level counts for all names
 * below it, as in log4j: `io.debezium` holds for every task of a Debezium connector,
 * `io.debezium.connector.postgresql.PostgresConnector.NAME` for the one that is called NAME.
 */
import { NotFoundError } from '../api/errors.ts';

/** log4j's names, which REST speaks, from silent to talkative. */
const LEVELS = ['OFF', 'FATAL', 'ERROR', 'WARN', 'INFO', 'DEBUG', 'TRACE'] as const;
export type LogLevel = (typeof LEVELS)[number];
export const ROOT = 'root';

/** Names of the worker's own loggers: Connect's, so that a request that worked there works here. */
export const loggerNames = { worker: 'org.apache.kafka.connect.runtime.Worker', rest: 'org.apache.kafka.connect.runtime.rest.RestServer' } as const;
/** Name of a task's logger. */
export function taskLogger(pluginClass: string, connector: string): string { return `${pluginClass}.${connector}`; }

export interface LoggerLevel { readonly level: LogLevel; /** Milliseconds since the epoch; null = never changed. */ readonly lastModified: number | null }

/** Any spelling of a level. Undefined when there is none of that name. */
export function parseLevel(text: string): LogLevel | undefined {
  const upper = text.trim().toUpperCase();
  return upper === 'ALL' ? 'TRACE' : LEVELS.find(level => level === upper);
}
/** How much is shown, as a rank: a line is written when its own rank is not above. */
export function rankOf(level: LogLevel): number { return LEVELS.indexOf(level); }

type Listener = (level: LogLevel) => void;

export class LogLevels {
  private readonly set = new Map<string, LoggerLevel>();
  private readonly listeners = new Map<string, Set<Listener>>();
  private readonly clock: () => number;

  constructor(root: LogLevel, clock: () => number = Date.now) {
    this.clock = clock;
    this.set.set(ROOT, { level: root, lastModified: null });
  }

  /** A logger that is in use. `changed` is called at once and then whenever its level changes; the answer takes it out again. */
  use(name: string, changed: Listener): () => void {
    const present = this.listeners.get(name) ?? new Set();
    this.listeners.set(name, present.add(changed));
    changed(this.effective(name).level);
    return () => {
      present.delete(changed);
      if (present.size === 0 && this.listeners.get(name) === present) this.listeners.delete(name);
    };
  }

  /** Level of a name: its own, else that of the nearest name above it. */
  effective(name: string): LoggerLevel {
    for (let at = name; ; at = at.slice(0, at.lastIndexOf('.'))) {
      const own = this.set.get(at);
      if (own !== undefined) return own;
      if (!at.includes('.')) return this.set.get(ROOT) ?? { level: 'INFO', lastModified: null };
    }
  }

  /** Loggers that are in use and names that were given a level, in the order of their names. */
  all(): ReadonlyMap<string, LoggerLevel> {
    const names = [...new Set([...this.set.keys(), ...this.listeners.keys()])].sort();
    return new Map(names.map(name => [name, this.effective(name)]));
  }
  /** Throws NotFoundError LOGGER_UNKNOWN. */
  get(name: string): LoggerLevel {
    if (!this.set.has(name) && !this.listeners.has(name)) throw new NotFoundError(`Logger ${name} not found.`, { code: 'LOGGER_UNKNOWN' });
    return this.effective(name);
  }

  /** Sets the level of a name and of all below it, also where those had one of their own. The names that are affected; none when it was so before. */
  change(name: string, level: LogLevel): readonly string[] {
    if ((this.set.has(name) || this.listeners.has(name)) && this.effective(name).level === level) return [];
    const below = (other: string): boolean => name === ROOT || other === name || other.startsWith(`${name}.`);
    const lastModified = this.clock();
    for (const other of this.set.keys()) if (below(other)) this.set.set(other, { level, lastModified });
    this.set.set(name, { level, lastModified });
    const affected = [...this.all().keys()].filter(below);
    for (const [other, listeners] of this.listeners) if (below(other)) for (const listener of listeners) listener(level);
    return affected;
  }
}
