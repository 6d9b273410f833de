import { describe, expect, it } from 'vitest';
import { LogLevels, parseLevel } from '../../../runtime/worker/log-levels.ts';

describe('levels of loggers', () => {
  const make = (): { readonly levels: LogLevels; readonly heard: string[] } => {
    const heard: string[] = [];
    const levels = new LogLevels('INFO', () => 42);
    for (const name of ['a.b.C', 'a.b.C.x', 'a.bb']) levels.use(name, level => { heard.push(`${name}=${level}`); });
    heard.length = 0;
    return { levels, heard };
  };

  it('hold for the names below, and for nothing that only begins alike', () => {
    const { levels, heard } = make();
    expect(levels.change('a.b', 'DEBUG')).toEqual(['a.b', 'a.b.C', 'a.b.C.x']);
    expect(heard).toEqual(['a.b.C=DEBUG', 'a.b.C.x=DEBUG']);
    expect(levels.get('a.b.C.x')).toEqual({ level: 'DEBUG', lastModified: 42 });
    expect(levels.get('a.bb')).toEqual({ level: 'INFO', lastModified: null });
  });
  it('are inherited by loggers that come later', () => {
    const { levels } = make();
    levels.change('a.b', 'TRACE');
    let level = '';
    levels.use('a.b.D', next => { level = next; });
    expect(level).toBe('TRACE');
  });
  it('of a name above replace those of names below', () => {
    const { levels } = make();
    levels.change('a.b.C', 'TRACE');
    levels.change('root', 'ERROR');
    expect([...levels.all().values()].every(({ level }) => level === 'ERROR')).toBe(true);
  });
  it('that are set already change nothing', () => {
    const { levels, heard } = make();
    expect(levels.change('a.b.C', 'INFO')).toEqual([]);
    expect(levels.change('root', 'INFO')).toEqual([]);
    expect(heard).toEqual([]);
  });
  it('of unknown names are not found', () => {
    const { levels } = make();
    expect(() => levels.get('no.such')).toThrow('Logger no.such not found.');
  });
  it('leave with their logger', () => {
    const { levels, heard } = make();
    const leave = levels.use('z', level => { heard.push(level); });
    leave();
    heard.length = 0;
    levels.change('root', 'WARN');
    expect(heard).not.toContain('WARN');
    expect(levels.all().has('z')).toBe(false);
  });
  it('are spelt in any case', () => {
    expect(['debug', 'Warn', 'ALL', 'off', 'loud'].map(parseLevel)).toEqual(['DEBUG', 'WARN', 'TRACE', 'OFF', undefined]);
  });
});
