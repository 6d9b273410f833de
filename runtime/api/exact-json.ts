/**
 * JSON without loss: whole numbers beyond 2^53 become bigint, and bigint is written as a bare number.
 * For offsets and the general converters; hot paths have their own writers. Grammar: RFC 8259.
 */
export type Json = null | boolean | number | bigint | string | readonly Json[] | { readonly [key: string]: Json };

/** Like JSON.stringify with bigint as digits; undefined members are left out. */
export function stringifyExact(value: unknown): string {
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return `[${value.map(stringifyExact).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${stringifyExact(member)}`).join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

const TOKEN = /[\s]*(?:([{}[\],:])|("(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?)|(true|false|null))/y;
const MAX_DEPTH = 200;

/** Parses one JSON text. `number` may turn number tokens into what the caller wants. Throws SyntaxError with the position. */
export function parseExact(text: string, number: (token: string, whole: boolean) => Json = exactNumber): Json {
  const parser = new Parser(text, number);
  const value = parser.value(0);
  parser.finish();
  return value;
}

/** Whole numbers exactly (bigint when unsafe), others as doubles. */
export function exactNumber(token: string, whole: boolean): number | bigint {
  const value = Number(token);
  return whole && !Number.isSafeInteger(value) ? BigInt(token) : value;
}

class Parser {
  private at = 0;
  private readonly text: string;
  private readonly number: (token: string, whole: boolean) => Json;
  constructor(text: string, number: (token: string, whole: boolean) => Json) { this.text = text; this.number = number; }

  private token(): RegExpExecArray {
    TOKEN.lastIndex = this.at;
    const match = TOKEN.exec(this.text);
    if (match === null) throw new SyntaxError(`No JSON at position ${this.at}`);
    this.at = TOKEN.lastIndex;
    return match;
  }

  finish(): void {
    if (this.text.slice(this.at).trim() !== '') throw new SyntaxError(`Text goes on after the JSON value at position ${this.at}`);
  }

  value(depth: number, token = this.token()): Json {
    if (depth > MAX_DEPTH) throw new SyntaxError(`Nested deeper than ${MAX_DEPTH} at position ${this.at}`);
    const [, mark, quoted, digits, fraction, exponent, word] = token;
    if (quoted !== undefined) return JSON.parse(quoted) as string;
    if (digits !== undefined) return this.number(digits, fraction === undefined && exponent === undefined);
    if (word !== undefined) return word === 'null' ? null : word === 'true';
    if (mark === '[') return this.array(depth);
    if (mark === '{') return this.object(depth);
    throw new SyntaxError(`Unexpected '${mark}' at position ${this.at - 1}`);
  }

  private array(depth: number): Json[] {
    const items: Json[] = [];
    let token = this.token();
    if (token[1] === ']') return items;
    for (;;) {
      items.push(this.value(depth + 1, token));
      const [, mark] = this.token();
      if (mark === ']') return items;
      if (mark !== ',') throw new SyntaxError(`Expected , or ] at position ${this.at}`);
      token = this.token();
    }
  }

  private object(depth: number): { readonly [key: string]: Json } {
    const members: [string, Json][] = [];
    let token = this.token();
    if (token[1] === '}') return {};
    for (;;) {
      if (token[2] === undefined) throw new SyntaxError(`Expected a name at position ${this.at}`);
      if (this.token()[1] !== ':') throw new SyntaxError(`Expected : at position ${this.at}`);
      members.push([JSON.parse(token[2]) as string, this.value(depth + 1)]);
      const [, mark] = this.token();
      if (mark === '}') return Object.fromEntries(members);
      if (mark !== ',') throw new SyntaxError(`Expected , or } at position ${this.at}`);
      token = this.token();
    }
  }
}
