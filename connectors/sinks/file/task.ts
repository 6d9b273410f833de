/** Appends the value of each record as one line. What was put is on the disk when `flush` resolves; a crash before that repeats lines. */
import { open, type FileHandle } from 'node:fs/promises';
import { FatalError, RetriableError } from '../../../runtime/api/errors.ts';
import type { AssignedPartition, PartitionPosition, SinkBatch, SinkTask, TopicPartition } from '../../../runtime/api/plugin.ts';
import type { FileSinkConfig } from './config.ts';
import { valueText } from './value-text.ts';

const FLUSH_BYTES = 4 * 1024 * 1024;
/** Kafka Connect's `offset.flush.interval.ms`, in milliseconds. */
const FLUSH_MS = 60_000;

/** Throws FatalError FILE_UNWRITABLE. */
export async function openFileSink({ file }: FileSinkConfig): Promise<SinkTask> {
  return new FileSinkTask(file === undefined || file === '' ? undefined : await opened(file));
}

async function opened(file: string): Promise<FileHandle> {
  try { return await open(file, 'a'); } catch (error) {
    throw new FatalError(`Cannot write to ${file}: ${(error as Error).message}`, { code: 'FILE_UNWRITABLE', hint: 'Check the path and that this user may write it, then restart the connector.', cause: error });
  }
}

class FileSinkTask implements SinkTask {
  readonly flushBytes = FLUSH_BYTES;
  readonly flushIntervalMs = FLUSH_MS;
  pendingBytes = 0;
  private readonly handle: FileHandle | undefined;
  private readonly assigned = new Map<string, AssignedPartition>();
  private readonly accepted = new Map<string, PartitionPosition>();

  constructor(handle: FileHandle | undefined) { this.handle = handle; }

  /** The file holds no positions: the group's own count. */
  assign(partitions: readonly AssignedPartition[]): Promise<readonly PartitionPosition[]> {
    this.assigned.clear();
    this.accepted.clear();
    for (const partition of partitions) this.assigned.set(keyOf(partition), partition);
    return Promise.resolve([]);
  }

  async put(batch: SinkBatch): Promise<void> {
    const lines: string[] = [];
    for (let i = 0; i < batch.length; i++) {
      const { value } = batch.decode(i);
      lines.push(`${valueText(value.value, value.schema)}\n`);
    }
    await this.write(Buffer.from(lines.join('')));
    const partition = this.assigned.get(keyOf(batch));
    if (partition !== undefined && batch.length > 0) this.accepted.set(keyOf(batch), { ...partition, offset: batch.offset(batch.length - 1) + 1 });
  }

  private async write(bytes: Buffer): Promise<void> {
    if (this.handle === undefined) { process.stdout.write(bytes); return; }
    try { await this.handle.appendFile(bytes); } catch (error) { throw passing(error); }
    this.pendingBytes += bytes.length;
  }

  async flush(): Promise<readonly PartitionPosition[]> {
    try { await this.handle?.datasync(); } catch (error) { throw passing(error); }
    this.pendingBytes = 0;
    return [...this.accepted.values()];
  }

  async [Symbol.asyncDispose](): Promise<void> { await this.handle?.close(); }
}

function keyOf({ topic, partition }: TopicPartition): string { return `${topic}\u0000${partition}`; }
function passing(error: unknown): RetriableError {
  return new RetriableError(`The file sink cannot write: ${(error as Error).message}`, { code: 'FILE_WRITE', hint: 'Make room on the disk; the task tries again by itself.', cause: error });
}
