/**
 * Replays a recorded case: a real PostgreSQL, setup.sql, the recorded connector configuration, changes.sql, then every
 * record of every topic against the recording. The records come out of the embedded log, written by the real pipeline.
 */
import { createConverter, createHeaderConverter, DEFAULT_CONVERTER, DEFAULT_HEADER_CONVERTER } from '../../runtime/converters/converters.ts';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { connectors } from '../../connectors/index.ts';
import { parseConfig, propertiesUnder } from '../../runtime/api/config-parse.ts';
import type { Logger } from '../../runtime/api/logger.ts';
import type { Transform } from '../../runtime/api/converter.ts';
import type { SourcePlugin, SourceRecord } from '../../runtime/api/plugin.ts';
import { createTransforms } from '../../runtime/transforms/transforms.ts';
import { openEmbeddedLog } from '../../runtime/log/embedded/embedded-log.ts';
import type { Log } from '../../runtime/log/log.ts';
import { headersOf, splitBatch } from '../../runtime/log/record-batch.ts';
import { runSourcePipeline } from '../../runtime/pipeline/source-pipeline.ts';
import type { PostgresServer } from '../kit/postgres.ts';
import { differences, type Mask, recordedLine, type RecordText } from './compare.ts';

/** A topic whose number of records depends on time. */
interface Count { readonly topic: string; readonly at_least: number }
interface Case { readonly slot: string; readonly stream: boolean; readonly start_streaming_when: string; readonly wait_before_changes_s: number; readonly settle_s: number }
const CASE_MS = 25_000;
const quiet: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => quiet };

/** Differences, none when the case replays equal. */
export async function replay(folder: string, server: PostgresServer): Promise<string[]> {
  const read = (file: string): string => readFileSync(join(folder, file), 'utf8');
  const { stream, slot, start_streaming_when: start, wait_before_changes_s: before, settle_s: settle } = JSON.parse(read('case.json')) as Case;
  const { masks, counts } = JSON.parse(read('varying.json')) as { masks: readonly Mask[]; counts: readonly Count[] };
  const { config } = JSON.parse(read('connector.json').replaceAll('${PG_HOST}', server.host).replaceAll('${PG_PORT}', String(server.port))) as { config: Record<string, string> };
  const recorded = read('records.ndjson').split('\n').filter(line => line.startsWith('{')).map(recordedLine);
  await prepare(server, slot);
  await run(server, statements(read('setup.sql')));
  const directory = mkdtempSync(join(tmpdir(), 'conformance-'));
  try {
    await using log = await openEmbeddedLog(directory, { mode: 'writer' });
    const produced = await capture(log, basename(folder), config, async () => {
      if (stream && existsSync(join(folder, 'changes.sql'))) {
        await until('the slot did not become active', async () => (await server.sql(`SELECT 1 FROM pg_replication_slots WHERE slot_name = '${slot}' AND active`)).rowCount === 1);
        await wait(before * 1000);
        await run(server, statements(read('changes.sql')));
      }
    }, { first: start.includes('no snapshot marker') ? undefined : 'SENTINEL-1', last: stream ? 'SENTINEL-2' : undefined, settleMs: settle * 1000 });
    return byTopic(recorded, produced, masks, counts);
  } finally { rmSync(directory, { recursive: true, force: true }); }
}

/** Texts whose arrival says that the snapshot, or the case, is over. */
interface Marks { readonly first: string | undefined; readonly last: string | undefined; readonly settleMs: number }

async function capture(log: Log, name: string, properties: Record<string, string>, change: () => Promise<void>, marks: Marks): Promise<RecordText[]> {
  const plugin = await connectors[0]?.() as SourcePlugin;
  const { config, problems, extra } = parseConfig(plugin.config, properties);
  if (config === undefined) throw new Error(problems.map(({ message }) => message).join('\n'));
  const stop = new AbortController();
  const metrics = { set: () => {}, add: () => {} };
  const task = await plugin.open(config, { connector: name, task: 0, logger: quiet, metrics, offset: async () => undefined }, extra);
  const converter = (role: 'key.converter' | 'value.converter') => createConverter(role, properties[role] ?? DEFAULT_CONVERTER, propertiesUnder(role, properties));
  const headerConverter = createHeaderConverter(properties['header.converter'] ?? DEFAULT_HEADER_CONVERTER, propertiesUnder('header.converter', properties));
  let failure: unknown;
  const running = runSourcePipeline({ connector: name, task, log, keyConverter: converter('key.converter'), valueConverter: converter('value.converter'), headerConverter, topicSeen: () => { /* not asked for here */ }, transforms: createTransforms(properties) as readonly Transform<SourceRecord>[], metrics }, stop.signal)
    .catch((error: unknown) => { failure = error; });
  const arrived = (mark: string) => until(`${mark} did not arrive`, async () => {
    if (failure !== undefined) throw failure;
    return (await everything(log)).some(({ key, value, topic }) => topic.includes(mark) || (key?.includes(mark) ?? false) || (value?.includes(mark) ?? false));
  });
  try {
    if (marks.first !== undefined) await arrived(marks.first);
    if (marks.last !== undefined) { await change(); await arrived(marks.last); }
    await wait(marks.settleMs);
  } finally {
    stop.abort();
    await running;
    await task[Symbol.asyncDispose]();
  }
  return everything(log);
}

