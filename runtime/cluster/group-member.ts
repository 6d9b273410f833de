/**
 * One worker's membership in its group, through the group coordinator of Kafka (protocol type `connect`):
 *
 *   join → (the leader shares work out) → sync → stop what is revoked, start what is given → heartbeats → join …
 *
 * What runs keeps running over a rebalance, until it is revoked. When the coordinator did not hear of this worker for
 * the session timeout, others may be given its work: it then stops everything by itself, before that.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { FatalError, type TributaryError } from '../api/errors.ts';
import type { Logger } from '../api/logger.ts';
import type { GroupCoordinator } from './coordinator.ts';
import type { JoinAnswer, SyncRequest } from './group-api.ts';
import { type Assignment, type ConnectProtocol, decodeAssignment, decodeMetadata, encodeAssignment, encodeMetadata, OFFERED, type ProtocolName, type WorkerState } from './group-messages.ts';
import type { Work } from './work.ts';

/** What a round gave to this worker. */
export interface Round {
  readonly generation: number;
  readonly memberId: string;
  readonly isLeader: boolean;
  readonly protocol: ProtocolName;
  readonly assignment: Assignment;
  /** All that this worker has now. */
  readonly owned: ReadonlySet<Work>;
}
/** What a member does after a round: keep the membership, join again at once, or leave the group for a while. */
export type AfterRound = 'stay' | 'again' | 'leave';
export interface GroupListener {
  /** Awaited before each join, heartbeats going on: what has to be over before others hear of this worker. */
  ready(): Promise<void>;
  /** Asked before each join. */
  state(): Omit<WorkerState, 'current'>;
  /** Only the leader is asked. */
  share(members: ReadonlyMap<string, WorkerState>, round: { readonly leaderId: string; readonly generation: number; readonly lastCompleted: number; readonly protocol: ProtocolName }): Promise<ReadonlyMap<string, Assignment>>;
  /** Resolves when none of it runs here any more. */
  revoked(work: ReadonlySet<Work>): Promise<void>;
  assigned(round: Round): Promise<AfterRound>;
  /** Membership is gone, with all work: as `revoked`, but nobody waits for it. */
  lost(work: ReadonlySet<Work>): Promise<void>;
  /** The worker ends: resolves when nothing runs here any more. Heartbeats go on until then. */
  stopping(): Promise<void>;
}
export interface GroupOptions {
  readonly coordinator: GroupCoordinator;
  readonly protocol: ConnectProtocol;
  readonly sessionMs: number;
  readonly rebalanceMs: number;
  readonly heartbeatMs: number;
  readonly backoffMs: number;
  /** How long a member that left by itself stays out. */
  readonly outMs: number;
  readonly listener: GroupListener;
  readonly logger: Logger;
}

