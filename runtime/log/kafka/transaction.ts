/** The open transaction of one transactional id: which partitions it has, and its end. */
import { FatalError } from '../../api/errors.ts';
import type { TopicPartition } from '../../api/plugin.ts';
import { check, type KafkaClient } from './client.ts';
import { BrokerError } from './protocol/error-codes.ts';
import { addPartitions, endTransaction, type ProducerIdentity } from './protocol/produce-api.ts';

const FENCED: ReadonlySet<number> = new Set([47, 90]);
/** The coordinator knows this id or its state no more: the append fails, and the next one takes a new identity. */
const LOST: ReadonlySet<number> = new Set([48, 49, 120]);

export class Transaction {
  private readonly client: KafkaClient;
  private readonly id: string;
  private members = new Set<string>();

  constructor(client: KafkaClient, id: string) { this.client = client; this.id = id; }

  private get target(): { readonly coordinator: 'transaction'; readonly key: string } { return { coordinator: 'transaction', key: this.id }; }

  /** A new identity has ended whatever was open. */
  begin(): void { this.members = new Set(); }

  /** Announces partitions before their first batch. */
  async add(identity: ProducerIdentity, partitions: readonly TopicPartition[], signal: AbortSignal): Promise<void> {
    const missing = partitions.filter(one => !this.members.has(keyOf(one)));
    if (missing.length === 0) return;
    await this.client.retrying('add partitions to a transaction', async () => {
      const answers = await this.client.request(this.target, addPartitions, { ...identity, transactionalId: this.id, partitions: missing }, { signal });
      // Where one is refused the others read OPERATION_NOT_ATTEMPTED: the refusal is what to report.
      const failed = answers.find(({ error }) => error !== 0 && error !== 55) ?? answers.find(({ error }) => error !== 0);
      if (failed !== undefined) this.refuse(failed.error, `the transaction ${this.id} with ${failed.topic}-${failed.partition}`);
    }, { signal });
    for (const one of missing) this.members.add(keyOf(one));
  }

  /** Commits or aborts; resolves when the coordinator has it on disk. Nothing to do when no partition was added. */
  async end(identity: ProducerIdentity, commit: boolean, signal: AbortSignal): Promise<void> {
    if (this.members.size === 0) return;
    await this.client.retrying('end a transaction', async () => {
      const { error } = await this.client.request(this.target, endTransaction, { ...identity, transactionalId: this.id, commit }, { signal });
      if (error !== 0) this.refuse(error, `the end of transaction ${this.id}`);
    }, { signal });
    this.members = new Set();
  }

  private refuse(error: number, where: string): void {
    this.members = error === 51 ? this.members : new Set();
    if (FENCED.has(error)) throw fenced(this.id);
    if (LOST.has(error)) throw new BrokerError(error, where);
    check(error, where);
  }
}

export function fenced(id: string): FatalError {
  return new FatalError(`Writer '${id}' was replaced by a later one of the same name`, { code: 'LOG_WRITER_FENCED', hint: 'Another task of this connector is running; stop one of them and restart this task.' });
}

function keyOf({ topic, partition }: TopicPartition): string { return `${topic}/${partition}`; }
