/**
 * Prometheus text out of the plain numbers that tasks report, the states of connectors and tasks, and the process itself.
 * Names: `tributary_` + the reported name; counters end in `_total`.
 */
import type { Registry } from 'prom-client';
import type { Herder, MetricSample } from '../runtime/worker/herder.ts';
import { metricTexts } from './metric-texts.ts';

type Prometheus = typeof import('prom-client');

let processMetrics: Registry | undefined;
/** One per process: collectors watch the event loop and the garbage collector. */
function processRegistry({ collectDefaultMetrics, Registry: Metrics }: Prometheus): Registry {
  if (processMetrics === undefined) {
    processMetrics = new Metrics();
    collectDefaultMetrics({ register: processMetrics, prefix: 'tributary_' });
  }
  return processMetrics;
}

export async function renderMetrics(herder: Herder): Promise<{ readonly text: string; readonly contentType: string }> {
  // Loaded with the first scrape: many workers are never asked.
  const prometheus = await import('prom-client');
  const registry = new prometheus.Registry();
  const series = new Map<string, MetricSample[]>();
  for (const sample of [...herder.metrics(), ...states(herder)]) {
    // A number that is not one would make the whole page unreadable.
    if (!Number.isFinite(sample.value)) continue;
    const name = metricName(sample);
    const list = series.get(name);
    if (list === undefined) series.set(name, [sample]); else list.push(sample);
  }
  for (const [name, samples] of series) register(prometheus, registry, name, samples);
  const processRegister = processRegistry(prometheus);
  return { text: `${await registry.metrics()}\n${await processRegister.metrics()}`, contentType: registry.contentType };
}

function metricName({ name, kind }: MetricSample): string {
  const safe = `tributary_${name.replace(/[^A-Za-z0-9_]/g, '_')}`;
  return kind === 'counter' && !safe.endsWith('_total') ? `${safe}_total` : safe;
}

function register({ Counter, Gauge }: Prometheus, registry: Registry, name: string, samples: readonly MetricSample[]): void {
  const [first] = samples;
  if (first === undefined) return;
  const labelNames = [...new Set(samples.flatMap(({ labels }) => Object.keys(labels)))];
  const settings = { name, help: metricTexts[first.name]?.text ?? first.name.replaceAll('_', ' '), labelNames, registers: [registry] };
  if (first.kind === 'counter') {
    const counter = new Counter(settings);
    for (const { labels, value } of samples) counter.inc({ ...labels }, Math.max(0, value));
  } else {
    const gauge = new Gauge(settings);
    for (const { labels, value } of samples) gauge.set({ ...labels }, value);
  }
}

function states(herder: Herder): MetricSample[] {
  return herder.connectors().flatMap(connector => {
    const status = herder.status(connector);
    const one = (name: string, labels: Record<string, string>): MetricSample => ({ name, kind: 'gauge', value: 1, labels: { connector, ...labels } });
    return [one('connector_state', { state: status.connector.state }), ...status.tasks.map(({ id, state }) => one('task_state', { task: String(id), state }))];
  });
}
