/** Numbers of one task, kept in its thread and posted as a whole now and then. */
import type { Metrics } from '../api/metrics.ts';
import type { MetricSample } from './herder.ts';

interface Entry { readonly name: string; readonly kind: MetricSample['kind']; readonly labels: Readonly<Record<string, string>>; value: number }
const NONE: Readonly<Record<string, string>> = {};

export class TaskMetrics implements Metrics {
  private readonly entries = new Map<string, Entry>();

  private entry(name: string, kind: MetricSample['kind'], labels: Readonly<Record<string, string>>): Entry {
    const key = labels === NONE ? name : `${name}\u0000${Object.entries(labels).flat().join('\u0000')}`;
    let entry = this.entries.get(key);
    if (entry === undefined) { entry = { name, kind, labels, value: 0 }; this.entries.set(key, entry); }
    return entry;
  }
  set(name: string, value: number, labels: Readonly<Record<string, string>> = NONE): void { this.entry(name, 'gauge', labels).value = value; }
  add(name: string, delta: number, labels: Readonly<Record<string, string>> = NONE): void { this.entry(name, 'counter', labels).value += delta; }
  samples(): readonly MetricSample[] { return [...this.entries.values()].map(entry => ({ ...entry })); }
}
