/**
 * What workers tell each other through the group coordinator (protocol type `connect`), byte for byte Kafka Connect's
 * (ConnectProtocol, IncrementalCooperativeConnectProtocol):
 *
 *   metadata   := version int16 · url string · configOffset int64
 *                 · [allocation nullable bytes: an assignment · mark]                                            (v ≥ 1)
 *   assignment := version int16 · error int16 · leader string · leaderUrl string · configOffset int64 · work*
 *                 · [revoked work* · delay int32 · mark · agreed int64]                                          (v ≥ 1)
 *   work*      := count int32 (-1 = null) · (connector string · tasks int32 count, int32*)*      task -1 = the connector
 *   mark       := config topic string          ours, as is `agreed`: Connect reads no further, and sends none
 *   string     := length int16 · UTF-8;   bytes := length int32 (-1 = null) · bytes
 *
 * Version 2 has the bytes of version 1 and says besides that internal requests are signed (KIP-507).
 */
import { DataError } from '../api/errors.ts';
import { compareWork, connectorOf, taskOf, type Work, workOf } from './work.ts';

export type ProtocolName = 'default' | 'compatible' | 'sessioned';
export type ConnectProtocol = 'eager' | 'compatible' | 'sessioned';
export const PROTOCOL_VERSIONS: Readonly<Record<ProtocolName, number>> = { default: 0, compatible: 1, sessioned: 2 };
/** What a worker offers, best first, by its `connect.protocol`. */
export const OFFERED: Readonly<Record<ConnectProtocol, readonly ProtocolName[]>> = { eager: ['default'], compatible: ['compatible', 'default'], sessioned: ['sessioned', 'compatible', 'default'] };

export const NO_ERROR = 0;
/** The leader could not read the config topic as far as another member had: join again. */
export const CONFIG_MISMATCH = 1;

export interface Assignment {
  readonly error: number;
  /** Member id and REST address of the leader. */
  readonly leader: string;
  readonly leaderUrl: string;
  readonly configOffset: number;
  /** To the members: what is newly given. In a member's metadata: all that it has. */
  readonly assigned: ReadonlySet<Work>;
  readonly revoked: ReadonlySet<Work>;
  /** Time after which all shall join again, in milliseconds; 0 = none. */
  readonly delayMs: number;
  /** The leader's config topic: two clusters that were given the same `group.id` find out by it. Connect does not tell. */
  readonly configTopic?: string;
  /** Up to this offset every member had read the config topic when it joined, and stopped what had to stop for it. Connect does not tell. */
  readonly agreed?: number;
}
export interface WorkerState { readonly url: string; readonly configOffset: number; readonly current: Assignment | undefined; readonly configTopic?: string }

class Out {
  private readonly parts: Buffer[] = [];
  int16(value: number): this { const part = Buffer.alloc(2); part.writeInt16BE(value); this.parts.push(part); return this; }
  int32(value: number): this { const part = Buffer.alloc(4); part.writeInt32BE(value); this.parts.push(part); return this; }
  int64(value: number): this { const part = Buffer.alloc(8); part.writeBigInt64BE(BigInt(value)); this.parts.push(part); return this; }
  string(text: string): this { const bytes = Buffer.from(text, 'utf8'); this.int16(bytes.length); this.parts.push(bytes); return this; }
  bytes(bytes: Buffer | undefined): this { this.int32(bytes === undefined ? -1 : bytes.length); if (bytes !== undefined) this.parts.push(bytes); return this; }
  work(all: ReadonlySet<Work>): this {
    const byConnector = new Map<string, number[]>();
    for (const one of [...all].sort(compareWork)) {
      const tasks = byConnector.get(connectorOf(one));
      if (tasks === undefined) byConnector.set(connectorOf(one), [taskOf(one)]); else tasks.push(taskOf(one));
    }
    this.int32(byConnector.size);
    for (const [connector, tasks] of byConnector) {
      this.string(connector).int32(tasks.length);
      for (const task of tasks) this.int32(task);
    }
    return this;
  }
  done(): Buffer { return Buffer.concat(this.parts); }
}

