/**
 * `topic.creation.*` of a source connector (KIP-158): which settings a topic is made with. The first group whose `include`
 * matches the whole name, and whose `exclude` does not, decides; `default` takes the rest. Other keys of a group are
 * topic configs. Source: org.apache.kafka.connect.runtime.SourceConnectorConfig and TopicCreationConfig.
 */
import { ConfigError } from '../../api/errors.ts';
import type { NewTopic } from './protocol/admin-api.ts';

type Properties = Readonly<Record<string, string>>;
interface Group { readonly name: string; readonly include: RegExp | undefined; readonly exclude: RegExp | undefined; readonly partitions: number; readonly replicationFactor: number; readonly configs: Properties }

const PREFIX = 'topic.creation.';
const OWN = new Set(['include', 'exclude', 'partitions', 'replication.factor']);

/** Makes the settings of a topic from its name; undefined when the connector has no `topic.creation.` keys: the brokers decide then. Throws ConfigError TOPIC_CREATION. */
export function topicCreation(config: Properties): ((name: string) => NewTopic) | undefined {
  if (!Object.keys(config).some(key => key.startsWith(PREFIX))) return undefined;
  const names = (config[`${PREFIX}groups`] ?? '').split(',').map(name => name.trim()).filter(name => name !== '' && name !== 'default');
  const fallback = group('default', config, undefined);
  const groups = names.map(name => group(name, config, fallback));
  return name => {
    const { partitions, replicationFactor, configs } = groups.find(({ include, exclude }) => include?.test(name) === true && exclude?.test(name) !== true) ?? fallback;
    return { name, partitions, replicationFactor, configs };
  };
}

function group(name: string, config: Properties, fallback: Group | undefined): Group {
  const prefix = `${PREFIX}${name}.`;
  const text = (key: string): string | undefined => config[prefix + key]?.trim();
  const count = (key: 'partitions' | 'replication.factor', inherited: number | undefined): number => {
    const given = text(key);
    if (given === undefined && inherited !== undefined) return inherited;
    const value = Number(given);
    if (given === undefined) throw invalid(prefix + key, 'it is required as soon as another topic.creation option is set');
    if (!/^[+-]?\d+$/.test(given) || (value < 1 && value !== -1)) throw invalid(prefix + key, 'it must be a positive number, or -1 for the brokers\' default');
    return value;
  };
  const configs = Object.fromEntries(Object.entries(config).filter(([key]) => key.startsWith(prefix) && !OWN.has(key.slice(prefix.length))).map(([key, value]) => [key.slice(prefix.length), value]));
  const include = pattern(prefix, 'include', text('include'));
  if (fallback !== undefined && include === undefined) throw invalid(`${prefix}include`, 'a group needs it');
  return { name, include, exclude: pattern(prefix, 'exclude', text('exclude')), partitions: count('partitions', fallback?.partitions), replicationFactor: count('replication.factor', fallback?.replicationFactor), configs };
}

/** A list of regular expressions; one of them has to match the whole name. */
function pattern(prefix: string, key: string, text: string | undefined): RegExp | undefined {
  if (text === undefined || text === '') return undefined;
  try { return new RegExp(`^(?:${text.split(',').map(part => part.trim()).join('|')})$`, 'u'); } catch (error) { throw invalid(prefix + key, (error as Error).message); }
}

function invalid(option: string, what: string): ConfigError {
  return new ConfigError(`Invalid value for configuration ${option}: ${what}`, { code: 'TOPIC_CREATION', hint: 'See topic.creation.* of Kafka Connect\'s source connectors.' });
}
