/**
 * Where Debezium contradicts itself between snapshot and stream: the streamed value is right for both, so a recorded
 * snapshot value may differ from ours in these ways and in no other (README of the recordings; docs/compatibility.md).
 */
import type { Json } from '../../runtime/api/exact-json.ts';

export interface Declared { readonly reason: string; fits(facts: { readonly path: string; readonly snapshot: boolean; readonly type: string | undefined; readonly recorded: Json; readonly produced: Json }): boolean }

const number = (json: Json): number | undefined => (typeof json === 'string' && /^\u0000-?\d+$/.test(json) ? Number(json.slice(1)) : undefined);
const DATES = new Set(['io.debezium.time.Date', 'org.apache.kafka.connect.data.Date']);
/** 1582-10-15, from which both calendars agree. */
const GREGORIAN_DAYS = -141_427;

export const DECLARED: readonly Declared[] = [
  { reason: 'infinite dates read by the JDBC driver in a snapshot', fits: ({ snapshot, type, recorded, produced }) => snapshot && DATES.has(type ?? '')
    && ((number(recorded) === -622_191_234 && number(produced) === -2_147_472_692) || (number(recorded) === -625_821_272 && number(produced) === -2_147_472_691)) },
  { reason: 'dates before 1582-10-15 are read in the Julian calendar in a snapshot', fits: ({ snapshot, type, recorded, produced }) => {
    const was = number(recorded), is = number(produced);
    return snapshot && DATES.has(type ?? '') && was !== undefined && is !== undefined && was !== is && is < GREGORIAN_DAYS && (Math.abs(was - is) <= 31 || was - is >= 365);
  } },
  { reason: 'such dates as text', fits: ({ snapshot, type, recorded, produced }) => snapshot && type === 'io.debezium.time.IsoDate' && typeof recorded === 'string' && typeof produced === 'string' && (/^[-+]/.test(produced) || produced < '1582-10-15') },
  { reason: 'the type name is null in the stream', fits: ({ snapshot, type, recorded, produced }) => snapshot && type === undefined && typeof recorded === 'string' && !recorded.startsWith('\u0000') && produced === null },
];
