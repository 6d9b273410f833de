/**
 * Gets a request done by the leader: here, when this worker is it, else by asking the one that is. While the group gathers
 * or a new leader is looked for the request waits; 409 is the answer only when its time is over.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { ConflictError, TributaryError } from '../api/errors.ts';
import { requestScope } from '../worker/request-scope.ts';
import type { Advertised } from './advertised.ts';
import type { SessionKey } from './config-records.ts';
import { askWorker, type WorkerRequest, WorkerUnreachable, WrongWorker } from './internal-requests.ts';

/** How long a request waits for a leader; Connect's REST requests end after 90 s. */
const PATIENCE_MS = 60_000;
const ASK_MS = 90_000;
const PAUSE_MS = 150;
const WATCH_MS = 1_000;

export interface LeaderView {
  readonly isLeader: boolean;
  readonly leaderUrl: string | undefined;
  /** Resolves at the next round, or after `ms`. */
  nextRound(ms: number): Promise<void>;
}
export interface LeaderRequest extends Pick<WorkerRequest, 'method' | 'body'> {
  /** Begins with a slash, encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Doing it twice is as good as doing it once: then it is asked again when an answer got lost. */
  readonly repeatable: boolean;
  readonly signWith?: { readonly key: SessionKey; readonly algorithm: string };
  /** Done by the leader before its turn comes: what may take long and changes nothing. */
  readonly before?: () => Promise<void>;
}

export class LeaderRequests {
  private readonly view: LeaderView;
  private readonly own: Advertised;
  private turn: Promise<unknown> = Promise.resolve();
  constructor(view: LeaderView, own: Advertised) { this.view = view; this.own = own; }

  /** One after the other while this worker leads, so that each sees what the one before did. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = this.turn.then(work);
    this.turn = next.catch(() => { /* told to its own caller */ });
    return next;
  }

  /** `local` runs on the leader; `parse` reads the leader's answer for everyone else. Throws what either throws, ConflictError NO_LEADER. */
  async run<T>(request: LeaderRequest, local: () => Promise<T>, parse: (answer: { readonly status: number; readonly body: unknown }) => T): Promise<T> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      try {
        if (this.view.isLeader) {
          await request.before?.();
          return await this.inTurn(() => this.still(local));
        }
        return parse(await this.forward(request));
      } catch (error) {
        if (!this.again(error, request) || performance.now() > deadline) throw error;
      }
      await Promise.race([this.view.nextRound(PAUSE_MS * 4), pause(PAUSE_MS)]);
    }
  }
  /** Only where this worker leads. Throws WrongWorker, which the one that asked may take as "ask the leader". */
  here<T>(local: () => Promise<T>): Promise<T> { return this.inTurn(() => this.still(local)); }
  private still<T>(local: () => Promise<T>): Promise<T> {
    if (!this.view.isLeader) throw new WrongWorker('Cannot complete request momentarily due to no known leader URL, likely because a rebalance was underway.', { code: 'NOT_LEADER' });
    return local();
  }

  /** Nothing was done, or doing it twice does no harm; and the first worker that a user asked is the one that is patient. */
  private again(error: unknown, { repeatable }: LeaderRequest): boolean {
    if (requestScope.getStore()?.forward !== undefined) return false;
    if (error instanceof WorkerUnreachable || error instanceof WrongWorker) return true;
    const code = error instanceof TributaryError ? error.code : '';
    return code === 'NOT_LEADER' || (repeatable && (code === 'WORKER_SILENT' || code === 'LEADER_503' || code === 'SIGNATURE_REFUSED'));
  }

  private async forward(request: LeaderRequest): Promise<{ readonly status: number; readonly body: unknown }> {
    const { leaderUrl } = this.view;
    if (leaderUrl === undefined || leaderUrl === this.own.url) throw new WrongWorker('Cannot complete request momentarily due to no known leader URL, likely because a rebalance was underway.', { code: 'NO_LEADER' });
    const answered = new AbortController(), replaced = new AbortController();
    void this.watch(leaderUrl, answered.signal, replaced);
    try { return await this.ask(leaderUrl, request, replaced.signal); } finally { answered.abort(); }
  }
  /** A leader that hangs is waited for only as long as it is the leader. */
  private async watch(leaderUrl: string, answered: AbortSignal, replaced: AbortController): Promise<void> {
    while (!answered.aborted) {
      await Promise.race([this.view.nextRound(WATCH_MS), pause(WATCH_MS, undefined, { signal: answered }).catch(() => { /* answered */ })]);
      const now = this.view.leaderUrl;
      if (now !== undefined && now !== leaderUrl) { replaced.abort(new Error('another worker leads now')); return; }
    }
  }

  /** Asks a worker on behalf of the request that is being served. At most two workers pass it on. */
  async ask(base: string, { path, query = {}, ...request }: LeaderRequest, signal?: AbortSignal): Promise<{ readonly status: number; readonly body: unknown }> {
    const scope = requestScope.getStore();
    if (scope?.forward === false) throw new ConflictError('Cannot complete request because of a conflicting operation (e.g. worker rebalance)', { code: 'TOO_MANY_HOPS' });
    const authorization = scope?.authorization ?? this.own.authorization;
    const url = new URL(`${base.replace(/\/$/, '')}${path}`);
    for (const [name, value] of Object.entries({ ...query, ...(request.signWith === undefined ? { forward: String(scope?.forward === undefined) } : {}) })) url.searchParams.set(name, value);
    return askWorker({ url: url.href, method: request.method, timeoutMs: ASK_MS, tls: this.own.tls, ...(signal === undefined ? {} : { signal }), ...(request.body === undefined ? {} : { body: request.body }), ...(request.signWith === undefined ? {} : { signWith: request.signWith }), ...(authorization === undefined ? {} : { headers: { authorization } }) });
  }
}
