/** Membership against a real broker: several members in one process, with the real coordinator between them. */
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { IncrementalAssignor } from '../../../runtime/cluster/assignor.ts';
import { GroupCoordinator } from '../../../runtime/cluster/coordinator.ts';
import type { Assignment, ConnectProtocol } from '../../../runtime/cluster/group-messages.ts';
import { GroupMember, type Round } from '../../../runtime/cluster/group-member.ts';
import { assignEagerly } from '../../../runtime/cluster/assignor.ts';
import { type Work, workOf } from '../../../runtime/cluster/work.ts';
import { clientConfig } from '../../../runtime/log/kafka/client-config.ts';
import { KafkaClient } from '../../../runtime/log/kafka/client.ts';
import { until } from '../../kit/condition.ts';
import { type KafkaCluster, startKafka } from '../../kit/kafka.ts';
import { quietLogger } from '../../kit/quiet-logger.ts';

let kafka: KafkaCluster;
beforeAll(async () => { kafka = await startKafka({ settings: { 'group.min.session.timeout.ms': '1000' } }); }, 300_000);
afterAll(async () => { await kafka[Symbol.asyncDispose](); });

/** Who runs what, from all members' own words; any overlap is kept. */
class Journal {
  private readonly owners = new Map<Work, string>();
  readonly overlaps: string[] = [];
  starts = 0;
  start(member: string, work: Iterable<Work>): void {
    for (const one of work) {
      const owner = this.owners.get(one);
      if (owner !== undefined && owner !== member) this.overlaps.push(`${one}: ${owner} and ${member}`);
      if (owner !== member) this.starts++;
      this.owners.set(one, member);
    }
  }
  stop(member: string, work: Iterable<Work>): void { for (const one of work) if (this.owners.get(one) === member) this.owners.delete(one); }
  running(): readonly Work[] { return [...this.owners.keys()].sort(); }
  of(member: string): readonly Work[] { return [...this.owners].filter(([, owner]) => owner === member).map(([one]) => one); }
}

class Member {
  readonly name: string;
  last: Round | undefined;
  private readonly stop = new AbortController();
  private readonly client: KafkaClient;
  readonly group: GroupMember;
  readonly over: Promise<void>;

  constructor(name: string, group: string, journal: Journal, configured: ReadonlySet<Work>, protocol: ConnectProtocol = 'sessioned') {
    this.name = name;
    this.client = new KafkaClient(clientConfig({ 'bootstrap.servers': kafka.bootstrap }, name));
    const assignor = new IncrementalAssignor(0);
    const running = new Set<Work>();
    this.group = new GroupMember({
      coordinator: new GroupCoordinator(this.client, group), protocol, sessionMs: 3_000, rebalanceMs: 20_000, heartbeatMs: 500, backoffMs: 50, outMs: 1_000, logger: quietLogger,
      listener: {
        ready: async () => { /* nothing has to be over */ },
        state: () => ({ url: `http://${name}/`, configOffset: 1 }),
        share: async (members, { leaderId, generation, lastCompleted, protocol: chosen }) => {
          const shared = { error: 0, leader: leaderId, leaderUrl: members.get(leaderId)?.url ?? '', configOffset: 1 };
          if (chosen === 'default') return new Map([...assignEagerly(configured, [...members.keys()])].map(([id, assigned]): [string, Assignment] => [id, { ...shared, assigned, revoked: new Set(), delayMs: 0 }]));
          const { shares, delayMs } = assignor.assign({ configured, members: new Map([...members].map(([id, state]) => [id, state.current?.assigned ?? new Set<Work>()])), generation, lastCompleted, nowMs: Date.now() });
          return new Map([...shares].map(([id, share]): [string, Assignment] => [id, { ...shared, ...share, delayMs }]));
        },
        revoked: async work => { await pause(20); for (const one of work) running.delete(one); journal.stop(name, work); },
        lost: async work => { for (const one of work) running.delete(one); journal.stop(name, work); },
        stopping: async () => { /* the test says what stops */ },
        assigned: async round => { this.last = round; journal.start(name, [...round.owned].filter(one => !running.has(one))); for (const one of round.owned) running.add(one); return 'stay'; },
      },
    });
    this.over = this.group.run(this.stop.signal);
  }
  /** A clean end: what runs is stopped, then the group is told. */
  async leave(journal: Journal): Promise<void> {
    this.stop.abort();
    await this.over;
    journal.stop(this.name, journal.of(this.name));
    await this.group.leave();
    await this.client[Symbol.asyncDispose]();
  }
  /** The process is gone: no more heartbeats, nobody is told. */
  async vanish(journal: Journal): Promise<void> {
    this.stop.abort();
    await this.over;
    await this.client[Symbol.asyncDispose]();
    journal.stop(this.name, journal.of(this.name));
  }
}
const connectors = (n: number): Set<Work> => new Set(Array.from({ length: n }, (_, i) => [workOf(`c${i}`, -1), workOf(`c${i}`, 0)]).flat());

describe.each(['sessioned', 'compatible', 'eager'] as const)('group of %s members', protocol => {
  it('shares work out, moves only what must move, and never runs anything twice', async () => {
    const journal = new Journal();
    const configured = connectors(6);
    const all = [...configured].sort();
    const group = `share-${protocol}`;
    const members = [new Member('a', group, journal, configured, protocol)];
    await until('everything to run at a', () => journal.running().length === 12);
    for (const name of ['b', 'c']) members.push(new Member(name, group, journal, configured, protocol));
    await until('an even share', () => ['a', 'b', 'c'].every(name => journal.of(name).length === 4));
    expect(journal.running()).toEqual(all);
    expect(members[0]?.last?.protocol).toBe({ sessioned: 'sessioned', compatible: 'compatible', eager: 'default' }[protocol]);
    const before = journal.starts;
    const started = performance.now();
    await members[1]?.leave(journal);
    await until('the others to take over', () => journal.running().length === 12);
    expect(performance.now() - started).toBeLessThan(3_000);
    if (protocol !== 'eager') expect(journal.starts - before).toBe(4);
    expect(journal.overlaps).toEqual([]);
    for (const name of [0, 2]) await members[name]?.leave(journal);
  }, 120_000);
});

describe('a member that vanishes', () => {
  it('is missed after the session timeout, the leader too, and its work runs elsewhere', async () => {
    const journal = new Journal();
    const configured = connectors(6);
    const members = ['a', 'b', 'c'].map(name => new Member(name, 'vanish', journal, configured));
    await until('an even share', () => ['a', 'b', 'c'].every(name => journal.of(name).length === 4));
    const leader = members.find(member => member.last?.isLeader === true);
    const started = performance.now();
    await leader?.vanish(journal);
    await until('its work to run elsewhere', () => journal.running().length === 12);
    expect(performance.now() - started).toBeLessThan(10_000);
    expect(journal.overlaps).toEqual([]);
    for (const member of members) if (member !== leader) await member.leave(journal);
  }, 120_000);

  it('stops its work by itself before the broker gives it to others, when it is cut off', async () => {
    const journal = new Journal();
    const configured = connectors(4);
    const member = new Member('a', 'cut', journal, configured);
    await until('everything to run', () => journal.running().length === 8);
    kafka.brokers[0]?.pause();
    try { await until('it to stop its work', () => journal.running().length === 0, 20_000); } finally { kafka.brokers[0]?.resume(); }
    await until('it to come back', () => journal.running().length === 8);
    await member.leave(journal);
  }, 120_000);
});
