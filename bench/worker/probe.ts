/**
 * Asks a URL on a fixed schedule, from a process of its own, until its input closes; then prints the latencies as JSON.
 * Each request starts when its time has come whatever became of the ones before it, on a new connection as a health check
 * makes one, and its latency counts from that time, so that waiting in line is not left out.
 *
 *   node …/bench/worker/probe.js URL INTERVAL_MS
 */
import { request } from 'node:http';
import { setPriority } from 'node:os';

const [address = '', intervalText = '50'] = process.argv.slice(2);
const intervalMs = Number(intervalText);
/** Nothing is waited for longer; counts as this much. */
const MOST_MS = 10_000;
const samples: { readonly late: number; readonly ms: number; readonly ok: boolean }[] = [];
let open = 0;
let stopping = false;

// The probe's own delay is not the worker's: where it may, it goes before others. How late it was is reported.
try { setPriority(-10); } catch { /* not root */ }

function ask(due: number): void {
  const late = performance.now() - due;
  open++;
  const done = (ok: boolean): void => {
    samples.push({ late, ms: performance.now() - due, ok });
    open--;
    finishWhenIdle();
  };
  const asked = request(address, { agent: false, timeout: MOST_MS }, answer => {
    answer.resume();
    answer.once('end', () => { done(answer.statusCode === 200); });
  });
  asked.once('timeout', () => { asked.destroy(new Error('timeout')); });
  asked.once('error', () => { done(false); });
  asked.end();
}

function finishWhenIdle(): void {
  if (!stopping || open > 0) return;
  process.stdout.write(JSON.stringify(samples));
  process.exitCode = 0;
}

let due = performance.now() + intervalMs;
function tick(): void {
  while (due <= performance.now() && !stopping) { ask(due); due += intervalMs; }
  if (!stopping) setTimeout(tick, Math.max(0, due - performance.now()));
}
process.stdin.once('end', () => { stopping = true; finishWhenIdle(); });
process.stdin.resume();
tick();
