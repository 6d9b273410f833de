/** The last operation on each key since the last commit: an entry per key, compared by its bytes. */
import { roomFor } from './column-buffer.ts';
import { type KeyCodec, slotOf } from './key-codec.ts';

const FIRST = 1024, FIRST_ARENA = 16 * 1024;

export class LastWrite {
  /** Number of entries; they are numbered in order of first sight. */
  count = 0;
  /** Buffered row that was written last for the key, also when it was deleted after; -1 = none. */
  row = new Int32Array(FIRST);
  /** 1: the key's last operation wrote `row`. 0: it deleted. */
  live = new Uint8Array(FIRST);
  low = new Uint32Array(FIRST);
  high = new Uint32Array(FIRST);
  private start = new Int32Array(FIRST);
  private length = new Int32Array(FIRST);
  private slots = new Int32Array(FIRST * 2).fill(-1);
  private arena = Buffer.allocUnsafe(FIRST_ARENA);
  private arenaEnd = 0;

  /** Memory that the entries need, in bytes. */
  get size(): number { return roomFor(this.count, FIRST) * 29 + roomFor(this.arenaEnd, FIRST_ARENA); }

  /** Takes all entries out. The memory stays for the next ones, unless these had little use for it. */
  clear(): void {
    if (roomFor(this.count, FIRST) < this.row.length / 4) this.resize(FIRST);
    if (roomFor(this.arenaEnd, FIRST_ARENA) < this.arena.length / 4) this.arena = Buffer.allocUnsafe(FIRST_ARENA);
    this.slots.fill(-1);
    this.count = 0;
    this.arenaEnd = 0;
  }

  /** Entry of the key that `codec` encoded last, or -1. */
  find(codec: KeyCodec): number {
    const mask = this.slots.length - 1;
    for (let slot = slotOf(codec.low, codec.high) & mask; ; slot = (slot + 1) & mask) {
      const entry = this.slots[slot] ?? -1;
      if (entry < 0 || this.holds(entry, codec)) return entry;
    }
  }

  /** True when `entry` is of the key that `codec` encoded last. */
  holds(entry: number, codec: KeyCodec): boolean {
    if (this.low[entry] !== codec.low || this.high[entry] !== codec.high) return false;
    const start = this.start[entry] ?? 0, length = this.length[entry] ?? 0;
    return length === codec.length && (codec.exact || this.arena.compare(codec.bytes, 0, length, start, start + length) === 0);
  }

  /** Entry of that key, made when there was none: with no row, deleted. */
  entry(codec: KeyCodec): number {
    const found = this.find(codec);
    if (found >= 0) return found;
    if (this.count === this.row.length) this.grow();
    const entry = this.count++;
    this.row[entry] = -1;
    this.live[entry] = 0;
    this.low[entry] = codec.low;
    this.high[entry] = codec.high;
    this.keep(entry, codec);
    this.link(entry);
    return entry;
  }

  private keep(entry: number, codec: KeyCodec): void {
    this.length[entry] = codec.length;
    if (codec.exact) return;
    if (this.arenaEnd + codec.length > this.arena.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.arena.length * 2, this.arenaEnd + codec.length));
      this.arena.copy(larger, 0, 0, this.arenaEnd);
      this.arena = larger;
    }
    codec.bytes.copy(this.arena, this.arenaEnd, 0, codec.length);
    this.start[entry] = this.arenaEnd;
    this.arenaEnd += codec.length;
  }

  private link(entry: number): void {
    const mask = this.slots.length - 1;
    let slot = slotOf(this.low[entry] ?? 0, this.high[entry] ?? 0) & mask;
    while ((this.slots[slot] ?? -1) >= 0) slot = (slot + 1) & mask;
    this.slots[slot] = entry;
  }

  private grow(): void {
    this.resize(this.row.length * 2);
    this.slots.fill(-1);
    for (let entry = 0; entry < this.count; entry++) this.link(entry);
  }

  /** Arrays of another length, with the entries that they hold. */
  private resize(capacity: number): void {
    const copy = <T extends Int32Array | Uint32Array | Uint8Array>(from: T, to: T): T => { to.set(from.subarray(0, capacity)); return to; };
    this.row = copy(this.row, new Int32Array(capacity));
    this.live = copy(this.live, new Uint8Array(capacity));
    this.low = copy(this.low, new Uint32Array(capacity));
    this.high = copy(this.high, new Uint32Array(capacity));
    this.start = copy(this.start, new Int32Array(capacity));
    this.length = copy(this.length, new Int32Array(capacity));
    this.slots = new Int32Array(capacity * 2);
  }
}
