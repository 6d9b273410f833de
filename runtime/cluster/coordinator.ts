/**
 * The coordinator of a group, found anew when it moves. Joining keeps its connection busy for as long as the group takes
 * to gather, so heartbeats go over another one.
 */
import { check, type KafkaClient } from '../log/kafka/client.ts';
import type { Api } from '../log/kafka/protocol/wire.ts';
import { heartbeat, type JoinAnswer, type JoinRequest, joinGroup, leaveGroup, type MemberRequest, syncGroup, type SyncRequest } from './group-api.ts';

const MEMBER_ID_REQUIRED = 79;
/** Beyond the time that a join may take in the group itself. */
const NETWORK_MS = 5_000;

export class GroupCoordinator {
  private readonly client: KafkaClient;
  private readonly group: string;
  constructor(client: KafkaClient, group: string) { this.client = client; this.group = group; }

  /** Resolves when the whole group has gathered. Throws TributaryErrors whose code is `KAFKA_` and the name of the error. */
  async join(request: JoinRequest, signal: AbortSignal): Promise<JoinAnswer> {
    const timeoutMs = Math.max(request.rebalanceMs, request.sessionMs) + NETWORK_MS;
    const answer = await this.ask('join', joinGroup, request, 'join', { timeoutMs, forMs: request.sessionMs, signal }, answer => answer.error === MEMBER_ID_REQUIRED && request.memberId === '');
    if (answer.error !== MEMBER_ID_REQUIRED) return answer;
    return this.ask('join', joinGroup, { ...request, memberId: answer.memberId }, 'join', { timeoutMs, forMs: request.sessionMs, signal });
  }
  async sync(request: SyncRequest, timeoutMs: number, signal: AbortSignal): Promise<Buffer> {
    return (await this.ask('sync', syncGroup, request, 'join', { timeoutMs, forMs: timeoutMs, signal })).share;
  }
  /** Tried again for `forMs`. */
  async heartbeat(request: MemberRequest, forMs: number): Promise<void> {
    await this.ask('heartbeat', heartbeat, request, 'heartbeat', { timeoutMs: Math.max(500, forMs / 2), forMs, signal: AbortSignal.timeout(Math.max(0, Math.ceil(forMs))) });
  }
  async leave(memberId: string, timeoutMs: number): Promise<void> {
    await this.ask('leave', leaveGroup, { memberId }, 'heartbeat', { timeoutMs, forMs: 0 });
  }

  private ask<I extends object, O extends { readonly error: number }>(what: string, api: Api<I & { readonly group: string }, O>, input: I, lane: string, { timeoutMs, forMs, signal }: { readonly timeoutMs: number; readonly forMs: number; readonly signal?: AbortSignal }, passes: (answer: O) => boolean = () => false): Promise<O> {
    const target = { coordinator: 'group', key: this.group } as const;
    return this.client.retrying(`${what} group ${this.group}`, async () => {
      const answer = await this.client.request(target, api, { ...input, group: this.group }, { lane, timeoutMs, signal });
      if (!passes(answer)) check(answer.error, `${what} of group ${this.group}`);
      return answer;
    }, { forMs, signal });
  }
}
