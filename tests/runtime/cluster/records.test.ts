import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeConfigRecord, encodeConfigRecord, type KeyValue } from '../../../runtime/cluster/config-records.ts';
import { ConfigState } from '../../../runtime/cluster/config-state.ts';
import { decodeOffsetRecord, encodeOffsetRecord, partitionKey } from '../../../runtime/log/kafka/offset-records.ts';
import { decodeStatusRecord, encodeStatusRecord } from '../../../runtime/cluster/status-records.ts';
import { isTask } from '../../../runtime/cluster/work.ts';

interface Recorded extends KeyValue { readonly offset: number }

/** Records of a real Connect 4.3.1 cluster, keys and values in the very text that lay in the topic. */
function recorded(topic: 'configs' | 'offsets' | 'status'): readonly Recorded[] {
  const text = readFileSync(new URL(`../../goldens/connect-internal-topics/connect-${topic}.ndjson`, import.meta.url), 'utf8');
  return text.trim().split('\n').map(line => {
    const [, offset, key = '', value = ''] = /^\{"topic":"[^"]*","partition":\d+,"offset":(\d+),"key":([\s\S]*),"value":([\s\S]*),"headers":\[\]\}$/.exec(line) ?? [];
    return { offset: Number(offset), key: key.startsWith('"') ? JSON.parse(key) as string : key, value: value === 'null' ? null : value };
  });
}

describe('config records', () => {
  const records = recorded('configs');

  it('are written as Connect writes them, to the byte', () => {
    expect(records.length).toBe(74);
    for (const record of records) {
      const decoded = decodeConfigRecord(record);
      expect(decoded, record.key).toBeDefined();
      // The recording shows a placeholder in place of the key, which is no base64.
      if (decoded !== undefined && decoded.kind !== 'session-key') expect(encodeConfigRecord(decoded)).toEqual({ key: record.key, value: record.value });
    }
    const key = { key: Buffer.from('0123456789abcdef0123456789abcdef'), algorithm: 'HmacSHA256', createdMs: 1_795_449_594_759 };
    const written = encodeConfigRecord({ kind: 'session-key', value: key });
    expect(written.value).toBe(`{"key":"${key.key.toString('base64')}","algorithm":"HmacSHA256","creation-timestamp":1795449594759}`);
    expect(decodeConfigRecord(written)).toEqual({ kind: 'session-key', value: key });
  });

  it('give the state that Connect had at each point', () => {
    const state = new ConfigState();
    const at = new Map<number, () => void>([
      [1, () => { expect(state.connectors()).toEqual(['numcfg']); expect(state.tasks('numcfg')).toEqual([]); }],
      [3, () => { expect(state.connectors()).toEqual([]); }],
      [5, () => { expect(state.tasks('fs')).toEqual([]); }],
      [6, () => { expect(state.tasks('fs')).toEqual([0]); expect(state.taskConfig('fs', 0)?.['task.class']).toBe('org.apache.kafka.connect.file.FileStreamSourceTask'); }],
      [19, () => { expect(state.target('fs')).toBe('PAUSED'); }],
      [23, () => { expect(state.target('fs')).toBe('STOPPED'); expect(state.tasks('fs')).toEqual([]); }],
      [26, () => { expect(state.target('fs')).toBe('STARTED'); expect(state.tasks('fs')).toEqual([0]); }],
      [31, () => { expect(state.target('stopped1')).toBe('STOPPED'); expect(state.has('stopped1')).toBe(true); }],
      [55, () => { expect(state.tasks('name with space')).toEqual([0]); }],
    ]);
    for (const record of records) {
      state.apply(record.offset, record);
      at.get(record.offset)?.();
    }
    expect(state.offset).toBe(74);
    expect(state.connectors()).toEqual([]);
  });

  it('are skipped when they are of another kind or shape, and never throw', () => {
    const bad: readonly KeyValue[] = [
      { key: 'connector-a', value: '{"properties":[1]}' }, { key: 'connector-a', value: 'no json' }, { key: 'commit-a', value: '{"tasks":"1"}' }, { key: 'commit-a', value: null },
      { key: 'task-a', value: '{"properties":{}}' }, { key: 'task-a-x', value: '{"properties":{}}' }, { key: 'target-state-a', value: '{"state":"MELTED"}' }, { key: 'plugin-version-a', value: '{}' },
      { key: 'session-key', value: '{"key":1}' }, { key: 'tasks-fencing-a', value: '{}' }, { key: '', value: '' },
    ];
    for (const record of bad) expect(decodeConfigRecord(record), record.key).toBeUndefined();
    fc.assert(fc.property(fc.string(), fc.option(fc.json(), { nil: null }), (key, value) => { decodeConfigRecord({ key, value }); decodeConfigRecord({ key: `connector-${key}`, value }); }));
  });
});

