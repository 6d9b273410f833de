/** What Prometheus refuses or mixes up: a name with two types, a series that comes twice, lines of one name that do not stand together. */
import { expect, test } from 'vitest';
import { metricTexts } from '../../rest/metric-texts.ts';
import { renderMetrics } from '../../rest/metrics.ts';
import type { MetricSample } from '../../runtime/worker/herder.ts';
import { MemoryHerder } from '../kit/memory-herder.ts';

/** Names in the order of their groups, with the type of each; throws for a line that cannot be where it is. */
function groupsOf(text: string): ReadonlyMap<string, string> {
  const groups = new Map<string, string>(), series = new Set<string>();
  let present = '';
  for (const line of text.split('\n').filter(one => one !== '')) {
    const [, word = '', name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (word === 'TYPE') {
      if (groups.has(name)) throw new Error(`${name} is declared twice`);
      groups.set(name, rest);
      present = name;
    } else if (word === '') {
      const [, sample = '', labels = ''] = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\})? (?:[-+]?[0-9.e+-]+|nan|[+-]inf)$/i.exec(line) ?? [];
      const base = ['histogram', 'summary'].includes(groups.get(present) ?? '') ? sample.replace(/_(bucket|sum|count)$/, '') : sample;
      if (base !== present) throw new Error(`a line of ${sample} stands among those of ${present}: ${line}`);
      if (series.has(sample + labels)) throw new Error(`${sample}${labels} comes twice`);
      series.add(sample + labels);
    }
  }
  return groups;
}

const labelsOf = (names: readonly string[], value: string): Record<string, string> => Object.fromEntries(names.map(name => [name, value]));
/** Every metric that there is, of two connectors. */
const everything = ['one', 'two'].flatMap(connector => Object.entries(metricTexts).filter(([name]) => !name.endsWith('_state')).flatMap(([name, { kind, labels }]): MetricSample[] =>
  (labels.length === 0 ? ['x'] : ['x', 'y "quoted"\n\\']).map(value => ({ name, kind, value: 1, labels: { connector, task: '0', ...labelsOf(labels, value) } }))));

test('every name has one type and stands once, those of the process too', async () => {
  const herder = new MemoryHerder([]);
  herder.samples = everything;
  const groups = groupsOf((await renderMetrics(herder)).text);
  for (const [name, { kind }] of Object.entries(metricTexts)) {
    if (name.endsWith('_state')) continue;
    const full = `tributary_${name}${kind === 'counter' && !name.endsWith('_total') ? '_total' : ''}`;
    expect(groups.get(full), full).toBe(kind);
  }
  expect(groups.get('tributary_process_cpu_seconds_total')).toBe('counter');
  expect([...groups.values()].every(type => ['counter', 'gauge', 'histogram', 'summary'].includes(type))).toBe(true);
  // No counter and gauge share a name, which would hide one of them.
  expect(new Set(Object.entries(metricTexts).map(([name, { kind }]) => (kind === 'counter' && !name.endsWith('_total') ? `${name}_total` : name))).size).toBe(Object.keys(metricTexts).length);
});

test('the check sees what is wrong', () => {
  const declared = '# TYPE a counter\na{x="1"} 1\n';
  expect(groupsOf(declared).get('a')).toBe('counter');
  expect(() => groupsOf(`${declared}# TYPE a gauge\n`)).toThrow('twice');
  expect(() => groupsOf(`${declared}a{x="1"} 2\n`)).toThrow('comes twice');
  expect(() => groupsOf(`${declared}b 2\n`)).toThrow('among');
});
