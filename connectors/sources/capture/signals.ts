/** Signals: what a person asks of a running connector (Debezium reference, "Signals"). */
import { readFile, writeFile } from 'node:fs/promises';
import type { Logger } from '../../../runtime/api/logger.ts';

export interface Signal { readonly id: string; readonly type: string; readonly data: Readonly<Record<string, unknown>> }
export interface SnapshotRequest {
  readonly kind: 'INCREMENTAL' | 'BLOCKING';
  readonly collections: readonly string[];
  readonly conditions: readonly { readonly collection: string; readonly filter: string }[];
  readonly surrogateKey: string | undefined;
}

/** Undefined, with a line in the log, for text that is no signal. */
export function signalOf(id: string, type: string, data: string | null, logger: Logger): Signal | undefined {
  try { return { id, type, data: (data === null || data.trim() === '' ? {} : JSON.parse(data)) as Readonly<Record<string, unknown>> }; } catch {
    logger.warn({ id, type }, 'data of a signal is no json, the signal is left out');
    return undefined;
  }
}

const texts = (value: unknown): string[] => (Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : []);

export function snapshotRequest({ data }: Signal): SnapshotRequest {
  const conditions = Array.isArray(data['additional-conditions']) ? data['additional-conditions'] as readonly Readonly<Record<string, unknown>>[] : [];
  const surrogate = data['surrogate-key'];
  return {
    kind: String(data['type'] ?? 'INCREMENTAL').toUpperCase() === 'BLOCKING' ? 'BLOCKING' : 'INCREMENTAL', collections: texts(data['data-collections']),
    conditions: conditions.map(condition => ({ collection: String(condition['data-collection'] ?? ''), filter: String(condition['filter'] ?? '') })),
    surrogateKey: typeof surrogate === 'string' && surrogate !== '' ? surrogate : undefined,
  };
}

/** Takes the signals out of a file, one JSON object `{"id","type","data"}` a line; a missing file has none. */
export async function takeFileSignals(path: string, logger: Logger): Promise<Signal[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  if (text.trim() === '') return [];
  await writeFile(path, '');
  return text.split('\n').flatMap(line => {
    if (line.trim() === '') return [];
    try {
      const { id, type, data } = JSON.parse(line) as { id?: string; type?: string; data?: unknown };
      return [{ id: id ?? '', type: type ?? '', data: (typeof data === 'string' ? JSON.parse(data) : data ?? {}) as Readonly<Record<string, unknown>> }];
    } catch { logger.warn({ path }, 'a line of the signal file is no json and is left out'); return []; }
  });
}
