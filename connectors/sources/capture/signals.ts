/** Signals: what a person asks of a running connector (Debezium reference, "Signals"). */
import { readFile, writeFile } from 'node:fs/promises';
import type { Logger } from '../../../runtime/api/logger.ts';
import type { SourceSignal } from '../../../runtime/api/plugin.ts';

/** An order, whatever channel it came by. */
export type Signal = SourceSignal;
export interface SnapshotRequest {
  readonly kind: 'INCREMENTAL' | 'BLOCKING';
  readonly collections: readonly string[];
  readonly conditions: readonly { readonly collection: string; readonly filter: string }[];
  readonly surrogateKey: string | undefined;
}

/** JSON text or a parsed value → the members; undefined for what is no object. Nothing at all counts as no members. */
function membersOf(data: unknown): Readonly<Record<string, unknown>> | undefined {
  const value: unknown = typeof data === 'string' ? (data.trim() === '' ? {} : JSON.parse(data)) : data ?? {};
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Readonly<Record<string, unknown>> : undefined;
}

/** Undefined, with a line in the log, for text that is no signal. */
export function signalOf(id: string, type: string, data: string | null, logger: Logger): Signal | undefined {
  try {
    const members = membersOf(data);
    if (members !== undefined) return { id, type, data: members };
  } catch { /* said below */ }
  logger.warn({ id, type }, 'data of a signal is no json object, the signal is left out');
  return undefined;
}

const texts = (value: unknown): string[] => (Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : []);

export function snapshotRequest({ data }: Signal): SnapshotRequest {
  const conditions = Array.isArray(data['additional-conditions']) ? (data['additional-conditions'] as readonly unknown[]).filter((one): one is Readonly<Record<string, unknown>> => typeof one === 'object' && one !== null) : [];
  const surrogate = data['surrogate-key'];
  return {
    kind: String(data['type'] ?? 'INCREMENTAL').toUpperCase() === 'BLOCKING' ? 'BLOCKING' : 'INCREMENTAL', collections: texts(data['data-collections']),
    conditions: conditions.map(condition => ({ collection: String(condition['data-collection'] ?? ''), filter: String(condition['filter'] ?? '') })),
    surrogateKey: typeof surrogate === 'string' && surrogate !== '' ? surrogate : undefined,
  };
}

/** A signal as one JSON object `{"id", "type", "data"}`; undefined, with a line in the log, for what is none. `where` is shown there. */
export function signalOfJson(text: string, where: Readonly<Record<string, unknown>>, logger: Logger): Signal | undefined {
  let parsed: unknown;
  try { parsed = JSON.parse(text); } catch { logger.warn({ ...where }, 'a signal is no json and is left out'); return undefined; }
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) {
    const { id, type, data } = parsed as { readonly id?: unknown; readonly type?: unknown; readonly data?: unknown };
    try {
      const members = membersOf(data);
      if (members !== undefined && typeof type === 'string') return { id: typeof id === 'string' ? id : '', type, data: members };
    } catch { /* said below */ }
  }
  logger.warn({ ...where }, 'a signal is no object with a type and, as data, an object: it is left out');
  return undefined;
}

/** Takes the signals out of a file, one JSON object a line; a missing file has none. */
export async function takeFileSignals(path: string, logger: Logger): Promise<Signal[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  if (text.trim() === '') return [];
  await writeFile(path, '');
  return text.split('\n').flatMap(line => {
    const signal = line.trim() === '' ? undefined : signalOfJson(line, { path }, logger);
    return signal === undefined ? [] : [signal];
  });
}
