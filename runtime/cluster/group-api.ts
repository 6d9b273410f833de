/** The requests of Kafka's classic group protocol (kafka.apache.org/protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup). */
import type { Api } from '../log/kafka/protocol/wire.ts';

const PROTOCOL_TYPE = 'connect';
const NONE = Buffer.alloc(0);

export interface MemberRequest { readonly memberId: string; readonly generation: number }
/** A member id of '' asks for one. Times in milliseconds. */
export interface JoinRequest { readonly memberId: string; readonly sessionMs: number; readonly rebalanceMs: number; readonly protocols: readonly { readonly name: string; readonly metadata: Buffer }[] }
export interface JoinAnswer {
  readonly generation: number;
  readonly protocol: string;
  readonly leader: string;
  readonly memberId: string;
  /** Only the leader gets them. */
  readonly members: readonly { readonly memberId: string; readonly metadata: Buffer }[];
}
/** The leader sends everyone's share, the others none. */
export interface SyncRequest extends MemberRequest { readonly shares: readonly { readonly memberId: string; readonly bytes: Buffer }[] }
type InGroup<T> = T & { readonly group: string };
interface WithError { readonly error: number }

export const joinGroup: Api<InGroup<JoinRequest>, JoinAnswer & WithError> = {
  key: 11, name: 'JoinGroup', version: 5, flexible: false,
  encode: (out, { group, memberId, sessionMs, rebalanceMs, protocols }) => {
    out.string(group).int32(sessionMs).int32(rebalanceMs).string(memberId).string(null).string(PROTOCOL_TYPE);
    out.array(protocols, ({ name, metadata }) => { out.string(name).bytes(metadata); });
  },
  decode: input => {
    input.int32();
    return {
      error: input.int16(), generation: input.int32(), protocol: input.string() ?? '', leader: input.string() ?? '', memberId: input.string() ?? '',
      members: input.array(() => {
        const memberId = input.string() ?? '';
        input.string();
        return { memberId, metadata: input.bytes() ?? NONE };
      }),
    };
  },
};

export const syncGroup: Api<InGroup<SyncRequest>, WithError & { readonly share: Buffer }> = {
  key: 14, name: 'SyncGroup', version: 3, flexible: false,
  encode: (out, { group, memberId, generation, shares }) => {
    out.string(group).int32(generation).string(memberId).string(null);
    out.array(shares, share => { out.string(share.memberId).bytes(share.bytes); });
  },
  decode: input => { input.int32(); return { error: input.int16(), share: input.bytes() ?? NONE }; },
};

export const heartbeat: Api<InGroup<MemberRequest>, WithError> = {
  key: 12, name: 'Heartbeat', version: 3, flexible: false,
  encode: (out, { group, memberId, generation }) => { out.string(group).int32(generation).string(memberId).string(null); },
  decode: input => { input.int32(); return { error: input.int16() }; },
};

export const leaveGroup: Api<InGroup<{ readonly memberId: string }>, WithError> = {
  key: 13, name: 'LeaveGroup', version: 1, flexible: false,
  encode: (out, { group, memberId }) => { out.string(group).string(memberId); },
  decode: input => { input.int32(); return { error: input.int16() }; },
};
