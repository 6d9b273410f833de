import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseProperties, readConfigFile } from '../../runtime/properties.ts';

let folder: string;
beforeAll(() => { folder = mkdtempSync(join(tmpdir(), 'properties-')); });
afterAll(() => { rmSync(folder, { recursive: true, force: true }); });
const file = (name: string, text: string): string => { const path = join(folder, name); writeFileSync(path, text); return path; };

describe('.properties', () => {
  it('reads what java.util.Properties reads', () => {
    const text = ['# a comment', '! another', '', 'plain=value', '  indented : by colon', 'by\\ space yes it is', 'empty=', 'alone', 'trailing=keeps blanks  ', 'long=one,\\', '    two,\\', '    three', 'back\\\\slash=c:\\\\temp\\\\', 'unicode=\\u00e9\\t!', 'equals=a=b=c', 'key\\=odd=1'].join('\r\n');
    expect(parseProperties(text, 'x')).toEqual({
      plain: 'value', indented: 'by colon', 'by space': 'yes it is', empty: '', alone: '', trailing: 'keeps blanks  ', long: 'one,two,three', 'back\\slash': 'c:\\temp\\', unicode: 'é\t!', equals: 'a=b=c', 'key=odd': '1',
    });
  });
  it('lets the last of two equal keys win', () => { expect(parseProperties('a=1\na=2', 'x')).toEqual({ a: '2' }); });
  it('names file and line of what it cannot read', () => {
    expect(() => parseProperties('ok=1\nbad=\\u12', 'worker.properties')).toThrow(/worker\.properties:2/);
    expect(() => parseProperties('=value', 'worker.properties')).toThrow(/worker\.properties:1: a line without a key/);
  });
  it('says why a file cannot be read', () => {
    expect(() => readConfigFile(join(folder, 'absent.properties'))).toThrow(/absent\.properties: there is no such file/);
    expect(() => readConfigFile(folder)).toThrow(/it is a directory/);
    expect(() => readConfigFile(file('broken.json', '{"name": '))).toThrow(/broken\.json is no JSON/);
  });
  it('takes both forms of JSON', () => {
    expect(readConfigFile(file('flat.json', '{"name":"a","tasks.max":1}'))).toEqual({ name: 'a', 'tasks.max': '1' });
    expect(readConfigFile(file('nested.json', '{"name":"a","config":{"tasks.max":"1"}}'))).toEqual({ name: 'a', 'tasks.max': '1' });
  });
});
