/**
 * Shares connectors and tasks out among the workers of a group, incrementally (KIP-415): what runs stays where it is,
 * and only what must move is first revoked and, in the round after, given to another. Pure: the time is handed in.
 *
 * Kept from Connect: the two rounds, the delay that waits for a lost worker, the growing pause between rounds that
 * revoke for balance. Different, on purpose: work of deleted connectors is revoked even by a leader that is new, and
 * the delay ends as soon as as many workers are there as before the loss.
 */
import { compareWork, isTask, type Work } from './work.ts';

export interface AssignInput {
  /** All that there is to run. */
  readonly configured: ReadonlySet<Work>;
  /** What each member says that it runs. */
  readonly members: ReadonlyMap<string, ReadonlySet<Work>>;
  /** Generation of the group that this round makes, and the last one that this worker saw completed. */
  readonly generation: number;
  readonly lastCompleted: number;
  readonly nowMs: number;
}
export interface MemberShare { readonly assigned: ReadonlySet<Work>; readonly revoked: ReadonlySet<Work> }
export interface AssignResult {
  readonly shares: ReadonlyMap<string, MemberShare>;
  /** What each member runs once it has done what its share says. */
  readonly owned: ReadonlyMap<string, ReadonlySet<Work>>;
  readonly delayMs: number;
}

const minus = (from: Iterable<Work>, ...others: readonly ReadonlySet<Work>[]): Set<Work> => new Set([...from].filter(one => !others.some(other => other.has(one))));
const union = (sets: Iterable<ReadonlySet<Work>>): Set<Work> => { const all = new Set<Work>(); for (const set of sets) for (const one of set) all.add(one); return all; };
type Loads = Map<string, Set<Work>>;

/** The memory of one leader from round to round. A worker that becomes the leader begins with none. */
export class IncrementalAssignor {
  private readonly maxDelayMs: number;
  /** What the group should be running after the last round, lost work included. */
  private previous: ReadonlySet<Work> = new Set();
  private previousMembers: ReadonlySet<string> = new Set();
  private previousGeneration = -1;
  private lastRevoked: ReadonlySet<Work> = new Set();
  /** When the wait for lost workers ends; 0 = nobody is waited for. */
  private waitUntilMs = 0;
  private membersBeforeLoss = 0;
  /** Workers that came with empty hands while lost work waited. */
  private candidates = new Set<string>();
  private balancedBefore = false;
  private balancingRounds = 0;
  private pausedUntilMs = 0;

  constructor(maxDelayMs: number) { this.maxDelayMs = maxDelayMs; }

  assign({ configured, members, generation, lastCompleted, nowMs }: AssignInput): AssignResult {
    if (this.previousGeneration !== lastCompleted) { this.previous = new Set(); this.lastRevoked = new Set(); }
    const active = union(members.values());
    // A revocation that nobody obeyed: what is said to run counts.
    if ([...this.lastRevoked].some(one => active.has(one))) this.previous = active;

    const deleted = minus(union([this.previous, active]), configured);
    const duplicated = held(members, count => count > 1);
    const lost = minus(this.previous, active, deleted);
    const created = minus(configured, this.previous, active);

    const next: Loads = new Map([...members].map(([member, work]) => [member, minus(work, deleted, duplicated)]));
    const revoked: Loads = new Map([...members].map(([member, work]) => [member, new Set([...work].filter(one => deleted.has(one) || duplicated.has(one)))]));
    const again = this.lostWork(lost, next, nowMs);
    const delayMs = this.waitUntilMs > 0 ? Math.max(1, this.waitUntilMs - nowMs) : this.balance(configured, next, revoked, nowMs);

    for (const one of [...created, ...again].sort(compareWork)) leastLoaded(next, isTask(one))?.add(one);
    const shares = new Map([...members].map(([member, work]): [string, MemberShare] => [member, { assigned: minus(next.get(member) ?? [], work), revoked: revoked.get(member) ?? new Set() }]));
    this.lastRevoked = union(revoked.values());
    this.previous = union([minus(union(next.values()), this.lastRevoked), lost]);
    this.previousGeneration = generation;
    this.previousMembers = new Set(members.keys());
    return { shares, owned: next, delayMs };
  }

