/** File sources that write numbered lines into one topic: a gap, a double or a wrong order is seen at once. */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { until } from './condition.ts';
import { type ConsumedRecord, consumeAll } from './kafka-consumer.ts';
import type { KafkaCluster } from './kafka.ts';

export interface Seen {
  readonly missing: number;
  readonly doubled: number;
  /** Lines that came before an earlier one had come, other than as a repetition. */
  readonly disordered: number;
}

export class Lines {
  readonly names: readonly string[];
  readonly topic: string;
  private readonly kafka: KafkaCluster;
  private readonly folder: string;
  private written = 0;

  /** `count` files in a new folder below `home`, and connectors of their names. */
  constructor(kafka: KafkaCluster, home: string, prefix: string, count: number) {
    this.kafka = kafka;
    this.topic = `lines-${prefix}`;
    this.folder = join(home, `${prefix}-files`);
    mkdirSync(this.folder, { recursive: true });
    this.names = Array.from({ length: count }, (_, i) => `${prefix}-${i}`);
    for (const name of this.names) writeFileSync(join(this.folder, name), '');
  }

  config(name: string, more: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
    return { 'connector.class': 'FileStreamSource', 'tasks.max': '1', file: join(this.folder, name), topic: this.topic, 'value.converter': 'org.apache.kafka.connect.storage.StringConverter', 'key.converter': 'org.apache.kafka.connect.storage.StringConverter', ...more };
  }
  /** Lines in each file. */
  get count(): number { return this.written; }
  append(lines: number): void {
    for (const name of this.names) appendFileSync(join(this.folder, name), Array.from({ length: lines }, (_, i) => `${name}:${this.written + i}\n`).join(''));
    this.written += lines;
  }
  /** Appends a line to each file every `everyMs` until it is told to stop. */
  feed(everyMs: number): { stop(): Promise<void> } {
    const state = { on: true };
    const over = (async () => { while (state.on) { this.append(1); await pause(everyMs); } })();
    return { stop: async () => { state.on = false; await over; } };
  }

  /** What lies in the topic, against what was written. */
  async seen(): Promise<Seen> { return this.judge((await consumeAll(this.kafka, this.topic, { idleMs: 3_000 })).map(({ value }: ConsumedRecord) => value ?? '')); }
  /** The same for values from elsewhere, in their order. */
  judge(values: readonly string[]): Seen {
    const counts = new Map<string, number>(), next = new Map<string, number>();
    let disordered = 0;
    for (const value of values) {
      counts.set(value, (counts.get(value) ?? 0) + 1);
      const [name = '', number = ''] = value.split(':');
      const wanted = next.get(name) ?? 0;
      if (Number(number) > wanted) disordered++;
      next.set(name, Math.max(wanted, Number(number) + 1));
    }
    let missing = 0, doubled = 0;
    for (const name of this.names) for (let n = 0; n < this.written; n++) { const count = counts.get(`${name}:${n}`) ?? 0; if (count === 0) missing++; else doubled += count - 1; }
    return { missing, doubled, disordered };
  }
  /** Waits for all of it, looks once more, and answers what is there: what comes twice may come late. */
  async arrived(timeoutMs = 120_000): Promise<Seen> {
    let complete = 0, last: Seen = { missing: -1, doubled: 0, disordered: 0 };
    await until('all lines to be in the topic', async () => {
      last = await this.seen();
      complete = last.missing === 0 ? complete + 1 : 0;
      return complete === 2;
    }, timeoutMs).catch((error: unknown) => { throw new Error(`${(error as Error).message}: ${JSON.stringify(last)}`, { cause: error }); });
    return last;
  }
}
