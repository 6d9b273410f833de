import { setTimeout as pause } from 'node:timers/promises';

/** Waits until `condition` gives something other than false or undefined, and returns that. Throws with `what` after `timeoutMs`. */
export async function until<T>(what: string, condition: () => Promise<T | false | undefined> | T | false | undefined, timeoutMs = 60_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await condition();
    if (found !== false && found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain for ${what}`);
    await pause(50);
  }
}
