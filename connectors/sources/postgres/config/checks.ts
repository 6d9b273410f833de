/** Checks of single option values, in Debezium's words. */
import { anchored } from '../../capture/table-filter.ts';

export const positive = (value: number): string | undefined => (value > 0 ? undefined : 'A positive, non-zero integer value is expected');
export const notNegative = (value: number): string | undefined => (value >= 0 ? undefined : 'A non-negative integer is expected');
export const topicPrefix = (value: string): string | undefined =>
  (/^[a-zA-Z0-9._-]+$/.test(value) ? undefined : `${value} has invalid format (only the underscore, hyphen, dot and alphanumeric characters are allowed)`);
export const slotName = (value: string): string | undefined =>
  (/^[a-z0-9_]{1,63}$/.test(value) ? undefined : 'Valid replication slot name must contain only digits, lowercase characters and underscores with length <= 63');
export const operations = (value: readonly string[]): string | undefined => {
  const lower = value.map(name => name.toLowerCase());
  if (lower.includes('none') && lower.length > 1) return "'none' cannot be specified with other skipped operation types";
  const wrong = value.find(name => !['none', 'c', 'u', 'd', 't'].includes(name.toLowerCase()));
  return wrong === undefined ? undefined : `Invalid operation: ${wrong}`;
};
export const patterns = (value: readonly string[]): string | undefined => {
  try { for (const pattern of value) anchored(pattern); return undefined; } catch { return 'A comma-separated list of valid regular expressions is expected'; }
};
