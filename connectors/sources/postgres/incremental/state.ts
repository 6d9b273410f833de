/**
 * How far an incremental snapshot has come, in the source offset: in Debezium's keys (reference, "Offset"), so that it goes
 * on where ours stopped, and in one of our own for what those do not hold. Debezium writes an offset anew from what it
 * knows: where our key is missing, Debezium was the last to write, and its keys count.
 */
import type { Logger } from '../../../../runtime/api/logger.ts';
import type { SourceOffset } from '../../../../runtime/api/plugin.ts';
import type { Signal } from '../../capture/signals.ts';
import { javaKey, type KeyTexts, textsOfJavaKey } from './java-keys.ts';

const KEY = 'tributary_incremental_snapshot';
const COLLECTIONS = 'incremental_snapshot_collections', PRIMARY = 'incremental_snapshot_primary_key', MAXIMUM = 'incremental_snapshot_maximum_key', CORRELATION = 'incremental_snapshot_correlation_id';

export interface Collection { readonly name: string; readonly filter: string | undefined; readonly surrogate: string | undefined }
export interface IncrementalState {
  /** Of the signal that asked for it. */
  readonly id: string;
  readonly collections: readonly Collection[];
  /** Key of the last row that was sent of the first collection, and the largest that it had when it was begun. */
  readonly last: KeyTexts | undefined;
  readonly max: KeyTexts | undefined;
  /** Names of the types of the key's columns. */
  readonly types: readonly string[];
  /** Rows read of the first collection. */
  readonly rows: number;
  readonly paused: boolean;
}

/** A snapshot that has sent nothing yet. */
export function begunState(id: string, collections: readonly Collection[]): IncrementalState {
  return { id, collections, last: undefined, max: undefined, types: [], rows: 0, paused: false };
}
/** The next collection is the first. */
export function nextCollection(state: IncrementalState): IncrementalState {
  return { ...begunState(state.id, state.collections.slice(1)), paused: state.paused };
}

/** As our key has it: `signals` have come and were not yet acted upon. */
type Stored = Partial<IncrementalState> & { readonly signals?: readonly Signal[] };

/** Members for the offset: a signal that has come with the stream is not sent again, so it stands there until it is acted upon. */
export function incrementalKeys(state: IncrementalState | undefined, signals: readonly Signal[] = []): SourceOffset {
  const waiting = signals.length > 0 && { signals };
  if (state === undefined) return waiting === false ? {} : { [KEY]: JSON.stringify(waiting satisfies Stored) };
  const { id, collections, last, max, types } = state;
  const first = javaKey(last, types), highest = javaKey(max, types);
  // A key that Debezium could not read would stop it; without both it reads the table from its beginning.
  const whole = first !== undefined && highest !== undefined;
  const nothing = javaKey(undefined, []);
  return {
    [PRIMARY]: whole ? first : nothing, [MAXIMUM]: whole ? highest : nothing,
    [COLLECTIONS]: JSON.stringify(collections.map(({ name, filter, surrogate }) => ({ [`${COLLECTIONS}_id`]: name, [`${COLLECTIONS}_additional_condition`]: filter === undefined ? null : enclosed(filter), [`${COLLECTIONS}_surrogate_key`]: surrogate ?? null }))),
    [CORRELATION]: id, [KEY]: JSON.stringify({ ...state, ...waiting } satisfies Stored),
  };
}

/** What an offset says; undefined when no incremental snapshot was under way. */
export function incrementalState(offset: SourceOffset | undefined, logger: Logger): IncrementalState | undefined {
  const own = offset?.[KEY];
  if (typeof own === 'string') {
    const { id, collections = [], last, max, types = [], rows = 0, paused = false } = JSON.parse(own) as Stored;
    return id === undefined ? undefined : { id, collections, last, max, types, rows, paused };
  }
  const listed = offset?.[COLLECTIONS];
  if (typeof listed !== 'string' || listed === '') return undefined;
  const collections = collectionsOf(listed);
  if (collections.length === 0) return undefined;
  const correlation = offset?.[CORRELATION];
  const state = begunState(typeof correlation === 'string' ? correlation : '', collections);
  const last = storedKey(offset?.[PRIMARY]), max = storedKey(offset?.[MAXIMUM]);
  if (last === 'unknown' || max === 'unknown') {
    logger.warn({ table: collections[0]?.name }, 'the key that an incremental snapshot of debezium had reached cannot be read, its table is read from the beginning');
    return state;
  }
  return { ...state, last, max: last === undefined ? undefined : max };
}

/** Signals that an offset has, in their order. */
export function waitingSignals(offset: SourceOffset | undefined): readonly Signal[] {
  const own = offset?.[KEY];
  return typeof own === 'string' ? (JSON.parse(own) as Stored).signals ?? [] : [];
}

/** Debezium keeps a condition in brackets; one that came from there has them. */
function enclosed(filter: string): string {
  const bare = filter.replace(/'(?:[^']|'')*'|"(?:[^"]|"")*"/g, '');
  let depth = 0;
  const inner = [...bare].slice(0, -1).every(char => { depth += char === '(' ? 1 : char === ')' ? -1 : 0; return depth > 0; });
  return bare.startsWith('(') && bare.endsWith(')') && inner ? filter : `(${filter})`;
}

function storedKey(value: unknown): KeyTexts | undefined | 'unknown' {
  if (typeof value !== 'string' || value === '') return undefined;
  try { return textsOfJavaKey(value); } catch { return 'unknown'; }
}

/** A list of objects, as versions since 2.0 write it; before that, names with commas between. */
function collectionsOf(text: string): Collection[] {
  const filled = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);
  let listed: unknown;
  try { listed = JSON.parse(text); } catch { listed = text.split(',').map(name => ({ [`${COLLECTIONS}_id`]: name.trim() })); }
  if (!Array.isArray(listed)) return [];
  return (listed as readonly Readonly<Record<string, unknown>>[]).flatMap(one => {
    const name = filled(one[`${COLLECTIONS}_id`]);
    // Three parts are database, schema and table.
    return name === undefined ? [] : [{ name: name.replaceAll('"', '').split('.').slice(-2).join('.'), filter: filled(one[`${COLLECTIONS}_additional_condition`]), surrogate: filled(one[`${COLLECTIONS}_surrogate_key`]) }];
  });
}
