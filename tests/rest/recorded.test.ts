/** Every recorded request of a real Kafka Connect, sent in its order to our REST over a herder in memory. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fileSink } from '../../connectors/sinks/file/index.ts';
import { fileSource } from '../../connectors/sources/file/index.ts';
import { postgresSource } from '../../connectors/sources/postgres/index.ts';
import { type RestServer, startRest } from '../../rest/server.ts';
import { MemoryHerder } from '../kit/memory-herder.ts';
import { LogLevels } from '../../runtime/worker/log-levels.ts';
import { quietLogger } from '../kit/quiet-logger.ts';

interface Recorded {
  readonly case: string;
  readonly request: { readonly method: string; readonly path: string; readonly body: unknown; readonly rawBody?: string; readonly headers?: Readonly<Record<string, string>> };
  readonly response: { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: unknown };
}

/** What differs on purpose, or belongs to parts that this herder does not have. */
const differs: Readonly<Record<string, string>> = {
  '001': 'commit and log id are our own',
  '004': 'the plugins are our own',
  '013': 'this herder knows no converters and transforms', '057': '400 with the usual message instead of a NullPointerException',
  '137': 'needs a log', '149': 'needs a running task', '151': 'needs a running task', '146': 'needs a running task',
  '157': 'needs a failing task', '158': 'needs a failing task', '174': 'our answer is JSON, not a page of HTML', '173': 'our answer has a body',
};

describe('REST answers as Kafka Connect did', () => {
  const recorded = readFileSync(new URL('../goldens/rest/standalone.ndjson', import.meta.url), 'utf8').trim().split('\n').map(line => JSON.parse(line.replaceAll('${PG_PORT}', '5432')) as Recorded);
  const herder = new MemoryHerder([fileSink, fileSource, postgresSource], '${WORKER}');
  let server: RestServer;
  beforeAll(async () => {
    server = await startRest({ herder, config: { listeners: ['http://127.0.0.1:0'], 'rest.advertised.host.name': undefined, 'rest.advertised.port': undefined }, properties: { 'rest.mask.passwords': 'false' }, logger: quietLogger, levels: new LogLevels('INFO'), version: '0' });
  });
  afterAll(async () => { await server[Symbol.asyncDispose](); });

  for (const { case: name, request, response } of recorded) {
    const number = name.slice(0, 3);
    const reason = differs[number];
    it(`${name}: ${request.method} ${request.path} → ${reason === undefined ? response.status : `sent, not compared: ${reason}`}`, async () => {
      prepare(herder, number);
      const answer = await send(server.url, request);
      if (reason !== undefined) return;
      expect(answer.status).toBe(response.status);
      expect(comparable(answer.body)).toEqual(comparable(response.body));
      for (const header of ['Location', 'Allow']) {
        const expected = response.headers[header]?.replace('http://${WORKER}', server.url);
        if (expected !== undefined) expect(answer.headers.get(header)).toBe(expected);
      }
    });
  }
});

/** What a running task would have left behind. */
function prepare(herder: MemoryHerder, number: string): void {
  if (number === '075') herder.get('fs').topics = ['file-lines'];
  if (number === '089' || number === '102') herder.get('fs').offsets = [{ partition: { filename: '${TMP}/in.txt' }, offset: { position: 18 } }];
  if (number === '131') herder.get('sink').topics = ['file-lines'];
}

async function send(url: string, { method, path, body, rawBody, headers }: Recorded['request']): Promise<{ readonly status: number; readonly headers: Headers; readonly body: unknown }> {
  const sent = rawBody ?? (body === null ? undefined : JSON.stringify(body));
  const answer = await fetch(`${url}${path}`, { method, headers: { 'content-type': 'application/json', ...headers }, ...(sent === undefined || method === 'GET' || method === 'HEAD' ? {} : { body: sent }) });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: text === '' ? null : JSON.parse(text) as unknown };
}

interface Info { readonly definition: { readonly name: string } & Record<string, unknown>; readonly value: Record<string, unknown> | null }
/** Documentation and recommendations are our own; lists of plugin classes as well. Columns in Jackson's words depend on the sent bytes. */
function comparable(body: unknown): unknown {
  if (typeof body !== 'object' || body === null) return body;
  if (Array.isArray(body) && typeof body[0] === 'string') return [...(body as string[])].sort();
  if (Array.isArray(body)) return (body as Readonly<Record<string, unknown>>[]).map(entry => ('documentation' in entry ? Object.fromEntries(Object.entries(entry).filter(([key]) => key !== 'documentation')) : entry));
  if ('configs' in body) {
    const { configs, ...rest } = body as { readonly configs: readonly Info[] };
    const errors = configs.flatMap(({ value }) => (Array.isArray(value?.['errors']) && value['errors'].length > 0 ? [[value['name'], value['errors'] as unknown]] : []));
    return { ...rest, errors };
  }
  if ('message' in body && typeof body.message === 'string') {
    const message = body.message.replace(/available connectors are[\s\S]*/, 'available connectors are').replace(/(initial_state[\s\S]*)?column: \d+\] \(through reference chain: \S*\["initial_state"\]\)/, 'initial_state');
    return { ...body, message };
  }
  return body;
}
