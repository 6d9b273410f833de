/**
 * Roaring bitmaps of 64-bit row positions in the portable format: a count of 32-bit bitmaps, and each after its high word.
 * Layout: https://github.com/RoaringBitmap/RoaringFormatSpec (little-endian; array, bitmap and run containers).
 */
const COOKIE = 12_346, COOKIE_WITH_RUNS = 12_347, NO_OFFSETS_BELOW = 4;
const ARRAY_MAX = 4096, WORDS = 2048;
type Container = { readonly kind: 'array'; values: Uint16Array; count: number } | { readonly kind: 'bitmap'; readonly words: Uint32Array; count: number };

/** A growing set of row positions (0 … 2^53). */
export class RoaringBitmap {
  /** Containers by position / 65,536. */
  private readonly containers = new Map<number, Container>();

  add(value: number): void {
    const key = Math.floor(value / 65_536), low = value % 65_536;
    const container = this.containers.get(key);
    if (container === undefined) { const values = new Uint16Array(4); values[0] = low; this.containers.set(key, { kind: 'array', values, count: 1 }); return; }
    if (container.kind === 'bitmap') { setBit(container, low); return; }
    const at = lowerBound(container, low);
    if (at < container.count && container.values[at] === low) return;
    if (container.count === ARRAY_MAX) { const dense = toBitmap(container); setBit(dense, low); this.containers.set(key, dense); return; }
    if (container.count === container.values.length) { const larger = new Uint16Array(container.count * 2); larger.set(container.values); container.values = larger; }
    container.values.copyWithin(at + 1, at, container.count);
    container.values[at] = low;
    container.count++;
  }

  has(value: number): boolean {
    const container = this.containers.get(Math.floor(value / 65_536));
    if (container === undefined) return false;
    const low = value % 65_536;
    if (container.kind === 'bitmap') return ((container.words[low >> 5] ?? 0) & (1 << (low & 31))) !== 0;
    const at = lowerBound(container, low);
    return at < container.count && container.values[at] === low;
  }

  cardinality(): number { let sum = 0; for (const container of this.containers.values()) sum += container.count; return sum; }

  /** All positions, ascending. */
  * iterate(): Generator<number> {
    for (const key of this.keys()) { const container = this.containers.get(key); if (container !== undefined) for (const low of lows(container)) yield key * 65_536 + low; }
  }

  /** Adds all positions of another set. */
  or(other: RoaringBitmap): void {
    for (const [key, container] of other.containers) {
      if (this.containers.has(key)) for (const low of lows(container)) this.add(key * 65_536 + low);
      else this.containers.set(key, copyOf(container));
    }
  }

  /** The positions that another set does not have. */
  minus(other: RoaringBitmap): RoaringBitmap {
    const rest = new RoaringBitmap();
    for (const [key, container] of this.containers) {
      const theirs = other.containers.get(key);
      if (theirs === undefined) { rest.containers.set(key, copyOf(container)); continue; }
      for (const low of lows(container)) { const value = key * 65_536 + low; if (!other.has(value)) rest.add(value); }
    }
    return rest;
  }

  private keys(): readonly number[] { return [...this.containers.keys()].sort((a, b) => a - b); }

  serialize(): Buffer {
    const byHigh = new Map<number, number[]>();
    for (const key of this.keys()) { const high = Math.floor(key / 65_536); const list = byHigh.get(high); if (list === undefined) byHigh.set(high, [key]); else list.push(key); }
    const head = Buffer.alloc(8);
    head.writeUInt32LE(byHigh.size, 0);
    return Buffer.concat([head, ...[...byHigh].flatMap(([high, keys]) => { const prefix = Buffer.alloc(4); prefix.writeUInt32LE(high); return [prefix, this.serialize32(keys)]; })]);
  }

  private serialize32(keys: readonly number[]): Buffer {
    const containers = keys.map(key => this.containers.get(key)).filter(container => container !== undefined);
    const size = (container: Container): number => (container.count <= ARRAY_MAX ? container.count * 2 : WORDS * 4);
    let at = 8 + keys.length * 8;
    const out = Buffer.alloc(at + containers.reduce((sum, container) => sum + size(container), 0));
    out.writeUInt32LE(COOKIE, 0);
    out.writeUInt32LE(keys.length, 4);
    containers.forEach((container, i) => {
      out.writeUInt16LE((keys[i] ?? 0) % 65_536, 8 + i * 4);
      out.writeUInt16LE(container.count - 1, 10 + i * 4);
      out.writeUInt32LE(at, 8 + keys.length * 4 + i * 4);
      if (container.count <= ARRAY_MAX) { let to = at; for (const low of lows(container)) { out.writeUInt16LE(low, to); to += 2; } }
      else if (container.kind === 'bitmap') container.words.forEach((word, w) => { out.writeUInt32LE(word, at + w * 4); });
      at += size(container);
    });
    return out;
  }

