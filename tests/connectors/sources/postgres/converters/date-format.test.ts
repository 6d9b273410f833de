import { expect, it } from 'vitest';
import { dateFormat } from '../../../../../connectors/sources/postgres/converters/date-format.ts';

const at = new Date('2024-12-30T04:05:06.078Z');

it.each([
  ["yyyy-MM-dd'T'HH:mm:ss.SSS'Z'", '2024-12-30T04:05:06.078Z'], ['yy/M/d', '24/12/30'], ['YYYY', '2025'], ['EEE, d MMM yyyy', 'Mon, 30 Dec 2024'], ['EEEE MMMM', 'Monday December'],
  ['hh:mm a', '04:05 AM'], ['K k h H', '4 4 4 4'], ["''yyyy''", "'2024'"], ["'o''clock'", "o'clock"], ['D u', '365 1'], ['z Z X', 'UTC +0000 Z'], ['dd. MM. (yyyy)', '30. 12. (2024)'],
])('%s gives %s', (pattern, expected) => { expect(dateFormat(pattern)(at)).toBe(expected); });
it('refuses letters that mean nothing and quotes without end', () => {
  expect(() => dateFormat('yyyy-bb')).toThrow(/'b' means nothing/);
  expect(() => dateFormat("yyyy'T")).toThrow(/does not end/);
});
