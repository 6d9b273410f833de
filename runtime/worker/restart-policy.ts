/** When a task that failed on passing trouble starts again: 1 s, doubled up to 60 s, with jitter; a good minute forgets the past. */
const FIRST_MS = 1_000;
const MOST_MS = 60_000;
const CALM_MS = 60_000;

export class RestartPolicy {
  private attempts = 0;
  private startedAt = 0;
  private readonly clock: () => number;
  private readonly random: () => number;
  constructor(clock: () => number = () => performance.now(), random: () => number = Math.random) { this.clock = clock; this.random = random; }

  started(): void { this.startedAt = this.clock(); }
  /** Milliseconds until the next attempt. */
  failed(): number {
    if (this.clock() - this.startedAt > CALM_MS) this.attempts = 0;
    const limit = Math.min(FIRST_MS * 2 ** Math.min(this.attempts++, 10), MOST_MS);
    return Math.round(limit * (0.5 + this.random() / 2));
  }
  get attempt(): number { return this.attempts; }
  reset(): void { this.attempts = 0; }
}
