/**
 * Connectors are made, changed and deleted by anyone while workers come, go and die. By the workers' own journals no task
 * ever runs on two of them, nobody is turned away, and at the end there is what was asked for, and it runs.
 */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, TestCluster } from '../kit/cluster.ts';
import { until } from '../kit/condition.ts';
import { temporaryDirectory } from '../kit/directories.ts';
import { consumeAll } from '../kit/kafka-consumer.ts';
import { type KafkaCluster, startKafka } from '../kit/kafka.ts';

const long = process.env['TRIBUTARY_LONG'] === '1';
const CONNECTORS = 20;
/** Rounds of a worker that goes and comes back; the connectors change all the while. */
const ROUNDS = long ? 20 : 3;
/** From one change of a connector to its next: each costs a start of a thread, and two cores start a few in a second. */
const PACE_MS = long ? 5_000 : 8_000;
const SEED = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);

const scratch = temporaryDirectory('churn-');
let kafka: KafkaCluster;
beforeAll(async () => { kafka = await startKafka(); }, 300_000);
afterAll(async () => {
  await kafka?.[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
}, 60_000);

/** Numbers in [0, 1) that a seed repeats (mulberry32). */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Wanted { revision: number; paused: boolean }

/** One name, one thing at a time: so what was answered says what there is. */
class Churn {
  readonly wanted = new Map<string, Wanted>();
  readonly refused: string[] = [];
  readonly counts = { created: 0, changed: 0, deleted: 0, steered: 0, open: 0 };
  private on = true;
  private readonly cluster: TestCluster;
  private readonly running: readonly Promise<void>[];

  constructor(cluster: TestCluster, names: readonly string[], seed: number) {
    this.cluster = cluster;
    this.running = names.map((name, i) => this.churn(name, random(seed + i * 7_919)));
  }
  private async churn(name: string, next: () => number): Promise<void> {
    while (this.on) {
      await this.step(name, next());
      await pause(PACE_MS * (0.5 + next()));
    }
  }
  private config(name: string, revision: number): Readonly<Record<string, string>> {
    return { 'connector.class': 'FileStreamSource', 'tasks.max': '1', file: join(scratch.path, 'files', name), topic: `churn-${name}`, 'batch.size': String(revision), 'value.converter': 'org.apache.kafka.connect.storage.StringConverter', 'key.converter': 'org.apache.kafka.connect.storage.StringConverter' };
  }

  private async step(name: string, chance: number): Promise<void> {
    const present = this.wanted.get(name);
    if (present === undefined) {
      await this.ask('POST', '/connectors', { name, config: this.config(name, 1) }, [201, 409], () => { this.wanted.set(name, { revision: 1, paused: false }); this.counts.created++; });
    } else if (chance < 0.55) {
      const revision = present.revision + 1;
      await this.ask('PUT', `/connectors/${name}/config`, this.config(name, revision), [200], () => { present.revision = revision; this.counts.changed++; });
    } else if (chance < 0.8) {
      const paused = !present.paused;
      await this.ask('PUT', `/connectors/${name}/${paused ? 'pause' : 'resume'}`, undefined, [202], () => { present.paused = paused; this.counts.steered++; });
    } else {
      await this.ask('DELETE', `/connectors/${name}`, undefined, [204, 404], () => { this.wanted.delete(name); this.counts.deleted++; });
    }
  }

  /** Asks any worker, again where the one that was asked died under it: 409 and 404 then mean that it had been done. */
  private async ask(method: string, path: string, body: unknown, fine: readonly number[], done: () => void): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const { names } = this.cluster;
      let answer: Answer | undefined;
      try { answer = await this.cluster.ask(method, path, body, names[Math.floor(Math.random() * names.length)]); } catch { this.counts.open++; }
      if (answer !== undefined && fine.includes(answer.status)) { if (attempt === 1 && answer.status >= 400) this.refused.push(`${method} ${path}: ${JSON.stringify(answer)}`); done(); return; }
      // An answer of 500 says that the outcome is open: the leader died or was asked in vain.
      if (answer !== undefined && answer.status !== 500) { this.refused.push(`${method} ${path}: ${JSON.stringify(answer)}`); return; }
      if (attempt > 60) { this.refused.push(`${method} ${path}: in vain`); return; }
      await pause(500);
    }
  }
  async stop(): Promise<void> { this.on = false; await Promise.all(this.running); }
}

