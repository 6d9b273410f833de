import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assignEagerly, IncrementalAssignor, type AssignResult } from '../../../runtime/cluster/assignor.ts';
import { isTask, type Work, workOf } from '../../../runtime/cluster/work.ts';

const connectors = (...names: readonly string[]): Set<Work> => new Set(names.flatMap(name => [workOf(name, -1), workOf(name, 0)]));
const letters = (n: number): readonly string[] => Array.from({ length: n }, (_, i) => `c${String(i).padStart(2, '0')}`);

/** A group that does what its leader says; the oracle counts who runs what at any time. */
class Group {
  readonly members = new Map<string, Set<Work>>();
  configured = new Set<Work>();
  nowMs = 1_000;
  generation = 0;
  rounds = 0;
  moved = 0;
  private assignor: IncrementalAssignor;
  private readonly maxDelayMs: number;
  private lastCompleted = -1;
  constructor(maxDelayMs = 0) { this.maxDelayMs = maxDelayMs; this.assignor = new IncrementalAssignor(maxDelayMs); }

  newLeader(): void { this.assignor = new IncrementalAssignor(this.maxDelayMs); this.lastCompleted = -1; }
  join(name: string): void { this.members.set(name, new Set()); }
  leave(name: string): void { this.members.delete(name); }

  /** One rebalance: revocations take effect before anyone hears of new work in the next round. */
  round(): AssignResult {
    this.generation++;
    this.rounds++;
    const result = this.assignor.assign({ configured: this.configured, members: this.members, generation: this.generation, lastCompleted: this.lastCompleted, nowMs: this.nowMs });
    this.lastCompleted = this.generation;
    for (const [member, { assigned, revoked }] of result.shares) {
      const mine = this.members.get(member) ?? new Set<Work>();
      for (const one of revoked) { expect(mine.delete(one)).toBe(true); this.moved++; }
      for (const one of assigned) { expect(mine.has(one)).toBe(false); mine.add(one); }
    }
    this.exclusive();
    return result;
  }
  /** Rounds until nothing is revoked and nobody waits, as a group does it. */
  settle(): void {
    for (let i = 0; i < 60; i++) {
      const { shares, delayMs } = this.round();
      if (delayMs > 0) { this.nowMs += delayMs; continue; }
      if ([...shares.values()].every(({ revoked }) => revoked.size === 0)) return;
    }
    throw new Error('the group does not come to rest');
  }
  exclusive(): void {
    const seen = new Set<Work>();
    for (const work of this.members.values()) for (const one of work) { expect(seen.has(one), `${one} runs twice`).toBe(false); seen.add(one); }
  }
  complete(): void {
    const running = new Set([...this.members.values()].flatMap(work => [...work]));
    expect([...running].sort()).toEqual([...this.configured].sort());
  }
  even(): void {
    for (const tasks of [true, false]) {
      const sizes = [...this.members.values()].map(work => [...work].filter(one => isTask(one) === tasks).length);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    }
  }
}

