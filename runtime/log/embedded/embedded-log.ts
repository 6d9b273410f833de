/**
 * The durable log of one machine, on LMDB. Every thread of the one writing process opens it for itself; other
 * processes may open it to read. See docs/decisions for why LMDB, and for the owner record.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { ConfigError, NotFoundError } from '../../api/errors.ts';
import { parseExact, stringifyExact } from '../../api/exact-json.ts';
import type { PartitionOffset, PartitionPosition, SourceOffset, SourcePartition, TopicPartition } from '../../api/plugin.ts';
import type { Log, LogReader, LogWriter, PartitionRange, StateStore, TopicDescription, TopicOptions } from '../log.ts';
import { COMPACTION, Compaction, type CompactionOptions, DELETE_RETENTION_MS } from './compaction.ts';
import { makeFolderSync } from './folder.ts';
import { Groups } from './groups.ts';
import { Housekeeping } from './housekeeping.ts';
import { heldByAnother, type Owner, startOf, thisProcess } from './owner.ts';
import { listenerIn, listenIn } from './owner-socket.ts';
import { EmbeddedReader } from './reader.ts';
import { Retention } from './retention.ts';
import { batchKey, cleanedKey, isMade, openStore, partitionKey, type Store, type TopicEntry, transact } from './store.ts';
import { Wakeups } from './wakeups.ts';
import { EmbeddedWriter, offsetKey } from './writer.ts';

export interface EmbeddedLogOptions {
  /** `writer`: takes the directory for this process. `reader`: beside a running worker, changes nothing. */
  readonly mode: 'writer' | 'reader';
  /** What topics get that say nothing themselves. */
  readonly defaults?: TopicOptions;
  /** How long an append waits for room in a full partition before RetriableError LOG_FULL; default 30,000. */
  readonly fullWaitMs?: number;
  readonly compaction?: CompactionOptions;
  /**
   * How often partitions are looked at that get no appends, for what time alone makes old; in milliseconds. One of the logs
   * of a process does it for all; the others leave it out.
   */
  readonly housekeepingMs?: number;
}

const DEFAULTS: Required<TopicOptions> = { deleteRetentionMs: DELETE_RETENTION_MS, partitions: 1, compact: false, retentionBytes: -1, retentionMs: 7 * 86_400_000, deleteUncommitted: false, compression: 'lz4' };

/** Opens (and for a writer makes) the log. Throws ConfigError LOG_IN_USE, LOG_IN_CONTAINER, LOG_MISSING, LOG_UNREADABLE. */
export async function openEmbeddedLog(directory: string, options: EmbeddedLogOptions): Promise<Log> {
  const path = resolve(directory);
  const readOnly = options.mode === 'reader';
  if (readOnly && !existsSync(path)) throw new ConfigError(`There is no log directory ${path}`, { code: 'LOG_MISSING', hint: 'Check log.dir in the worker properties.' });
  if (readOnly) await requireOwnPid(path);
  let store: Store;
  try {
    if (!readOnly) { makeFolderSync(path); await requireFree(path); }
    store = openStore(path, readOnly);
    if (readOnly && !isMade(store)) { await store.root.close(); throw new ConfigError(`The log directory ${path} holds no log yet`, { code: 'LOG_MISSING', hint: 'Wait until the worker has made it, or check log.dir in the worker properties.' }); }
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(`The log directory ${path} cannot be opened: ${(error as Error).message}`, { code: 'LOG_UNREADABLE', hint: 'Check that the directory exists, is a directory and belongs to the user of this process.', cause: error });
  }
  let owns = false;
  if (!readOnly) try { owns = await takeOwnership(store); } catch (error) { await store.root.close(); throw error; }
  return new EmbeddedLog(store, options, owns ? await listenIn(path) : undefined);
}

/** Asked once in a process, before the store is opened: an owner in another container is not seen by its pid. */
async function requireFree(path: string): Promise<void> {
  const owner = isMainThread ? await listenerIn(path) : undefined;
  if (owner !== undefined) throw inUse(path, owner);
}

/** LMDB tells readers apart by their pid: one of another container with the pid of the worker cannot join. */
async function requireOwnPid(path: string): Promise<void> {
  const owner = isMainThread ? await listenerIn(path) : undefined;
  if (typeof owner === 'object' && owner.pid === process.pid) throw new ConfigError(`The log directory ${path} is in use by another container, in which process ${owner.pid} writes to it`, { code: 'LOG_IN_CONTAINER', hint: 'Run this inside that container (docker exec), or with --pid=container:NAME.' });
}

