/** pino, the same in the main thread and in the tasks' threads: JSON lines (or plain ones at a terminal) on standard error. */
import { pino, destination } from 'pino';
import type { Logger } from '../api/logger.ts';

/** Keys whose values never reach a log line, wherever they stand. */
const SECRET = ['*.password', 'password', '*["database.password"]', '["database.password"]'];

export function openLogger(level: string): Logger {
  const logger = pino({ level, base: null, redact: { paths: SECRET, censor: '[hidden]' } }, destination({ fd: 2, sync: true }));
  return logger as unknown as Logger;
}
