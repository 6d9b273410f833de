/** docs/migrating.md: a connector of Debezium goes on here, on its slot and from its offset, without a snapshot, a gap or a repetition; and its offset can go back. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../kit/condition.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { type PostgresServer, startPostgres } from '../kit/postgres.ts';
import { program, type RunningWorker, startWorker } from '../kit/worker.ts';

const DEBEZIUM_KEYS = ['lsn', 'lsn_commit', 'lsn_proc', 'messageType', 'ts_usec', 'txId'];

interface Message { readonly lsn: bigint; readonly xid: number; readonly kind: string }

describe('a connector that Debezium began', () => {
  const home = temporaryDirectory('migration-');
  let server: PostgresServer, worker: RunningWorker;
  beforeAll(async () => {
    server = await startPostgres({ version: 16 });
    worker = await startWorker({ directory: home.path, properties: { 'log.dir': join(home.path, 'log') }, connectors: [] });
  });
  afterAll(async () => {
    await worker[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    home[Symbol.dispose]();
  });

  const call = async (method: string, path: string, body?: unknown): Promise<{ readonly status: number; readonly body: unknown }> => {
    const answer = await fetch(worker.rest + path, { method, ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }) });
    const text = await answer.text();
    return { status: answer.status, body: text === '' ? null : JSON.parse(text) as unknown };
  };
  /** What the slot has to say, each message with the position that Debezium would store for it. */
  const peek = async (): Promise<readonly Message[]> => {
    const { rows } = await server.sql("SELECT (lsn - '0/0')::text AS lsn, xid::text, chr(get_byte(data, 0)) AS kind FROM pg_logical_slot_peek_binary_changes('debezium', NULL, NULL, 'proto_version', '1', 'publication_names', 'dbz_publication')", 'shop');
    return (rows as { readonly lsn: string; readonly xid: string; readonly kind: string }[]).map(({ lsn, xid, kind }) => ({ lsn: BigInt(lsn), xid: Number(xid), kind }));
  };
  const read = (): { readonly op: string; readonly id: number }[] => {
    const log = ['--log-dir', join(home.path, 'log')];
    if (!execFileSync(process.execPath, [program, 'topics', ...log], { encoding: 'utf8' }).includes('cdc.public.orders')) return [];
    const text = execFileSync(process.execPath, [program, 'read', 'cdc.public.orders', ...log], { encoding: 'utf8' });
    return text.trim().split('\n').filter(line => line !== '').map(line => (JSON.parse(line) as { readonly payload: { readonly op: string; readonly after: { readonly id: number } } }).payload).map(({ op, after }) => ({ op, id: after.id }));
  };

  it('goes on in the middle of a transaction', async () => {
    await server.sql('CREATE DATABASE shop');
    await server.sql('CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1), (2); CREATE PUBLICATION dbz_publication FOR ALL TABLES', 'shop');
    await server.sql("SELECT pg_create_logical_replication_slot('debezium', 'pgoutput')", 'shop');
    const { rows: [slot] } = await server.sql("SELECT (confirmed_flush_lsn - '0/0')::text AS lsn FROM pg_replication_slots");
    await server.sql('BEGIN; INSERT INTO orders VALUES (3); INSERT INTO orders VALUES (4); INSERT INTO orders VALUES (5); COMMIT', 'shop');
    // Debezium stored its offset after the first of the three and was stopped there.
    const taken = (await peek()).find(({ kind }) => kind === 'I');
    const offset = { lsn_proc: Number(taken?.lsn), messageType: 'INSERT', lsn_commit: Number((slot as { readonly lsn: string }).lsn), lsn: Number(taken?.lsn), txId: taken?.xid, ts_usec: 1795449414353465 };
    expect(Object.keys(offset).sort()).toEqual(DEBEZIUM_KEYS);

    const config = {
      'connector.class': 'io.debezium.connector.postgresql.PostgresConnector', 'tasks.max': '1', 'plugin.name': 'pgoutput', 'topic.prefix': 'cdc', 'slot.name': 'debezium', 'publication.name': 'dbz_publication',
      'database.hostname': server.host, 'database.port': String(server.port), 'database.user': server.user, 'database.password': server.password, 'database.dbname': 'shop',
    };
    expect((await call('POST', '/connectors', { name: 'shop', initial_state: 'STOPPED', config })).status).toBe(201);
    expect((await call('PATCH', '/connectors/shop/offsets', { offsets: [{ partition: { server: 'cdc' }, offset }] })).status).toBe(200);
    expect((await call('PUT', '/connectors/shop/resume')).status).toBe(202);
    await server.sql('INSERT INTO orders VALUES (6)', 'shop');
    await until('the changes that Debezium had not taken', () => read().some(({ id }) => id === 6));
    expect(read()).toEqual([{ op: 'c', id: 4 }, { op: 'c', id: 5 }, { op: 'c', id: 6 }]);
  });

  it('leaves an offset that Debezium can take back', async () => {
    expect((await call('PUT', '/connectors/shop/stop')).status).toBe(204);
    const { body } = await call('GET', '/connectors/shop/offsets');
    const [{ partition, offset } = { partition: {}, offset: {} }] = (body as { readonly offsets: readonly { readonly partition: object; readonly offset: Readonly<Record<string, unknown>> }[] }).offsets;
    expect(partition).toEqual({ server: 'cdc' });
    expect(Object.keys(offset).filter(key => !DEBEZIUM_KEYS.includes(key))).toEqual([]);
    expect(offset).toMatchObject({ messageType: expect.stringMatching(/^(INSERT|COMMIT)$/) as string, txId: expect.any(Number) as number });
    // Nothing is left that the slot would have to give again, whoever goes on.
    expect(Number(offset['lsn'])).toBeGreaterThanOrEqual(Number((await peek()).filter(({ kind }) => kind === 'I').at(-1)?.lsn ?? 0n));
  });

  it('is refused to go on where its slot has moved past the offset', async () => {
    await server.sql('INSERT INTO orders VALUES (7)', 'shop');
    await server.sql("SELECT pg_replication_slot_advance('debezium', pg_current_wal_lsn())", 'shop');
    expect((await call('PUT', '/connectors/shop/resume')).status).toBe(202);
    const trace = await until('the task to fail', async () => {
      const { tasks } = (await call('GET', '/connectors/shop/status')).body as { readonly tasks: readonly { readonly state: string; readonly trace?: string }[] };
      return tasks[0]?.state === 'FAILED' ? tasks[0].trace : undefined;
    });
    expect(trace).toContain('POSTGRES_SLOT_AHEAD');
    expect(read().map(({ id }) => id)).toEqual([4, 5, 6]);
  });
});
