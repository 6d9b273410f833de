/**
 * The codes of errors and preflight findings, found in the sources: `new XError(message, { code, hint })`,
 * `found(code, severity, option, message, mend)`, and tables of rules `{ code, says, hint }`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import ts from 'typescript';
import { table } from './options-page.ts';

export interface CodeEntry { readonly code: string; readonly kind: string; readonly message: string; readonly mend: string; readonly file: string }

const MEANING: Readonly<Record<string, string>> = {
  ConfigError: 'configuration', NotFoundError: 'not found', ConflictError: 'conflict', RetriableError: 'passing', DataError: 'one record', FatalError: 'a person must act',
};

/** What a text or template says, with `…` for what is filled in. Undefined for anything else. */
function textOf(node: ts.Node | undefined): string | undefined {
  if (node === undefined) return undefined;
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isTemplateExpression(node)) return node.head.text + node.templateSpans.map(({ literal }) => `…${literal.text}`).join('');
  if (ts.isArrowFunction(node)) return textOf(node.body);
  if (ts.isParenthesizedExpression(node)) return textOf(node.expression);
  if (ts.isConditionalExpression(node)) return textOf(node.whenTrue) ?? textOf(node.whenFalse);
  return undefined;
}
function members(node: ts.Node | undefined): ReadonlyMap<string, ts.Expression> {
  if (node === undefined || !ts.isObjectLiteralExpression(node)) return new Map();
  return new Map(node.properties.flatMap(property => (ts.isPropertyAssignment(property) ? [[property.name.getText(), property.initializer] as const] : [])));
}

function entryOf(node: ts.Node): Omit<CodeEntry, 'file'> | undefined {
  if (ts.isNewExpression(node)) {
    const kind = MEANING[node.expression.getText()];
    const [message, facts] = node.arguments ?? [];
    const code = textOf(members(facts).get('code'));
    return kind === undefined || code === undefined ? undefined : { code, kind, message: textOf(message) ?? '…', mend: textOf(members(facts).get('hint')) ?? '' };
  }
  if (ts.isCallExpression(node) && node.expression.getText() === 'found') {
    const [code, severity, , message, mend] = node.arguments.map(textOf);
    return code === undefined ? undefined : { code, kind: `finding: ${severity ?? ''}`, message: message ?? '…', mend: mend ?? '' };
  }
  const rule = members(node);
  const code = textOf(rule.get('code'));
  if (code === undefined || !rule.has('says')) return undefined;
  const kind = rule.has('passing') ? 'passing' : 'a person must act';
  return { code, kind, message: textOf(rule.get('says')) ?? '…', mend: textOf(rule.get('hint')) ?? '' };
}

/** Every place where a code stands, in the order of files and lines. */
export function errorCodes(root: string): readonly CodeEntry[] {
  const files = ['connectors', 'rest', 'runtime'].flatMap(folder => readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).filter(path => path.endsWith('.ts')).map(path => `${folder}/${path.split(sep).join('/')}`)).sort();
  return files.flatMap(file => {
    const found: CodeEntry[] = [];
    const visit = (node: ts.Node): void => {
      const entry = entryOf(node);
      if (entry !== undefined) found.push({ ...entry, file });
      ts.forEachChild(node, visit);
    };
    visit(ts.createSourceFile(file, readFileSync(join(root, file), 'utf8'), ts.ScriptTarget.ES2023, true));
    return found;
  });
}

/** Folder of a file, as a heading: that of the connector, or of the part of the runtime. */
function areaOf(file: string): string {
  const parts = file.split('/').slice(0, -1);
  return parts.slice(0, parts[0] === 'connectors' ? 3 : 2).join('/');
}

export function errorsPage(root: string): string {
  const areas = new Map<string, Map<string, CodeEntry>>();
  for (const entry of errorCodes(root)) {
    const area = areas.get(areaOf(entry.file)) ?? new Map<string, CodeEntry>();
    areas.set(areaOf(entry.file), area);
    if (!area.has(entry.code)) area.set(entry.code, entry);
  }
  const rows = (entries: Iterable<CodeEntry>): (readonly string[])[] => [...entries].sort((a, b) => (a.code < b.code ? -1 : 1)).map(({ code, kind, message, mend }) => [`\`${code}\``, kind, message, mend]);
  return `# Error codes

The code stands in the log (\`code\`), in a task's \`trace\` and behind the message on the command line. \`…\` is filled in.
What the second column says:

- *configuration*: REST answers 400, a command ends with status 1. *not found*: 404. *conflict*: 409.
- *passing*: the task starts again by itself, after 1 s, doubled up to 60 s.
- *one record*: \`errors.tolerance\` decides whether the task fails or the record is skipped and reported.
- *a person must act*: the task is FAILED until it is restarted.
- *finding*: of the preflight, shown by \`config/validate\`; an error as a problem of its option, a warning in the log.

${[...areas].map(([area, entries]) => `## ${area}\n\n${table(['code', 'class', 'message', 'what to do'], rows(entries.values()))}`).join('\n\n')}
`;
}
