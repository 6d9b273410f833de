/**
 * Lets the thread that answers REST go before all threads that move records. Where tasks, the libraries under them and the
 * database share two cores, a thread that wakes up to answer a health check stands in line behind them; with a lower
 * priority of theirs it goes first. Linux gives each thread a nice value of its own; elsewhere nothing is done.
 */
import { readdirSync } from 'node:fs';
import { platform, setPriority } from 'node:os';

/** Nice value of everything but the REST thread; 0 is the usual one, 19 the last. */
const BEHIND = 5;
/** Libraries start threads of their own when they are first used, so it is looked for new ones now and then. */
const LOOK_EVERY_MS = 2_000;

/** Threads that are there when it is made keep their place: the caller's, and those that collect its garbage. */
export class ThreadPriority implements Disposable {
  private readonly known = new Set(threads());
  private readonly timer: NodeJS.Timeout;

  constructor(lookEveryMs = LOOK_EVERY_MS) {
    this.timer = setInterval(() => { this.look(); }, lookEveryMs);
    this.timer.unref();
  }

  private look(): void {
    for (const thread of threads()) {
      if (this.known.has(thread)) continue;
      this.known.add(thread);
      try { setPriority(Number(thread), BEHIND); } catch { /* it ended, or a container forbids it: then all stay equal */ }
    }
  }

  [Symbol.dispose](): void { clearInterval(this.timer); }
}

function threads(): string[] {
  if (platform() !== 'linux') return [];
  try { return readdirSync('/proc/self/task'); } catch { return []; }
}
