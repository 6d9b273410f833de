/** Three real workers over a real broker: what a cluster promises while its workers come, go and die. */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestCluster } from '../kit/cluster.ts';
import { until } from '../kit/condition.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { consumeAll } from '../kit/kafka-consumer.ts';
import { type KafkaCluster, startKafka } from '../kit/kafka.ts';

const long = process.env['TRIBUTARY_LONG'] === '1';
const ROUNDS = long ? 3 : 1;
const SOURCES = 6;

let kafka: KafkaCluster;
const scratch = temporaryDirectory();
beforeAll(async () => { kafka = await startKafka(); }, 300_000);
afterAll(async () => {
  await kafka[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
});

/** File sources into one topic, with numbered lines: a gap or a double is seen at once. */
class Lines {
  readonly names: readonly string[];
  private readonly folder: string;
  private readonly prefix: string;
  written = 0;
  constructor(prefix: string, count: number) {
    this.prefix = prefix;
    this.folder = join(scratch.path, `${prefix}-files`);
    mkdirSync(this.folder, { recursive: true });
    this.names = Array.from({ length: count }, (_, i) => `${prefix}-${i}`);
    for (const name of this.names) writeFileSync(join(this.folder, name), '');
  }
  config(name: string): Readonly<Record<string, string>> {
    return { 'connector.class': 'FileStreamSource', 'tasks.max': '1', file: join(this.folder, name), topic: `lines-${this.prefix}`, 'value.converter': 'org.apache.kafka.connect.storage.StringConverter', 'key.converter': 'org.apache.kafka.connect.storage.StringConverter' };
  }
  append(lines: number): void {
    for (const name of this.names) appendFileSync(join(this.folder, name), Array.from({ length: lines }, (_, i) => `${name}:${this.written + i}\n`).join(''));
    this.written += lines;
  }
  /** What is in the topics: numbers that are missing, and how many came twice. */
  async seen(): Promise<{ readonly missing: number; readonly doubled: number }> {
    const counts = new Map<string, number>();
    for (const { value } of await consumeAll(kafka, `lines-${this.prefix}`, { idleMs: 3_000 })) counts.set(value ?? '', (counts.get(value ?? '') ?? 0) + 1);
    let missing = 0, doubled = 0;
    for (const name of this.names) for (let n = 0; n < this.written; n++) { const count = counts.get(`${name}:${n}`) ?? 0; if (count === 0) missing++; else doubled += count - 1; }
    return { missing, doubled };
  }
}

async function createAll(cluster: TestCluster, lines: Lines): Promise<void> {
  await Promise.all(lines.names.map(async (name, i) => {
    const answer = await cluster.ask('POST', '/connectors', { name, config: lines.config(name) }, cluster.names[i % cluster.names.length]);
    expect(answer, JSON.stringify(answer)).toMatchObject({ status: 201 });
  }));
}

describe.each(['sessioned', 'compatible'] as const)('rolling restarts of three %s workers', protocol => {
  it('leave no gap; clean ones no double; no task runs on two workers at once', async () => {
    await using cluster = new TestCluster({ bootstrap: kafka.bootstrap, directory: join(scratch.path, `roll-${protocol}`), name: `roll-${protocol}`, properties: { 'connect.protocol': protocol } });
    const lines = new Lines(protocol, SOURCES);
    await cluster.start('a', 'b', 'c');
    await createAll(cluster, lines);
    await cluster.running(lines.names);
    lines.append(50);
    for (let round = 0; round < ROUNDS; round++) {
      for (const name of ['a', 'b', 'c']) {
        expect(await cluster.stop(name)).toBe(0);
        lines.append(20);
        await cluster.running(lines.names);
        await cluster.start(name);
        await cluster.running(lines.names);
        lines.append(20);
      }
    }
    await until('all lines to be in the topics', async () => (await lines.seen()).missing === 0, 120_000);
    expect(await lines.seen()).toEqual({ missing: 0, doubled: 0 });
    expect(cluster.overlaps(), cluster.logs()).toEqual([]);
    for (let round = 0; round < ROUNDS; round++) {
      for (const name of ['a', 'b', 'c']) {
        lines.append(20);
        const killed = Date.now();
        await cluster.kill(name);
        await cluster.running(lines.names);
        // The bar: a lost worker's tasks run elsewhere within 10 s by default; the machine of a test may be slow.
        expect(Date.now() - killed).toBeLessThan(30_000);
        await cluster.start(name);
        await cluster.running(lines.names);
      }
    }
    await until('all lines to be in the topics', async () => (await lines.seen()).missing === 0, 120_000);
    expect(cluster.overlaps(), cluster.logs()).toEqual([]);
    // The journal has the moves: else there was nothing to overlap.
    expect(cluster.spans().length).toBeGreaterThan(SOURCES + 6 * ROUNDS);
  });
});