  /** Throws RangeError when the bytes end early. */
  static deserialize(bytes: Buffer): RoaringBitmap {
    const bitmap = new RoaringBitmap();
    const count = bytes.readUInt32LE(0);
    let at = 8;
    for (let i = 0; i < count; i++) { const high = bytes.readUInt32LE(at); at = bitmap.read32(bytes, at + 4, high * 65_536); }
    return bitmap;
  }

  private read32(bytes: Buffer, start: number, base: number): number {
    const cookie = bytes.readUInt32LE(start);
    const runs = (cookie & 0xffff) === COOKIE_WITH_RUNS;
    if (!runs && cookie !== COOKIE) throw new RangeError('not a roaring bitmap');
    const count = runs ? (cookie >>> 16) + 1 : bytes.readUInt32LE(start + 4);
    let at = start + (runs ? 4 : 8);
    const flags = runs ? bytes.subarray(at, at + Math.ceil(count / 8)) : undefined;
    at += flags?.length ?? 0;
    const heads = at;
    at += count * 4 + (!runs || count >= NO_OFFSETS_BELOW ? count * 4 : 0);
    for (let i = 0; i < count; i++) {
      const key = base + bytes.readUInt16LE(heads + i * 4), cardinality = bytes.readUInt16LE(heads + i * 4 + 2) + 1;
      if (flags !== undefined && ((flags[i >> 3] ?? 0) & (1 << (i & 7))) !== 0) {
        const pairs = bytes.readUInt16LE(at);
        for (let pair = 0; pair < pairs; pair++) { const first = bytes.readUInt16LE(at + 2 + pair * 4), length = bytes.readUInt16LE(at + 4 + pair * 4); for (let low = first; low <= first + length; low++) this.add(key * 65_536 + low); }
        at += 2 + pairs * 4;
      } else if (cardinality <= ARRAY_MAX) {
        const values = new Uint16Array(cardinality);
        for (let j = 0; j < cardinality; j++) values[j] = bytes.readUInt16LE(at + j * 2);
        this.containers.set(key, { kind: 'array', values, count: cardinality });
        at += cardinality * 2;
      } else {
        const words = new Uint32Array(WORDS);
        for (let w = 0; w < WORDS; w++) words[w] = bytes.readUInt32LE(at + w * 4);
        this.containers.set(key, { kind: 'bitmap', words, count: cardinality });
        at += WORDS * 4;
      }
    }
    return at;
  }
}

function copyOf(container: Container): Container { return container.kind === 'array' ? { ...container, values: container.values.slice() } : { ...container, words: container.words.slice() }; }
function lowerBound({ values, count }: { readonly values: Uint16Array; readonly count: number }, low: number): number {
  if (count > 0 && (values[count - 1] ?? 0) < low) return count;
  let from = 0, to = count;
  while (from < to) { const middle = (from + to) >> 1; if ((values[middle] ?? 0) < low) from = middle + 1; else to = middle; }
  return from;
}
function setBit(container: { readonly words: Uint32Array; count: number }, low: number): void {
  const word = container.words[low >> 5] ?? 0, bit = 1 << (low & 31);
  if ((word & bit) === 0) { container.words[low >> 5] = word | bit; container.count++; }
}
function toBitmap(container: Container & { kind: 'array' }): Container & { kind: 'bitmap' } {
  const dense: Container & { kind: 'bitmap' } = { kind: 'bitmap', words: new Uint32Array(WORDS), count: 0 };
  for (const low of lows(container)) setBit(dense, low);
  return dense;
}
function * lows(container: Container): Generator<number> {
  if (container.kind === 'array') { for (let i = 0; i < container.count; i++) yield container.values[i] ?? 0; return; }
  for (let w = 0; w < WORDS; w++) for (let word = container.words[w] ?? 0; word !== 0; word &= word - 1) yield w * 32 + (31 - Math.clz32(word & -word));
}
