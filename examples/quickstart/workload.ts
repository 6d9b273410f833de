/** Inserts, updates, deletes and key changes, from a seed, until it is told to stop. */
import type pg from 'pg';
import { CUSTOMERS, ORDERS } from './database.ts';

export interface Workload {
  /** Row changes committed so far. */
  readonly changes: number;
  /** Stops after the transaction that is under way. */
  stop(): Promise<void>;
}

/** Multiplicative congruential generator: the same changes for the same seed. */
function generator(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1;
  return below => { state = Math.imul(state, 1_664_525) + 1_013_904_223 >>> 0; return Math.floor(state / 4_294_967_296 * below); };
}

/** One transaction every `pauseMs`; a failing statement ends it, and `stop` throws what happened. */
export function startWorkload(client: pg.Client, { seed = 1, pauseMs = 20 }: { readonly seed?: number; readonly pauseMs?: number } = {}): Workload {
  const random = generator(seed);
  let changes = 0, nextOrder = ORDERS + 1, nextCustomer = CUSTOMERS + 1, stopped = false;
  const step = async (): Promise<void> => {
    const first = nextOrder, from = 1 + random(ORDERS);
    nextOrder += 10;
    let count = 0;
    const run = async (sql: string, values: readonly unknown[]): Promise<void> => { count += (await client.query(sql, [...values])).rowCount ?? 0; };
    await client.query('BEGIN');
    await run(`INSERT INTO orders SELECT i, 1 + i % ${CUSTOMERS}, 'new', (i % 5000) / 100.0, 1 + i % 9, 'placed ' || i, clock_timestamp(), NULL FROM generate_series($1::bigint, $2::bigint) i`, [first, first + 9]);
    await run("UPDATE orders SET status = (ARRAY['paid','sent','done'])[1 + $3::int % 3], amount = amount + 0.01, updated_at = clock_timestamp()::timestamp WHERE id BETWEEN $1 AND $2", [from, from + 24, random(3)]);
    await run('UPDATE customers SET balance = balance - 1.25, active = NOT active, score = score * 1.1 WHERE id = $1', [1 + random(CUSTOMERS)]);
    if (random(4) === 0) await run('DELETE FROM orders WHERE id BETWEEN $1 AND $2', [from + 30, from + 32]);
    if (random(8) === 0) await run('UPDATE customers SET id = $1 WHERE id = $2', [nextCustomer++, 1 + random(CUSTOMERS)]);
    if (random(8) === 0) await run('UPDATE orders SET id = $1 WHERE id = $2', [nextOrder++, 1 + random(ORDERS)]);
    if (random(50) === 0) await client.query('ROLLBACK');
    else { await client.query('COMMIT'); changes += count; }
  };
  const running = (async () => {
    while (!stopped) {
      await step();
      await new Promise(resolve => { setTimeout(resolve, pauseMs); });
    }
  })();
  running.catch(() => { stopped = true; });
  return { get changes() { return changes; }, stop: async () => { stopped = true; await running; } };
}
