/**
 * Primary key → (file, row) of a whole table: open addressing with linear probing, 14 bytes a slot. It holds 64-bit
 * hashes; where those are not the keys themselves, the caller compares the keys of what it finds (ruling 18).
 */
import { slotOf } from './key-codec.ts';

const EMPTY = 0xffff, GONE = 0xfffe;
/** Most files an index can number. */
export const MAX_FILES = 0xfffe;
const SLOT_BYTES = 14;
const FULL = 0.72;

export class KeyIndex {
  private low: Uint32Array;
  private high: Uint32Array;
  private rows: Uint32Array;
  private files: Uint16Array;
  private used = 0;
  /** Keys held. */
  count = 0;

  constructor(expected: number) {
    const slots = slotsFor(expected);
    this.low = new Uint32Array(slots);
    this.high = new Uint32Array(slots);
    this.rows = new Uint32Array(slots);
    this.files = new Uint16Array(slots).fill(EMPTY);
  }

  /** Bytes that an index of so many keys takes. */
  static bytesFor(keys: number): number { return slotsFor(keys) * SLOT_BYTES; }
  get bytes(): number { return this.files.length * SLOT_BYTES; }

  /** First slot with this hash, or -1. */
  find(low: number, high: number): number { return this.probe(slotOf(low, high) & (this.files.length - 1), low, high); }
  /** The next slot with the hash of `slot`, or -1. */
  next(slot: number): number { return this.probe((slot + 1) & (this.files.length - 1), this.low[slot] ?? 0, this.high[slot] ?? 0); }
  private probe(from: number, low: number, high: number): number {
    const mask = this.files.length - 1;
    for (let slot = from; ; slot = (slot + 1) & mask) {
      const file = this.files[slot] ?? EMPTY;
      if (file === EMPTY) return -1;
      if (file !== GONE && this.low[slot] === low && this.high[slot] === high) return slot;
    }
  }

  file(slot: number): number { return this.files[slot] ?? EMPTY; }
  row(slot: number): number { return this.rows[slot] ?? 0; }
  /** Slot of a hash at a known place, or -1. */
  at(low: number, high: number, file: number, row: number): number {
    for (let slot = this.find(low, high); slot >= 0; slot = this.next(slot)) if (this.files[slot] === file && this.rows[slot] === row) return slot;
    return -1;
  }
  /** Points a slot at another place. */
  move(slot: number, file: number, row: number): void { this.files[slot] = file; this.rows[slot] = row; }
  remove(slot: number): void { this.files[slot] = GONE; this.count--; }

  add(low: number, high: number, file: number, row: number): void {
    if (this.used >= this.files.length * FULL) this.rehash();
    this.put(low, high, file, row);
    this.count++;
  }
  private put(low: number, high: number, file: number, row: number): void {
    const mask = this.files.length - 1;
    let slot = slotOf(low, high) & mask;
    while ((this.files[slot] ?? EMPTY) < GONE) slot = (slot + 1) & mask;
    if (this.files[slot] === EMPTY) this.used++;
    this.low[slot] = low;
    this.high[slot] = high;
    this.files[slot] = file;
    this.rows[slot] = row;
  }
  private rehash(): void {
    const { low, high, rows, files } = this;
    const slots = slotsFor(this.count + 1);
    this.low = new Uint32Array(slots);
    this.high = new Uint32Array(slots);
    this.rows = new Uint32Array(slots);
    this.files = new Uint16Array(slots).fill(EMPTY);
    this.used = 0;
    for (let slot = 0; slot < files.length; slot++) {
      const file = files[slot] ?? EMPTY;
      if (file < GONE) this.put(low[slot] ?? 0, high[slot] ?? 0, file, rows[slot] ?? 0);
    }
  }
}

function slotsFor(keys: number): number {
  let slots = 1024;
  while (slots * FULL * 0.9 < keys) slots *= 2;
  return slots;
}
