/** Listeners over real sockets: TLS and client certificates, cross-origin requests, headers, /admin on its own address. */
import { writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { fileSource } from '../../connectors/sources/file/index.ts';
import { type RestServer, startRest } from '../../rest/server.ts';
import { LogLevels } from '../../runtime/worker/log-levels.ts';
import { certificateAuthority, type Certified } from '../kit/certificates.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { MemoryHerder } from '../kit/memory-herder.ts';
import { quietLogger } from '../kit/quiet-logger.ts';

const opened: RestServer[] = [];
afterEach(async () => { for (const server of opened.splice(0)) await server[Symbol.asyncDispose](); });

async function open(properties: Readonly<Record<string, string>>, listeners: readonly string[] = ['http://127.0.0.1:0'], host?: string): Promise<RestServer> {
  const server = await startRest({ herder: new MemoryHerder([fileSource]), config: { listeners, 'rest.advertised.host.name': host, 'rest.advertised.port': host === undefined ? undefined : 9999 }, properties, logger: quietLogger, levels: new LogLevels('INFO'), version: '1' });
  opened.push(server);
  return server;
}

/** Status of GET / over TLS; rejects where there is no session. */
function over(url: string, ca: string, client?: Certified): Promise<number> {
  return new Promise((done, failed) => {
    const call = request(`${url}/`, { ca, agent: false, ...(client === undefined ? {} : { cert: client.cert, key: client.key }) }, answer => { answer.resume(); done(answer.statusCode ?? 0); });
    call.once('error', failed);
    call.end();
  });
}

describe('TLS', () => {
  const authority = certificateAuthority('tests'), stranger = certificateAuthority('strangers');
  const server = authority.issue({ name: 'rest', ip: ['127.0.0.1'] });
  const client = authority.issue({ name: 'client' });
  const keys = { 'listeners.https.ssl.keystore.key': server.key, 'listeners.https.ssl.keystore.certificate.chain': server.cert };

  it('answers under a certificate that clients can check', async () => {
    const { url } = await open(keys, ['https://127.0.0.1:0']);
    expect(url).toMatch(/^https:/);
    expect(await over(url, authority.cert)).toBe(200);
    await expect(over(url, stranger.cert)).rejects.toThrow(/certificate/);
    await expect(fetch(url.replace('https', 'http'))).rejects.toThrow();
  });
  it('reads key, chain and authorities from PEM files, under their plain names too', async () => {
    using home = temporaryDirectory('tls-');
    const [keystore, truststore] = [join(home.path, 'keystore.pem'), join(home.path, 'truststore.pem')];
    writeFileSync(keystore, server.key + server.cert);
    writeFileSync(truststore, authority.cert);
    const { url } = await open({ 'ssl.keystore.location': keystore, 'ssl.truststore.location': truststore, 'ssl.client.auth': 'required' }, ['https://127.0.0.1:0']);
    expect(await over(url, authority.cert, client)).toBe(200);
  });
  it('asks for a client certificate where it is required, and only there', async () => {
    const trust = { ...keys, 'listeners.https.ssl.truststore.certificates': authority.cert };
    const required = (await open({ ...trust, 'ssl.client.auth': 'required' }, ['https://127.0.0.1:0'])).url;
    expect(await over(required, authority.cert, client)).toBe(200);
    await expect(over(required, authority.cert)).rejects.toThrow();
    await expect(over(required, authority.cert, stranger.issue({ name: 'client' }))).rejects.toThrow();
    const requested = (await open({ ...trust, 'ssl.client.auth': 'requested' }, ['https://127.0.0.1:0'])).url;
    expect(await over(requested, authority.cert)).toBe(200);
  });
  it('refuses to require certificates that nobody could check', async () => {
    await expect(open({ ...keys, 'ssl.client.auth': 'required' }, ['https://127.0.0.1:0'])).rejects.toThrow(/ssl\.client\.auth=required needs ssl\.truststore\.location/);
  });
  it('tells others of the listener, the host and the port that are advertised', async () => {
    const both = await open({ ...keys, 'rest.advertised.listener': 'https' }, ['http://127.0.0.1:0', 'https://127.0.0.1:0']);
    expect(both.url).toBe(both.urls[1]);
    const { url } = await open({}, ['http://127.0.0.1:0'], 'worker.example');
    const made = await fetch(`${url}/connectors`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name: 'n', config: { 'connector.class': 'FileStreamSource', topic: 't' } }) });
    expect(made.headers.get('location')).toBe('http://worker.example:9999/connectors/n');
  });
});