describe('twenty connectors that change while workers come and go', () => {
  test(`run on one worker each at any time (SEED=${SEED})`, async () => {
    mkdirSync(join(scratch.path, 'files'));
    const names = Array.from({ length: CONNECTORS }, (_, i) => `c${String(i).padStart(2, '0')}`);
    for (const name of names) writeFileSync(join(scratch.path, 'files', name), 'first\n');
    await using cluster = new TestCluster({ bootstrap: kafka.bootstrap, directory: join(scratch.path, 'workers'), name: 'churn' });
    await cluster.start('a', 'b', 'c');
    const churn = new Churn(cluster, names, SEED);
    const next = random(SEED);
    try {
      await until('most of them to be there', () => churn.wanted.size > CONNECTORS / 2, 60_000);
      for (let round = 0; round < ROUNDS; round++) {
        const name = cluster.names[Math.floor(next() * cluster.names.length)] ?? 'a';
        // Clean and killed in turn, so that a short run has both.
        if (round % 2 === 0) await cluster.kill(name); else expect(await cluster.stop(name), cluster.logs()).toBe(0);
        await pause(2_000 + next() * 4_000);
        await cluster.start(name);
        await pause(1_000 + next() * 3_000);
      }
    } finally { await churn.stop(); }
    expect(churn.refused).toEqual([]);
    // It was no idle time: work was made, changed and deleted, and it moved.
    expect(Math.min(churn.counts.created - CONNECTORS / 2, churn.counts.changed, churn.counts.deleted, churn.counts.steered), JSON.stringify(churn.counts)).toBeGreaterThan(0);

    for (const worker of cluster.names) await until(`worker ${worker} to know them all`, async () => {
      const { body } = await cluster.ask('GET', '/connectors', undefined, worker);
      return (body as readonly string[]).join() === [...churn.wanted.keys()].sort().join();
    }, 60_000);
    const ids = new Set(cluster.names.map(name => cluster.workerId(name)));
    await until('everything to be as it was asked for', async () => {
      const { body } = await cluster.ask('GET', '/connectors?expand=status&expand=info');
      const all = body as Readonly<Record<string, { readonly info: { readonly config: Readonly<Record<string, string>> }; readonly status: { readonly connector: { readonly state: string }; readonly tasks: readonly { readonly state: string; readonly worker_id: string }[] } } | undefined>>;
      return [...churn.wanted].every(([name, { revision, paused }]) => {
        const { info, status } = all[name] ?? {};
        const state = paused ? 'PAUSED' : 'RUNNING';
        return info?.config['batch.size'] === String(revision) && status?.connector.state === state && status.tasks.length === 1 && status.tasks.every(task => task.state === state && ids.has(task.worker_id));
      });
    }, 90_000).catch((error: unknown) => { throw new Error(`${(error as Error).message}\n${cluster.logs()}`, { cause: error }); });
    expect(cluster.overlaps(), cluster.logs()).toEqual([]);
    expect(new Set(cluster.spans().map(({ worker }) => worker)).size).toBe(3);

    // And they work: what is written now comes through, where it is wanted.
    const live = [...churn.wanted].filter(([, { paused }]) => !paused).map(([name]) => name);
    for (const name of live) appendFileSync(join(scratch.path, 'files', name), 'last\n');
    for (const name of live.slice(0, 3)) await until(`the last line of ${name}`, async () => (await consumeAll(kafka, `churn-${name}`, { idleMs: 10_000 })).at(-1)?.value === 'last', 60_000);
  }, long ? 1_800_000 : 400_000);
});
