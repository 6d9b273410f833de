/**
 * Sends sealed batches: idempotent, in order, one request in flight per leader, and in transactions when it has a
 * transactional id. What Kafka's own producer does about each error is done here too; protocol/error-codes.ts has the table.
 *
 * A partition's batches carry one running sequence, by which the broker drops what it has already. After a failure whose
 * outcome is not known the sequence is not known either: a new producer id begins anew before the next batch.
 */
import { FatalError, NotFoundError, RetriableError } from '../../api/errors.ts';
import type { TopicPartition } from '../../api/plugin.ts';
import type { BatchBody, Compression } from '../log.ts';
import { sealAgain, sealBatch } from '../record-batch.ts';
import { halve } from './body-split.ts';
import { check, type KafkaClient } from './client.ts';
import { backoff } from './connection.ts';
import { BrokerError, remedyOf } from './protocol/error-codes.ts';
import { initProducerId, NO_PRODUCER, produce, type ProducePartition, type ProducerIdentity } from './protocol/produce-api.ts';
import { fenced, Transaction } from './transaction.ts';

export interface ProducerOptions {
  readonly transactionalId: string | undefined;
  readonly transactionTimeoutMs: number;
  readonly compression: Compression;
  /** Most bytes of one request; a batch above it is halved. */
  readonly maxRequestBytes: number;
  /** How long one `send` may go on trying, in milliseconds. */
  readonly deliveryTimeoutMs: number;
  /** False: no producer id (`enable.idempotence=false`); a repetition may then double records. */
  readonly idempotent: boolean;
  /** -1: all in-sync replicas; 1: the leader. */
  readonly acks: -1 | 1;
  /** Told before each new attempt. */
  readonly onRetry: (error: Error, attempt: number) => void;
}

export interface Outgoing extends TopicPartition { readonly body: BatchBody }
/** One batch under way; `entry` is the index of the `send` argument that it is (a part of). */
interface Pending { readonly entry: number; readonly body: BatchBody; readonly batch: Buffer }
interface Lane extends TopicPartition { readonly queue: Pending[] }

const DUPLICATE = 46, MESSAGE_TOO_LARGE = 10, RECORD_LIST_TOO_LARGE = 18, OUT_OF_ORDER = 45, UNKNOWN_PRODUCER = 59, INVALID_EPOCH = 47, FENCED = 90, UNKNOWN_TOPIC = 3, TXN_STATE = 48, ID_MAPPING = 49, ABORTABLE = 120;
/** How long a topic may be missing from the metadata before it counts as deleted: new ones need a moment to be known everywhere. */
const MISSING_MS = 10_000;

export class Producer {
  private readonly client: KafkaClient;
  private readonly options: ProducerOptions;
  private identity: ProducerIdentity = NO_PRODUCER;
  /** The identity has to be asked for before the next batch. */
  private stale = true;
  private readonly sequences = new Map<string, number>();
  private readonly transaction: Transaction | undefined;

  constructor(client: KafkaClient, options: ProducerOptions) {
    this.client = client;
    this.options = options;
    if (options.transactionalId !== undefined) this.transaction = new Transaction(client, options.transactionalId);
  }

  get transactional(): boolean { return this.transaction !== undefined; }

  /** Takes the identity; with a transactional id this fences earlier holders and ends what they left open. */
  async open(signal?: AbortSignal): Promise<void> {
    if (!this.stale || !this.options.idempotent) return;
    const { transactionalId = null, transactionTimeoutMs } = this.options;
    const target = transactionalId === null ? 'any' : { coordinator: 'transaction', key: transactionalId } as const;
    this.identity = await this.client.retrying('get a producer id', async () => {
      const present = transactionalId === null ? NO_PRODUCER : this.identity;
      const { error, producer } = await this.client.request(target, initProducerId, { transactionalId, timeoutMs: transactionTimeoutMs, present }, { signal });
      if (error === FENCED || error === INVALID_EPOCH) throw fenced(transactionalId ?? '');
      check(error, transactionalId === null ? 'the request for a producer id' : `the transactional id ${transactionalId}`);
      return producer;
    }, { signal, forMs: this.options.deliveryTimeoutMs });
    this.sequences.clear();
    this.transaction?.begin();
    this.stale = false;
  }

  /**
   * Sends the batches, those of a partition in their order, and answers each one's base offset (-1 where the broker had it
   * already). With a transactional id all of it is one transaction with what was added before, committed when this resolves.
   * Throws FatalError LOG_WRITER_FENCED, RECORD_TOO_LARGE, KAFKA_DENIED, LOG_REFUSED; RetriableError TOPIC_DELETED, LOG_APPEND_TIMEOUT.
   */
  send(entries: readonly Outgoing[], signal: AbortSignal): Promise<number[]> {
    return this.guarded(signal, async () => {
      const bases = await this.sent(entries, signal);
      await this.transaction?.end(this.identity, true, signal);
      return bases;
    });
  }

