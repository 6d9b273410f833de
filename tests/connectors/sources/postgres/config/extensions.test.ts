/** What of converters, post processors and stream parameters is refused, and in which words. */
import { describe, expect, it } from 'vitest';
import { postgresConfig } from '../../../../../connectors/sources/postgres/config.ts';
import { streamParameters } from '../../../../../connectors/sources/postgres/config/stream-parameters.ts';
import { parseConfig } from '../../../../../runtime/api/config-parse.ts';

const NEEDED = { 'topic.prefix': 't', 'database.hostname': 'h', 'database.user': 'u', 'database.dbname': 'd' };
const parsed = (options: Readonly<Record<string, string>>) => parseConfig(postgresConfig, { ...NEEDED, ...options });
const problems = (options: Readonly<Record<string, string>>): string[] => parsed(options).problems.map(({ option, message }) => `${option}: ${message}`);
const RESELECT = 'io.debezium.processors.reselect.ReselectColumnsPostProcessor', TIMESTAMP = 'oryanmoshe.kafka.connect.util.TimestampConverter';

describe('post.processors and converters', () => {
  it('take the classes that are built in, and know their options', () => {
    const { problems: none, unknown } = parsed({ 'post.processors': 'a', 'a.type': RESELECT, 'a.reselect.null.values': 'false', 'converters': 'x,y', 'x.type': TIMESTAMP, 'x.debug': 'true', 'y.type': 'org.tributary.converters.TextConverter', 'y.selector': '.*' });
    expect(none).toEqual([]);
    expect(unknown).toEqual([]);
    expect(problems({ 'converters': '', 'post.processors': ' ' })).toEqual([]);
  });
  it.each<readonly [Readonly<Record<string, string>>, RegExp]>([
    [{ 'post.processors': 'a' }, /^post\.processors: .*'a' is listed, but a\.type does not name its class/],
    [{ 'post.processors': 'a', 'a.type': 'com.acme.Mine' }, /a\.type: com\.acme\.Mine is a Java class, which cannot be loaded here; built in is io\.debezium\.processors\.reselect/],
    [{ 'post.processors': 'a', 'a.type': RESELECT, 'a.reselect.null.value': 'false' }, /a\.reselect\.null\.value: the class knows no such option, it has .*a\.reselect\.null\.values/],
    [{ 'post.processors': 'a', 'a.type': RESELECT, 'a.reselect.columns.include.list': '(' }, /include\.list: A comma-separated list of valid regular expressions/],
    [{ 'post.processors': 'a', 'a.type': RESELECT, 'a.reselect.error.handling.mode': 'stop' }, /must be one of warn, fail/],
    [{ 'post.processors': 'a', 'a.type': RESELECT, 'a.reselect.unavailable.values': 'maybe' }, /Either 'true' or 'false' is expected/],
    [{ 'converters': 'x', 'x.type': 'com.acme.Mine' }, /^converters: .*built in are oryanmoshe/],
    [{ 'converters': 'x', 'x.type': 'io.debezium.connector.binlog.converters.TinyIntOneToBooleanConverter' }, /belongs to the MySQL connector/],
    [{ 'converters': 'x', 'x.type': TIMESTAMP, 'x.format.date': 'yyyy-bb' }, /'b' means nothing in the date pattern/],
    [{ 'converters': 'x', 'x.type': 'org.tributary.converters.TextConverter' }, /x\.selector: expressions of the columns/],
  ])('%o is refused', (options, expected) => {
    const found = problems(options);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(expected);
  });
});

describe('slot.stream.params', () => {
  it.each<readonly [string, RegExp | undefined]>([
    ['proto_version=2;streaming=on', undefined], ['origin=none', undefined], ['messages=false;', undefined], ['two_phase=false', undefined],
    ['proto_version=3', /1 or 2 is expected/], ['two_phase=true', /prepared transactions are not read before their commit/], ['binary=true', /values are read as text/],
    ['streaming=parallel', /parallel needs protocol 4/], ['add-tables=public.t', /pgoutput has no parameter 'add-tables', it knows proto_version/], ['streaming', /on or off is expected/],
  ])('%s', (params, expected) => {
    const [found] = problems({ 'slot.stream.params': params });
    if (expected === undefined) expect(found).toBeUndefined(); else expect(found).toMatch(expected);
  });
  it('add to what is asked of the server, and replace it', () => {
    expect([...streamParameters('proto_version=2; streaming=on;binary=false', '"p"', 130_000)]).toEqual([['proto_version', '2'], ['publication_names', '"p"'], ['streaming', 'on']]);
    expect(streamParameters(undefined, '"p"', 140_000).get('messages')).toBe('true');
  });
});
