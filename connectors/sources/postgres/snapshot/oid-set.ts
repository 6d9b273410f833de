/**
 * The oids of the tables that are read, with a text of them that costs little when one is added: it goes into every offset,
 * also with 10,000 tables.
 *
 *   text := bucket ("," bucket)*   bucket := number ":" step ("." step)*   in base 36; a step is the distance from the oid before it
 */
const BUCKET = 512;

interface Bucket { readonly oids: Set<number>; text: string | undefined }

export class OidSet {
  private readonly buckets = new Map<number, Bucket>();
  private count = 0;

  /** Throws nothing: what does not parse is left out, and its tables are read again. */
  constructor(text = '') {
    for (const part of text === '' ? [] : text.split(',')) {
      const [bucket = '', steps = ''] = part.split(':');
      let oid = Number.parseInt(bucket, 36) * BUCKET;
      for (const step of steps.split('.')) { oid += Number.parseInt(step, 36); if (Number.isSafeInteger(oid)) this.add(oid); }
    }
  }

  get size(): number { return this.count; }
  has(oid: number): boolean { return this.buckets.get(Math.floor(oid / BUCKET))?.oids.has(oid) === true; }
  add(oid: number): void {
    const key = Math.floor(oid / BUCKET);
    let bucket = this.buckets.get(key);
    if (bucket === undefined) { bucket = { oids: new Set(), text: undefined }; this.buckets.set(key, bucket); }
    if (bucket.oids.has(oid)) return;
    bucket.oids.add(oid);
    bucket.text = undefined;
    this.count++;
  }
  clear(): void { this.buckets.clear(); this.count = 0; }

  toString(): string { return [...this.buckets].map(([key, bucket]) => (bucket.text ??= textOf(key, bucket.oids))).join(','); }
}

function textOf(key: number, oids: ReadonlySet<number>): string {
  let last = key * BUCKET;
  return `${key.toString(36)}:${[...oids].sort((a, b) => a - b).map(oid => { const step = (oid - last).toString(36); last = oid; return step; }).join('.')}`;
}
