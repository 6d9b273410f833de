/**
 * One worker as a part of its cluster: it follows the config topic, takes part in the group, runs what it is given, and
 * does the leader's duties while it is the leader. What users ask for comes through {@link DistributedWorker}.
 */
import { randomBytes } from 'node:crypto';
import { FatalError, RetriableError } from '../api/errors.ts';
import type { Logger } from '../api/logger.ts';
import { assignEagerly, IncrementalAssignor } from './assignor.ts';
import type { ConfigRecord } from './config-records.ts';
import type { ConfigChange } from './config-state.ts';
import type { ConfigStore } from './config-store.ts';
import type { GroupCoordinator } from './coordinator.ts';
import type { DistributedConfig } from './distributed-config.ts';
import { type Assignment, CONFIG_MISMATCH, NO_ERROR, type ProtocolName, type WorkerState } from './group-messages.ts';
import { type AfterRound, GroupMember, type GroupListener, type Round } from './group-member.ts';
import type { LocalWork } from './local-work.ts';
import type { StatusStore } from './status-store.ts';
import { connectorOf, isTask, type Work } from './work.ts';

const NONE: ReadonlySet<Work> = new Set();
const KEY_BYTES = 32;
const FLUSH_MS = 2_000;

export interface NodeOptions {
  readonly config: DistributedConfig;
  readonly logger: Logger;
  readonly store: ConfigStore;
  readonly statuses: StatusStore;
  readonly local: LocalWork;
  readonly coordinator: GroupCoordinator;
  /** REST address that others reach this worker by. */
  readonly url: string;
  /** Called when this worker becomes the leader: nobody else writes the leader's records after it. */
  readonly claim: () => Promise<void>;
  /** A level that is meant for all workers. */
  readonly setLevel: (name: string, level: string) => void;
}

export class ClusterNode {
  readonly options: NodeOptions;
  readonly member: GroupMember;
  private readonly assignor: IncrementalAssignor;
  private current: Round | undefined;
  /** Who runs what, by REST address; only the leader knows. */
  private owners: ReadonlyMap<Work, string> = new Map();
  private readonly begun = new Set<Work>();
  private claimed: string | undefined;
  /** How far the config topic was read when everything had stopped that had to stop for it. */
  private obeyed = 0;
  private timer: NodeJS.Timeout | undefined;
  private keyTimer: NodeJS.Timeout | undefined;
  private readonly waiters = new Set<() => void>();

  constructor(options: NodeOptions) {
    this.options = options;
    const { config, logger, coordinator } = options;
    this.assignor = new IncrementalAssignor(config['scheduled.rebalance.max.delay.ms']);
    const listener: GroupListener = {
      ready: async () => {
        const { offset } = options.store.state;
        await options.local.settled();
        this.obeyed = offset;
      },
      state: () => ({ url: options.url, configOffset: this.obeyed, configTopic: this.topic }),
      share: async (members, round) => this.withStrangers(members, await this.share(new Map([...members].filter(([, member]) => !this.isStranger(member))), round)),
      revoked: work => this.revoked(work, false),
      lost: async work => {
        this.current = undefined;
        logger.warn({ work: work.size }, 'membership is lost; everything stops here');
        await this.revoked(work, true);
      },
      assigned: round => this.assigned(round),
      stopping: () => this.revoked(new Set(this.begun), false),
    };
    this.member = new GroupMember({
      coordinator, protocol: config['connect.protocol'], sessionMs: config['session.timeout.ms'], rebalanceMs: config['rebalance.timeout.ms'], heartbeatMs: config['heartbeat.interval.ms'],
      backoffMs: config['retry.backoff.ms'], outMs: config['worker.unsync.backoff.ms'], listener, logger,
    });
  }