describe('pages of other origins', () => {
  const from = (origin: string, more: Readonly<Record<string, string>> = {}): RequestInit => ({ headers: { origin, ...more } });
  it('are let in where they are listed', async () => {
    const { url } = await open({ 'access.control.allow.origin': 'https://ops.example, https://*.lab.example', 'access.control.allow.methods': 'GET, put' });
    for (const origin of ['https://ops.example', 'https://a.lab.example']) {
      const { headers } = await fetch(`${url}/connectors`, from(origin));
      expect(headers.get('access-control-allow-origin')).toBe(origin);
      expect(headers.get('vary')).toBe('Origin');
    }
    for (const origin of ['https://evil.example', 'https://ops.example.evil', 'http://ops.example']) expect((await fetch(`${url}/connectors`, from(origin))).headers.get('access-control-allow-origin')).toBeNull();
    const asked = await fetch(`${url}/connectors/n/pause`, { method: 'OPTIONS', ...from('https://ops.example', { 'access-control-request-method': 'PUT' }) });
    expect([asked.status, asked.headers.get('access-control-allow-methods'), asked.headers.get('access-control-allow-origin')]).toEqual([200, 'GET,PUT', 'https://ops.example']);
    const refused = await fetch(`${url}/connectors`, { method: 'OPTIONS', ...from('https://ops.example', { 'access-control-request-method': 'DELETE' }) });
    expect(refused.headers.get('access-control-allow-methods')).toBeNull();
  });
  it('get no header where none is listed', async () => {
    const { headers } = await fetch(`${(await open({})).url}/`, from('https://ops.example'));
    expect(headers.get('access-control-allow-origin')).toBeNull();
  });
  it('may ask without a password, not act', async () => {
    const { url } = await open({ 'access.control.allow.origin': '*', 'rest.basic.auth.user': 'u', 'rest.basic.auth.password': 'p' });
    expect((await fetch(`${url}/connectors`, { method: 'OPTIONS', ...from('https://a', { 'access-control-request-method': 'GET' }) })).status).toBe(200);
    expect((await fetch(`${url}/connectors`, from('https://a'))).status).toBe(401);
  });
});

describe('headers of every answer', () => {
  it('are those of response.http.headers.config', async () => {
    const { url } = await open({ 'response.http.headers.config': 'set X-Frame-Options: DENY, "add Cache-Control: no-cache, no-store", setDate Expires: -1000' });
    for (const path of ['/connectors', '/nope']) {
      const { headers } = await fetch(url + path);
      expect([headers.get('x-frame-options'), headers.get('cache-control')]).toEqual(['DENY', 'no-cache, no-store']);
      expect(Date.parse(headers.get('expires') ?? '')).toBeLessThan(Date.now());
    }
  });
  it.each(['drop X: y', 'set X y', 'set X\u0001: y', 'setDate Expires: soon', 'set X: ä'])('refuses %s', async rule => {
    await expect(open({ 'response.http.headers.config': rule })).rejects.toMatchObject({ name: 'ConfigError', code: 'REST_HEADERS' });
  });
});

describe('/admin', () => {
  it('answers on every listener by default', async () => {
    const { url, adminUrls } = await open({});
    expect(adminUrls).toEqual([]);
    expect(await (await fetch(`${url}/admin/loggers/root`)).json()).toEqual({ level: 'INFO', last_modified: null });
  });
  it('moves to admin.listeners, and takes nothing else with it', async () => {
    const { url, adminUrls: [admin = ''] } = await open({ 'admin.listeners': 'http://127.0.0.1:0' });
    expect((await fetch(`${url}/admin/loggers`)).status).toBe(404);
    expect((await fetch(`${admin}/admin/loggers`)).status).toBe(200);
    expect((await fetch(`${admin}/connectors`)).status).toBe(404);
  });
  it('is nowhere when admin.listeners is empty', async () => {
    expect((await fetch(`${(await open({ 'admin.listeners': '' })).url}/admin/loggers`)).status).toBe(404);
  });
});

it('topics of connectors are neither shown nor reset where the worker does not track them', async () => {
  const ask = async (config: { readonly 'topic.tracking.enable'?: boolean; readonly 'topic.tracking.allow.reset'?: boolean }): Promise<readonly unknown[]> => {
    const server = await startRest({ herder: new MemoryHerder([fileSource]), config: { listeners: ['http://127.0.0.1:0'], 'rest.advertised.host.name': undefined, 'rest.advertised.port': undefined, ...config }, properties: {}, logger: quietLogger, levels: new LogLevels('INFO'), version: '1' });
    opened.push(server);
    const [shown, reset] = [await fetch(`${server.url}/connectors/n/topics`), await fetch(`${server.url}/connectors/n/topics/reset`, { method: 'PUT' })];
    return [shown.status, await shown.json(), reset.status, await reset.text()];
  };
  expect(await ask({ 'topic.tracking.enable': false })).toEqual([403, { error_code: 403, message: 'Topic tracking is disabled.' }, 403, '{"error_code":403,"message":"Topic tracking is disabled."}']);
  expect(await ask({ 'topic.tracking.allow.reset': false })).toEqual([200, { n: { topics: [] } }, 403, '{"error_code":403,"message":"Topic tracking reset is disabled."}']);
});

it('a REST extension is refused, not ignored', async () => {
  await expect(open({ 'rest.extension.classes': 'org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension' })).rejects.toThrow(/rest\.extension\.classes names Java classes/);
});
