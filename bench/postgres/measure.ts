/** One engine over one workload: snapshot, stop, changes that wait in the slot, start again. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../../tests/kit/condition.ts';
import { freePort, type PostgresServer } from '../../tests/kit/postgres.ts';
import type { Engine, Watch } from './engines.ts';
import { sample } from './process-sampler.ts';
import type { Workload } from './workloads.ts';

/** Rates from the first record that was seen to the last; times from the start of the process, in seconds. */
export interface Figures {
  readonly records: number;
  readonly recordsPerSecond: number;
  readonly cpuMicrosecondsPerRecord: number;
  /** Of the whole process from its start, over all records. */
  readonly processCpuMicrosecondsPerRecord: number;
  readonly restReadySeconds: number;
  readonly firstRecordSeconds: number;
  readonly memoryMegabytes: number;
  readonly residentMegabytes: number;
}
export interface Measured { readonly snapshot: Figures; readonly stream: Figures }

const POLL_MS = 10;
const LIMIT_MS = 900_000;
const DATABASE = 'bench';

/** Runs the engine over a database made anew. Throws when records are missing after 15 minutes. */
export async function measure(engine: Engine, workload: Workload, server: PostgresServer, directory: string): Promise<Measured> {
  await server.sql('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active');
  await server.sql(`DROP DATABASE IF EXISTS ${DATABASE} WITH (FORCE)`);
  await server.sql(`CREATE DATABASE ${DATABASE}`);
  const snapshotRecords = await workload.prepare(server, DATABASE);
  await server.sql('CHECKPOINT');
  mkdirSync(directory, { recursive: true });
  const prefix = `bench_${engine.name}_${workload.name}_${Date.now()}`;
  const file = join(directory, 'connector.properties');
  writeFileSync(file, Object.entries({
    name: 'bench', 'connector.class': 'io.debezium.connector.postgresql.PostgresConnector', 'tasks.max': '1',
    'database.hostname': server.host, 'database.port': String(server.port), 'database.user': server.user, 'database.password': server.password, 'database.dbname': DATABASE,
    'topic.prefix': prefix, 'plugin.name': 'pgoutput', 'slot.name': 'bench_slot', 'publication.name': 'bench_pub', 'publication.autocreate.mode': 'filtered',
    'table.include.list': workload.tables.map(table => `public.${table}`).join(','),
  }).map(([key, value]) => `${key}=${value}\n`).join(''));
  const topics = workload.tables.map(table => `${prefix}.public.${table}`);
  await using watch = await engine.watch(directory, topics);
  const snapshot = await run(engine, directory, file, watch, 0, snapshotRecords, server);
  const changes = await workload.change(server, DATABASE);
  const stream = await run(engine, directory, file, watch, snapshotRecords, changes, server);
  return { snapshot, stream };
}

/** Starts the engine, follows the topics from `base` records on until `records` more are there, stops it with SIGTERM. */
async function run(engine: Engine, directory: string, file: string, watch: Watch, base: number, records: number, server: PostgresServer): Promise<Figures> {
  const port = await freePort();
  const started = performance.now();
  const child = engine.start(directory, port, file);
  using sampler = sample(child.pid ?? 0);
  const ended = new Promise<void>(resolve => { child.once('exit', () => resolve()); });
  const ready = restReady(port, started);
  let first: { readonly at: number; readonly count: number } | undefined, count = base;
  while (count < base + records) {
    count = await watch.count();
    const at = performance.now();
    if (count > base) first ??= { at, count };
    if (child.exitCode !== null) throw new Error(`${engine.name} ended with status ${child.exitCode}; its output lies in ${directory}`);
    if (at - started > LIMIT_MS) throw new Error(`${engine.name}: ${count - base} of ${records} records after ${LIMIT_MS} ms`);
    if (count < base + records) await pause(POLL_MS);
  }
  const last = performance.now();
  const from = first ?? { at: last, count };
  await until('the slot to be active', async () => (await server.sql("SELECT 1 FROM pg_replication_slots WHERE slot_name = 'bench_slot' AND active")).rows.length === 1);
  const restReadySeconds = await ready;
  child.kill('SIGTERM');
  await ended;
  const rated = count - from.count, seconds = (last - from.at) / 1000;
  return {
    records: count - base, recordsPerSecond: Math.round(rated / seconds),
    cpuMicrosecondsPerRecord: round((sampler.cpuSeconds(last) - sampler.cpuSeconds(from.at)) * 1e6 / rated),
    processCpuMicrosecondsPerRecord: round(sampler.cpuSeconds(last) * 1e6 / (count - base)),
    restReadySeconds, firstRecordSeconds: round((from.at - started) / 1000),
    memoryMegabytes: Math.round(sampler.memoryMegabytes), residentMegabytes: Math.round(sampler.residentMegabytes),
  };
}

async function restReady(port: number, started: number): Promise<number> {
  return until('REST', async () => (await fetch(`http://127.0.0.1:${port}/connectors`).then(answer => answer.ok, () => false)) && round((performance.now() - started) / 1000), 120_000);
}

const round = (value: number): number => Math.round(value * 100) / 100;
