/** Where a start begins: what `snapshot.mode` wants, against what is stored and what the server still has. */
import { FatalError } from '../../../runtime/api/errors.ts';
import type { Logger } from '../../../runtime/api/logger.ts';
import type { PostgresConfig } from './config.ts';
import type { StreamPosition } from './offset.ts';
import { literal, type SlotState } from './replication.ts';
import type { Query } from './schema.ts';

/** `reads`: a snapshot from its beginning; `goesOn`: one that was begun. */
export interface Plan { readonly reads: boolean; readonly goesOn: boolean; readonly streams: boolean; readonly from: StreamPosition | undefined }

/** A position from which nothing has been taken yet. */
export function freshPosition(lsn: bigint): StreamPosition { return { commitLsn: lsn, lsn, further: 0, txId: null, timeUs: 0n, messageType: '' }; }

/**
 * `stored` is 'snapshot' when nothing can be gone on from; `begun` when it is the position of a snapshot that has not
 * ended. Throws FatalError POSTGRES_SLOT_GONE or POSTGRES_SLOT_AHEAD where changes would be passed over in silence.
 */
export async function plan(query: Query, config: PostgresConfig, stored: StreamPosition | 'snapshot', begun: boolean, slot: SlotState | undefined, logger: Logger): Promise<Plan> {
  const mode = config['snapshot.mode'];
  const byConfiguration = mode === 'configuration_based';
  const streams = mode !== 'initial_only' && (!byConfiguration || config['snapshot.mode.configuration.based.start.stream']);
  const data = byConfiguration ? config['snapshot.mode.configuration.based.snapshot.data'] : mode !== 'no_data';
  const goesOn = begun && data;
  if (stored === 'snapshot') return { reads: data, goesOn: false, streams, from: undefined };
  if (mode === 'always' && !goesOn) return { reads: true, goesOn: false, streams, from: undefined };
  if (!streams) return { reads: false, goesOn, streams, from: stored };
  const again = mode === 'when_needed' || (byConfiguration && config['snapshot.mode.configuration.based.snapshot.on.data.error']);
  const name = config['slot.name'];
  if (slot === undefined) {
    if (again) { logger.warn({ slot: name }, 'replication slot is gone, a new snapshot is taken'); return { reads: true, goesOn: false, streams, from: undefined }; }
    throw new FatalError(`Replication slot '${name}' is gone, but there is a stored offset: the changes since then are no longer on the server`, {
      code: 'POSTGRES_SLOT_GONE', hint: 'Stop the connector, reset its offsets (DELETE /connectors/NAME/offsets) and resume it for a new snapshot; or set snapshot.mode=when_needed.',
    });
  }
  return { reads: false, goesOn, streams, from: undefined, ...await compared(query, config, stored, slot, again, logger) };
}

async function compared(query: Query, config: PostgresConfig, stored: StreamPosition, slot: SlotState, again: boolean, logger: Logger): Promise<Partial<Plan>> {
  const name = config['slot.name'];
  const [known] = [stored.lsn, stored.commitLsn].sort((a, b) => (a < b ? 1 : -1)) as [bigint, bigint];
  const strategy = config['internal.slot.seek.to.known.offset.on.start'] && config['offset.mismatch.strategy'] === 'no_validation' ? 'trust_offset' : config['offset.mismatch.strategy'];
  if (slot.confirmedLsn > known) {
    if (strategy === 'trust_slot' || strategy === 'trust_greater_lsn') { logger.warn({ slot: name }, 'the slot is ahead of the stored offset and is trusted'); return { from: freshPosition(slot.confirmedLsn) }; }
    if (again) { logger.warn({ slot: name }, 'the slot is ahead of the stored offset, a new snapshot is taken'); return { reads: true, goesOn: false }; }
    if (!config['internal.log.position.check.enable']) return { from: stored };
    throw new FatalError(`Replication slot '${name}' is ahead of the stored offset: changes between the two are no longer on the server`, {
      code: 'POSTGRES_SLOT_AHEAD', hint: 'The slot was made anew or used by another reader. Reset the offsets (DELETE /connectors/NAME/offsets) for a new snapshot, or set offset.mismatch.strategy=trust_slot to go on with a gap.',
    });
  }
  if (strategy === 'trust_offset' && stored.commitLsn > slot.confirmedLsn) {
    await query(`SELECT pg_replication_slot_advance(${literal(name)}, ${literal(`${(stored.commitLsn >> 32n).toString(16)}/${(stored.commitLsn & 0xffff_ffffn).toString(16)}`)})`);
  }
  if (strategy === 'trust_slot' && slot.confirmedLsn < stored.commitLsn) return { from: freshPosition(slot.confirmedLsn) };
  return { from: stored };
}
