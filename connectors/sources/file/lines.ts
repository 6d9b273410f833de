/**
 * Bytes → lines. A line ends at `\n`, `\r\n` or `\r`; what stands behind the last end waits for more. Works on bytes, so
 * that a position in the file is exact whatever characters it holds.
 */
const LF = 10, CR = 13;

export interface Line { readonly text: string; /** Bytes from the start of the first line to behind this one's end. */ readonly end: number }

export class LineSplitter {
  private rest: Buffer = Buffer.alloc(0);

  /** Bytes that are held and belong to no finished line. */
  get pending(): number { return this.rest.length; }

  /** Takes what was read. Copies it: the caller may reuse its buffer. */
  push(bytes: Buffer): void { this.rest = Buffer.concat([this.rest, bytes]); }

  /** At most `most` finished lines. A `\r` at the very end waits: a `\n` may follow. */
  take(most: number): Line[] {
    const lines: Line[] = [];
    const { rest } = this;
    let start = 0, i = 0;
    for (; i < rest.length && lines.length < most; i++) {
      const byte = rest[i];
      if (byte !== LF && byte !== CR) continue;
      if (byte === CR && i + 1 >= rest.length) break;
      const text = rest.toString('utf8', start, i);
      if (byte === CR && rest[i + 1] === LF) i++;
      start = i + 1;
      lines.push({ text, end: start });
    }
    this.rest = rest.subarray(start);
    return lines;
  }
}
