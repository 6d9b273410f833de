/** Recorded against produced records: JSON text for JSON text, number spelling and member order included, but for masks. */
import { type Json, parseExact } from '../../runtime/api/exact-json.ts';
import { DECLARED } from './declared-differences.ts';

export interface RecordText { readonly topic: string; readonly partition: number; readonly key: string | null; readonly value: string | null; readonly headers: readonly (readonly [string, string | null])[] }
export interface Mask { readonly path?: string; readonly header?: string; readonly topic?: string }

/** Numbers keep their spelling behind a mark that no string can have. */
const spelled = (token: string): Json => `\u0000${token}`;
const tree = (text: string): Json => parseExact(text, spelled);

/** First differences of two records, as `path: recorded ≠ produced`. */
export function differences(recorded: RecordText, produced: RecordText, masks: readonly Mask[]): string[] {
  const found: string[] = [];
  const paths = new Set(masks.filter(({ path, topic }) => path !== undefined && (topic === undefined || topic === recorded.topic)).map(({ path }) => path ?? ''));
  // An identity that varies in the value varies in the key that repeats it.
  for (const path of [...paths]) if (path === '.value.payload.id') paths.add('.key.payload.id');
  const headers = new Set(masks.flatMap(({ header }) => (header === undefined ? [] : [header])));
  part('.key', recorded.key, produced.key, paths, found);
  part('.value', recorded.value, produced.value, paths, found, rowTypes(recorded.value));
  const shown = (record: RecordText): string => JSON.stringify(record.headers.map(([name, value]) => [name, headers.has(name) ? '*' : value]));
  if (shown(recorded) !== shown(produced)) found.push(`.headers: ${shown(recorded)} ≠ ${shown(produced)}`);
  return found;
}

function part(path: string, recorded: string | null, produced: string | null, masks: ReadonlySet<string>, found: string[], row?: RowTypes): void {
  if (recorded === produced || masks.has(path)) return;
  if (recorded === null || produced === null) { found.push(`${path}: ${short(recorded)} ≠ ${short(produced)}`); return; }
  compare(path, tree(recorded), tree(produced), masks, found, row);
}

/** Of a row change: whether a snapshot gave it, and the schema name of each column. */
interface RowTypes { readonly snapshot: boolean; readonly types: ReadonlyMap<string, string | undefined> }

function rowTypes(value: string | null): RowTypes | undefined {
  if (value === null || !value.includes('"payload"')) return undefined;
  const { schema, payload } = JSON.parse(value) as { schema?: { fields?: { field: string; name?: string; fields?: { field: string; name?: string }[] }[] }; payload?: { op?: string; source?: { snapshot?: string } } | null };
  const row = schema?.fields?.find(({ field }) => field === 'after')?.fields ?? schema?.fields ?? [];
  const known = payload?.source?.snapshot;
  return { snapshot: known === undefined || known !== 'false', types: new Map(row.map(({ field, name }) => [field, name])) };
}

function declared(path: string, recorded: Json, produced: Json, row: RowTypes | undefined): boolean {
  const column = /^\.value\.payload\.(?:after\.)?([^.[]+)$/.exec(path)?.[1];
  if (row === undefined || column === undefined || !row.types.has(column)) return false;
  return DECLARED.some(({ fits }) => fits({ path, snapshot: row.snapshot, type: row.types.get(column), recorded, produced }));
}

function compare(path: string, recorded: Json, produced: Json, masks: ReadonlySet<string>, found: string[], row?: RowTypes): void {
  if (masks.has(path) || found.length > 20) return;
  if (typeof recorded === 'string' && typeof produced === 'string' && /^[[{]/.test(recorded) && /^[[{]/.test(produced) && [...masks].some(mask => mask.startsWith(`${path}(json)`))) {
    compare(`${path}(json)`, tree(recorded), tree(produced), masks, found, row);
  } else if (Array.isArray(recorded) && Array.isArray(produced)) {
    if (recorded.length !== produced.length) found.push(`${path}: ${recorded.length} elements ≠ ${produced.length}: ${short(recorded)} ≠ ${short(produced)}`);
    else recorded.forEach((item: Json, i) => compare(path.endsWith('.fields') ? `${path}[${name(item) ?? i}]` : `${path}[]`, item, produced[i] as Json, masks, found, row));
  } else if (isObject(recorded) && isObject(produced)) {
    const keys = Object.keys(recorded);
    if (keys.join() !== Object.keys(produced).join()) found.push(`${path}: members ${keys.join()} ≠ ${Object.keys(produced).join()}`);
    for (const key of keys) if (key in produced) compare(`${path}.${key}`, recorded[key] ?? null, produced[key] ?? null, masks, found, row);
  } else if (recorded !== produced && !declared(path, recorded, produced, row)) found.push(`${path}: ${short(recorded)} ≠ ${short(produced)}`);
}

function isObject(json: Json): json is Readonly<Record<string, Json>> { return json !== null && typeof json === 'object' && !Array.isArray(json); }
function name(json: Json): string | undefined { return isObject(json) && typeof json['field'] === 'string' ? json['field'] : undefined; }
function short(json: unknown): string {
  const text = JSON.stringify(json)?.replaceAll('\\u0000', '') ?? 'nothing';
  return text.length > 160 ? `${text.slice(0, 160)}…` : text;
}

/** The raw texts of a recorded line: `{"topic":…,"partition":…,"offset":…,"key":…,"value":…,"headers":…}`. */
export function recordedLine(line: string): RecordText {
  const record = parseExact(line, spelled) as Readonly<Record<string, Json>>;
  const text = (json: Json | undefined): string | null => (json === null || json === undefined ? null : unspell(json));
  return {
    topic: record['topic'] as string, partition: Number((record['partition'] as string).slice(1)), key: text(record['key']), value: text(record['value']),
    headers: (record['headers'] as readonly (readonly [string, string | null])[]).map(([header, value]) => [header, value] as const),
  };
}

function unspell(json: Json): string {
  if (typeof json === 'string' && json.startsWith('\u0000')) return json.slice(1);
  if (Array.isArray(json)) return `[${(json as readonly Json[]).map(unspell).join(',')}]`;
  if (isObject(json)) return `{${Object.entries(json).map(([key, value]) => `${JSON.stringify(key)}:${unspell(value)}`).join(',')}}`;
  return JSON.stringify(json);
}
