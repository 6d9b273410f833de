/** Batches of text values, for the tests of logs; free of the test runner, so that child processes can use it. */
import type { BatchBody, TopicAppend } from '../../runtime/log/log.ts';
import { BatchBuilder } from '../../runtime/log/record-batch.ts';

export const never = new AbortController().signal;

/** A body with one record per text; a null is a tombstone. */
export function bodyOf(values: readonly (string | null)[], key: string | null = null, timestamp = 1_700_000_000_000): BatchBody {
  const builder = new BatchBuilder(1024);
  for (const value of values) {
    builder.append(timestamp, out => { if (key !== null) out.writeText(key); return key !== null; }, out => { if (value !== null) out.writeText(value); return value !== null; });
  }
  return builder.body();
}

export function appendOf(topic: string, values: readonly string[], partition = 0): TopicAppend { return { topic, partition, body: bodyOf(values) }; }