  /** As `send`, but the transaction stays open for the next `send`, `add` or `abort`. After a failure nothing of it counts any more. */
  add(entries: readonly Outgoing[], signal: AbortSignal): Promise<number[]> { return this.guarded(signal, () => this.sent(entries, signal)); }

  /** Gives up what was added; resolves when the coordinator knows it. */
  abort(signal: AbortSignal): Promise<void> { return this.guarded(signal, async () => { await this.transaction?.end(this.identity, false, signal); }); }

  /** After a failure the outcome is not known: a new identity ends whatever was open, before anything else is sent. */
  private async guarded<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.open(signal);
    try { return await work(); } catch (error) {
      this.stale = true;
      throw await this.afterFailure(error, signal);
    }
  }

  private async sent(entries: readonly Outgoing[], signal: AbortSignal): Promise<number[]> {
    const bases: number[] = entries.map(() => -1);
    await this.drain(this.lanes(entries), bases, signal);
    return bases;
  }

  /** Ends an open transaction; finds out whether "fenced" was only a transaction that had timed out (KIP-588). */
  private async afterFailure(error: unknown, signal: AbortSignal): Promise<unknown> {
    if (this.transaction === undefined || signal.aborted) return error;
    if (!(error instanceof FatalError && error.code === 'LOG_WRITER_FENCED')) {
      try { await this.transaction.end(this.identity, false, AbortSignal.any([signal, AbortSignal.timeout(5_000)])); } catch { /* the next open ends it */ }
      return error;
    }
    try { await this.open(signal); } catch (failure) { return failure; }
    return new RetriableError('The transaction took longer than transaction.timeout.ms and was ended by Kafka', { code: 'LOG_TRANSACTION_TIMEOUT', hint: 'Raise producer.transaction.timeout.ms when brokers are slow, or lower transaction.boundary.interval.ms.', cause: error });
  }

  private lanes(entries: readonly Outgoing[]): Lane[] {
    const lanes = new Map<string, Lane>();
    entries.forEach(({ topic, partition, body }, entry) => {
      const key = `${topic}/${partition}`;
      let lane = lanes.get(key);
      if (lane === undefined) lanes.set(key, lane = { topic, partition, queue: [] });
      lane.queue.push(...this.sealed(entry, topic, body));
    });
    return [...lanes.values()];
  }

  /** The producer's own fields are set when it is sent. A batch above the limit is halved until it fits. */
  private sealed(entry: number, topic: string, body: BatchBody): Pending[] {
    const batch = sealBatch(body, { baseOffset: 0, producerId: -1n, epoch: -1, sequence: -1, compression: this.options.compression, transactional: this.transaction !== undefined });
    return batch.length <= this.options.maxRequestBytes ? [{ entry, body, batch }] : this.halved(entry, topic, body, batch.length);
  }
  private halved(entry: number, topic: string, body: BatchBody, bytes: number): Pending[] {
    if (body.records === 1) throw new FatalError(`A record of ${bytes} bytes is larger than topic ${topic} takes`, { code: 'RECORD_TOO_LARGE', hint: `Raise producer.max.request.size (now ${this.options.maxRequestBytes}) in the worker file or by producer.override., and max.message.bytes of the topic.` });
    return halve(body).flatMap(half => this.sealed(entry, topic, half));
  }

  private async drain(lanes: readonly Lane[], bases: number[], signal: AbortSignal): Promise<void> {
    const started = performance.now();
    let attempt = 0, missingSince: number | undefined;
    for (let open = lanes.filter(({ queue }) => queue.length > 0); open.length > 0; open = open.filter(({ queue }) => queue.length > 0)) {
      try {
        await this.open(signal);
        const before = open.reduce((sum, { queue }) => sum + queue.length, 0);
        const failure = await this.round(open, bases, signal);
        missingSince = undefined;
        if (open.reduce((sum, { queue }) => sum + queue.length, 0) < before) attempt = 0;
        if (failure === undefined) continue;
        throw failure;
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof NotFoundError) {
          missingSince ??= performance.now();
          if (performance.now() - missingSince > MISSING_MS || error.code !== 'TOPIC_UNKNOWN') throw new RetriableError(`${error.message} any more`, { code: 'TOPIC_DELETED', hint: 'It was deleted while records were on their way to it; it is made again when the task starts again.', cause: error });
        } else if (!(error instanceof RetriableError) || (this.transaction !== undefined && error instanceof BrokerError && error.remedy === 'stop')) throw error;
        if (performance.now() - started >= this.options.deliveryTimeoutMs) throw new RetriableError(`Records were not accepted within delivery.timeout.ms: ${(error as Error).message}`, { code: 'LOG_APPEND_TIMEOUT', cause: error });
        this.options.onRetry(error as Error, ++attempt);
        for (const { topic } of open) if (!(error instanceof BrokerError && error.remedy === 'retry')) this.client.stale(topic);
        await backoff(this.client.config, attempt, signal);
      }
    }
  }

  /** One request to each leader with the first batch of each partition. Answers the first failure that asks for another attempt. */
  private async round(lanes: readonly Lane[], bases: number[], signal: AbortSignal): Promise<Error | undefined> {
    const byLeader = new Map<number, Lane[]>();
    for (const lane of lanes) {
      const leader = await this.client.leader(lane, signal);
      const list = byLeader.get(leader);
      if (list === undefined) byLeader.set(leader, [lane]); else list.push(lane);
    }
    await this.transaction?.add(this.identity, lanes, signal);
    const outcomes = await Promise.all([...byLeader].map(async ([leader, all]) => {
      const chosen = within(all, this.options.maxRequestBytes);
      try { return await this.exchange(leader, chosen, bases, signal); } catch (error) {
        if (error instanceof RetriableError) return error;
        throw error;
      }
    }));
    return outcomes.find(outcome => outcome !== undefined);
  }

  private async exchange(leader: number, lanes: readonly Lane[], bases: number[], signal: AbortSignal): Promise<Error | undefined> {
    const topics = new Map<string, { readonly partition: number; readonly batch: Buffer }[]>();
    for (const lane of lanes) {
      const [head] = lane.queue;
      if (head === undefined) continue;
      const sequence = this.options.idempotent ? this.sequences.get(await this.keyOf(lane)) ?? 0 : -1;
      const one = { partition: lane.partition, batch: sealAgain(head.batch, { producerId: this.identity.id, epoch: this.identity.epoch, sequence }) };
      const list = topics.get(lane.topic);
      if (list === undefined) topics.set(lane.topic, [one]); else list.push(one);
    }
    const { requestTimeoutMs } = this.client.config;
    const request = { transactionalId: this.options.transactionalId ?? null, acks: this.options.acks, timeoutMs: requestTimeoutMs, topics: [...topics].map(([topic, partitions]) => ({ topic, partitions })) };
    const { partitions } = await this.client.request(leader, produce, request, { signal, lane: 'produce' });
    let failure: Error | undefined;
    for (const lane of lanes) {
      const answer = partitions.find(one => one.topic === lane.topic && one.partition === lane.partition);
      if (answer === undefined) throw new RetriableError(`Kafka did not answer for ${lane.topic}-${lane.partition}`, { code: 'KAFKA_RESPONSE' });
      failure = await this.settle(lane, answer, bases) ?? failure;
    }
    return failure;
  }

  /** Sequences belong to a topic's id: one made again under the same name begins anew. */
  private async keyOf({ topic, partition }: TopicPartition): Promise<string> { return `${(await this.client.topic(topic))?.id ?? ''}/${partition}`; }

  private async settle(lane: Lane, answer: ProducePartition, bases: number[]): Promise<Error | undefined> {
    const [head] = lane.queue;
    if (head === undefined) return undefined;
    const where = `records for ${lane.topic}-${lane.partition}`;
    switch (answer.error) {
      case 0: case DUPLICATE: {
        const key = await this.keyOf(lane);
        this.sequences.set(key, nextSequence(this.sequences.get(key) ?? 0, head.body.records));
        if (bases[head.entry] === -1) bases[head.entry] = answer.error === 0 ? answer.baseOffset : -1;
        lane.queue.shift();
        return undefined;
      }
      case MESSAGE_TOO_LARGE: case RECORD_LIST_TOO_LARGE:
        lane.queue.splice(0, 1, ...this.halved(head.entry, lane.topic, head.body, head.batch.length));
        return undefined;
      case OUT_OF_ORDER: case UNKNOWN_PRODUCER:
        // The broker lost what it knew of this producer. Outside a transaction a new id sends the batch, which was not written, again.
        this.stale = true;
        if (this.transaction === undefined) return new BrokerError(answer.error, where, answer.message);
        throw new BrokerError(answer.error, where, answer.message);
      case INVALID_EPOCH: case FENCED:
        if (this.transaction !== undefined) throw fenced(this.options.transactionalId ?? '');
        this.stale = true;
        return new BrokerError(answer.error, where, answer.message);
      case TXN_STATE: case ID_MAPPING: case ABORTABLE:
        // The transaction is lost, not the writer: the append fails, and the next one begins anew.
        throw new BrokerError(answer.error, where, answer.message);
      default:
        if (remedyOf(answer.error) !== 'stop' || answer.error === UNKNOWN_TOPIC) return new BrokerError(answer.error, where, answer.message);
        check(answer.error, where, answer.message);
        return undefined;
    }
  }
}

/** As many partitions as one request may carry, at least one; the others come in the next round. */
function within(lanes: readonly Lane[], maxBytes: number): readonly Lane[] {
  let bytes = 0;
  const fitting = lanes.filter(({ queue: [head] }) => { bytes += head?.batch.length ?? 0; return bytes <= maxBytes; });
  return fitting.length > 0 ? fitting : lanes.slice(0, 1);
}

const LARGEST_SEQUENCE = 0x7fff_ffff;
/** Sequences wrap to 0 after the largest int32. */
export function nextSequence(sequence: number, records: number): number {
  return sequence > LARGEST_SEQUENCE - records ? records - (LARGEST_SEQUENCE - sequence) - 1 : sequence + records;
}
