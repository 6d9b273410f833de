/** Body of `PATCH /connectors/{name}/offsets`. */
import type { Json } from '../../runtime/api/exact-json.ts';
import type { OffsetChange } from '../../runtime/worker/herder.ts';
import { HttpError } from '../errors.ts';
import { badBody, javaTypes, readObject } from './json-body.ts';

/** Whole numbers keep all their digits. To forget a partition that is null changes nothing. HttpError 400 for no offsets, 500 where Connect has it. */
export function readOffsets(text: string): readonly OffsetChange[] {
  const offsets = readObject(text, javaTypes.offsets, 'exact')?.['offsets'] ?? [];
  if (!Array.isArray(offsets)) throw badBody(`Cannot deserialize value of type \`java.util.ArrayList<${javaTypes.offsets.replace('Offsets', 'Offset')}>\` from Object value (token \`JsonToken.START_OBJECT\`)`, text, Math.max(0, text.indexOf('"offsets"')));
  if (offsets.length === 0) throw new HttpError(400, 'Partitions / offsets need to be provided for an alter offsets request');
  return offsets.flatMap(entry => {
    const { partition, offset } = isObject(entry) ? entry : {};
    if (isObject(partition)) return [{ partition, offset: isObject(offset) ? offset : null }];
    if (!isObject(offset)) return [];
    throw new HttpError(500, 'Partition objects cannot be null');
  });
}

function isObject(value: Json | undefined): value is { readonly [key: string]: Json } { return typeof value === 'object' && value !== null && !Array.isArray(value); }
