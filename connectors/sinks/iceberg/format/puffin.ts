/**
 * Puffin files with deletion vectors (Iceberg Puffin specification, blob type `deletion-vector-v1`).
 *
 *   file   := "PFA1" · blob* · footer        footer := "PFA1" · JSON · length int32 LE · flags (4 bytes, 0) · "PFA1"
 *   blob   := length int32 BE (of magic and vector) · D1 D3 39 64 · 64-bit roaring bitmap · CRC-32 int32 BE (of magic and vector)
 *
 * Blobs stand in ascending size: DuckDB 1.5.5 reads wrong rows when a small one follows a large one.
 */
import { crc32 } from '@node-rs/crc32';
import { RoaringBitmap } from '../../tables/roaring.ts';

const MAGIC = Buffer.from('PFA1'), VECTOR_MAGIC = Buffer.from([0xd1, 0xd3, 0x39, 0x64]);
/** Reserved field id of a row's position. */
const POSITION_FIELD = 2_147_483_645;

export interface VectorPlace { readonly dataFile: string; readonly offset: number; readonly length: number; readonly cardinality: number }

export function encodeVector(bitmap: RoaringBitmap): Buffer {
  const body = Buffer.concat([VECTOR_MAGIC, bitmap.serialize()]);
  const length = Buffer.alloc(4), check = Buffer.alloc(4);
  length.writeInt32BE(body.length);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}

/** Throws RangeError for anything that is no vector. */
export function decodeVector(blob: Buffer): RoaringBitmap {
  const length = blob.readInt32BE(0), body = blob.subarray(4, 4 + length);
  if (blob.length !== length + 8 || !body.subarray(0, 4).equals(VECTOR_MAGIC)) throw new RangeError('not a deletion vector');
  if (crc32(body) !== blob.readUInt32BE(4 + length)) throw new RangeError('the check sum of a deletion vector does not match');
  return RoaringBitmap.deserialize(body.subarray(4));
}

/** One file with a vector for each data file, and where each lies in it. */
export function encodeVectors(vectors: ReadonlyMap<string, RoaringBitmap>): { readonly file: Buffer; readonly places: readonly VectorPlace[] } {
  const blobs = [...vectors].map(([dataFile, bitmap]) => ({ dataFile, bytes: encodeVector(bitmap), cardinality: bitmap.cardinality() })).sort((a, b) => a.bytes.length - b.bytes.length);
  let offset = MAGIC.length;
  const places = blobs.map(({ dataFile, bytes, cardinality }): VectorPlace => {
    const place = { dataFile, offset, length: bytes.length, cardinality };
    offset += bytes.length;
    return place;
  });
  const footer = Buffer.from(JSON.stringify({
    blobs: places.map(place => ({ type: 'deletion-vector-v1', fields: [POSITION_FIELD], 'snapshot-id': -1, 'sequence-number': -1, offset: place.offset, length: place.length, properties: { 'referenced-data-file': place.dataFile, cardinality: String(place.cardinality) } })),
    properties: { 'created-by': 'Tributary' },
  }));
  const tail = Buffer.alloc(8);
  tail.writeInt32LE(footer.length);
  return { file: Buffer.concat([MAGIC, ...blobs.map(({ bytes }) => bytes), MAGIC, footer, tail, MAGIC]), places };
}
