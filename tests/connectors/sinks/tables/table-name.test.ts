import { expect, test } from 'vitest';
import { tableSinkOptions, warehousePath } from '../../../../connectors/sinks/tables/options.ts';
import { tableNaming } from '../../../../connectors/sinks/tables/table-name.ts';

const facts = { topic: 'cdc.public.orders', db: 'shop', schema: 'public', table: 'orders' };

test('by default a table is named by schema and table of the source, else by the topic', () => {
  const naming = tableNaming('');
  expect(naming.name(facts)).toEqual(['public', 'orders']);
  expect(naming.name({ ...facts, schema: undefined })).toEqual(['shop', 'orders']);
  expect(naming.name({ topic: 'cdc.public.orders', db: undefined, schema: undefined, table: undefined })).toEqual(['public', 'orders']);
  expect(naming.name({ topic: 'orders', db: undefined, schema: undefined, table: undefined })).toEqual(['orders']);
  expect(naming.guess('cdc.public.orders')).toEqual(['public', 'orders']);
  expect(naming.guess('orders')).toBeUndefined();
});

test('a format is filled in, and tells the table from the topic when it can', () => {
  expect(tableNaming('lake.${source.schema}_${source.table}').name(facts)).toEqual(['lake', 'public_orders']);
  expect(tableNaming('lake.${source.table}').guess('cdc.public.orders')).toBeUndefined();
  expect(tableNaming('${topic}').guess('cdc.public.orders')).toEqual(['cdc', 'public', 'orders']);
  expect(tableNaming('fixed.name').guess('any')).toEqual(['fixed', 'name']);
});

test('a regular expression that is none is refused, and a warehouse may be a URL', () => {
  expect(() => tableSinkOptions['topics.regex'].parse('(')).toThrow(/regular expression/);
  expect(warehousePath('file:///tmp/a%20b')).toBe('/tmp/a b');
  expect(warehousePath('/tmp/x')).toBe('/tmp/x');
});
