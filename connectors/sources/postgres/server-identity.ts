/**
 * Is the server still the one that the stored position comes from? A restored backup, a standby that was promoted without
 * all that we had taken, or another server under the same name have other changes at the same positions: going on
 * would pass over some in silence. The system identifier and the timeline of the last start are remembered beside the
 * offset, which keeps Debezium's keys.
 */
import { FatalError } from '../../../runtime/api/errors.ts';
import type { SourceMemory } from '../../../runtime/api/plugin.ts';
import type { PostgresConfig } from './config.ts';
import { formatLsn, parseLsn } from './lsn.ts';
import type { StreamPosition } from './offset.ts';
import { literal } from './replication.ts';
import type { Query } from './schema.ts';

/**
 * `timeline` 0 = not known: a standby changes it when it is promoted, also under an open connection. `restartLsn` of the
 * slot is on the server's disk before it shows, so on one timeline it never goes back.
 */
interface Server { readonly system: string; readonly timeline: number; readonly restartLsn?: string }
type Remembered = Readonly<Record<string, unknown>> & { readonly server?: Server };

const parsed = (text: string | undefined): Remembered => (text === undefined ? {} : JSON.parse(text) as Remembered);

/** Puts filters (JSON) into the memory and keeps the server that stands there. */
export async function rememberFilters(memory: SourceMemory | undefined, filters: string): Promise<void> {
  if (memory === undefined) return;
  const { server } = parsed(await memory.get());
  await memory.put(JSON.stringify({ ...parsed(filters), ...(server !== undefined && { server }) }));
}

/** Puts the slot's restart_lsn beside the server that is remembered. */
export async function rememberSlot(memory: SourceMemory | undefined, restartLsn: string): Promise<void> {
  const present = parsed(await memory?.get());
  if (memory === undefined || present.server === undefined || present.server.restartLsn === restartLsn) return;
  await memory.put(JSON.stringify({ ...present, server: { ...present.server, restartLsn } }));
}

export interface IdentityCheck {
  readonly query: Query;
  /** Statements in replication mode. */
  readonly replicationQuery: Query;
  readonly config: PostgresConfig;
  readonly memory: SourceMemory | undefined;
  /** Undefined when nothing is gone on from. */
  readonly stored: StreamPosition | undefined;
}

/** Throws FatalError POSTGRES_OTHER_SERVER, POSTGRES_SERVER_BEHIND or POSTGRES_SERVER_DIVERGED; else the server is remembered. */
export async function checkServer(check: IdentityCheck): Promise<void> {
  const { query, replicationQuery, config, memory, stored } = check;
  const [row] = await replicationQuery('IDENTIFY_SYSTEM');
  const [state] = await query(`SELECT pg_is_in_recovery(), (SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = ${literal(config['slot.name'])})`);
  const restartLsn = state?.[1] ?? undefined;
  const here: Server & { readonly lsn: bigint } = { system: row?.[0] ?? '', timeline: Number(row?.[1] ?? 0), lsn: parseLsn(row?.[2] ?? '0/0'), ...(restartLsn !== undefined && { restartLsn }) };
  const text = await memory?.get();
  const before = parsed(text).server;
  const trusted = config['offset.mismatch.strategy'] !== 'no_validation' || config['internal.slot.seek.to.known.offset.on.start'] || !config['internal.log.position.check.enable'];
  if (stored !== undefined && !trusted) await compare(check, stored, here, before);
  await memory?.put(JSON.stringify({ ...parsed(text), server: { system: here.system, timeline: state?.[0] === 't' ? 0 : here.timeline, ...(restartLsn !== undefined && { restartLsn }) } satisfies Server }));
}

async function compare({ query, replicationQuery }: IdentityCheck, stored: StreamPosition, here: Server & { readonly lsn: bigint }, before: Server | undefined): Promise<void> {
  const known = stored.lsn > stored.commitLsn ? stored.lsn : stored.commitLsn;
  if (before !== undefined && before.system !== here.system) throw refused('POSTGRES_OTHER_SERVER', `This is another server (system ${here.system}) than the one that the stored offset comes from (system ${before.system})`);
  if (known > here.lsn) throw refused('POSTGRES_SERVER_BEHIND', `The server stands at ${formatLsn(here.lsn)}, before the stored offset ${formatLsn(known)}: it was restored from a backup, or a standby took over that had not received everything`);
  if (before !== undefined && before.timeline > 0 && before.timeline !== here.timeline) {
    const left = before.timeline > here.timeline ? 0n : await leftAt(replicationQuery, before.timeline, here.timeline);
    if (known > left) throw refused('POSTGRES_SERVER_DIVERGED', `The server left timeline ${before.timeline} at ${formatLsn(left)}, before the stored offset ${formatLsn(known)}: changes that were taken are not on this server, and others may stand in their place`);
  }
  if (before?.restartLsn !== undefined && here.restartLsn !== undefined && before.timeline === here.timeline && parseLsn(here.restartLsn) < parseLsn(before.restartLsn)) throw refused('POSTGRES_SERVER_DIVERGED', `The replication slot stands at ${here.restartLsn}, and once stood at ${before.restartLsn}: the server was restored from a backup`);
  if (stored.txId !== null && await neverCommitted(query, stored.txId)) throw refused('POSTGRES_SERVER_DIVERGED', `The last transaction that was taken (${stored.txId}) has not been committed on this server: it was restored from a backup, or is another one`);
}

/** Where the server's history left a timeline. */
async function leftAt(replicationQuery: Query, timeline: number, present: number): Promise<bigint> {
  const [row] = await replicationQuery(`TIMELINE_HISTORY ${present}`);
  const content = row?.[1] ?? '';
  const history = content.startsWith('\\x') ? Buffer.from(content.slice(2), 'hex').toString() : content;
  const line = history.split('\n').map(text => text.trim().split(/\s+/)).find(([id]) => Number(id) === timeline);
  return line?.[1] === undefined ? 0n : parseLsn(line[1]);
}

/** True for an id that was rolled back or not yet given out; false also where the server no longer knows. */
async function neverCommitted(query: Query, txId: bigint): Promise<boolean> {
  const [row] = await query('SELECT txid_snapshot_xmax(txid_current_snapshot())');
  const next = BigInt(row?.[0] ?? '0');
  const low = txId & 0xffff_ffffn;
  // Ids of the stream have 32 bits: the one nearest to the present is meant.
  let id = (next & ~0xffff_ffffn) | low;
  if (id > next && id - next > 0x8000_0000n) id -= 0x1_0000_0000n;
  if (id >= next + 1n) return true;
  if (id < 3n) return false;
  const [status] = await query(`SELECT txid_status(${id})`);
  return status?.[0] === 'aborted';
}

function refused(code: string, message: string): FatalError {
  return new FatalError(message, { code, hint: 'Compare the tables, or take a new snapshot: stop the connector, reset its offsets (DELETE /connectors/NAME/offsets), drop the slot and resume. To go on from the slot and accept a gap: offset.mismatch.strategy=trust_slot.' });
}
