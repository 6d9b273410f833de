/** Text as Java serialises it ("modified UTF-8"): UTF-16 units one by one, NUL in two bytes (Java Object Serialization Specification, 6.2). */

/** Without a length in front. */
export function encodeJavaText(text: string): Buffer {
  let out = '';
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0 && unit < 0x80) out += text[i];
    else if (unit < 0x800) out += String.fromCharCode(0xc0 | (unit >> 6), 0x80 | (unit & 63));
    else out += String.fromCharCode(0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 63), 0x80 | (unit & 63));
  }
  return Buffer.from(out, 'latin1');
}

/** Bytes that are no such text give some text, never an error. */
export function decodeJavaText(bytes: Buffer): string {
  const low = (at: number): number => (bytes[at] ?? 0) & 0x3f;
  const units: number[] = [];
  for (let i = 0; i < bytes.length;) {
    const first = bytes[i] ?? 0;
    if (first < 0x80) { units.push(first); i += 1; } else if (first < 0xe0) { units.push(((first & 0x1f) << 6) | low(i + 1)); i += 2; } else { units.push(((first & 0x0f) << 12) | (low(i + 1) << 6) | low(i + 2)); i += 3; }
  }
  let text = '';
  for (let i = 0; i < units.length; i += 8192) text += String.fromCharCode(...units.slice(i, i + 8192));
  return text;
}
