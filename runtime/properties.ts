/** Configuration files: Java `.properties` (java.util.Properties.load) and JSON connector files. */
import { readFileSync } from 'node:fs';
import { ConfigError } from './api/errors.ts';

export type Properties = Readonly<Record<string, string>>;

/** Reads one logical line after the other: comments skipped, continuations joined, escapes undone. Throws ConfigError PROPERTIES_SYNTAX. */
export function parseProperties(text: string, file: string): Record<string, string> {
  const properties: Record<string, string> = {};
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/);
  for (let i = 0; i < lines.length; i++) {
    let line = (lines[i] ?? '').replace(/^[ \t\f]+/, '');
    if (line === '' || line.startsWith('#') || line.startsWith('!')) continue;
    const at = i + 1;
    while (/(^|[^\\])(\\\\)*\\$/.test(line) && i + 1 < lines.length) line = line.slice(0, -1) + (lines[++i] ?? '').replace(/^[ \t\f]+/, '');
    const [, key = '', value = ''] = /^((?:\\.|[^\\=: \t\f])*)[ \t\f]*[=:]?[ \t\f]*([\s\S]*)$/.exec(line) ?? [];
    if (key === '') throw new ConfigError(`${file}:${at}: a line without a key`, { code: 'PROPERTIES_SYNTAX', hint: 'Write key=value, or begin a comment with #.' });
    properties[unescaped(key, file, at)] = unescaped(value, file, at);
  }
  return properties;
}

function unescaped(text: string, file: string, line: number): string {
  return text.replace(/\\(u([0-9a-fA-F]{4})|u|[\s\S])/g, (_all, what: string, hex: string | undefined) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    if (what === 'u') throw new ConfigError(`${file}:${line}: \\u needs four hexadecimal digits`, { code: 'PROPERTIES_SYNTAX', hint: 'Write a backslash before u as two backslashes.' });
    return ({ t: '\t', n: '\n', r: '\r', f: '\f' } as Record<string, string>)[what] ?? what;
  });
}

/** A file's text. Throws ConfigError FILE_UNREADABLE. */
export function textOf(file: string): string {
  try { return readFileSync(file, 'utf8'); } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'there is no such file' : code === 'EACCES' ? 'permission denied' : code === 'EISDIR' ? 'it is a directory' : (error as Error).message;
    throw new ConfigError(`Cannot read ${file}: ${reason}`, { code: 'FILE_UNREADABLE', hint: 'Check the path and that this user may read it.' });
  }
}

/** A worker or connector file. JSON is recognised by its first character: a plain map, or `{"name", "config"}`. */
export function readConfigFile(file: string): Record<string, string> {
  const text = textOf(file);
  if (!text.trimStart().startsWith('{')) return parseProperties(text, file);
  let json: unknown;
  try { json = JSON.parse(text); } catch (error) {
    throw new ConfigError(`${file} is no JSON: ${(error as Error).message}`, { code: 'FILE_SYNTAX', hint: 'Correct the file, or give it as .properties.' });
  }
  const { config, name } = json as { readonly config?: unknown; readonly name?: unknown };
  const map = (typeof config === 'object' && config !== null ? { ...config, ...(name === undefined ? {} : { name }) } : json) as Readonly<Record<string, unknown>>;
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, String(value)]));
}
