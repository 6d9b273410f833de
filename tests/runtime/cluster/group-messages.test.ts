import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DataError } from '../../../runtime/api/errors.ts';
import { type Assignment, decodeAssignment, decodeMetadata, encodeAssignment, encodeMetadata } from '../../../runtime/cluster/group-messages.ts';
import { type Work, workOf } from '../../../runtime/cluster/work.ts';

const assignment: Assignment = {
  error: 0, leader: 'connect-1', leaderUrl: 'http://h:8083/', configOffset: 7,
  assigned: new Set([workOf('a', -1), workOf('a', 0), workOf('b', 2)]), revoked: new Set([workOf('z', 1)]), delayMs: 300,
};

describe('group messages', () => {
  it('have the bytes that the format says', () => {
    expect(encodeMetadata({ url: 'http://h:1/', configOffset: 3, current: undefined }, 'default').toString('hex'))
      .toBe(['0000', '000b', Buffer.from('http://h:1/').toString('hex'), '0000000000000003'].join(''));
    expect(encodeMetadata({ url: 'u', configOffset: 3, current: undefined }, 'sessioned').toString('hex')).toBe('0002' + '000175' + '0000000000000003' + 'ffffffff');
    expect(encodeAssignment({ ...assignment, leader: 'L', leaderUrl: 'U', assigned: new Set([workOf('a', -1), workOf('a', 0)]), revoked: new Set(), delayMs: 5 }, 'compatible').toString('hex'))
      .toBe('0001' + '0000' + '00014c' + '000155' + '0000000000000007' + '00000001' + '000161' + '00000002' + 'ffffffff' + '00000000' + '00000000' + '00000005');
  });

  it('come back as they went', () => {
    for (const protocol of ['compatible', 'sessioned'] as const) {
      expect(decodeAssignment(encodeAssignment(assignment, protocol))).toEqual(assignment);
      const state = { url: 'http://h:8083/', configOffset: 12, current: assignment };
      expect(decodeMetadata(encodeMetadata(state, protocol))).toEqual(state);
    }
    const marked = { ...assignment, configTopic: 'configs' };
    expect(decodeAssignment(encodeAssignment({ ...marked, agreed: 41 }, 'sessioned'))).toEqual({ ...marked, agreed: 41 });
    expect(decodeAssignment(encodeAssignment(marked, 'sessioned'))).toEqual(marked);
    expect(decodeMetadata(encodeMetadata({ url: 'u', configOffset: 1, current: marked, configTopic: 'configs' }, 'compatible'))).toEqual({ url: 'u', configOffset: 1, current: marked, configTopic: 'configs' });
    expect(decodeAssignment(encodeAssignment(assignment, 'default'))).toEqual({ ...assignment, revoked: new Set(), delayMs: 0 });
    expect(decodeMetadata(encodeMetadata({ url: 'u', configOffset: 1, current: assignment }, 'default'))).toEqual({ url: 'u', configOffset: 1, current: undefined });
  });

  it('that are cut or damaged are refused with an error of their own', () => {
    const tasks = fc.array(fc.tuple(fc.string(), fc.integer({ min: -1, max: 9 })));
    fc.assert(fc.property(tasks, fc.nat(), (units, cut) => {
      const bytes = encodeAssignment({ ...assignment, assigned: new Set<Work>(units.map(([connector, task]) => workOf(connector.replaceAll('\u0000', ''), task))) }, 'sessioned');
      expect(decodeAssignment(bytes).delayMs).toBe(300);
      try { decodeAssignment(bytes.subarray(0, cut % bytes.length)); } catch (error) { expect(error).toBeInstanceOf(DataError); }
    }));
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
      try { decodeMetadata(Buffer.from(bytes)); } catch (error) { expect(error).toBeInstanceOf(DataError); }
    }));
  });
});
