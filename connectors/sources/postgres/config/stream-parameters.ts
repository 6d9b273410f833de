/** Options of START_REPLICATION for pgoutput (PostgreSQL manual, "Logical Streaming Replication Parameters"); `slot.stream.params` adds to ours and replaces them. */
import type { Problem } from '../../../../runtime/api/config.ts';

const OPTION = 'slot.stream.params';
const ON_OFF = /^(true|false|on|off|1|0)$/i;
/** What each parameter may say, or why it may not be set at all. */
const KNOWN: Readonly<Record<string, { readonly values: RegExp; readonly says: string }>> = {
  proto_version: { values: /^[12]$/, says: '1 or 2 is expected: later ones send prepared and parallel transactions, which are not read' },
  streaming: { values: ON_OFF, says: 'on or off is expected; parallel needs protocol 4' },
  messages: { values: ON_OFF, says: 'on or off is expected' },
  origin: { values: /^(none|any)$/i, says: 'none or any is expected' },
  publication_names: { values: /./, says: 'a name is expected' },
  two_phase: { values: /^(false|off|0)$/i, says: 'prepared transactions are not read before their commit' },
  binary: { values: /^(false|off|0)$/i, says: 'values are read as text' },
};

function pairs(text: string | undefined): (readonly [string, string | undefined])[] {
  return (text ?? '').split(';').map(part => part.trim()).filter(part => part !== '').map(part => {
    const at = part.indexOf('=');
    return at < 0 ? [part, undefined] : [part.slice(0, at).trim(), part.slice(at + 1).trim()];
  });
}

export function streamParameterProblems(text: string | undefined): Problem[] {
  return pairs(text).flatMap(([name, value]) => {
    const known = KNOWN[name];
    const wrong = known === undefined ? `pgoutput has no parameter '${name}', it knows ${Object.keys(KNOWN).join(', ')}` : value === undefined || !known.values.test(value) ? `${name}: ${known.says}` : undefined;
    return wrong === undefined ? [] : [{ option: OPTION, message: `The '${OPTION}' value is invalid: ${wrong}` }];
  }).slice(0, 1);
}

/** `publication` is quoted, `version` the server's as server_version_num has it. */
export function streamParameters(text: string | undefined, publication: string, version: number): ReadonlyMap<string, string> {
  // Servers below 14 do not know `messages`.
  const parameters = new Map([['proto_version', '1'], ['publication_names', publication], ...(version >= 140_000 ? [['messages', 'true'] as const] : [])]);
  for (const [name, value = ''] of pairs(text)) if (name !== 'two_phase' && name !== 'binary') parameters.set(name, value);
  return parameters;
}
