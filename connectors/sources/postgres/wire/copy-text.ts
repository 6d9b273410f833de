/** COPY's text format: columns by tab, `\N` for null, backslash escapes (PostgreSQL manual, COPY, "Text Format"). */
import { NULL_VALUE, type RowImage } from '../change.ts';

const TAB = 9, NEWLINE = 10, BACKSLASH = 92;
const ESCAPES: Readonly<Record<number, number>> = { 98: 8, 102: 12, 110: 10, 114: 13, 116: 9, 118: 11 };

/** One row without copying when nothing is escaped. The line's newline may be included; `columns` is how many are expected. */
export function copyRow(buffer: Buffer, from: number, to: number, columns = 0): RowImage {
  const end = to > from && buffer[to - 1] === NEWLINE ? to - 1 : to;
  const start = new Array<number>(columns), stop = new Array<number>(columns);
  let column = 0;
  let at = from;
  for (let i = from; i <= end; i++) {
    if (i < end) {
      if (buffer[i] === BACKSLASH && !(buffer[i + 1] === 78 && i === at && (i + 2 === end || buffer[i + 2] === TAB))) return escapedRow(buffer, from, end);
      if (buffer[i] !== TAB) continue;
    }
    const isNull = i - at === 2 && buffer[at] === BACKSLASH;
    start[column] = isNull ? NULL_VALUE : at;
    stop[column++] = isNull ? 0 : i;
    at = i + 1;
  }
  return { buffer, start, end: stop };
}

function escapedRow(source: Buffer, from: number, end: number): RowImage {
  const buffer = Buffer.allocUnsafe(end - from);
  const start: number[] = [], stop: number[] = [];
  let out = 0;
  let at = from;
  while (at <= end) {
    const begin = out;
    let isNull = false;
    for (; at < end && source[at] !== TAB; at++) {
      const byte = source[at] as number;
      if (byte !== BACKSLASH) { buffer[out++] = byte; continue; }
      const next = source[++at] as number;
      if (next === 78 && out === begin && (at + 1 === end || source[at + 1] === TAB)) isNull = true;
      else buffer[out++] = ESCAPES[next] ?? next;
    }
    start.push(isNull ? NULL_VALUE : begin);
    stop.push(isNull ? 0 : out);
    at++;
  }
  return { buffer, start, end: stop };
}
