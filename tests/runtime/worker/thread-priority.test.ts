import { readdirSync } from 'node:fs';
import { getPriority, platform } from 'node:os';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { ThreadPriority } from '../../../runtime/worker/thread-priority.ts';
import { until } from '../../kit/condition.ts';

test.runIf(platform() === 'linux')('a thread that starts later goes behind, the ones before it stay', async () => {
  const before = new Map(readdirSync('/proc/self/task').map(thread => [thread, getPriority(Number(thread))]));
  using _ = new ThreadPriority(10);
  const worker = new Worker('setInterval(() => {}, 1000)', { eval: true });
  try {
    const fresh = await until('the new thread to go behind', () => readdirSync('/proc/self/task').find(thread => !before.has(thread) && getPriority(Number(thread)) === 5), 10_000);
    expect(before.has(fresh)).toBe(false);
    for (const [thread, priority] of before) if (readdirSync('/proc/self/task').includes(thread)) expect(getPriority(Number(thread))).toBe(priority);
  } finally { await worker.terminate(); }
});
