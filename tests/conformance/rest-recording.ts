/** The recorded REST sequence of a real Kafka Connect, and how an answer of ours is held against it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../kit/worker.ts';

export interface Recorded {
  /** Number and name; the sequence is in the order of the numbers. */
  readonly case: string;
  readonly request: { readonly method: string; readonly path: string; readonly body: unknown; readonly rawBody?: string; readonly headers?: Readonly<Record<string, string>> };
  readonly response: { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: unknown };
}
export interface RestAnswer { readonly status: number; readonly headers: Headers; readonly body: unknown }

/** All requests in their order, with what varies filled in (`${WORKER}`, `${TMP}`, `${PG_PORT}`). */
export function recordedRequests(varying: Readonly<Record<string, string>>): readonly Recorded[] {
  const lines = ['standalone.ndjson', 'plugins-and-loggers.ndjson'].flatMap(file => readFileSync(join(projectRoot, 'tests/goldens/rest', file), 'utf8').trim().split('\n'));
  const filled = lines.map(line => Object.entries(varying).reduce((text, [name, value]) => text.replaceAll(`\${${name}}`, value), line));
  return filled.map(line => JSON.parse(line) as Recorded).sort((a, b) => (a.case < b.case ? -1 : 1));
}

export async function sendRecorded(url: string, { method, path, body, rawBody, headers }: Recorded['request']): Promise<RestAnswer> {
  const sent = rawBody ?? (body === null ? undefined : JSON.stringify(body));
  const answer = await fetch(`${url}${path}`, { method, headers: { 'content-type': 'application/json', ...headers }, ...(sent === undefined || method === 'GET' || method === 'HEAD' ? {} : { body: sent }) });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: text === '' ? null : JSON.parse(text) as unknown };
}

interface Info { readonly definition: Readonly<Record<string, unknown>>; readonly value: Readonly<Record<string, unknown>> | null }

/**
 * An answer's body without what is our own: texts and recommended values of options, names of classes in lists. Columns in
 * Jackson's words depend on the bytes that the recorder sent. Debezium spells one default other than its own list does.
 */
export function comparable(body: unknown): unknown {
  if (typeof body !== 'object' || body === null) return body;
  if (Array.isArray(body)) return typeof body[0] === 'string' ? [...(body as string[])].sort() : (body as unknown[]).map(withoutText);
  if ('configs' in body) {
    const { configs, ...rest } = body as { readonly configs: readonly Info[] };
    return { ...rest, configs: configs.map(({ definition, value }) => ({ definition: withoutText(definition), errors: value?.['errors'] ?? [] })) };
  }
  if ('message' in body && typeof body.message === 'string') {
    const message = body.message.replace(/available connectors are[\s\S]*/, 'available connectors are').replace(/(initial_state[\s\S]*)?column: \d+\] \(through reference chain: \S*\["initial_state"\]\)/, 'initial_state');
    return { ...body, message };
  }
  return withoutTraces(body);
}

/** A trace is Java's own, and ours is not: that there is one counts. */
function withoutTraces(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return (value as unknown[]).map(withoutTraces);
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, key === 'trace' && typeof member === 'string' ? '(trace)' : withoutTraces(member)]));
}

function withoutText(entry: unknown): unknown {
  if (typeof entry !== 'object' || entry === null) return entry;
  const shown = Object.entries(entry).filter(([key]) => key !== 'documentation');
  return Object.fromEntries(shown.map(([key, value]) => [key, key === 'default_value' && typeof value === 'string' ? value.toLowerCase() : value as unknown]));
}
