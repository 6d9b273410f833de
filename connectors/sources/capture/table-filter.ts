/** Include and exclude lists over qualified names, as Debezium reads them: anchored, without regard to case. */
import { ConfigError } from '../../../runtime/api/errors.ts';

export interface NameLists { readonly include: readonly string[]; readonly exclude: readonly string[] }

/** Throws ConfigError FILTER_PATTERN for an expression that does not compile. */
export function nameFilter({ include, exclude }: NameLists): (name: string) => boolean {
  const wanted = include.map(anchored), unwanted = exclude.map(anchored);
  return name => (wanted.length === 0 || wanted.some(pattern => pattern.test(name))) && !unwanted.some(pattern => pattern.test(name));
}

/** A pattern that has to match the whole name, without regard to case. Throws ConfigError FILTER_PATTERN. */
export function anchored(pattern: string): RegExp {
  try { return new RegExp(`^(?:${pattern})$`, 'i'); } catch (error) {
    throw new ConfigError(`'${pattern}' is no regular expression: ${(error as Error).message}`, { code: 'FILTER_PATTERN', hint: 'Put a backslash before characters that stand for themselves.' });
  }
}
