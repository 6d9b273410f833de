/**
 * `sasl.jaas.config`: `Module required key="value" key=value;`, one entry. It is read as text; no class is ever loaded.
 *
 *   entry  := class flag option* ';'
 *   flag   := required | requisite | sufficient | optional
 *   option := name '=' ( '"' ( char | '\' char )* '"' | word )
 *
 * Source: docs.oracle.com, "JAAS Login Configuration File", and org.apache.kafka.common.security.JaasConfig.
 */
import { ConfigError } from '../../../api/errors.ts';

export interface JaasEntry { readonly module: string; readonly options: Readonly<Record<string, string>> }

const FLAGS = new Set(['required', 'requisite', 'sufficient', 'optional']);
const TOKEN = /\s*(?:"((?:[^"\\]|\\.)*)"|([=;])|([^\s"=;]+))/gy;

/** Throws ConfigError JAAS_INVALID; the text, which holds secrets, is never part of the message. */
export function parseJaas(text: string): JaasEntry {
  const tokens: { readonly text: string; readonly quoted: boolean }[] = [];
  TOKEN.lastIndex = 0;
  const trimmed = text.trim();
  while (TOKEN.lastIndex < trimmed.length) {
    const match = TOKEN.exec(trimmed);
    if (match === null) throw invalid('a quotation mark is not closed');
    const [, quoted, mark, word] = match;
    tokens.push(quoted === undefined ? { text: mark ?? word ?? '', quoted: false } : { text: quoted.replace(/\\(.)/g, '$1'), quoted: true });
  }
  const [module, flag] = tokens;
  if (module === undefined || module.text === '' || '=;'.includes(module.text)) throw invalid('the login module is missing');
  if (flag === undefined || !FLAGS.has(flag.text.toLowerCase())) throw invalid('the login module must be followed by required, requisite, sufficient or optional');
  const last = tokens.at(-1);
  if (last === undefined || last.quoted || last.text !== ';') throw invalid('it must end with a semicolon');
  const options: Record<string, string> = {};
  const rest = tokens.slice(2, -1);
  for (let i = 0; i < rest.length; i += 3) {
    const [name, equals, value] = rest.slice(i, i + 3);
    if (name === undefined || equals?.text !== '=' || equals.quoted || value === undefined || (!value.quoted && '=;'.includes(value.text))) throw invalid('options have the form name="value", and there is one login module');
    options[name.text] = value.text;
  }
  return { module: module.text, options };
}

function invalid(what: string): ConfigError {
  return new ConfigError(`Invalid value for configuration sasl.jaas.config: ${what}`, { code: 'JAAS_INVALID', hint: 'Write: org.apache.kafka.common.security.scram.ScramLoginModule required username="…" password="…";' });
}
