/**
 * pino, the same in the main thread and in the tasks' threads: JSON lines on standard error. The level may change at any
 * time, also for loggers that were derived before.
 */
import { pino, destination, type Logger as Pino } from 'pino';
import type { Logger } from '../api/logger.ts';
import { type LogLevel, type LogLevels, rankOf } from './log-levels.ts';

/** Keys whose values never reach a log line, wherever they stand. */
const SECRET = ['*.password', 'password', '*["database.password"]', '["database.password"]'];
const RANK = { error: rankOf('ERROR'), warn: rankOf('WARN'), info: rankOf('INFO'), debug: rankOf('DEBUG') } as const;

/** Shared by a logger and all that come from it. */
interface Gate { rank: number }

class GatedLogger implements Logger {
  private readonly pino: Pino;
  private readonly gate: Gate;
  constructor(output: Pino, gate: Gate) { this.pino = output; this.gate = gate; }
  debug(fields: object, phrase: string): void { if (this.gate.rank >= RANK.debug) this.pino.debug(fields, phrase); }
  info(fields: object, phrase: string): void { if (this.gate.rank >= RANK.info) this.pino.info(fields, phrase); }
  warn(fields: object, phrase: string): void { if (this.gate.rank >= RANK.warn) this.pino.warn(fields, phrase); }
  error(fields: object, phrase: string): void { if (this.gate.rank >= RANK.error) this.pino.error(fields, phrase); }
  child(fields: Record<string, unknown>): Logger { return new GatedLogger(this.pino.child(fields), this.gate); }
}

export interface LeveledLogger { readonly logger: Logger; setLevel(level: LogLevel): void }

/** A logger whose level can be changed. */
export function openLogger(level: LogLevel): LeveledLogger {
  const gate: Gate = { rank: rankOf(level) };
  const output = pino({ level: 'trace', base: null, redact: { paths: SECRET, censor: '[hidden]' } }, destination({ fd: 2, sync: true }));
  return { logger: new GatedLogger(output, gate), setLevel: next => { gate.rank = rankOf(next); } };
}

/** A logger of this thread that follows the level of its name for as long as the process runs. */
export function namedLogger(levels: LogLevels, name: string): Logger {
  const { logger, setLevel } = openLogger(levels.effective(name).level);
  levels.use(name, setLevel);
  return logger;
}
