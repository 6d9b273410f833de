/** What is to be done once an offset is durable: offsets become so in their order, but not every one is stored. */
import type { SourceOffset } from '../../../runtime/api/plugin.ts';

type Work = () => Promise<void>;

export class WhenDurable {
  private readonly failed: (error: Error) => void;
  private readonly numbers = new WeakMap<SourceOffset, number>();
  private readonly waiting: { readonly number: number; readonly work: readonly Work[] }[] = [];
  private count = 0;

  /** `failed` hears of work that throws: nobody waits for it. */
  constructor(failed: (error: Error) => void) { this.failed = failed; }

  /** A new offset, and what waits for it or a later one. */
  made(offset: SourceOffset, work: readonly Work[]): void {
    this.numbers.set(offset, ++this.count);
    if (work.length > 0) this.waiting.push({ number: this.count, work });
  }

  committed(offset: SourceOffset): void {
    const number = this.numbers.get(offset) ?? 0;
    while ((this.waiting[0]?.number ?? Number.POSITIVE_INFINITY) <= number) {
      for (const one of this.waiting.shift()?.work ?? []) one().catch((error: unknown) => { this.failed(error as Error); });
    }
  }
}
