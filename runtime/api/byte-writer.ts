/**
 * A growing buffer with a cursor, shared by every encoder on the fast path. Encoders write straight into `buffer`
 * at `position` after `ensure(n)`; `buffer` may be replaced by `ensure`, so take it again after each call.
 */
export class ByteWriter {
  buffer: Buffer;
  position = 0;

  constructor(capacity = 64 * 1024) { this.buffer = Buffer.allocUnsafeSlow(capacity); }

  /** Makes room for `size` more bytes after `position`. */
  ensure(size: number): void {
    if (this.position + size <= this.buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.position + size));
    this.buffer.copy(grown, 0, 0, this.position);
    this.buffer = grown;
  }

  write(bytes: Uint8Array): void {
    const size = bytes.length;
    this.ensure(size);
    this.buffer.set(bytes, this.position);
    this.position += size;
  }

  /** Appends `text` as UTF-8. */
  writeText(text: string): void {
    this.ensure(text.length * 3);
    this.position += this.buffer.write(text, this.position);
  }

  /** The bytes written so far; a view, valid until the next write or reset. */
  view(): Uint8Array { return this.buffer.subarray(0, this.position); }

  reset(): void { this.position = 0; }
}