describe('half-written task configurations', () => {
  const connector = (name: string): KeyValue => encodeConfigRecord({ kind: 'connector', connector: name, config: { name } });
  const task = (name: string, n: number, revision: string): KeyValue => encodeConfigRecord({ kind: 'task', connector: name, task: n, config: { revision } });
  const commit = (name: string, tasks: number): KeyValue => encodeConfigRecord({ kind: 'commit', connector: name, tasks });
  const replay = (records: readonly KeyValue[]): ConfigState => {
    const state = new ConfigState();
    records.forEach((record, offset) => { state.apply(offset, record); });
    return state;
  };
  const first = [connector('c'), task('c', 0, 'old'), task('c', 1, 'old'), commit('c', 2)];

  it('change nothing without their commit record', () => {
    for (let written = 0; written <= 2; written++) {
      const state = replay([...first, ...[task('c', 0, 'new'), task('c', 1, 'new')].slice(0, written)]);
      expect([0, 1].map(n => state.taskConfig('c', n)?.['revision'])).toEqual(['old', 'old']);
      expect(state.tasks('c')).toEqual([0, 1]);
      expect(state.taskGeneration('c')).toBe(0);
    }
    const state = replay([...first, task('c', 0, 'new'), task('c', 1, 'new'), commit('c', 2)]);
    expect([0, 1].map(n => state.taskConfig('c', n)?.['revision'])).toEqual(['new', 'new']);
    expect(state.taskGeneration('c')).toBe(1);
  });

  it('leave the connector without tasks when the commit record names more than there are, until they are written again', () => {
    const torn = [...first, task('c', 0, 'new'), commit('c', 2)];
    const state = replay(torn);
    expect(state.inconsistent('c')).toBe(true);
    expect([...state.work()].filter(isTask)).toEqual([]);
    const mended = replay([...torn, task('c', 0, 'newer'), task('c', 1, 'newer'), commit('c', 2)]);
    expect(mended.inconsistent('c')).toBe(false);
    expect(mended.tasks('c')).toEqual([0, 1]);
  });

  it('of a deleted connector are forgotten, whatever compaction left', () => {
    expect(replay([task('gone', 0, 'x'), commit('gone', 1)]).connectors()).toEqual([]);
    const again = replay([...first, { key: 'connector-c', value: null }, connector('c')]);
    expect(again.tasks('c')).toEqual([]);
  });

  it('tell from which offset on the tasks divide their work as they do now', () => {
    expect(replay(first).resizedAt('c')).toBe(0);
    // Four records, then more tasks, the same number anew, and one task again and again.
    const more = [...first, task('c', 0, 'x'), task('c', 1, 'x'), task('c', 2, 'x'), commit('c', 3)];
    expect(replay(more).resizedAt('c')).toBe(8);
    expect(replay([...more, task('c', 0, 'y'), task('c', 1, 'y'), task('c', 2, 'y'), commit('c', 3)]).resizedAt('c')).toBe(12);
    const one = [...more, task('c', 0, 'z'), commit('c', 1)];
    expect(replay(one).resizedAt('c')).toBe(10);
    expect(replay([...one, task('c', 0, 'zz'), commit('c', 1)]).resizedAt('c')).toBe(10);
  });

  it('keep the record of what must be fenced', () => {
    const fencing = (tasks: number): KeyValue => encodeConfigRecord({ kind: 'fencing', connector: 'c', tasks });
    expect(replay(first).fencingPending('c')).toBe(true);
    const fenced = replay([...first, fencing(2)]);
    expect([fenced.fencingPending('c'), fenced.fencingCount('c')]).toEqual([false, 2]);
    expect(replay([...first, fencing(2), commit('c', 0)]).fencingPending('c')).toBe(true);
  });
});

describe('status records', () => {
  it('are written as Connect writes them, to the byte', () => {
    const records = recorded('status');
    expect(records.length).toBe(122);
    for (const record of records) {
      const decoded = decodeStatusRecord(record);
      expect(decoded, record.key).toBeDefined();
      if (decoded !== undefined) expect(encodeStatusRecord(decoded)).toEqual({ key: record.key, value: record.value });
    }
  });
  it('of older and newer workers are read, others skipped', () => {
    expect(decodeStatusRecord({ key: 'status-task-a-b-3', value: '{"state":"RUNNING","trace":null,"worker_id":"h:1","generation":4}' })).toEqual({ kind: 'status', connector: 'a-b', task: 3, status: { state: 'RUNNING', trace: undefined, workerId: 'h:1', generation: 4, version: undefined } });
    for (const record of [{ key: 'status-task-a', value: '{}' }, { key: 'status-connector-a', value: '{"state":"MELTED"}' }, { key: 'status-topic-t', value: '{}' }, { key: 'other', value: null }]) expect(decodeStatusRecord(record)).toBeUndefined();
  });
});

describe('offset records', () => {
  it('are written as Connect writes them, to the byte', () => {
    const records = recorded('offsets');
    expect(records.length).toBe(16);
    for (const record of records) {
      const decoded = decodeOffsetRecord(record);
      if (record.key === '["fs",null]') { expect(decoded).toBeUndefined(); continue; }
      expect(decoded, record.key).toBeDefined();
      if (decoded !== undefined) expect(encodeOffsetRecord(decoded)).toEqual({ key: record.key, value: record.value });
    }
  });
  it('keep every digit, and find a partition whatever the order of its keys', () => {
    const { value } = encodeOffsetRecord({ connector: 'c', partition: { server: 's' }, offset: { lsn: 9_223_372_036_854_775_807n } });
    expect(value).toBe('{"lsn":9223372036854775807}');
    expect(decodeOffsetRecord({ key: '["c",{"server":"s"}]', value })?.offset).toEqual({ lsn: 9_223_372_036_854_775_807n });
    expect(partitionKey({ a: 1, b: 2 })).toBe(partitionKey({ b: 2, a: 1 }));
  });
});
