/**
 * Primary key → position of its row in a whole table, in 12 bytes a slot: 64 bits of hash and 32 of position. Where the hash
 * is not the key itself, the caller compares the keys of what it finds (ruling 18).
 *
 * It is 256 tables with open addressing and linear probing, each of which grows by itself and by a quarter: so little of the
 * memory stands empty, and growing copies a 256th of it at a time. Their first sizes differ, so that not all grow at once.
 */
import { slotOf } from './key-codec.ts';

/** In the third word of a slot; a position lies there with {@link FIRST} added, so that fresh memory is empty. */
const EMPTY = 0, GONE = 1, FIRST = 2;
/** Positions below this can be held. */
export const MAX_POSITIONS = 2 ** 32 - FIRST;
const TABLES = 256, WORDS = 3, LEAST_SLOTS = 16;
/** Part of the slots that may be taken, and what a table grows by. */
const FULL = 0.8, GROWTH = 1.25;

export class KeyIndex {
  private readonly tables: Uint32Array[];
  /** Slots of each table that are not empty, and those of them that hold a key. */
  private readonly used = new Uint32Array(TABLES);
  private readonly live = new Uint32Array(TABLES);
  /** Keys held. */
  count = 0;
  bytes = 0;

  constructor(expected: number) {
    const share = expected / TABLES / FULL;
    this.tables = Array.from({ length: TABLES }, (_, table) => this.make(share * (1 + (GROWTH - 1) * table / TABLES)));
  }

  private make(slots: number): Uint32Array {
    const table = new Uint32Array(Math.max(LEAST_SLOTS, Math.ceil(slots)) * WORDS);
    this.bytes += table.byteLength;
    return table;
  }

  /** The most bytes that an index of so many keys takes. */
  static bytesFor(keys: number): number { return Math.ceil((keys / FULL * GROWTH + TABLES * LEAST_SLOTS) * WORDS * 4); }

  /** First slot with this hash, or -1. */
  find(low: number, high: number): number {
    const hash = slotOf(low, high), number = hash >>> 24;
    return this.probe(number, startOf(hash, this.table(number)), low, high);
  }
  /** The next slot with the hash of `slot`, or -1. */
  next(slot: number): number {
    const number = slot % TABLES, table = this.table(number), at = Math.floor(slot / TABLES) * WORDS;
    return this.probe(number, at + WORDS, table[at] ?? 0, table[at + 1] ?? 0);
  }
  private probe(number: number, from: number, low: number, high: number): number {
    const table = this.table(number);
    for (let at = from; ; at += WORDS) {
      if (at >= table.length) at = 0;
      const content = table[at + 2];
      if (content === EMPTY) return -1;
      if (content !== GONE && table[at] === low && table[at + 1] === high) return at / WORDS * TABLES + number;
    }
  }
  private table(number: number): Uint32Array {
    const table = this.tables[number];
    if (table === undefined) throw new RangeError(`no table ${number}`);
    return table;
  }

  position(slot: number): number { return (this.table(slot % TABLES)[Math.floor(slot / TABLES) * WORDS + 2] ?? 0) - FIRST; }
  /** Slot of a hash at a known position, or -1. */
  at(low: number, high: number, position: number): number {
    for (let slot = this.find(low, high); slot >= 0; slot = this.next(slot)) if (this.position(slot) === position) return slot;
    return -1;
  }
  remove(slot: number): void {
    const number = slot % TABLES;
    this.table(number)[Math.floor(slot / TABLES) * WORDS + 2] = GONE;
    this.live[number] = (this.live[number] ?? 0) - 1;
    this.count--;
  }

  /** `position` is below {@link MAX_POSITIONS}. */
  add(low: number, high: number, position: number): void {
    const hash = slotOf(low, high), number = hash >>> 24;
    let table = this.table(number);
    if (((this.used[number] ?? 0) + 1) * WORDS > table.length * FULL) table = this.rebuild(number, table);
    if (put(table, startOf(hash, table), low, high, position + FIRST)) this.used[number] = (this.used[number] ?? 0) + 1;
    this.live[number] = (this.live[number] ?? 0) + 1;
    this.count++;
  }

  /** The table anew, without what is gone and with room for a quarter more. */
  private rebuild(number: number, old: Uint32Array): Uint32Array {
    const keys = this.live[number] ?? 0, table = this.make(Math.max(keys + 1, keys * GROWTH) / FULL + 1);
    this.bytes -= old.byteLength;
    for (let at = 0; at < old.length; at += WORDS) {
      const low = old[at] ?? 0, high = old[at + 1] ?? 0, content = old[at + 2] ?? EMPTY;
      if (content >= FIRST) put(table, startOf(slotOf(low, high), table), low, high, content);
    }
    this.tables[number] = table;
    this.used[number] = keys;
    return table;
  }
}

/** Where the search for a hash begins: its lower 24 bits, spread over the slots. */
function startOf(hash: number, table: Uint32Array): number { return Math.floor((hash & 0xffffff) * (table.length / WORDS) / 0x1000000) * WORDS; }

/** True when the slot that it took was empty. */
function put(table: Uint32Array, start: number, low: number, high: number, content: number): boolean {
  let at = start;
  while ((table[at + 2] ?? EMPTY) >= FIRST) { at += WORDS; if (at >= table.length) at = 0; }
  const fresh = table[at + 2] === EMPTY;
  table[at] = low;
  table[at + 1] = high;
  table[at + 2] = content;
  return fresh;
}