  get round(): Round | undefined { return this.current; }
  /** Not for one that stood still for too long: another may lead by now. */
  get isLeader(): boolean { return this.current?.isLeader === true && this.claimed === this.current.memberId && this.member.alive; }
  get leaderUrl(): string | undefined { return this.current?.assignment.leaderUrl; }
  get generation(): number { return this.current?.generation ?? -1; }
  ownerUrl(work: Work): string | undefined { return this.owners.get(work); }
  /** Resolves at the next round, or after `ms`. */
  async nextRound(ms: number): Promise<void> {
    await new Promise<void>(done => {
      const over = (): void => { clearTimeout(timer); this.waiters.delete(over); done(); };
      const timer = setTimeout(over, ms);
      this.waiters.add(over);
    });
  }

  private get topic(): string { return this.options.config['config.storage.topic']; }
  /** A worker of another cluster that was given the same `group.id`. */
  private isStranger({ configTopic }: { readonly configTopic?: string }): boolean { return configTopic !== undefined && configTopic !== this.topic; }
  /** Strangers get nothing but the name of the topic by which they find out; everyone else gets it too. */
  private withStrangers(members: ReadonlyMap<string, WorkerState>, shares: ReadonlyMap<string, Assignment>): ReadonlyMap<string, Assignment> {
    const [some] = shares.values();
    if (some === undefined) return shares;
    const nothing: Assignment = { ...some, error: NO_ERROR, assigned: NONE, revoked: NONE, delayMs: 0 };
    for (const [id, member] of members) if (!shares.has(id)) this.options.logger.error({ worker: member.url, configTopic: member.configTopic, group: this.options.config['group.id'] }, 'a worker of another cluster uses this group.id');
    return new Map([...members.keys()].map((id): [string, Assignment] => [id, { ...shares.get(id) ?? nothing, configTopic: this.topic }]));
  }

  private async share(members: ReadonlyMap<string, WorkerState>, { leaderId, generation, lastCompleted, protocol }: { readonly leaderId: string; readonly generation: number; readonly lastCompleted: number; readonly protocol: ProtocolName }): Promise<ReadonlyMap<string, Assignment>> {
    const { store, config, logger } = this.options;
    const highest = Math.max(...[...members.values()].map(({ configOffset }) => configOffset));
    const leaderUrl = members.get(leaderId)?.url ?? this.options.url;
    const common = { leader: leaderId, leaderUrl, revoked: NONE, agreed: Math.min(...[...members.values()].map(({ configOffset }) => configOffset)) };
    if (store.state.offset < highest) await store.readToEnd(config['worker.sync.timeout.ms']).catch((error: unknown) => { logger.warn({ reason: (error as Error).message }, 'config topic is behind another worker'); });
    const { state } = store;
    if (state.offset < highest) return new Map([...members.keys()].map((id): [string, Assignment] => [id, { ...common, error: CONFIG_MISMATCH, configOffset: highest, assigned: NONE, delayMs: 0 }]));
    const configOffset = state.offset;
    if (protocol === 'default') {
      const shares = assignEagerly(state.work(), [...members.keys()]);
      this.owners = ownersOf(shares, members);
      return new Map([...shares].map(([id, assigned]): [string, Assignment] => [id, { ...common, error: NO_ERROR, configOffset, assigned, delayMs: 0 }]));
    }
    const held = new Map([...members].map(([id, { current }]) => [id, current?.assigned ?? NONE]));
    const { shares, owned, delayMs } = this.assignor.assign({ configured: state.work(), members: held, generation, lastCompleted, nowMs: Date.now() });
    this.owners = ownersOf(owned, members);
    return new Map([...shares].map(([id, share]): [string, Assignment] => [id, { ...common, ...share, error: NO_ERROR, configOffset, delayMs }]));
  }

  private async revoked(work: ReadonlySet<Work>, quick: boolean): Promise<void> {
    for (const one of work) this.begun.delete(one);
    await this.options.local.stop(work, quick);
    if (!quick) await this.options.statuses.flush(FLUSH_MS);
  }

