/** Requests that were recorded at a distributed worker of Kafka Connect, in their order, to a distributed worker of ours. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestCluster } from '../kit/cluster.ts';
import { until } from '../kit/condition.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { type KafkaCluster, startKafka } from '../kit/kafka.ts';

interface Recorded {
  readonly case: string;
  readonly request: { readonly method: string; readonly path: string; readonly body: unknown; readonly rawBody?: string; readonly headers?: Readonly<Record<string, string>> };
  readonly response: { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: unknown };
}

/** Sent, not compared. */
const differs: Readonly<Record<string, string>> = {
  '077': 'a passing state: which topics were used just now', '096': 'a passing state: the task that is about to end', '172': 'a passing state: the task that is about to be made',
  '130': 'the position of a sink follows its flush', '173': 'our answer has a body', '174': 'our answer is JSON, not a page of HTML',
  '175': 'the connectors of the database are not among them here', '183': 'not among them here', '186': 'not among them here',
};

describe('REST of a distributed worker', () => {
  const scratch = temporaryDirectory();
  let kafka: KafkaCluster, cluster: TestCluster;
  beforeAll(async () => {
    kafka = await startKafka();
    writeFileSync(join(scratch.path, 'in.txt'), 'line one\nline two\n');
    cluster = new TestCluster({ bootstrap: kafka.bootstrap, directory: join(scratch.path, 'workers'), name: 'recorded', properties: { 'rest.mask.passwords': 'false' } });
    await cluster.start('a');
  }, 300_000);
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
    await kafka[Symbol.asyncDispose]();
    scratch[Symbol.dispose]();
  });

  const lines = readFileSync(new URL('../goldens/rest/distributed.ndjson', import.meta.url), 'utf8').trim().split('\n');
  const names = lines.map(line => (JSON.parse(line) as Recorded).case);
  for (const [i, name] of names.entries()) {
    const reason = differs[name.slice(0, 3)];
    it(`${name}${reason === undefined ? '' : `: sent, not compared: ${reason}`}`, async () => {
      const { request, response } = JSON.parse((lines[i] ?? '').replaceAll('${TMP}', scratch.path).replaceAll('${WORKER}', cluster.workerId('a'))) as Recorded;
      const wanted = { status: response.status, body: comparable(response.body), location: response.headers['Location'] ?? null, allow: response.headers['Allow'] ?? null };
      if (wanted.allow === null) Reflect.deleteProperty(wanted, 'allow');
      if (request.path.includes('/restart')) await untilRestarted(cluster.rest('a'), request.path.split('/')[2] ?? '');
      let answer = await send(cluster.rest('a'), request);
      if (reason !== undefined) return;
      // What is read may need a moment to be so; what is done is asked once.
      if (request.method === 'GET') await until('the recorded answer', async () => { answer = await send(cluster.rest('a'), request); return answer.status === wanted.status && JSON.stringify(answer.body) === JSON.stringify(wanted.body); }, 15_000).catch(() => { /* compared below */ });
      expect(answer).toMatchObject(wanted);
      expect(answer.body).toEqual(wanted.body);
    });
  }
});

/** The recording had time between two restarts of one connector: what is being restarted still is done first. */
async function untilRestarted(url: string, connector: string): Promise<void> {
  await until(`${connector} to be restarted`, async () => !(await (await fetch(`${url}/connectors/${connector}/status`)).text()).includes('RESTARTING'), 15_000);
}

async function send(url: string, { method, path, body, rawBody, headers }: Recorded['request']): Promise<{ readonly status: number; readonly body: unknown; readonly location: string | null; readonly allow: string | null }> {
  const sent = rawBody ?? (body === null || body === undefined ? undefined : JSON.stringify(body));
  const answer = await fetch(`${url}${path}`, { method, headers: { ...(sent === undefined ? {} : { 'content-type': 'application/json' }), ...headers }, ...(sent === undefined ? {} : { body: sent }) });
  const text = await answer.text();
  let parsed: unknown = null;
  if (text !== '') try { parsed = JSON.parse(text); } catch { parsed = text; }
  return { status: answer.status, body: comparable(parsed), location: answer.headers.get('location'), allow: answer.headers.get('allow') };
}

/** Keys in one order; places in Jackson's messages and ours are the same, so all else counts. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(comparable);
  // Columns in Jackson's words depend on the bytes that were sent.
  if (typeof value === 'string') return value.replace(/column: \d+/, 'column');
  if (value === null || typeof value !== 'object') return value ?? null;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, member]) => [key, comparable(member)]));
}