/** What stopping in a hurry takes: a second for the tasks to end by themselves, and some for a loaded machine. */
const STOP_MS = 1_500;
/** So exactly are times met. */
const SLACK_MS = 100;
/** Errors after which the coordinator knows this member no longer. */
const GONE = new Set(['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'FENCED_INSTANCE_ID']);
const FATAL: Readonly<Record<string, string>> = {
  DENIED: 'Give this worker READ on the group of group.id.',
  INVALID_SESSION_TIMEOUT: "Set session.timeout.ms between the broker's group.min.session.timeout.ms and group.max.session.timeout.ms.",
  INVALID_GROUP_ID: 'Set group.id.',
  INCONSISTENT_GROUP_PROTOCOL: 'Another kind of client uses this group.id, or its workers only speak another connect.protocol: choose another group.id, or the same protocol.',
};
const typeOf = (error: unknown): string => String((error as { readonly code?: unknown }).code ?? (error as Error).name).replace(/^KAFKA_/, '');

export class GroupMember {
  private readonly options: GroupOptions;
  private memberId = '';
  private generation = -1;
  private lastCompleted = -1;
  private protocol: ProtocolName | undefined;
  private owned: ReadonlySet<Work> = new Set();
  private assignment: Assignment | undefined;
  private aliveMs = 0;
  private wanted: string | undefined;
  private wake: () => void = () => { /* nobody waits */ };

  constructor(options: GroupOptions) { this.options = options; }

  /** The next round begins as soon as the present one is through. */
  rejoin(reason: string): void { this.wanted ??= reason; this.wake(); }
  /** The coordinator heard of this worker so lately that nobody else can have its place. */
  get alive(): boolean { return performance.now() - this.aliveMs < this.holdMs; }
  /** So long after a heartbeat the work is still this worker's. Shorter than the session, so that all has ended when others may begin. */
  private get holdMs(): number { const { sessionMs } = this.options; return Math.max(sessionMs / 2, sessionMs - STOP_MS); }
  /** Inside a round that is complete. */
  get stable(): boolean { return this.wanted === undefined && this.assignment !== undefined; }

  /** Until `signal` aborts, and until everything has stopped then; the caller leaves. Throws FatalError where no retry helps. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => { this.wake(); }, { once: true });
    let failures = 0;
    while (!signal.aborted) {
      try {
        await this.round(signal);
        failures = 0;
        await this.beat(signal);
      } catch (error) {
        if (signal.aborted) break;
        await this.failed(error);
        failures++;
        const backoffMs = Math.min(this.options.backoffMs * 2 ** Math.min(failures, 6), 5_000) * (0.75 + Math.random() / 2);
        // What still runs must end in time.
        await pause(this.memberId === '' ? backoffMs : Math.min(backoffMs, Math.max(SLACK_MS, this.aliveMs + this.holdMs - performance.now())), undefined, { signal }).catch(() => { /* the loop looks at the signal */ });
      }
    }
    const done = new AbortController();
    const beating = this.memberId === '' ? undefined : this.beatWhile(done.signal);
    try { await this.options.listener.stopping(); } finally { done.abort(); await beating; }
  }

  /** Says that this worker goes, so that its work is given out at once. */
  async leave(): Promise<void> {
    const { memberId } = this;
    this.forgetMembership();
    if (memberId !== '') await this.options.coordinator.leave(memberId, this.options.heartbeatMs).catch((error: unknown) => { this.options.logger.info({ reason: (error as Error).message }, 'group left without an answer'); });
  }

  private async round(signal: AbortSignal): Promise<void> {
    const { coordinator, listener, logger } = this.options;
    await this.untilReady(signal);
    logger.info({ reason: this.wanted ?? 'start', generation: this.generation }, 'joining the group');
    this.wanted = undefined;
    // In the first protocol everything stops at each rebalance.
    if (this.protocol === 'default' && this.owned.size > 0) await this.giveUp(this.owned);
    const answer = await this.join(signal);
    this.memberId = answer.memberId;
    this.generation = answer.generation;
    this.aliveMs = performance.now();
    const protocol = answer.protocol as ProtocolName;
    const isLeader = answer.leader === answer.memberId;
    const shares = isLeader ? await this.shares(answer, protocol) : [];
    // By when it was asked: an answer may have lain there while this process stood still.
    const sentMs = performance.now();
    const bytes = await coordinator.sync({ memberId: this.memberId, generation: this.generation, shares }, this.options.rebalanceMs, signal);
    this.aliveMs = sentMs;
    const assignment = decodeAssignment(bytes);
    this.protocol = protocol;
    this.lastCompleted = this.generation;
    logger.info({ generation: this.generation, protocol, leader: assignment.leaderUrl, isLeader, assigned: assignment.assigned.size, revoked: assignment.revoked.size, delayMs: assignment.delayMs }, 'group joined');
    await this.apply(assignment, isLeader, protocol, listener, signal);
  }

  private async untilReady(signal: AbortSignal): Promise<void> {
    const done = new AbortController();
    const beating = this.memberId === '' ? undefined : this.beatWhile(AbortSignal.any([signal, done.signal]));
    try { await this.options.listener.ready(); } finally {
      done.abort();
      await beating;
    }
  }

  private async join(signal: AbortSignal): Promise<JoinAnswer> {
    const { coordinator, protocol, sessionMs, rebalanceMs, listener } = this.options;
    const state: WorkerState = { ...listener.state(), current: this.assignment === undefined ? undefined : { ...this.assignment, assigned: this.owned, revoked: new Set() } };
    const request = {
      memberId: this.memberId, sessionMs, rebalanceMs,
      protocols: OFFERED[protocol].map(name => ({ name, metadata: encodeMetadata(state, name) })),
    };
    if (this.memberId === '') return coordinator.join(request, signal);
    // A join may take as long as the slowest worker; a coordinator that is gone must not keep this one from noticing.
    const over = new AbortController(), silent = new AbortController();
    const guarding = this.guard(AbortSignal.any([signal, over.signal]), silent);
    try { return await coordinator.join(request, AbortSignal.any([signal, silent.signal])); } finally {
      over.abort();
      await guarding;
    }
  }

  /** Heartbeats while a join waits. A generation that is too old means that the join is being answered. */
  private async guard(signal: AbortSignal, silent: AbortController): Promise<void> {
    const { coordinator, heartbeatMs } = this.options;
    for (;;) {
      await pause(heartbeatMs, undefined, { signal }).catch(() => { /* over */ });
      if (signal.aborted) return;
      const sentMs = performance.now();
      try { await coordinator.heartbeat({ memberId: this.memberId, generation: this.generation }, this.aliveMs + this.holdMs - sentMs); } catch (error) {
        const type = typeOf(error);
        if (type !== 'REBALANCE_IN_PROGRESS' && type !== 'ILLEGAL_GENERATION') { silent.abort(error); return; }
      }
      this.aliveMs = sentMs;
    }
  }

  private async shares(answer: JoinAnswer, protocol: ProtocolName): Promise<SyncRequest['shares']> {
    const members = new Map(answer.members.map(({ memberId, metadata }) => [memberId, decodeMetadata(metadata)]));
    const shares = await this.options.listener.share(members, { leaderId: answer.leader, generation: answer.generation, lastCompleted: this.lastCompleted, protocol });
    return [...shares].map(([memberId, share]) => ({ memberId, bytes: encodeAssignment(share, protocol) }));
  }

  /** Stops and starts; heartbeats go on meanwhile, so that a slow stop does not cost the membership. */
  private async apply(assignment: Assignment, isLeader: boolean, protocol: ProtocolName, listener: GroupListener, signal: AbortSignal): Promise<void> {
    const done = new AbortController();
    const beating = this.beatWhile(AbortSignal.any([signal, done.signal]));
    try {
      if (assignment.revoked.size > 0) await listener.revoked(assignment.revoked);
      const kept = protocol === 'default' ? [] : [...this.owned].filter(one => !assignment.revoked.has(one));
      this.owned = new Set([...kept, ...assignment.assigned]);
      this.assignment = assignment;
      const after = await listener.assigned({ generation: this.generation, memberId: this.memberId, isLeader, protocol, assignment, owned: this.owned });
      if (after === 'leave') { await this.stayOut(signal); return; }
      if (after === 'again' || assignment.revoked.size > 0 || assignment.error !== 0) this.rejoin(assignment.revoked.size > 0 ? 'work was revoked' : 'the state moved on');
    } finally {
      done.abort();
      await beating;
    }
  }

  private async stayOut(signal: AbortSignal): Promise<void> {
    const { owned } = this;
    this.wanted = 'the time outside the group is over';
    if (owned.size > 0) await this.options.listener.revoked(owned);
    await this.leave();
    await pause(this.options.outMs, undefined, { signal }).catch(() => { /* the loop looks at the signal */ });
  }

  private async giveUp(work: ReadonlySet<Work>): Promise<void> {
    await this.options.listener.revoked(work);
    this.owned = new Set();
  }

  /** Heartbeats beside other work; what they find is met in the main loop. */
  private async beatWhile(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(this.options.heartbeatMs, undefined, { signal }).catch(() => { /* over */ });
      if (signal.aborted) return;
      try { await this.heartbeat(); } catch (error) { this.rejoin(typeOf(error)); return; }
    }
  }

  /** Heartbeats until it is time to join again. */
  private async beat(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.wanted === undefined) {
      const woken = new Promise<void>(wake => { this.wake = wake; });
      const timer = setTimeout(() => { this.wake(); }, this.options.heartbeatMs);
      await woken;
      clearTimeout(timer);
      this.wake = () => { /* nobody waits */ };
      if (signal.aborted || this.wanted !== undefined) return;
      await this.heartbeat();
    }
  }

  private async heartbeat(): Promise<void> {
    const sentMs = performance.now();
    const { coordinator } = this.options;
    try {
      await coordinator.heartbeat({ memberId: this.memberId, generation: this.generation }, this.aliveMs + this.holdMs - sentMs);
    } catch (error) {
      if (typeOf(error) !== 'REBALANCE_IN_PROGRESS') throw error;
      this.rejoin('another worker came, went or asked for it');
    }
    this.aliveMs = sentMs;
  }

  /** Keeps the membership where it still stands, else stops everything. Throws what no retry mends. */
  private async failed(error: unknown): Promise<void> {
    const type = typeOf(error);
    const { logger, listener } = this.options;
    if (type === 'GROUP_SHARED') throw error;
    const hint = FATAL[type];
    if (hint !== undefined) throw new FatalError(`This worker cannot join its group: ${(error as Error).message}`, { code: `GROUP_${type}`, hint, cause: error });
    this.wanted ??= type;
    if (type === 'REBALANCE_IN_PROGRESS') return;
    logger.warn({ type, code: (error as Partial<TributaryError>).code, reason: (error as Error).message }, 'rebalance failed');
    if (!GONE.has(type) && performance.now() - this.aliveMs < this.holdMs - SLACK_MS) return;
    const { owned } = this;
    this.forgetMembership();
    if (owned.size > 0) await listener.lost(owned);
  }

  private forgetMembership(): void {
    this.memberId = '';
    this.generation = -1;
    this.lastCompleted = -1;
    this.assignment = undefined;
    this.owned = new Set();
  }
}