  private async assigned(round: Round): Promise<AfterRound> {
    const { store, config, local } = this.options;
    const { assignment } = round;
    if (this.isStranger(assignment)) throw new FatalError(`group.id ${config['group.id']} belongs to another cluster: its workers keep their configurations in topic ${assignment.configTopic ?? ''}, this one in ${this.topic}`, { code: 'GROUP_SHARED', hint: 'Give this cluster a group.id of its own, or the same config.storage.topic.' });
    const before = this.current;
    this.current = round;
    clearTimeout(this.timer);
    if (assignment.error !== NO_ERROR || store.state.offset < assignment.configOffset) {
      try { await store.readToEnd(config['worker.sync.timeout.ms']); } catch (error) {
        this.options.logger.error({ reason: (error as Error).message, outMs: config['worker.unsync.backoff.ms'] }, 'config topic cannot be read as far as the other workers have; leaving the group');
        return 'leave';
      }
      if (assignment.error !== NO_ERROR) return 'again';
    }
    if (round.isLeader) await this.lead(round, before);
    const agreed = assignment.agreed ?? Infinity;
    const held = (one: Work): boolean => isTask(one) && store.state.resizedAt(connectorOf(one)) > agreed;
    const waiting = [...round.owned].filter(one => !this.begun.has(one) && this.exists(one));
    const fresh = waiting.filter(one => !held(one));
    for (const one of fresh) this.begun.add(one);
    await local.start(fresh);
    if (assignment.delayMs > 0) this.timer = setTimeout(() => { this.member.rejoin('the wait for lost workers is over'); }, assignment.delayMs);
    for (const done of [...this.waiters]) done();
    return store.state.workOffset > assignment.configOffset || fresh.length < waiting.length ? 'again' : 'stay';
  }
  private exists(work: Work): boolean {
    const { state } = this.options.store;
    return isTask(work) ? state.work().has(work) : state.has(connectorOf(work));
  }

  /** Duties of the leader after each round. */
  private async lead(round: Round, before: Round | undefined): Promise<void> {
    const { store, config, logger } = this.options;
    if (this.claimed !== round.memberId || before?.isLeader !== true) {
      try {
        await this.options.claim();
        // What the leader before wrote last must be known before anything is decided.
        await store.readToEnd(config['worker.sync.timeout.ms']);
        this.claimed = round.memberId;
      } catch (error) {
        this.claimed = undefined;
        logger.warn({ reason: (error as Error).message }, 'leadership cannot be taken up yet');
        this.member.rejoin('leadership was not taken up');
        return;
      }
    }
    this.forgetDeleted();
    if (round.protocol === 'sessioned') this.rotateKey();
  }

  /** Statuses and used topics of what is configured no more. */
  private forgetDeleted(): void {
    const { store: { state }, statuses } = this.options;
    const work = state.work();
    for (const one of statuses.works()) if (!work.has(one)) statuses.put(one, null);
    for (const connector of statuses.connectorsWithTopics()) if (!state.has(connector)) statuses.resetTopics(connector).catch(() => { /* with the next round */ });
  }

  /** A new session key when there is none, or the present one is too old. */
  private rotateKey(): void {
    clearTimeout(this.keyTimer);
    const { store, config, logger } = this.options;
    const ttlMs = config['inter.worker.key.ttl.ms'], algorithm = config['inter.worker.key.generation.algorithm'];
    const { sessionKey } = store.state;
    const bytes = (config['inter.worker.key.size'] ?? KEY_BYTES * 8) / 8;
    const ageMs = sessionKey === undefined || sessionKey.algorithm !== algorithm || sessionKey.key.length !== bytes ? Infinity : Date.now() - sessionKey.createdMs;
    if (ttlMs > 0 && ageMs < ttlMs || ttlMs === 0 && ageMs !== Infinity) {
      if (ttlMs > 0) this.keyTimer = setTimeout(() => { if (this.isLeader) this.rotateKey(); }, Math.min(ttlMs - ageMs + 1, 2 ** 31 - 1)).unref();
      return;
    }
    this.write([{ kind: 'session-key', value: { key: randomBytes(bytes), algorithm, createdMs: Date.now() } }]).then(() => { if (this.isLeader) this.rotateKey(); }, (error: unknown) => {
      logger.warn({ reason: (error as Error).message }, 'session key cannot be written');
      this.member.rejoin('the session key was not written');
    });
  }

