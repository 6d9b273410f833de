/**
 * Exactly-once sources: before a new set of tasks starts, the writers of the set before are shut out (KIP-618). The
 * leader takes each of their transactional ids for a moment, which ends what they left open, and records how many tasks
 * there are now. One task before and one now need no such round: the new one's own start shuts the old one out.
 */
import { ConflictError, NotFoundError } from '../api/errors.ts';
import type { ConfigRecord } from './config-records.ts';
import type { ConfigState } from './config-state.ts';

export interface FencingOptions {
  readonly state: ConfigState;
  readonly groupId: string;
  readonly readToEnd: () => Promise<void>;
  readonly write: (records: readonly ConfigRecord[]) => Promise<void>;
  /** Shuts out whoever writes under these ids, in the cluster that the connector writes to. */
  readonly shutOut: (connector: string, transactionalIds: readonly string[]) => Promise<void>;
}

/** The transactional id of a task, as Connect forms it. */
export function transactionalId(groupId: string, connector: string, task: number): string { return `${groupId}-${connector}-${task}`; }

/** One fencing of a connector at a time; who asks meanwhile waits for the same one. */
export class Fencing {
  private readonly options: FencingOptions;
  private readonly active = new Map<string, Promise<void>>();
  constructor(options: FencingOptions) { this.options = options; }

  /** Resolves when no task of an earlier set can write any more. Throws ConflictError when yet another set was made meanwhile. */
  fence(connector: string): Promise<void> {
    const present = this.active.get(connector);
    if (present !== undefined) return present;
    const round = this.round(connector).finally(() => { this.active.delete(connector); });
    this.active.set(connector, round);
    return round;
  }

  private async round(connector: string): Promise<void> {
    const { state, groupId, readToEnd, write, shutOut } = this.options;
    await readToEnd();
    if (!state.has(connector)) throw new NotFoundError(`Connector ${connector} not found`, { code: 'CONNECTOR_UNKNOWN' });
    if (!state.fencingPending(connector)) return;
    const generation = state.taskGeneration(connector);
    const before = state.fencingCount(connector), tasks = state.tasks(connector).length;
    if (before !== undefined && !(before === 1 && tasks === 1)) await shutOut(connector, Array.from({ length: before }, (_, task) => transactionalId(groupId, connector, task)));
    if (state.taskGeneration(connector) !== generation) throw new ConflictError('Failed to complete zombie fencing because a new set of task configs was generated', { code: 'FENCING_OUTRUN' });
    await write([{ kind: 'fencing', connector, tasks }]);
  }
}
