/** The recorded requests that need no running connector, against a real worker on an embedded log of its own. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RestServer, startRest } from '../../rest/server.ts';
import { parseConfig } from '../../runtime/api/config-parse.ts';
import { StandaloneWorker } from '../../runtime/worker/standalone.ts';
import { workerConfig } from '../../runtime/worker/worker-config.ts';
import { quietLogger } from '../kit/quiet-logger.ts';

interface Recorded {
  readonly case: string;
  readonly request: { readonly method: string; readonly path: string; readonly body: unknown; readonly rawBody?: string; readonly headers?: Readonly<Record<string, string>> };
  readonly response: { readonly status: number; readonly body: { readonly error_count?: number; readonly groups?: readonly string[]; readonly configs?: readonly ConfigEntry[] } | null };
}
interface ConfigEntry { readonly definition: Readonly<Record<string, unknown>>; readonly value: { readonly name: string; readonly errors: readonly string[] } | null }

/** Unknown connectors, paths, methods and bodies; validation of the PostgreSQL source without a server. */
const PLAIN = /^(00[23]|008|014|015|017|02[1-9]|03\d|04[0-9]|05[0134]|176|177)/;
const FILE_STREAM = /FileStream/;

describe('a real worker answers as Kafka Connect did', () => {
  const recorded = readFileSync(new URL('../goldens/rest/standalone.ndjson', import.meta.url), 'utf8').trim().split('\n').map(line => JSON.parse(line) as Recorded);
  let folder: string, worker: StandaloneWorker, server: RestServer;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'rest-'));
    const properties = { 'log.dir': join(folder, 'log'), listeners: 'http://127.0.0.1:0' };
    const { config } = parseConfig(workerConfig, properties);
    if (config === undefined) throw new Error('the worker file is wrong');
    const pluginsUrl = new URL('../../connectors/index.ts', import.meta.url).href;
    worker = await StandaloneWorker.open({ config, properties, pluginsUrl, logger: quietLogger, commit: 'test', ephemeral: false });
    server = await startRest({ herder: worker, config, properties, logger: quietLogger, version: '0' });
    await worker.start([]);
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await worker[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  for (const { case: name, request, response } of recorded) {
    if (!PLAIN.test(name) || (FILE_STREAM.test(JSON.stringify(request)) && !/^01[45]|^04[78]|^05[01]/.test(name))) continue;
    it(`${name}: ${request.method} ${request.path} → ${response.status}`, async () => {
      const sent = request.rawBody ?? (request.body === null ? undefined : JSON.stringify(request.body));
      const answer = await fetch(`${server.url}${request.path}`, { method: request.method, headers: { 'content-type': 'application/json', ...request.headers }, ...(sent === undefined ? {} : { body: sent }) });
      const text = await answer.text();
      // The list of plugins at the end of one message is our own.
      const body = text === '' ? null : JSON.parse(text.replace(/(available connectors are)[^"]*/, '$1')) as Recorded['response']['body'];
      expect(answer.status).toBe(response.status);
      if (name.startsWith('047')) return; // its class is FileStream's: only the status is the same
      if (response.body?.configs === undefined) expect(body).toEqual(response.body);
      else {
        expect({ ...body, configs: errorsOf(body?.configs) }).toEqual({ ...response.body, configs: errorsOf(response.body.configs) });
        expect(definitionsOf(body?.configs)).toEqual(definitionsOf(response.body.configs));
      }
    });
  }
});

function errorsOf(configs: readonly ConfigEntry[] | undefined): readonly unknown[] {
  return (configs ?? []).flatMap(({ value }) => (value === null || value.errors.length === 0 ? [] : [{ name: value.name, errors: value.errors }]));
}

/** All but the texts; Debezium's spelling of one default differs from that of its own list of values. */
function definitionsOf(configs: readonly ConfigEntry[] | undefined): readonly unknown[] {
  return (configs ?? []).map(({ definition }) => ({ ...definition, documentation: undefined, default_value: typeof definition['default_value'] === 'string' ? definition['default_value'].toLowerCase() : null }));
}
