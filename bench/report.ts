/** What every result file says: the machine, its load, the figures, and which bars were met. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../tests/kit/worker.ts';

/** A figure and its bound: at least it, or with `atMost` at most it. */
export interface Bar { readonly name: string; readonly value: number; readonly bar: number; readonly atMost?: true }

export const round = (value: number, digits = 2): number => Math.round(value * 10 ** digits) / 10 ** digits;
export const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
/** The value below which the part `p` (0…1) of them lies; nearest rank. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * p) - 1)] ?? 0;
}
/** One-, five- and fifteen-minute load averages. */
export function load(): number[] { return loadavg().map(value => round(value)); }

/** Writes bench/results/NAME.json, prints a line for each bar, and sets exit status 1 when one was missed. */
export function writeReport(name: string, what: string, facts: Readonly<Record<string, unknown>>, bars: readonly Bar[], loadBefore: readonly number[]): void {
  const judged = bars.map(bar => ({ ...bar, passed: bar.atMost === true ? bar.value <= bar.bar : bar.value >= bar.bar }));
  const report = {
    what, node: process.version, cpu: cpus()[0]?.model, cores: cpus().length, memoryGigabytes: Math.round(totalmem() / 2 ** 30), loadBefore, loadAfter: load(), bars: judged, ...facts,
  };
  const folder = join(projectRoot, 'bench/results');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(report, null, 2)}\n`);
  for (const { name: title, value, bar, atMost, passed } of judged) process.stdout.write(`${passed ? 'passed' : 'MISSED'}  ${title.padEnd(34)} ${value.toLocaleString('en')}, bar ${atMost === true ? '≤' : '≥'} ${bar.toLocaleString('en')}\n`);
  if (judged.some(({ passed }) => !passed)) process.exitCode = 1;
}
