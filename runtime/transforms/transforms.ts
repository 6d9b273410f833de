/** `transforms` and `predicates` of a connector → one chain. The registries are the only list of what exists. */
import type { ConnectRecord } from '../../envelopes/record.ts';
import type { ConfigDef, ConfigOf, Problem } from '../api/config.ts';
import { parseConfig, propertiesUnder, type Properties } from '../api/config-parse.ts';
import type { Transform } from '../api/converter.ts';
import { ConfigError, TributaryError } from '../api/errors.ts';
import { extractNewRecordState, extractNewRecordStateConfig } from './extract-new-record-state.ts';
import { byLogicalTableRouter, byLogicalTableRouterConfig } from './by-logical-table-router.ts';
import { eventRouter, eventRouterConfig } from './event-router.ts';
import { cast, castConfig } from './connect/cast.ts';
import { flatten, flattenConfig } from './connect/flatten.ts';
import { headerFrom, headerFromConfig } from './connect/header-from.ts';
import { maskField, maskFieldConfig } from './connect/mask-field.ts';
import { setSchemaMetadata, setSchemaMetadataConfig } from './connect/set-schema-metadata.ts';
import { timestampConverter, timestampConverterConfig } from './connect/timestamp-converter.ts';
import { timestampRouter, timestampRouterConfig } from './connect/timestamp-router.ts';
import { changedRecordState, changedRecordStateConfig } from './debezium/changed-record-state.ts';
import { decodeMessage, decodeMessageConfig } from './debezium/decode-message.ts';
import { headerToValue, headerToValueConfig } from './debezium/header-to-value.ts';
import { partitionRouting, partitionRoutingConfig } from './debezium/partition-routing.ts';
import { timezoneConverter, timezoneConverterConfig } from './debezium/timezone-converter.ts';
import * as predicates from './predicates.ts';
import * as simple from './simple.ts';

interface Entry<T> { readonly config: ConfigDef; make(properties: Properties, at: string): T }

function entry<D extends ConfigDef, T>(config: D, make: (config: ConfigOf<D>) => T): Entry<T> {
  return {
    config,
    make: (properties, at) => {
      const parsed = parseConfig(config, properties);
      if (parsed.config === undefined) throw new ConfigError(parsed.problems.map(({ option, message }) => message.replaceAll(option, `${at}.${option}`)).join('\n'), { code: 'TRANSFORM_OPTION' });
      return make(parsed.config);
    },
  };
}

const connect = 'org.apache.kafka.connect.transforms';
function sided<D extends ConfigDef>(name: string, config: D, make: (side: 'key' | 'value') => (config: ConfigOf<D>) => Transform): Record<string, Entry<Transform>> {
  return { [`${connect}.${name}$Key`]: entry(config, make('key')), [`${connect}.${name}$Value`]: entry(config, make('value')) };
}

const transforms: Readonly<Record<string, Entry<Transform>>> = {
  'io.debezium.transforms.ExtractNewRecordState': entry(extractNewRecordStateConfig, extractNewRecordState),
  'io.debezium.connector.postgresql.transforms.DecodeLogicalDecodingMessageContent': entry(decodeMessageConfig, decodeMessage),
  'io.debezium.transforms.ExtractChangedRecordState': entry(changedRecordStateConfig, changedRecordState),
  'io.debezium.transforms.HeaderToValue': entry(headerToValueConfig, headerToValue),
  'io.debezium.transforms.TimezoneConverter': entry(timezoneConverterConfig, timezoneConverter),
  'io.debezium.transforms.partitions.PartitionRouting': entry(partitionRoutingConfig, partitionRouting),
  'io.debezium.transforms.ByLogicalTableRouter': entry(byLogicalTableRouterConfig, byLogicalTableRouter),
  'io.debezium.transforms.outbox.EventRouter': entry(eventRouterConfig, eventRouter),
  [`${connect}.RegexRouter`]: entry(simple.regexRouterConfig, simple.regexRouter),
  [`${connect}.Filter`]: entry(simple.noConfig, simple.filter),
  [`${connect}.DropHeaders`]: entry(simple.dropHeadersConfig, simple.dropHeaders),
  [`${connect}.InsertHeader`]: entry(simple.insertHeaderConfig, simple.insertHeader),
  [`${connect}.ValueToKey`]: entry(simple.valueToKeyConfig, simple.valueToKey),
  ...sided('ExtractField', simple.extractFieldConfig, simple.extractField),
  ...sided('HoistField', simple.hoistFieldConfig, simple.hoistField),
  ...sided('ReplaceField', simple.replaceFieldConfig, simple.replaceField),
  ...sided('InsertField', simple.insertFieldConfig, simple.insertField),
  ...sided('Cast', castConfig, cast),
  ...sided('Flatten', flattenConfig, flatten),
  ...sided('HeaderFrom', headerFromConfig, headerFrom),
  ...sided('MaskField', maskFieldConfig, maskField),
  ...sided('SetSchemaMetadata', setSchemaMetadataConfig, setSchemaMetadata),
  ...sided('TimestampConverter', timestampConverterConfig, timestampConverter),
  [`${connect}.TimestampRouter`]: entry(timestampRouterConfig, timestampRouter),
};
const conditions: Readonly<Record<string, Entry<predicates.Predicate>>> = {
  [`${connect}.predicates.TopicNameMatches`]: entry(predicates.topicNameMatchesConfig, predicates.topicNameMatches),
  [`${connect}.predicates.HasHeaderKey`]: entry(predicates.hasHeaderKeyConfig, predicates.hasHeaderKey),
  [`${connect}.predicates.RecordIsTombstone`]: entry(predicates.recordIsTombstoneConfig, predicates.recordIsTombstone),
  'org.tributary.transforms.predicates.FieldIsNull': entry(predicates.fieldIsNullConfig, predicates.fieldIsNull),
};
/** Full class names, for the list of plugins. */
export const transformNames: readonly string[] = Object.keys(transforms);
export const predicateNames: readonly string[] = Object.keys(conditions);