  /** Lost work that is to be given out in this round; what goes to returned workers is put into `next` at once. */
  private lostWork(lost: ReadonlySet<Work>, next: Loads, nowMs: number): ReadonlySet<Work> {
    if (lost.size === 0) { this.forgetLoss(); return new Set(); }
    const everyoneStayed = [...this.previousMembers].every(member => next.has(member));
    // Members that never got their last assignment, or a group that does not wait.
    if ((this.waitUntilMs === 0 && everyoneStayed) || this.maxDelayMs === 0) return lost;
    if (this.waitUntilMs === 0) {
      this.waitUntilMs = nowMs + this.maxDelayMs;
      this.membersBeforeLoss = this.previousMembers.size;
    }
    for (const [member, work] of next) if (work.size === 0 && !this.previousMembers.has(member)) this.candidates.add(member);
    if (nowMs < this.waitUntilMs && (next.size < this.membersBeforeLoss || this.candidates.size === 0)) return new Set();
    const returned: Loads = new Map([...next].filter(([member]) => this.candidates.has(member)));
    this.forgetLoss();
    if (returned.size === 0) return lost;
    for (const one of [...lost].sort(compareWork)) leastLoaded(returned, isTask(one))?.add(one);
    return new Set();
  }

  private forgetLoss(): void {
    this.waitUntilMs = 0;
    this.candidates = new Set();
  }

  /** Takes work from those that have more than their share; answers the pause that the group makes first, in milliseconds. */
  private balance(configured: ReadonlySet<Work>, next: Loads, revoked: Loads, nowMs: number): number {
    if (this.pausedUntilMs > nowMs) return this.pausedUntilMs - nowMs;
    const surplus = surplusOf(configured, next);
    if (surplus.size === 0) { this.balancedBefore = false; this.balancingRounds = 0; return 0; }
    if (this.balancedBefore && this.maxDelayMs > 0 && this.pausedUntilMs === 0) {
      // Members that come and go all the time must not keep everything moving.
      const pause = Math.min(40 ** ++this.balancingRounds, this.maxDelayMs);
      this.pausedUntilMs = nowMs + pause;
      return pause;
    }
    this.pausedUntilMs = 0;
    this.balancedBefore = true;
    for (const [member, work] of surplus) {
      next.set(member, minus(next.get(member) ?? [], work));
      revoked.set(member, union([revoked.get(member) ?? new Set<Work>(), work]));
    }
    return 0;
  }
}

function held(members: ReadonlyMap<string, ReadonlySet<Work>>, wanted: (count: number) => boolean): Set<Work> {
  const counts = new Map<Work, number>();
  for (const work of members.values()) for (const one of work) counts.set(one, (counts.get(one) ?? 0) + 1);
  return new Set([...counts].filter(([, count]) => wanted(count)).map(([one]) => one));
}

const countOf = (work: ReadonlySet<Work>, tasks: boolean): number => { let count = 0; for (const one of work) if (isTask(one) === tasks) count++; return count; };

/** The set of the member with the fewest connectors (or tasks), the first by id among equals. */
function leastLoaded(loads: Loads, tasks: boolean): Set<Work> | undefined {
  let best: { readonly member: string; readonly count: number; readonly work: Set<Work> } | undefined;
  for (const [member, work] of loads) {
    const count = countOf(work, tasks);
    if (best === undefined || count < best.count || (count === best.count && member < best.member)) best = { member, count, work };
  }
  return best?.work;
}

/** What members have above an even share, connectors and tasks each for themselves. Nothing when nobody has anything. */
function surplusOf(configured: ReadonlySet<Work>, loads: Loads): Map<string, Set<Work>> {
  const surplus = new Map<string, Set<Work>>();
  for (const tasks of [false, true]) {
    const total = countOf(configured, tasks);
    const least = Math.floor(total / loads.size);
    const sizes = [...loads.values()].map(work => countOf(work, tasks));
    // What is not given out yet goes to those below: then nobody must give anything up.
    if (Math.max(...sizes) <= least + (total % loads.size === 0 ? 0 : 1) && sizes.filter(size => size === least + 1).length <= total % loads.size) continue;
    let extras = total % loads.size;
    for (const [member, work] of [...loads].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const mine = [...work].filter(one => isTask(one) === tasks).sort(compareWork);
      if (mine.length <= least) continue;
      const keep = extras > 0 ? least + 1 : least;
      if (extras > 0) extras--;
      if (mine.length > keep) surplus.set(member, union([surplus.get(member) ?? new Set<Work>(), new Set(mine.slice(keep))]));
    }
  }
  return surplus;
}

/** Connect's first protocol: everything stops at every rebalance, and is dealt out in turn. */
export function assignEagerly(configured: ReadonlySet<Work>, members: readonly string[]): ReadonlyMap<string, ReadonlySet<Work>> {
  const sorted = [...members].sort();
  const shares = new Map(sorted.map((member): [string, Set<Work>] => [member, new Set()]));
  const all = [...configured].sort(compareWork);
  [...all.filter(one => !isTask(one)), ...all.filter(isTask)].forEach((one, i) => { shares.get(sorted[i % sorted.length] ?? '')?.add(one); });
  return shares;
}