function inUse(path: string, owner: Owner | 'unknown'): ConfigError {
  const who = owner === 'unknown' ? 'a process that does not answer' : `process ${owner.pid}${startOf(owner.pid) === owner.started ? '' : ' of another container'}`;
  return new ConfigError(`The log directory ${path} is in use by ${who}`, { code: 'LOG_IN_USE', hint: `Stop ${who}, or give this worker a log.dir of its own.` });
}

/** True when this opening took the directory, false when the process had it already. */
async function takeOwnership(store: Store): Promise<boolean> {
  const mine = thisProcess();
  const outcome = await transact(store, () => {
    const owner = ownerOf(store);
    if (owner !== undefined && heldByAnother(owner)) return owner;
    store.meta.putSync('owner', JSON.stringify(mine));
    if (store.meta.get('id') === undefined) store.meta.putSync('id', randomBytes(16).toString('base64url'));
    return owner?.pid !== mine.pid || owner.started !== mine.started;
  });
  if (typeof outcome === 'boolean') return outcome;
  throw inUse(store.path, outcome);
}

/** A process that goes on (a worker embedded in another program) leaves the directory to the next. */
async function giveUpOwnership(store: Store): Promise<void> {
  await transact(store, () => { if (ownerOf(store)?.pid === process.pid) store.meta.removeSync('owner'); });
}

function ownerOf(store: Store): Owner | undefined {
  const text = store.meta.get('owner');
  return text === undefined ? undefined : JSON.parse(text) as Owner;
}

class EmbeddedLog implements Log {
  readonly id: string;
  private readonly store: Store;
  private readonly wakeups: Wakeups;
  private readonly groups: Groups;
  private readonly retention: Retention;
  private readonly compaction: Compaction;
  private readonly housekeeping: Housekeeping | undefined;
  private readonly readOnly: boolean;
  /** Set in the log that took the directory: stops telling others so. */
  private readonly release: (() => void) | undefined;
  private readonly defaults: Required<TopicOptions>;

  constructor(store: Store, { mode, defaults, fullWaitMs = 30_000, compaction = COMPACTION, housekeepingMs }: EmbeddedLogOptions, release: (() => void) | undefined) {
    this.store = store;
    this.release = release;
    this.readOnly = mode === 'reader';
    this.defaults = { ...DEFAULTS, ...defaults };
    this.id = store.meta.get('id') ?? '';
    this.wakeups = new Wakeups(`tributary-log:${store.path}`, !this.readOnly);
    this.groups = new Groups(store, name => this.find(name), (topic, partition) => this.rangeOf(topic, partition).start);
    const heldFrom = (topic: TopicEntry, partition: number): number => this.groups.heldFrom(topic, partition);
    this.retention = new Retention(store, this.wakeups, heldFrom, fullWaitMs);
    this.compaction = new Compaction(store, heldFrom, compaction);
    this.housekeeping = housekeepingMs === undefined ? undefined : new Housekeeping(store, this.retention, this.compaction, housekeepingMs);
  }

  private find(name: string): TopicEntry | undefined { return this.store.topics.get(name); }
  private fresh(): void { this.store.root.resetReadTxn(); }
  private require(name: string): TopicEntry {
    this.fresh();
    const topic = this.find(name);
    if (topic === undefined) throw new NotFoundError(`There is no topic ${name}`, { code: 'TOPIC_UNKNOWN', hint: 'List the topics with `tributary topics`.' });
    return topic;
  }
  private rangeOf(topic: TopicEntry, partition: number): PartitionRange {
    return this.store.partitions.get(partitionKey(topic.number, partition)) ?? { start: 0, end: 0, bytes: 0 };
  }

  async topics(): Promise<readonly TopicDescription[]> { this.fresh(); return [...this.store.topics.getRange({})].map(({ value }) => value); }
  async topic(name: string): Promise<TopicDescription | undefined> { this.fresh(); return this.find(name); }

  async createTopic(name: string, options: TopicOptions = {}): Promise<TopicEntry> {
    this.fresh();
    const known = this.find(name);
    if (known !== undefined) return known;
    if (!/^[a-zA-Z0-9._-]{1,249}$/.test(name) || name === '.' || name === '..') throw new ConfigError(`'${name}' is no valid topic name`, { code: 'TOPIC_NAME', hint: 'Letters, digits, dot, underscore and hyphen, at most 249.' });
    const entry = await transact(this.store, () => {
      const made = this.find(name);
      if (made !== undefined) return made;
      const number = Number(this.store.meta.get('next-topic') ?? '1');
      this.store.meta.putSync('next-topic', String(number + 1));
      const unbounded = options.compact === true ? { retentionBytes: -1, retentionMs: -1 } : {};
      const topic: TopicEntry = { ...this.defaults, ...unbounded, ...options, name, id: randomUUID(), number };
      this.store.topics.putSync(name, topic);
      return topic;
    });
    this.wakeups.announce(['topics']);
    return entry;
  }

