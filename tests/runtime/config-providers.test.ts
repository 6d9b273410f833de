import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { configProviders, resolveProviders, resolveWorker } from '../../runtime/config-providers.ts';
import { temporaryDirectory } from '../kit/directories.ts';

const home = temporaryDirectory('providers-');
afterAll(() => { home[Symbol.dispose](); });
const file = (name: string, text: string): string => { const path = join(home.path, name); writeFileSync(path, text); return path; };
const BUILT_IN = configProviders({});
const CLASS = 'org.apache.kafka.common.config.provider';

describe('configuration providers', () => {
  it('fill in file, env, dir and directory', () => {
    const secrets = file('secrets.properties', 'password=p:w\n');
    file('token', 'from a file');
    expect(resolveProviders({ a: `\${file:${secrets}:password}`, b: 'x-${env:NAME}-y', c: `\${dir:${home.path}:token}\${directory:${home.path}:token}`, d: 'cost: $5 ${other} ${topic:x}' }, BUILT_IN, { NAME: 'n' }))
      .toEqual({ a: 'p:w', b: 'x-n-y', c: 'from a filefrom a file', d: 'cost: $5 ${other} ${topic:x}' });
  });
  it('name the key and what is missing, never a value', () => {
    const secrets = file('secrets2.properties', 'other=hidden-value\n');
    expect(() => resolveProviders({ 'database.password': '${env:ABSENT}' }, BUILT_IN, {})).toThrow(/database\.password: the environment has no variable ABSENT/);
    expect(() => resolveProviders({ a: `\${file:${secrets}:password}` })).toThrow(/has no key password/);
    expect(() => resolveProviders({ a: '${file:nonsense}' })).toThrow(/needs a path and a name/);
  });
  it('have the names that the worker file gives them', () => {
    const secrets = file('vault.properties', 'user=u\n');
    const worker = { 'config.providers': 'vault, vars', 'config.providers.vault.class': `${CLASS}.FileConfigProvider`, 'config.providers.vars.class': `${CLASS}.EnvVarConfigProvider`, 'log.dir': '${vars:HOME_OF_LOG}' };
    expect(resolveProviders({ a: `\${vault:${secrets}:user}` }, configProviders(worker))).toEqual({ a: 'u' });
    expect(resolveWorker(worker, { HOME_OF_LOG: '/log' })['log.dir']).toBe('/log');
  });
  it('refuse classes that are not there', () => {
    expect(() => configProviders({ 'config.providers': 'v', 'config.providers.v.class': 'com.example.VaultConfigProvider' })).toThrow(/com\.example\.VaultConfigProvider for configuration config\.providers\.v\.class/);
    expect(() => configProviders({ 'config.providers': 'v' })).toThrow(/config\.providers\.v\.class/);
    expect(() => configProviders({ 'config.providers': 'env', 'config.providers.env.param.allowlist.pattern': '(' })).toThrow(/allowlist\.pattern/);
  });
});

describe('allow lists', () => {
  const inside = join(home.path, 'inside');
  mkdirSync(inside);
  const outside = file('outside.properties', 'k=secret\n');
  writeFileSync(join(inside, 'ok.properties'), 'k=v\n');
  symlinkSync(outside, join(inside, 'link.properties'));
  const providers = configProviders({
    'config.providers': 'file,dir,env', 'config.providers.file.class': `${CLASS}.FileConfigProvider`, 'config.providers.file.param.allowed.paths': `${inside},/nowhere`,
    'config.providers.dir.param.allowed.paths': inside, 'config.providers.env.param.allowlist.pattern': 'SHOP_.*',
  });
  const read = (value: string, environment = {}): string | undefined => resolveProviders({ a: value }, providers, environment)['a'];

  it('let pass what lies inside', () => {
    expect(read(`\${file:${inside}/ok.properties:k}`)).toBe('v');
    expect(read(`\${dir:${inside}:ok.properties}`)).toBe('k=v\n');
    expect(read('${env:SHOP_PASSWORD}', { SHOP_PASSWORD: 'p' })).toBe('p');
  });
  it.each(['${file:OUT:k}', '${file:IN/../outside.properties:k}', '${file:IN/link.properties:k}', '${file:IN2/ok.properties:k}', '${dir:HOME:outside.properties}', '${dir:IN:../outside.properties}', '${env:HOME}', '${env:XSHOP_A}'])('keep %s out', reference => {
    const value = reference.replace('OUT', outside).replace('IN2', `${inside}2`).replace('IN', inside).replace('HOME:', `${home.path}:`);
    expect(() => read(value, { HOME: 'secret', XSHOP_A: 'secret' })).toThrow(/may not read|is no name/);
    expect(() => read(value, { HOME: 'secret', XSHOP_A: 'secret' })).not.toThrow(/secret/);
  });
});
