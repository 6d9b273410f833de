/** JSON as bytes (RFC 8259): moving over values without making them. Positions are -1 where the text is not as expected. */
const QUOTE = 0x22, BACKSLASH = 0x5c, OPEN = 0x7b, CLOSE = 0x7d, OPEN_LIST = 0x5b, CLOSE_LIST = 0x5d, COMMA = 0x2c;

/** Position after a string that begins at `at`. */
export function skipString(b: Buffer, at: number): number {
  if (b[at] !== QUOTE) return -1;
  for (let i = at + 1; i < b.length; i++) {
    const byte = b[i];
    if (byte === QUOTE) return i + 1;
    if (byte === BACKSLASH) i++;
  }
  return -1;
}

/** Position after the value that begins at `at`; brackets are counted, not matched by kind. */
export function skipValue(b: Buffer, at: number): number {
  const first = b[at];
  if (first === QUOTE) return skipString(b, at);
  if (first !== OPEN && first !== OPEN_LIST) {
    let i = at;
    for (; i < b.length; i++) { const byte = b[i]; if (byte === COMMA || byte === CLOSE || byte === CLOSE_LIST) break; }
    return i > at ? i : -1;
  }
  let depth = 0;
  for (let i = at; i < b.length; i++) {
    const byte = b[i];
    if (byte === QUOTE) { i = skipString(b, i) - 1; if (i < 0) return -1; }
    else if (byte === OPEN || byte === OPEN_LIST) depth++;
    else if (byte === CLOSE || byte === CLOSE_LIST) { depth--; if (depth === 0) return i + 1; }
  }
  return -1;
}

/** Position after `text` at `at`, or -1. */
export function expect(b: Buffer, at: number, text: Uint8Array): number {
  for (let i = 0; i < text.length; i++) if (b[at + i] !== text[i]) return -1;
  return at + text.length;
}

export function isNull(b: Buffer, at: number): boolean { return b[at] === 0x6e && b[at + 1] === 0x75 && b[at + 2] === 0x6c && b[at + 3] === 0x6c; }