  async deleteTopic(name: string): Promise<void> {
    const { batches, partitions, topics, meta } = this.store;
    const topic = this.require(name);
    await transact(this.store, () => {
      topics.removeSync(name);
      for (const key of [...partitions.getKeys({ start: partitionKey(topic.number, 0), end: partitionKey(topic.number + 1, 0) })]) { partitions.removeSync(key); meta.removeSync(cleanedKey(topic.number, key.readUInt32BE(4))); }
      for (const key of [...batches.getKeys({ start: batchKey(topic.number, 0, 0), end: batchKey(topic.number + 1, 0, 0) })]) batches.removeSync(key);
    });
    this.wakeups.announce(['topics']);
  }

  async range({ topic, partition }: TopicPartition): Promise<PartitionRange> { return this.rangeOf(this.require(topic), partition); }
  async topicsChanged(signal: AbortSignal): Promise<void> {
    const woken = this.wakeups.on('topics');
    try { await woken.wait(60_000, signal); } finally { woken.cancel(); }
  }

  async writer(id: string): Promise<LogWriter> {
    const epoch = await transact(this.store, () => {
      const next = Number(this.store.meta.get(`writer\u0000${id}`) ?? '-1') + 1;
      this.store.meta.putSync(`writer\u0000${id}`, String(next));
      return next;
    });
    return new EmbeddedWriter({ store: this.store, wakeups: this.wakeups, retention: this.retention, compaction: this.compaction, topicFor: name => this.createTopic(name), id, epoch });
  }
  async reader({ topic, partition }: TopicPartition, from: number): Promise<LogReader> {
    return new EmbeddedReader(this.store, this.wakeups, this.require(topic).number, partition, from);
  }

  async commitPositions(group: string, positions: readonly PartitionPosition[]): Promise<void> {
    await this.groups.commit(group, positions);
    this.announceCommitted(positions);
  }
  async positions(group: string): Promise<readonly PartitionPosition[]> { this.fresh(); return this.groups.positions(group); }
  registerGroup(group: string, partitions: readonly TopicPartition[]): Promise<void> { return this.groups.register(group, partitions); }
  async removeGroup(group: string): Promise<void> {
    const held = this.groups.positions(group);
    await this.groups.remove(group);
    this.announceCommitted(held);
  }
  private announceCommitted(positions: readonly TopicPartition[]): void {
    this.wakeups.announce(positions.flatMap(({ topic, partition }) => {
      const entry = this.find(topic);
      return entry === undefined ? [] : [`committed/${entry.number}/${partition}`];
    }));
  }
  async epoch(group: string): Promise<number> { this.fresh(); return this.groups.entry(group).epoch; }
  async resetPositions(group: string, positions: readonly (TopicPartition & { readonly offset: number | null })[]): Promise<void> {
    await this.groups.reset(group, positions);
    this.announceCommitted(positions);
  }

  async sourceOffsets(connector: string): Promise<readonly PartitionOffset[]> {
    this.fresh();
    const prefix = `offset\u0000${connector}\u0000`;
    return [...this.store.meta.getRange({ start: prefix, end: `offset\u0000${connector}\u0001` })].map(({ key, value }) => ({
      partition: parseExact(key.slice(prefix.length)) as SourcePartition, offset: parseExact(value) as SourceOffset,
    }));
  }
  async alterSourceOffsets(connector: string, changes: readonly { readonly partition: SourcePartition; readonly offset: SourceOffset | null }[]): Promise<void> {
    await transact(this.store, () => {
      for (const { partition, offset } of changes) {
        if (offset === null) this.store.meta.removeSync(offsetKey(connector, partition));
        else this.store.meta.putSync(offsetKey(connector, partition), stringifyExact(offset));
      }
    });
  }

  state(name: string): StateStore {
    const { meta } = this.store;
    const prefix = `state\u0000${name}\u0000`;
    return {
      get: async key => { this.fresh(); return meta.get(prefix + key); },
      entries: async (from = '') => { this.fresh(); return [...meta.getRange({ start: prefix + from, end: `${prefix + from}\uffff` })].map(({ key, value }) => [key.slice(prefix.length), value] as const); },
      put: async changes => {
        await transact(this.store, () => { for (const [key, value] of changes) if (value === null) meta.removeSync(prefix + key); else meta.putSync(prefix + key, value); });
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.wakeups.close();
    await this.housekeeping?.close();
    await this.compaction.close();
    // On a full disk the record stays; it counts for nothing when this process is gone.
    if (this.release !== undefined) await giveUpOwnership(this.store).catch(() => undefined);
    // What could not be flushed was told to whoever wrote it.
    if (!this.readOnly) await this.store.root.flushed.then(() => undefined, () => undefined);
    await this.store.root.close();
    this.release?.();
  }
}
