/** The recorded cases of the PostgreSQL connector against a real server, two servers at a time. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { type PostgresServer, startPostgres } from '../kit/postgres.ts';
import { replay } from './replay.ts';

const FOLDER = join(import.meta.dirname, '../goldens/postgres');
const names = readdirSync(FOLDER, { withFileTypes: true }).filter(entry => entry.isDirectory()).map(({ name }) => name);
const LANES = 2;
const servers: PostgresServer[] = [];
const idle: PostgresServer[] = [];
const waiting: ((server: PostgresServer) => void)[] = [];

beforeAll(async () => { servers.push(...await Promise.all(Array.from({ length: LANES }, () => startPostgres()))); idle.push(...servers); }, 180_000);
afterAll(async () => { await Promise.all(servers.map(server => server[Symbol.asyncDispose]())); });

async function onServer<T>(use: (server: PostgresServer) => Promise<T>): Promise<T> {
  const server = idle.pop() ?? await new Promise<PostgresServer>(resolve => { waiting.push(resolve); });
  try { return await use(server); } finally { const next = waiting.shift(); if (next === undefined) idle.push(server); else next(server); }
}

describe.concurrent('recorded PostgreSQL cases', () => {
  it.for(names)('%s', { timeout: 300_000 }, async (name, { expect: expected }) => {
    expected(await onServer(server => replay(join(FOLDER, name), server))).toEqual([]);
  });
  it('are there', ({ expect: expected }) => { expected(names.length).toBeGreaterThan(30); });
});
