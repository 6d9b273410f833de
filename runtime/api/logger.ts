/** Structured log: fixed lower-case phrase, facts in fields; never a row value, key or password. pino's loggers fit. */
export interface Logger {
  debug(fields: object, phrase: string): void;
  info(fields: object, phrase: string): void;
  warn(fields: object, phrase: string): void;
  error(fields: object, phrase: string): void;
  child(fields: Record<string, unknown>): Logger;
}
