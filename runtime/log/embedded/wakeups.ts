/**
 * Tells waiting readers, in all threads of the process, that a partition grew. Readers in another process
 * (`tributary read --follow`) hear nothing and look again every {@link POLL_MS}.
 */
import { BroadcastChannel } from 'node:worker_threads';

const POLL_MS = 250;

export interface Woken {
  /** Resolves on the next wake-up, after `ms`, or when aborted. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
  cancel(): void;
}

export class Wakeups {
  private readonly channel: BroadcastChannel;
  private readonly waiting = new Map<string, Set<() => void>>();
  private readonly sameProcess: boolean;

  constructor(name: string, sameProcess: boolean) {
    this.sameProcess = sameProcess;
    this.channel = new BroadcastChannel(name);
    this.channel.onmessage = (event: unknown) => { for (const key of (event as { readonly data: readonly string[] }).data) this.wake(key); };
    this.channel.unref();
  }

  announce(keys: readonly string[]): void {
    for (const key of keys) this.wake(key);
    this.channel.postMessage(keys);
  }

  next(topic: number, partition: number): Woken { return this.on(`${topic}/${partition}`); }

  /** Registers before the caller looks at the data, so that nothing announced in between is missed. */
  on(key: string): Woken {
    const set = this.waiting.get(key) ?? new Set();
    this.waiting.set(key, set);
    let fired = false;
    let resolve = (): void => { fired = true; };
    const listener = (): void => resolve();
    set.add(listener);
    const cancel = (): void => { set.delete(listener); if (set.size === 0 && this.waiting.get(key) === set) this.waiting.delete(key); };
    const wait = (ms: number, signal: AbortSignal): Promise<void> => new Promise(done => {
      if (fired || signal.aborted) { done(); return; }
      const finish = (): void => { clearTimeout(timer); signal.removeEventListener('abort', finish); done(); };
      const timer = setTimeout(finish, this.sameProcess ? ms : Math.min(ms, POLL_MS));
      signal.addEventListener('abort', finish, { once: true });
      resolve = finish;
    });
    return { wait, cancel };
  }

  private wake(key: string): void { for (const listener of this.waiting.get(key) ?? []) listener(); }

  close(): void { this.channel.close(); }
}