/** The declaration of a transform or predicate by its full class name. */
export function transformConfig(name: string): ConfigDef | undefined { return (transforms[name] ?? conditions[name])?.config; }

function aliases(text: string | undefined): readonly string[] { return (text ?? '').split(',').map(alias => alias.trim()).filter(alias => alias !== ''); }

function lookUp<T>(table: Readonly<Record<string, Entry<T>>>, option: string, type: string | undefined): Entry<T> {
  if (type === undefined) throw new ConfigError(`Missing required configuration "${option}" which has no default value.`, { code: 'TRANSFORM_TYPE' });
  const found = table[type] ?? Object.entries(table).find(([name]) => name.slice(name.lastIndexOf('.') + 1) === type)?.[1];
  if (found === undefined) throw new ConfigError(`Invalid value ${type} for configuration ${option}: Class ${type} could not be found.`, { code: 'TRANSFORM_UNKNOWN', hint: `Known here: ${Object.keys(table).join(', ')}.` });
  return found;
}

/** The chain that a connector's properties ask for, in order. Throws ConfigError TRANSFORM_TYPE, TRANSFORM_UNKNOWN, TRANSFORM_OPTION, PREDICATE_UNKNOWN. */
export function createTransforms(properties: Properties): readonly Transform[] {
  const known = new Map(aliases(properties['predicates']).map(alias => {
    const { type, ...options } = propertiesUnder(`predicates.${alias}`, properties);
    return [alias, lookUp(conditions, `predicates.${alias}.type`, type).make(options, `predicates.${alias}`)] as const;
  }));
  return aliases(properties['transforms']).map(alias => {
    const { type, predicate, negate, ...options } = propertiesUnder(`transforms.${alias}`, properties);
    const transform = lookUp(transforms, `transforms.${alias}.type`, type).make(options, `transforms.${alias}`);
    if (predicate === undefined) return transform;
    const condition = known.get(predicate);
    if (condition === undefined) throw new ConfigError(unknownPredicate(alias, predicate), { code: 'PREDICATE_UNKNOWN' });
    const when = negate?.trim().toLowerCase() !== 'true';
    return { apply: (record: ConnectRecord) => (condition(record) === when ? transform.apply(record) : record) };
  });
}

/** What is wrong with `transforms` and `predicates`: every alias is looked at, each problem stands at the option that it is about. */
export function transformProblems(properties: Properties): readonly Problem[] {
  const check = <T>(kind: 'transforms' | 'predicates', table: Readonly<Record<string, Entry<T>>>): Problem[] => aliases(properties[kind]).flatMap(alias => {
    const { type, predicate, negate: _negate, ...options } = propertiesUnder(`${kind}.${alias}`, properties);
    const at = `${kind}.${alias}`;
    try { lookUp(table, `${at}.type`, type).make(options, at); } catch (error) {
      if (!(error instanceof TributaryError)) throw error;
      const named = /configuration "?([^\s":]+)"?/.exec(error.message)?.[1];
      return [{ option: named?.startsWith(at) === true ? named : `${at}.type`, message: error.message }];
    }
    if (kind === 'predicates' || predicate === undefined || aliases(properties['predicates']).includes(predicate)) return [];
    return [{ option: `${at}.predicate`, message: unknownPredicate(alias, predicate) }];
  });
  return [...check('transforms', transforms), ...check('predicates', conditions)];
}
function unknownPredicate(alias: string, predicate: string): string {
  return `Invalid value ${predicate} for configuration transforms.${alias}.predicate: there is no such alias in 'predicates'`;
}
