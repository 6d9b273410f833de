/** A declaration of options → a page. */
import type { ConfigDef, Option } from '../../runtime/api/config.ts';

/** Text that may stand in a table's cell. */
export function cell(text: string): string { return text.replaceAll('|', '\\|').replace(/\s*\n\s*/g, ' '); }
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [`| ${head.join(' | ')} |`, `|${head.map(() => '---|').join('')}`, ...rows.map(row => `| ${row.map(cell).join(' | ')} |`)].join('\n');
}

function shownDefault({ type, required, defaultText }: Option<unknown>): string {
  if (required) return '**required**';
  if (defaultText === null) return '';
  return type === 'PASSWORD' ? '`[hidden]`' : defaultText === '' ? 'empty' : `\`${defaultText}\``;
}
function shownDoc({ doc, choices, aliases }: Option<unknown>): string {
  const values = choices === undefined ? '' : ` One of ${choices.map(choice => `\`${choice}\``).join(', ')}.`;
  const names = aliases.length === 0 ? '' : ` Also written ${aliases.map(alias => `\`${alias}\``).join(', ')}.`;
  return `${doc}${values}${names}`;
}

/** The options by their groups, in the order of the declaration. `level` is that of the headings. */
export function optionTables(def: ConfigDef, level = 2): string {
  const groups = new Map<string, (readonly string[])[]>();
  for (const [name, option] of Object.entries(def.options)) {
    if (option.hidden) continue;
    const rows = groups.get(option.group) ?? [];
    groups.set(option.group, rows);
    rows.push([`\`${name}\``, option.type.toLowerCase(), shownDefault(option), option.importance.toLowerCase(), shownDoc(option)]);
  }
  if (groups.size === 0) return 'No options.';
  return [...groups].map(([group, rows]) => `${group === '' || groups.size === 1 ? '' : `${'#'.repeat(level)} ${group}\n\n`}${table(['option', 'type', 'default', 'importance', 'meaning'], rows)}`).join('\n\n');
}

/** Keys beside the options that are taken as well, as their patterns. */
export function familyList(def: ConfigDef): string {
  if (def.families.length === 0) return '';
  return `\n\nKeys of these forms are taken as well: ${def.families.map(({ source }) => `\`${source.replace(/^\^/, '').replace(/\$$/, '').replaceAll('\\', '')}\``).join(', ')}.`;
}
