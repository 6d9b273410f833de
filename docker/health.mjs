#!/usr/bin/env node
/**
 * The image's health check: GET /health on the first listener of the mounted worker file. Exit status 0 when the worker
 * says that it is healthy, 1 otherwise. TRIBUTARY_HEALTH_URL names another address.
 */
import { request as http } from 'node:http';
import { request as https } from 'node:https';
import { parseListener } from '../dist/rest/config.js';
import { configProviders, resolveProviders } from '../dist/runtime/config-providers.js';
import { readConfigFile } from '../dist/runtime/properties.js';

const TIMEOUT_MS = 4000;

function address() {
  const { TRIBUTARY_HEALTH_URL: given, TRIBUTARY_CONFIG: config = '/etc/tributary' } = process.env;
  if (given) return given;
  const file = readConfigFile(`${config}/worker.properties`);
  const { listeners = 'http://127.0.0.1:8083' } = resolveProviders(file, configProviders(file));
  const listener = parseListener(listeners.split(',')[0] ?? '');
  if (listener === undefined) throw new Error(`listeners=${listeners} cannot be read`);
  const host = listener.host === '0.0.0.0' ? '127.0.0.1' : listener.host === '::' ? '::1' : listener.host;
  return `${listener.secure ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${listener.port}/health`;
}

try {
  const url = address();
  // The certificate names the host that others use, and here it is asked from inside: what counts is the answer.
  const ask = url.startsWith('https:') ? done => https(url, { rejectUnauthorized: false }, done) : done => http(url, done);
  const { status, body } = await new Promise((resolve, reject) => {
    const asked = ask(answer => {
      let text = '';
      answer.setEncoding('utf8').on('data', chunk => { text += chunk; }).on('end', () => { resolve({ status: answer.statusCode, body: text }); }).on('error', reject);
    });
    asked.setTimeout(TIMEOUT_MS, () => asked.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    asked.on('error', reject).end();
  });
  process.stdout.write(`${status} ${body.trim()}\n`);
  process.exitCode = status === 200 ? 0 : 1;
} catch (error) {
  process.stdout.write(`not healthy: ${error.message}\n`);
  process.exitCode = 1;
}
