/**
 * Array literals, `{1,NULL,"a,b"}` (PostgreSQL manual, 8.15.6). A nested array, whatever its depth, is given as
 * `nested`: Debezium puts null where an element of a multi-dimensional array would stand.
 */
export interface ArrayElement { readonly text: string | null; readonly nested: boolean }

/** Undefined when the text is no array. A leading bounds decoration (`[0:1]=`) is passed over. */
export function parseArray(text: string): ArrayElement[] | undefined {
  let at = text.startsWith('[') ? text.indexOf('=') + 1 : 0;
  if (text[at] !== '{') return undefined;
  at++;
  const elements: ArrayElement[] = [];
  if (text[at] === '}') return elements;
  while (at < text.length) {
    const read = element(text, at);
    if (read === undefined) return undefined;
    elements.push(read.element);
    if (text[read.next] === '}') return elements;
    if (text[read.next] !== ',') return undefined;
    at = read.next + 1;
  }
  return undefined;
}

function element(text: string, start: number): { element: ArrayElement; next: number } | undefined {
  if (text[start] === '{') {
    const next = closing(text, start);
    return next === undefined ? undefined : { element: { text: text.slice(start, next), nested: true }, next };
  }
  if (text[start] === '"') {
    let value = '';
    for (let at = start + 1; at < text.length; at++) {
      const char = text[at];
      if (char === '"') return { element: { text: value, nested: false }, next: at + 1 };
      value += char === '\\' ? text[++at] ?? '' : char;
    }
    return undefined;
  }
  const end = /[,}]/.exec(text.slice(start));
  if (end === null) return undefined;
  const value = text.slice(start, start + end.index);
  return { element: { text: value === 'NULL' ? null : value, nested: false }, next: start + end.index };
}

function closing(text: string, start: number): number | undefined {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    if (text[at] === '"') { for (at++; at < text.length && text[at] !== '"'; at++) if (text[at] === '\\') at++; }
    else if (text[at] === '{') depth++;
    else if (text[at] === '}' && --depth === 0) return at + 1;
  }
  return undefined;
}
