/**
 * Every recorded request of a real standalone Kafka Connect, sent in its order to a worker of ours: the built program, a
 * real PostgreSQL, a file that its connectors read and write. Reads are repeated until they give what was recorded: the
 * recorder waited for tasks to move as well.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../kit/condition.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { freePort, startPostgres } from '../kit/postgres.ts';
import { startWorker } from '../kit/worker.ts';
import { comparable, recordedRequests, type Recorded, type RestAnswer, sendRecorded } from './rest-recording.ts';

/** What we answer otherwise, on purpose, and why. The status is ours. */
interface Difference { readonly reason: string; readonly status: number; readonly body?: unknown }
const logger = { level: 'INFO', last_modified: null };
const differs: Readonly<Record<string, Difference>> = {
  '001': { reason: 'commit and log id are our own', status: 200, body: { version: '4.3.1', commit: expect.stringMatching(/^tributary-/) as string, kafka_cluster_id: expect.any(String) as string } },
  '004': { reason: 'the plugins are our own', status: 200, body: expect.arrayContaining([{ class: 'io.debezium.connector.postgresql.PostgresConnector', type: 'source', version: '3.6.1.Final' }, { class: 'org.apache.kafka.connect.file.FileStreamSinkConnector', type: 'sink', version: '4.3.1' }]) },
  '005': { reason: 'the plugins are our own', status: 200, body: expect.arrayContaining([{ class: 'org.apache.kafka.connect.transforms.RegexRouter', type: 'transformation', version: '4.3.1' }]) },
  '057': { reason: '400 with the usual message, where Connect runs into a NullPointerException', status: 400, body: { error_code: 400, message: expect.stringMatching(/^Connector configuration is invalid and contains the following 1 error\(s\):\nError while validating connector config: FATAL: password authentication failed for user "dbz"\nYou can also find/) as string } },
  '149': { reason: 'offsets are stored with the records, not every offset.flush.interval.ms', status: 200, body: { offsets: expect.any(Array) as unknown } },
  '151': { reason: 'the position has moved on to the stream, and is that of another server', status: 200, body: { offsets: [{ partition: { server: 'rest' }, offset: expect.objectContaining({ lsn: expect.any(Number) as number }) as unknown }] } },
  '159': { reason: 'the loggers are our own', status: 200, body: expect.objectContaining({ root: logger, 'org.apache.kafka.connect.runtime.Worker': logger, 'io.debezium.connector.postgresql.PostgresConnector.pg': logger }) },
  '163': { reason: 'the loggers are our own', status: 200, body: ['io.debezium', 'io.debezium.connector.postgresql.PostgresConnector.pg', 'io.debezium.connector.postgresql.PostgresConnector.pgfail'] },
  '164': { reason: 'the time is another', status: 200, body: { level: 'WARN', last_modified: expect.any(Number) as number } },
  '173': { reason: 'JSON, where Connect’s web server answers with nothing', status: 400, body: { error_code: 400, message: 'Ambiguous URI path separator' } },
  '174': { reason: 'JSON, where Connect’s web server answers with nothing', status: 400, body: { error_code: 400, message: 'Ambiguous URI path separator' } },
};

describe('a real worker answers as Kafka Connect did', () => {
  const started: (AsyncDisposable | Disposable)[] = [];
  const use = <T extends AsyncDisposable | Disposable>(one: T): T => { started.unshift(one); return one; };
  let recorded: readonly Recorded[] = [];
  let url = '';
  beforeAll(async () => {
    const home = use(temporaryDirectory('rest-'));
    writeFileSync(join(home.path, 'in.txt'), 'line one\nline two\n');
    const database = use(await startPostgres());
    await database.sql("CREATE ROLE dbz LOGIN SUPERUSER REPLICATION PASSWORD 'dbz'");
    await database.sql('CREATE DATABASE restdb');
    await database.sql('CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, \'a\')', 'restdb');
    const port = await freePort();
    const worker = use(await startWorker({ directory: home.path, properties: { 'log.dir': join(home.path, 'log'), listeners: `http://127.0.0.1:${port}`, 'rest.mask.passwords': 'false' }, connectors: [] }));
    url = worker.rest;
    recorded = recordedRequests({ WORKER: `127.0.0.1:${port}`, TMP: home.path, PG_PORT: String(database.port) });
  });
  afterAll(async () => { for (const one of started) if (Symbol.asyncDispose in one) await one[Symbol.asyncDispose](); else one[Symbol.dispose](); });

  for (const { case: name, request: { method, path }, response } of recordedRequests({})) {
    const difference = differs[name.slice(0, 3)];
    it(`${name}: ${method} ${path} → ${difference === undefined ? response.status : `${difference.status}: ${difference.reason}`}`, async () => {
      const one = recorded.find(other => other.case === name);
      if (one === undefined) throw new Error(`${name} was not recorded`);
      if (/\/restart/.test(path)) await calm(url, path);
      const answer = method === 'GET' && difference === undefined ? await settled(url, one) : await sendRecorded(url, one.request);
      expect({ status: answer.status, body: difference === undefined ? comparable(answer.body) : answer.body }).toEqual({ status: difference?.status ?? one.response.status, body: difference === undefined ? comparable(one.response.body) : difference.body });
      for (const header of ['Location', 'Allow']) if (difference === undefined && one.response.headers[header] !== undefined) expect(answer.headers.get(header)).toBe(one.response.headers[header]);
    });
  }
});

/** A restart is asked for when the one before it is over, as the recorder did. */
async function calm(url: string, path: string): Promise<void> {
  const name = path.split('/')[2] ?? '';
  await until(`${name} to be calm`, async () => !(await (await fetch(`${url}/connectors/${name}/status`)).text()).includes('RESTARTING'), 30_000);
}

/** The recorded answer, or the last one before patience ends. */
async function settled(url: string, { case: name, request, response }: Recorded): Promise<RestAnswer> {
  let last: RestAnswer | undefined;
  const wanted = comparable(response.body);
  return until(name, async () => {
    last = await sendRecorded(url, request);
    return last.status === response.status && isDeepStrictEqual(comparable(last.body), wanted) ? last : undefined;
  }, 10_000).catch((error: unknown) => { if (last === undefined) throw error; return last; });
}