describe('incremental assignment', () => {
  it('gives everything to the only worker, and half of it to a second one in two rounds', () => {
    const group = new Group();
    group.join('a');
    group.configured = connectors(...letters(6));
    group.settle();
    expect(group.members.get('a')?.size).toBe(12);
    group.join('b');
    const first = group.round();
    expect(first.shares.get('a')?.revoked.size).toBe(6);
    expect(first.shares.get('b')?.assigned.size).toBe(0);
    group.settle();
    group.complete();
    group.even();
    expect(group.moved).toBe(6);
  });

  it('touches nothing else when one connector comes or goes', () => {
    const group = new Group();
    for (const name of ['a', 'b', 'c']) group.join(name);
    group.configured = connectors(...letters(9));
    group.settle();
    const before = new Map([...group.members].map(([name, work]) => [name, new Set(work)]));
    group.configured = new Set([...group.configured, ...connectors('new')]);
    const { shares } = group.round();
    expect([...shares.values()].every(({ revoked }) => revoked.size === 0)).toBe(true);
    group.settle();
    for (const [name, work] of before) for (const one of work) expect(group.members.get(name)?.has(one)).toBe(true);
    group.configured = new Set([...group.configured].filter(one => !connectors('new').has(one)));
    group.settle();
    group.complete();
    expect([...group.members].map(([name, work]) => [name, [...work].sort()])).toEqual([...before].map(([name, work]) => [name, [...work].sort()]));
  });

  it('gives the work of a lost worker to the others, without a pause by default', () => {
    const group = new Group(0);
    for (const name of ['a', 'b', 'c']) group.join(name);
    group.configured = connectors(...letters(9));
    group.settle();
    group.moved = 0;
    group.leave('b');
    expect(group.round().delayMs).toBe(0);
    group.complete();
    expect(group.moved).toBe(0);
  });

  it('waits for a lost worker as long as it is told to, and no longer', () => {
    const group = new Group(300_000);
    for (const name of ['a', 'b', 'c']) group.join(name);
    group.configured = connectors(...letters(9));
    group.settle();
    const lost = [...group.members.get('b') ?? []].sort();
    group.leave('b');
    expect(group.round().delayMs).toBe(300_000);
    group.nowMs += 100_000;
    expect(group.round().delayMs).toBe(200_000);
    group.join('b2');
    const back = group.round();
    expect([...back.shares.get('b2')?.assigned ?? []].sort()).toEqual(lost);
    expect(back.delayMs).toBe(0);
    group.complete();
    group.leave('c');
    group.round();
    group.nowMs += 300_000;
    group.settle();
    group.complete();
    group.even();
  });

  it('takes away what two members claim, and work of connectors that are gone, even as a new leader', () => {
    const group = new Group();
    for (const name of ['a', 'b']) group.join(name);
    group.configured = connectors('x', 'y');
    group.settle();
    const owner = [...group.members].find(([, work]) => work.has(workOf('x', 0)))?.[0] ?? '';
    const other = owner === 'a' ? 'b' : 'a';
    group.members.get(other)?.add(workOf('x', 0));
    group.configured = connectors('x');
    const assignor = new IncrementalAssignor(0);
    const { shares } = assignor.assign({ configured: group.configured, members: group.members, generation: 9, lastCompleted: -1, nowMs: 0 });
    for (const name of ['a', 'b']) expect(shares.get(name)?.revoked.has(workOf('x', 0))).toBe(true);
    expect([...shares.values()].some(({ revoked }) => revoked.has(workOf('y', 0)))).toBe(true);
    expect([...shares.values()].every(({ assigned }) => !assigned.has(workOf('x', 0)))).toBe(true);
  });

  it('pauses longer and longer when members keep coming, and comes to rest', () => {
    const group = new Group(60_000);
    group.configured = connectors(...letters(20));
    group.join('m0');
    group.settle();
    const delays: number[] = [];
    for (let i = 1; i < 5; i++) { group.join(`m${i}`); delays.push(group.round().delayMs); }
    expect(delays.some(delay => delay > 0)).toBe(true);
    group.settle();
    group.complete();
    group.even();
  });

  it('runs everything exactly once after any history', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('join' as const), name: fc.constantFrom('a', 'b', 'c', 'd', 'e') }),
      fc.record({ kind: fc.constant('leave' as const), name: fc.constantFrom('a', 'b', 'c', 'd', 'e') }),
      fc.record({ kind: fc.constant('config' as const), name: fc.constantFrom(...letters(12)) }),
      fc.record({ kind: fc.constantFrom('round' as const, 'leader' as const, 'time' as const), name: fc.constant('') }),
    );
    fc.assert(fc.property(fc.array(step, { maxLength: 60 }), fc.constantFrom(0, 1_000), (steps, delayMs) => {
      const group = new Group(delayMs);
      group.join('first');
      for (const { kind, name } of steps) {
        if (kind === 'join' && !group.members.has(name)) group.join(name);
        else if (kind === 'leave') group.leave(name);
        else if (kind === 'leader') group.newLeader();
        else if (kind === 'time') group.nowMs += 700;
        else if (kind === 'config') for (const one of connectors(name)) if (!group.configured.delete(one)) group.configured.add(one);
        group.round();
      }
      group.settle();
      group.complete();
      group.even();
    }), { numRuns: 300 });
  });
});

describe('eager assignment', () => {
  it('deals connectors and tasks out in turn', () => {
    const shares = assignEagerly(connectors('x', 'y', 'z'), ['b', 'a']);
    expect([...shares.get('a') ?? []]).toEqual([workOf('x', -1), workOf('z', -1), workOf('y', 0)]);
    expect([...shares.get('b') ?? []]).toEqual([workOf('y', -1), workOf('x', 0), workOf('z', 0)]);
  });
});
