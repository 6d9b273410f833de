/** `tributary topics` and `tributary read`: they look into a log beside a running worker and change nothing. */
import { NotFoundError } from '../api/errors.ts';
import { splitBatch } from '../log/record-batch.ts';
import { type LogPlace, openLogView } from './log-view.ts';

type Print = (line: string) => void;

/** One line per partition: name, partition, first offset, end, bytes (`-` where the log does not say). */
export async function listTopics(place: LogPlace, print: Print): Promise<void> {
  await using log = await openLogView(place);
  const rows: string[][] = [['TOPIC', 'PARTITION', 'START', 'END', 'BYTES']];
  for (const topic of await log.topics()) {
    for (let partition = 0; partition < topic.partitions; partition++) {
      const { start, end, bytes } = await log.range({ topic: topic.name, partition });
      rows.push([topic.name, String(partition), String(start), String(end), bytes < 0 ? '-' : String(bytes)]);
    }
  }
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0))) ?? [];
  for (const row of rows) print(row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd());
}

export interface ReadOptions { readonly topic: string; readonly partition: number; readonly from: number; readonly max: number; readonly follow: boolean; readonly keys: boolean }

/** Values, one per line; with `keys`, offset, key and value separated by tabs. A tombstone reads `null`. */
export async function readTopic(place: LogPlace, options: ReadOptions, print: Print, signal: AbortSignal): Promise<void> {
  await using log = await openLogView(place);
  const topic = await log.topic(options.topic);
  if (topic === undefined || options.partition >= topic.partitions) throw new NotFoundError(topic === undefined ? `There is no topic ${options.topic}` : `Topic ${options.topic} has ${topic.partitions} partitions`, { code: 'TOPIC_UNKNOWN', hint: 'List the topics with `tributary topics`.' });
  const { start, end } = await log.range(options);
  await using reader = await log.reader(options, Math.max(start, options.from));
  let left = options.max;
  while (left > 0 && !signal.aborted && (options.follow || reader.position < end)) {
    const position = reader.position;
    for (const batch of await reader.next(1024 * 1024, 1000, signal)) {
      const split = splitBatch(batch.bytes);
      for (let i = 0; i < split.length && left > 0; i++) {
        const offset = split.baseOffset + (split.offsetDelta[i] ?? 0);
        if (offset < position) continue;
        const part = (from: Int32Array, to: Int32Array): string => ((from[i] ?? -1) < 0 ? 'null' : split.buffer.toString('utf8', from[i], to[i]));
        const value = part(split.valueStart, split.valueEnd);
        print(options.keys ? `${offset}\t${part(split.keyStart, split.keyEnd)}\t${value}` : value);
        left--;
      }
    }
  }
}
