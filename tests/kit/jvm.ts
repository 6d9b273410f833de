/**
 * Java for tests: finds a JDK (17 or newer) and Maven, and lets Maven copy jars into the cache. Neither comes from npm, so
 * a machine without them skips those tests with a line that says so; in CI a skipped test is a failure (tests/run.mjs).
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from './postgres.ts';

const LEAST_JAVA = 17;

function command(name: string): string {
  const home = process.env['JAVA_HOME'];
  return home !== undefined && existsSync(join(home, 'bin', name)) ? join(home, 'bin', name) : name;
}
/** `java` and `keytool`, from JAVA_HOME or the path. */
export const java = (): string => command('java');
export const keytool = (): string => command('keytool');

let missing: string | undefined | null = null;
/** What this machine lacks for tests with Java; undefined when they can run. Said once on stderr. */
export function javaMissing(): string | undefined {
  if (missing !== null) return missing;
  const version = spawnSync(java(), ['-version'], { encoding: 'utf8' });
  const major = Number(/version "(\d+)/.exec(version.stderr)?.[1] ?? '0');
  if (major < LEAST_JAVA) missing = `no Java ${LEAST_JAVA} or newer`;
  else missing = spawnSync('mvn', ['-version'], { encoding: 'utf8' }).status === 0 ? undefined : 'no Maven';
  if (missing !== undefined) process.stderr.write(`skipping tests with Kafka: there is ${missing} on this machine\n`);
  return missing;
}

/** `group:artifact:version` */
export type Coordinates = string;

/**
 * Folder with these artifacts and all that they need at run time, copied by Maven once. `name` is the folder's name in the
 * cache: give another one when the list changes. Two processes that want it at once each copy; the first one in place wins.
 */
export function jars(name: string, artifacts: readonly Coordinates[]): string {
  const home = join(cacheDirectory(), `jars-${name}`);
  if (existsSync(home)) return home;
  process.stderr.write(`fetching ${name} with Maven\n`);
  const making = join(cacheDirectory(), `making-${name}-${process.pid}`);
  rmSync(making, { recursive: true, force: true });
  mkdirSync(making, { recursive: true });
  const dependencies = artifacts.map(one => {
    const [group, artifact, version] = one.split(':');
    return `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`;
  });
  writeFileSync(join(making, 'pom.xml'), `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>tributary</groupId><artifactId>jars</artifactId><version>1</version><packaging>pom</packaging><dependencies>${dependencies.join('')}</dependencies></project>`);
  execFileSync('mvn', ['-q', '-B', '-ntp', '-f', join(making, 'pom.xml'), 'dependency:copy-dependencies', `-DoutputDirectory=${join(making, 'jars')}`, '-DincludeScope=runtime'], { stdio: ['ignore', 'ignore', 'inherit'] });
  try { renameSync(join(making, 'jars'), home); } catch (error) { if (!existsSync(home)) throw error; }
  rmSync(making, { recursive: true, force: true });
  return home;
}
