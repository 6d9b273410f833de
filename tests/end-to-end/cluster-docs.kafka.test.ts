/** docs/operations.md, "A cluster": every command that is marked there is run, as it stands, against two real workers. */
import { execFile } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestCluster } from '../kit/cluster.ts';
import { until } from '../kit/condition.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { java } from '../kit/jvm.ts';
import { type KafkaCluster, loggingArguments, startKafka } from '../kit/kafka.ts';
import { projectRoot } from '../kit/worker.ts';

const run = promisify(execFile);
const section = readFileSync(join(projectRoot, 'docs/operations.md'), 'utf8').split('\n## A cluster\n')[1] ?? '';
/** Marked blocks, by their marks. */
const blocks = new Map([...section.matchAll(/^ *<!-- run: (\w+) -->\n *```sh\n([\s\S]*?)^ *```$/gm)].map(([, name = '', text = '']) => [name, text.replaceAll(/^ +/gm, '')]));
const TOOLS = { 'kafka-topics.sh': 'org.apache.kafka.tools.TopicCommand', 'kafka-consumer-groups.sh': 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand' };

describe('the commands of the page', () => {
  const scratch = temporaryDirectory('cluster-docs-');
  let kafka: KafkaCluster, cluster: TestCluster;
  beforeAll(async () => {
    kafka = await startKafka();
    // The page's own names, so that nothing of a command has to be changed but addresses and folders.
    cluster = new TestCluster({ bootstrap: kafka.bootstrap, directory: join(scratch.path, 'workers'), name: 'tributary' });
    await cluster.start('a', 'b');
    const bin = join(scratch.path, 'bin');
    mkdirSync(bin);
    for (const [name, main] of Object.entries(TOOLS)) {
      writeFileSync(join(bin, name), `#!/bin/sh\nexec ${[java(), '-Xmx128m', ...loggingArguments(kafka.version, scratch.path, 'ERROR'), '-cp', kafka.classPath, main].map(part => `'${part}'`).join(' ')} "$@"\n`);
      chmodSync(join(bin, name), 0o755);
    }
    copyFileSync(join(scratch.path, 'workers', 'a-1', 'worker.properties'), join(scratch.path, 'worker.properties'));
    writeFileSync(join(scratch.path, 'lines.txt'), 'one\ntwo\n');
  }, 300_000);
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
    await kafka?.[Symbol.asyncDispose]();
    scratch[Symbol.dispose]();
  }, 60_000);

  /** Standard output of a block; a command that fails fails the block. */
  async function shell(name: string): Promise<string> {
    const text = (blocks.get(name) ?? 'exit 99')
      .replaceAll('http://127.0.0.1:8083', cluster.rest('a')).replaceAll('http://127.0.0.1:8084', cluster.rest('b')).replaceAll('kafka-1:9092', kafka.bootstrap)
      .replaceAll('/tmp/', `${scratch.path}/`).replaceAll('worker.properties', join(scratch.path, 'worker.properties'));
    const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', text], { cwd: projectRoot, timeout: 120_000, env: { ...process.env, PATH: `${join(scratch.path, 'bin')}:${process.env['PATH'] ?? ''}` } });
    return stdout;
  }

  test('are all of them marked, or no commands', () => {
    expect([...blocks.keys()]).toEqual(['connectors', 'topics', 'waiting', 'levels']);
    expect([...section.matchAll(/^ *```sh$/gm)]).toHaveLength(blocks.size);
  });

  test('make connectors at any worker, and show them', async () => {
    expect(await shell('connectors')).toMatch(/"lines".*"copy"|"copy".*"lines"/s);
    await cluster.running(['lines']);
    await cluster.running(['copy'], 90_000, 2);
    await until('the copy', () => { try { return readFileSync(join(scratch.path, 'copy.txt'), 'utf8').includes('two'); } catch { return false; } });
  }, 240_000);

  test('wait for a worker that is being replaced', async () => {
    expect(await cluster.stop('b')).toBe(0);
    await cluster.start('b');
    expect(await shell('waiting')).toContain('"status":"healthy"');
    await cluster.running(['lines']);
  }, 240_000);

  test('look into the topics', async () => {
    // A sink's positions are written when it flushes, as it does when it stops.
    expect((await cluster.ask('PUT', '/connectors/copy/pause')).status).toBe(202);
    await until('its positions', async () => JSON.stringify((await cluster.ask('GET', '/connectors/copy/offsets')).body).includes('"kafka_offset":2'), 60_000);
    const output = await shell('topics');
    expect(output).toMatch(/Topic: tributary-configs\s.*PartitionCount: 1\s.*cleanup\.policy=compact/);
    expect(output).toMatch(/^tributary-offsets +2 +/m);
    expect(output).toMatch(/^\d+\t(session-key|connector-lines)\t\{/m);
    expect(output).toMatch(/^connect-copy +lines +0 +2 +2 +0 /m);
  }, 240_000);

  test('change the levels of all workers, and show metrics', async () => {
    expect(await shell('levels')).toMatch(/^tributary_task_running/m);
    for (const name of ['a', 'b']) await until(`the level at ${name}`, async () => JSON.stringify((await cluster.ask('GET', '/admin/loggers/org.apache.kafka.connect', undefined, name)).body).includes('"DEBUG"'), 60_000);
  }, 120_000);
});