async function everything(log: Log): Promise<RecordText[]> {
  const records: RecordText[] = [];
  for (const { name, partitions } of await log.topics()) {
    for (let partition = 0; partition < partitions; partition++) {
      await using reader = await log.reader({ topic: name, partition }, 0);
      for (;;) {
        const batches = await reader.next(1 << 24, 0, AbortSignal.abort());
        if (batches.length === 0) break;
        for (const { bytes } of batches) {
          const split = splitBatch(bytes);
          const text = (start: number, end: number): string | null => (start < 0 ? null : split.buffer.toString('utf8', start, end));
          for (let i = 0; i < split.length; i++) {
            records.push({
              topic: name, partition, key: text(split.keyStart[i] ?? -1, split.keyEnd[i] ?? 0), value: text(split.valueStart[i] ?? -1, split.valueEnd[i] ?? 0),
              headers: headersOf(split, i).map(({ name: header, value }) => [header, value === null ? null : Buffer.from(value).toString('utf8')] as const),
            });
          }
        }
      }
    }
  }
  return records;
}

function byTopic(recorded: readonly RecordText[], produced: readonly RecordText[], masks: readonly Mask[], counts: readonly Count[]): string[] {
  const group = (records: readonly RecordText[]): Map<string, RecordText[]> => {
    const topics = new Map<string, RecordText[]>();
    for (const record of records) topics.set(`${record.topic}/${record.partition}`, [...topics.get(`${record.topic}/${record.partition}`) ?? [], record]);
    return topics;
  };
  const wanted = group(recorded), got = group(produced);
  const found: string[] = [];
  for (const topic of new Set([...wanted.keys(), ...got.keys()])) {
    const expected = wanted.get(topic) ?? [], actual = got.get(topic) ?? [];
    const count = counts.find(entry => topic.startsWith(`${entry.topic}/`));
    if (count === undefined ? expected.length !== actual.length : actual.length < count.at_least) found.push(`${topic}: ${expected.length} records recorded, ${actual.length} produced`);
    expected.forEach((record, i) => { const other = actual[i]; if (other !== undefined) found.push(...differences(record, other, masks).map(line => `${topic}@${i}${line}`)); });
  }
  return found;
}

async function prepare(server: PostgresServer, slot: string): Promise<void> {
  await server.sql("DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'dbz') THEN CREATE ROLE dbz LOGIN SUPERUSER REPLICATION PASSWORD 'dbz'; END IF; END $$");
  await until('the slot stayed active', async () => (await server.sql(`SELECT 1 FROM pg_replication_slots WHERE slot_name = '${slot}' AND active`)).rowCount === 0);
  await server.sql(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '${slot}'`);
  await server.sql('DROP DATABASE IF EXISTS golden WITH (FORCE)');
  await server.sql('CREATE DATABASE golden');
}

const statements = (script: string): string[] => script.split(';').map(text => text.trim()).filter(text => text !== '');

/** As `psql -f` does: one connection, one statement at a time, on after an error. */
async function run(server: PostgresServer, texts: readonly string[]): Promise<void> {
  const client = new pg.Client({ host: server.host, port: server.port, user: 'dbz', password: 'dbz', database: 'golden' });
  await client.connect();
  try { for (const text of texts) await client.query(text).catch(() => { /* some statements fail on purpose */ }); } finally { await client.end(); }
}

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + CASE_MS;
  while (!await condition()) {
    if (Date.now() > deadline) throw new Error(`timeout: ${what}`);
    await wait(100);
  }
}