class In {
  private at = 0;
  private readonly buffer: Buffer;
  constructor(buffer: Buffer) { this.buffer = buffer; }
  private take(bytes: number): number {
    const start = this.at;
    if (bytes < 0 || start + bytes > this.buffer.length) throw malformed(`${bytes} bytes are wanted at ${start} of ${this.buffer.length}`);
    this.at += bytes;
    return start;
  }
  get left(): number { return this.buffer.length - this.at; }
  int16(): number { return this.buffer.readInt16BE(this.take(2)); }
  int32(): number { return this.buffer.readInt32BE(this.take(4)); }
  int64(): number { return Number(this.buffer.readBigInt64BE(this.take(8))); }
  string(): string { const length = this.int16(); const start = this.take(length); return this.buffer.toString('utf8', start, start + length); }
  bytes(): Buffer | undefined {
    const length = this.int32();
    if (length < 0) return undefined;
    const start = this.take(length);
    return this.buffer.subarray(start, start + length);
  }
  work(): Set<Work> {
    const all = new Set<Work>();
    for (let connectors = this.int32(); connectors > 0; connectors--) {
      const connector = this.string();
      for (let tasks = this.int32(); tasks > 0; tasks--) all.add(workOf(connector, this.int32()));
    }
    return all;
  }
}
function malformed(what: string): DataError { return new DataError(`A group message of another worker cannot be read: ${what}`, { code: 'GROUP_MESSAGE', hint: 'Check that only Connect workers use this group.id.' }); }

/** What a worker tells of itself when it joins. */
export function encodeMetadata(state: WorkerState, protocol: ProtocolName): Buffer {
  const version = PROTOCOL_VERSIONS[protocol];
  const out = new Out().int16(version).string(state.url).int64(state.configOffset);
  if (version > 0) {
    out.bytes(state.current === undefined ? undefined : encodeAssignment(state.current, protocol));
    if (state.configTopic !== undefined) out.string(state.configTopic);
  }
  return out.done();
}

/** Throws DataError GROUP_MESSAGE. */
export function decodeMetadata(bytes: Buffer): WorkerState {
  const input = new In(bytes);
  const version = versionOf(input);
  const url = input.string();
  const configOffset = input.int64();
  const allocation = version > 0 && input.left > 0 ? input.bytes() : undefined;
  return { url, configOffset, current: allocation === undefined ? undefined : decodeAssignment(allocation), ...markOf(version, input) };
}

/** What the leader gives a member. */
export function encodeAssignment(assignment: Assignment, protocol: ProtocolName): Buffer {
  const version = PROTOCOL_VERSIONS[protocol];
  const out = new Out().int16(version).int16(assignment.error).string(assignment.leader).string(assignment.leaderUrl).int64(assignment.configOffset).work(assignment.assigned);
  if (version > 0) {
    out.work(assignment.revoked).int32(assignment.delayMs);
    if (assignment.configTopic !== undefined) out.string(assignment.configTopic);
    if (assignment.configTopic !== undefined && assignment.agreed !== undefined) out.int64(assignment.agreed);
  }
  return out.done();
}

/** Throws DataError GROUP_MESSAGE. */
export function decodeAssignment(bytes: Buffer): Assignment {
  const input = new In(bytes);
  const version = versionOf(input);
  const error = input.int16();
  const leader = input.string();
  const leaderUrl = input.string();
  const configOffset = input.int64();
  const assigned = version > 0 && input.left === 0 ? new Set<Work>() : input.work();
  const revoked = version > 0 && input.left > 0 ? input.work() : new Set<Work>();
  const delayMs = version > 0 && input.left > 0 ? input.int32() : 0;
  const mark = markOf(version, input);
  return { error, leader, leaderUrl, configOffset, assigned, revoked, delayMs, ...mark, ...(input.left > 0 ? { agreed: input.int64() } : {}) };
}

function markOf(version: number, input: In): { readonly configTopic?: string } { return version > 0 && input.left > 0 ? { configTopic: input.string() } : {}; }

function versionOf(input: In): number {
  const version = input.int16();
  if (version < 0) throw malformed(`version ${version}`);
  return version;
}
