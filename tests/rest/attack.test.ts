/** What somebody sends who means harm, or whose program is broken: an answer, bounded memory, and the next request works. */
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fileSource } from '../../connectors/sources/file/index.ts';
import { type RestServer, startRest } from '../../rest/server.ts';
import { LogLevels } from '../../runtime/worker/log-levels.ts';
import { MemoryHerder } from '../kit/memory-herder.ts';
import { quietLogger } from '../kit/quiet-logger.ts';

let server: RestServer, herder: MemoryHerder;
const open = (properties: Readonly<Record<string, string>>): Promise<RestServer> => startRest({ herder, config: { listeners: ['http://127.0.0.1:0'], 'rest.advertised.host.name': undefined, 'rest.advertised.port': undefined }, properties, logger: quietLogger, levels: new LogLevels('INFO'), version: '1' });
beforeEach(async () => {
  herder = new MemoryHerder([fileSource]);
  server = await open({});
});
afterEach(async () => { await server[Symbol.asyncDispose](); });

async function send(method: string, path: string, body?: string): Promise<{ readonly status: number; readonly message: string }> {
  const answer = await fetch(server.url + path, { method, ...(body === undefined ? {} : { body, headers: { 'content-type': 'application/json' } }) });
  const text = await answer.text();
  return { status: answer.status, message: text === '' ? '' : (JSON.parse(text) as { readonly message?: string }).message ?? '' };
}

/** Writes to the socket and gives back all that comes until the server closes it. */
function raw(...pieces: readonly string[]): Promise<string> {
  return new Promise((done, failed) => {
    const socket = connect(server.port, '127.0.0.1', () => { for (const piece of pieces) socket.write(piece); });
    let text = '';
    socket.on('data', (chunk: Buffer) => { text += chunk.toString(); });
    socket.once('error', failed);
    socket.once('close', () => { done(text); });
  });
}

describe('bodies', () => {
  it('that are too large are refused with the bound, before they are read', async () => {
    expect(await send('POST', '/connectors', JSON.stringify({ name: 'x', config: { a: 'b'.repeat(1_100_000) } }))).toEqual({ status: 413, message: 'The request body is larger than 1048576 bytes (rest.request.max.bytes)' });
    const announced = await raw(`POST /connectors HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\n\r\n`);
    expect(announced).toMatch(/^HTTP\/1\.1 413 /);
  });
  it.each<[string, string]>([
    ['arrays in arrays', `{"name":"x","config":${'['.repeat(400_000)}`], ['objects in objects', '{"a":'.repeat(150_000)], ['a long text', JSON.stringify({ name: 'x', config: { a: 'b'.repeat(900_000) } })],
    ['a name that is inherited', '{"name":"x","config":{"__proto__":{"polluted":"yes"}}}'], ['many keys', JSON.stringify({ name: 'x', config: Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`k${i}`, 'v'])) })],
  ])('of %s are answered', async (_, body) => {
    const { status } = await send('POST', '/connectors', body);
    expect([400, 500]).toContain(status);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect((await send('GET', '/connectors')).status).toBe(200);
  });
});

describe('names', () => {
  it.each(['..%2F..%2Fetc%2Fpasswd', '%2e%2e%2fx', '..%5c..%5cx', '%00', '%c0%ae'])('%s stays a name or is refused', async name => {
    const { status } = await send('GET', `/connectors/${name}/config`);
    expect([400, 404]).toContain(status);
  });
  it('cannot add a header', async () => {
    const body = JSON.stringify({ name: 'a\r\nX-Injected: 1', config: { 'connector.class': 'FileStreamSource', topic: 't' } });
    const answer = await fetch(`${server.url}/connectors`, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
    expect(answer.headers.get('x-injected')).toBeNull();
    expect(answer.status).toBe(400);
    expect(((await answer.json()) as { readonly message: string }).message).toContain('String may not contain control sequences but had the following ASCII chars: 13, 10');
  });
});

describe('what is no HTTP', () => {
  it.each<[string, RegExp]>([['\u0016\u0003\u0001\u0002\u0000\u0001', /^HTTP\/1\.1 400 Bad Request/], ['GET\r\n\r\n', /^HTTP\/1\.1 400 /], [`GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`, /^HTTP\/1\.1 431 /], ['POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n', /^HTTP\/1\.1 400 /]])('%j', async (text, answer) => {
    expect(await raw(text)).toMatch(answer);
    expect((await send('GET', '/connectors')).status).toBe(200);
  });
});

describe('a client that dawdles', () => {
  it.each<[string, string]>([['over its headers', 'GET / HTTP/1.1\r\nhost: x\r\nx-'], ['over its body', 'POST /connectors HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"na']])('%s is let go', async (_, begun) => {
    await server[Symbol.asyncDispose]();
    server = await open({ 'rest.request.timeout.ms': '300' });
    const hanging = Array.from({ length: 20 }, () => raw(begun));
    for (const answer of await Promise.all(hanging)) expect(answer).toMatch(/^HTTP\/1\.1 408 Request Timeout/);
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
  });
});

it('lists 10,000 connectors', async () => {
  const plugin = await herder.plugin('FileStreamSource');
  for (let i = 0; i < 10_000; i++) herder.held.set(`c${i}`, { name: `c${i}`, config: { 'connector.class': 'FileStreamSource', topic: 't' }, target: 'RUNNING', plugin, restarting: false, offsets: [], topics: [], unassigned: false });
  expect(await (await fetch(`${server.url}/connectors`)).json()).toHaveLength(10_000);
  const [full, health] = await Promise.all([fetch(`${server.url}/connectors?expand=info&expand=status`), fetch(`${server.url}/health`)]);
  expect(Object.keys(await full.json() as object)).toHaveLength(10_000);
  expect(health.status).toBe(200);
});
