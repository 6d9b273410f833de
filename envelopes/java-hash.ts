/** The order in which a java.util.HashMap or HashSet of strings is walked through, which shows in some records (javadoc of String.hashCode; HashMap's table of 16 grows by doubling at three quarters). */

/** String.hashCode. */
export function javaStringHash(text: string): number {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
  return hash;
}

/** By bucket; within one in the order given. */
export function hashOrder<T>(items: readonly T[], key: (item: T) => string): T[] {
  let size = 16;
  while (items.length > size * 0.75) size *= 2;
  const bucket = (item: T): number => { const hash = javaStringHash(key(item)); return (hash ^ (hash >>> 16)) & (size - 1); };
  return [...items].sort((a, b) => bucket(a) - bucket(b));
}