  /** Writes what only the leader may. Throws RetriableError NOT_LEADER. */
  async write(records: readonly ConfigRecord[]): Promise<void> {
    if (this.current?.isLeader !== true || !this.member.alive) throw new RetriableError('This worker is not the leader any more', { code: 'NOT_LEADER' });
    try { await this.options.store.write(records); } catch (error) {
      // Fenced, or not known to have been written: leadership is taken up anew before the next write.
      this.claimed = undefined;
      this.member.rejoin('a write to the config topic failed');
      throw error;
    }
  }

  /** What the config topic says is done here as far as it concerns this worker. */
  changed(change: ConfigChange): void {
    const { local, logger, store } = this.options;
    switch (change.kind) {
      case 'connector-added': this.member.rejoin(`${change.kind} ${change.connector}`); return;
      // One that is made again before the next round is another one: nothing of it has begun.
      case 'connector-removed': this.endHere(one => connectorOf(one) === change.connector, `${change.kind} ${change.connector}`); return;
      case 'connector-changed': if (local.hasConnector(change.connector)) local.steer(change.connector); return;
      case 'target-state': local.steer(change.connector); return;
      case 'tasks':
        if (change.resized) this.resized(change.connector); else local.retask(change.connector, change.updated);
        return;
      case 'restart': this.restart(change); return;
      case 'logger': this.options.setLevel(change.namespace, change.level); return;
      case 'session-key': logger.info({ createdMs: store.state.sessionKey?.createdMs }, 'session key read'); return;
      case 'fencing': return;
    }
  }

  /** How many tasks there are decides what each of them reads: no new one begins before the old ones have ended, on whatever worker. */
  private resized(connector: string): void { this.endHere(one => isTask(one) && connectorOf(one) === connector, `tasks of ${connector}`); }

  /** Ends it in this worker; the next round, which waits for that, gives out what there is then. */
  private endHere(wanted: (work: Work) => boolean, reason: string): void {
    const running = [...this.begun].filter(wanted);
    for (const one of running) this.begun.delete(one);
    this.options.local.stop(running).catch((error: unknown) => { this.options.logger.warn({ after: reason, reason: (error as Error).message }, 'tasks did not end well'); });
    this.member.rejoin(reason);
  }

  private restart({ connector, includeTasks, onlyFailed }: Extract<ConfigRecord, { readonly kind: 'restart' }>): void {
    this.restartWhere(connector, work => this.restarts(work, includeTasks, onlyFailed)).catch((error: unknown) => { this.options.logger.warn({ connector, reason: (error as Error).message }, 'restart failed'); });
  }
  /** Whether a restart request means this connector or task. */
  restarts(work: Work, includeTasks: boolean, onlyFailed: boolean): boolean {
    if (isTask(work) && !includeTasks) return false;
    return !onlyFailed || this.options.statuses.get(work)?.state === 'FAILED';
  }
  restartWhere(connector: string, wanted: (work: Work) => boolean): Promise<void> { return this.options.local.restart(connector, wanted, new Set(this.begun)); }
  runs(work: Work): boolean { return this.begun.has(work); }

  /** Until `signal` aborts: then everything stops here, and the group hears of it. */
  async run(signal: AbortSignal): Promise<void> {
    try { await this.member.run(signal); } finally {
      clearTimeout(this.timer);
      clearTimeout(this.keyTimer);
      this.current = undefined;
      await this.revoked(new Set(this.begun), false);
      await this.member.leave();
    }
  }
}

function ownersOf(owned: ReadonlyMap<string, ReadonlySet<Work>>, members: ReadonlyMap<string, WorkerState>): ReadonlyMap<Work, string> {
  return new Map([...owned].flatMap(([id, work]) => [...work].map((one): [Work, string] => [one, members.get(id)?.url ?? ''])));
}
