/** Decimals as Connect carries them: an unscaled two's-complement big-endian number and a scale. */

/** Shortest two's-complement form, as Java's BigInteger.toByteArray gives it. */
export function unscaledBytes(value: bigint): Uint8Array {
  let bits = 8n;
  while (value >= 1n << (bits - 1n) || value < -(1n << (bits - 1n))) bits += 8n;
  const hex = BigInt.asUintN(Number(bits), value).toString(16).padStart(Number(bits) / 4, '0');
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}

export function unscaledFrom(bytes: Uint8Array): bigint {
  if (bytes.length === 0) return 0n;
  return BigInt.asIntN(bytes.length * 8, BigInt(`0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`));
}

/** Plain decimal text (`-12.340`, also with exponent) → unscaled number and the scale it was written with. Undefined for anything else (NaN). */
export function parseDecimal(text: string): { readonly unscaled: bigint; readonly scale: number } | undefined {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (match === null) return undefined;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match;
  if (whole === '' && fraction === '') return undefined;
  const magnitude = BigInt(whole + fraction);
  return { unscaled: sign === '-' ? -magnitude : magnitude, scale: fraction.length - Number(exponent) };
}

/** Brings an unscaled number to `scale`; digits that do not fit are cut towards zero. */
export function rescale(unscaled: bigint, from: number, to: number): bigint {
  return to >= from ? unscaled * 10n ** BigInt(to - from) : unscaled / 10n ** BigInt(from - to);
}

export function decimalText(unscaled: bigint, scale: number): string {
  if (scale <= 0) return (unscaled * 10n ** BigInt(-scale)).toString();
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0');
  return `${unscaled < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}
