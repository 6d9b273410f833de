/** Body of `PATCH /connectors/{name}/offsets`. */
import type { Json } from '../../runtime/api/exact-json.ts';
import type { OffsetChange } from '../../runtime/worker/herder.ts';
import { HttpError } from '../errors.ts';
import { badBody, javaTypes, readObject } from './json-body.ts';

/** Whole numbers keep all their digits. Empty when the body has no offsets; HttpError 500 where Connect has one. */
export function readOffsets(text: string): readonly OffsetChange[] {
  const offsets = readObject(text, javaTypes.offsets, 'exact')?.['offsets'];
  if (offsets === undefined || offsets === null) return [];
  if (!Array.isArray(offsets)) throw badBody(`Cannot deserialize value of type \`java.util.ArrayList<${javaTypes.offsets.replace('Offsets', 'Offset')}>\` from Object value (token \`JsonToken.START_OBJECT\`)`, text, Math.max(0, text.indexOf('"offsets"')));
  return offsets.map(entry => {
    const { partition, offset } = isObject(entry) ? entry : {};
    if (!isObject(partition)) throw new HttpError(500, 'Partition objects cannot be null');
    return { partition, offset: isObject(offset) ? offset : null };
  });
}

function isObject(value: Json | undefined): value is { readonly [key: string]: Json } { return typeof value === 'object' && value !== null && !Array.isArray(value); }
