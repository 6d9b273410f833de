/** What goes on beside the stream: the slot's figures, its xmin, its guard, heartbeat statements. Nothing here holds the stream up. */
import { FatalError, RetriableError } from '../../../runtime/api/errors.ts';
import type { Logger } from '../../../runtime/api/logger.ts';
import type { Metrics } from '../../../runtime/api/metrics.ts';
import type { PostgresConfig } from './config.ts';
import { literal } from './replication.ts';
import type { Query } from './schema.ts';

const FIGURES_MS = 10_000;

export interface HousekeepingParts {
  /** Statements that are short. */
  readonly query: Query;
  /** The heartbeat's statement, which may wait for a lock: on a connection of its own. */
  readonly act: Query;
  readonly config: PostgresConfig;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Hears the slot's restart_lsn whenever it was read. */
  readonly slotStands: (restartLsn: string) => Promise<void>;
}

export class Housekeeping {
  private readonly query: Query;
  private readonly act: Query;
  private readonly config: PostgresConfig;
  private readonly logger: Logger;
  private readonly metrics: Metrics;
  private nextFigures = 0;
  private nextXmin = 0;
  private busy = false;
  private acting = false;
  private lettingGo = false;
  /** Undefined until the server was asked. */
  private mayLetGo: boolean | undefined;
  private failure: Error | undefined;
  private holding = false;
  private previous: { readonly at: number; readonly retained: number } | undefined;
  /** Last xmin of the slot, null when it is not asked for. */
  xmin: bigint | null = null;

  private readonly slotStands: (restartLsn: string) => Promise<void>;

  constructor({ query, act, config, logger, metrics, slotStands }: HousekeepingParts) { this.query = query; this.act = act; this.config = config; this.logger = logger; this.metrics = metrics; this.slotStands = slotStands; }

  /** Starts what is due; throws what an earlier call ran into. */
  tick(): void {
    if (this.failure !== undefined) throw this.failure;
    const now = performance.now();
    const xminMs = this.config['xmin.fetch.interval.ms'];
    const xminDue = xminMs > 0 && now >= this.nextXmin;
    if (this.busy || (now < this.nextFigures && !xminDue)) return;
    this.busy = true;
    if (xminDue) this.nextXmin = now + xminMs;
    this.nextFigures = now + FIGURES_MS;
    this.figures().catch((error: unknown) => { if (error instanceof FatalError) this.failure = error; else this.logger.debug({ reason: (error as Error).message }, 'slot figures not read'); }).finally(() => { this.busy = false; });
  }

  /**
   * Writes a snapshot of the running transactions into the WAL, where version and role allow it. A slot lets go of WAL
   * only up to such a record, and by itself the server writes one every 15 s or at a checkpoint: too rarely when other
   * tables are written fast.
   */
  letGo(): void {
    if (this.mayLetGo === false || this.lettingGo || this.config['read.only']) return;
    this.lettingGo = true;
    this.snapshotOfTransactions().catch((error: unknown) => { this.mayLetGo = false; this.logger.debug({ reason: (error as Error).message }, 'no snapshot of running transactions written'); }).finally(() => { this.lettingGo = false; });
  }

  private async snapshotOfTransactions(): Promise<void> {
    if (this.mayLetGo === undefined) {
      const [row] = await this.query("SELECT NOT pg_is_in_recovery() AND to_regproc('pg_catalog.pg_log_standby_snapshot') IS NOT NULL AND has_function_privilege(to_regproc('pg_catalog.pg_log_standby_snapshot'), 'EXECUTE')");
      this.mayLetGo = row?.[0] === 't';
    }
    if (this.mayLetGo) await this.query('SELECT pg_log_standby_snapshot()');
  }

  /** `heartbeat.action.query`, beside the stream; what fails is told and left to the next heartbeat. */
  heartbeatAction(): void {
    const action = this.config['heartbeat.action.query'];
    if (action === undefined || action === '' || this.acting) return;
    this.acting = true;
    this.act(action).catch((error: unknown) => {
      if (error instanceof RetriableError && error.code !== 'POSTGRES_QUERY_TIMEOUT') this.failure = error;
      else this.logger.error({ reason: (error as Error).message }, 'heartbeat action query failed');
    }).finally(() => { this.acting = false; });
  }

  /** Reads xmin once before the first event. */
  async start(): Promise<void> { if (this.config['xmin.fetch.interval.ms'] > 0) await this.figures(); }

  private async figures(): Promise<void> {
    const name = this.config['slot.name'];
    const [row] = await this.query(`SELECT s.catalog_xmin::text, CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END - s.restart_lsn,
      to_jsonb(s)->>'wal_status', to_jsonb(s)->>'safe_wal_size', CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END - s.confirmed_flush_lsn, s.restart_lsn
      FROM pg_replication_slots s WHERE s.slot_name = ${literal(name)}`);
    if (row === undefined) return;
    const [xmin, retainedText, status, safe, behind, restartLsn] = row;
    if (restartLsn !== null && restartLsn !== undefined) await this.slotStands(restartLsn);
    if (this.config['xmin.fetch.interval.ms'] > 0 && xmin !== null && xmin !== undefined) this.xmin = BigInt(xmin);
    const retained = Number(retainedText ?? 0);
    this.metrics.set('slot_retained_bytes', retained, { slot: name });
    this.metrics.set('slot_behind_bytes', Number(behind ?? 0), { slot: name });
    for (const state of ['reserved', 'extended', 'unreserved', 'lost']) this.metrics.set('slot_wal_status', state === status ? 1 : 0, { slot: name, status: state });
    if (safe !== null && safe !== undefined) this.metrics.set('slot_safe_wal_bytes', Number(safe), { slot: name });
    this.timeToFull(retained, safe === null || safe === undefined ? undefined : Number(safe));
    this.guard(retained);
  }

  /** True while snapshots wait for the stream, because the slot holds back too much (`slot.guard.action=pause`). */
  get holdsSnapshots(): boolean { return this.holding; }
  private hold(holding: boolean): void {
    this.holding = holding;
    this.metrics.set('snapshot_held', holding ? 1 : 0);
  }

  private timeToFull(retained: number, safe: number | undefined): void {
    const now = performance.now();
    const { previous } = this;
    this.previous = { at: now, retained };
    if (previous === undefined || safe === undefined || retained <= previous.retained) return;
    this.metrics.set('slot_seconds_to_full', safe / ((retained - previous.retained) / ((now - previous.at) / 1000)), { slot: this.config['slot.name'] });
  }

  private guard(retained: number): void {
    const limit = this.config['slot.guard.bytes'];
    const slot = this.config['slot.name'];
    if (limit === 0 || retained <= limit) {
      if (this.holding) this.logger.info({ slot, retainedBytes: retained }, 'slot is below slot.guard.bytes again, snapshots go on');
      this.hold(false);
      return;
    }
    if (this.config['slot.guard.action'] === 'fail') {
      throw new FatalError(`Replication slot '${slot}' holds back ${retained} bytes of WAL, more than slot.guard.bytes allows`, { code: 'POSTGRES_SLOT_GUARD', hint: `Find out what keeps the sink or the log from going on; SELECT pg_drop_replication_slot(${literal(slot)}); frees the space and loses the changes.` });
    }
    this.logger.warn({ slot, retainedBytes: retained, limitBytes: limit }, 'slot holds back more wal than slot.guard.bytes');
    this.hold(this.config['slot.guard.action'] === 'pause');
  }
}
