/** Python readers for the tests: a virtual environment per set of packages, kept in the kit's cache. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from './postgres.ts';

export interface PythonEnvironment {
  /** Path of the interpreter. */
  readonly python: string;
  /** Runs a script with arguments; returns what it printed, parsed as JSON. Throws with its errors. */
  run(script: string, args: readonly string[]): unknown;
}

/** True when this machine has a python3 that can make virtual environments. */
export const hasPython = (): boolean => spawnSync('python3', ['-c', 'import venv, ensurepip'], { stdio: 'ignore' }).status === 0;

/** `packages` are exact requirements (`pyiceberg==0.12.0`). Made on first use; throws when pip fails. */
export function pythonEnvironment(packages: readonly string[]): PythonEnvironment {
  const home = join(cacheDirectory(), `python-${createHash('sha256').update(packages.join('\n')).digest('hex').slice(0, 12)}`);
  const python = join(home, 'bin', 'python');
  const marker = join(home, 'complete');
  if (!existsSync(marker)) {
    process.stderr.write(`fetching ${packages.join(', ')}\n`);
    rmSync(home, { recursive: true, force: true });
    must(spawnSync('python3', ['-m', 'venv', home], { encoding: 'utf8' }));
    must(spawnSync(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages], { encoding: 'utf8' }));
    writeFileSync(marker, packages.join('\n'));
  }
  return { python, run: (script, args) => JSON.parse(must(spawnSync(python, ['-c', script, ...args], { encoding: 'utf8', maxBuffer: 1 << 28 }))) as unknown };
}

function must({ status, stdout, stderr, error }: { readonly status: number | null; readonly stdout: string; readonly stderr: string; readonly error?: Error }): string {
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`python ended with status ${status}: ${stderr.slice(-4000)}`);
  return stdout;
}

/** Readers of lake tables that we did not write: PyIceberg, delta-rs (deltalake) and Polars, in versions that go together. */
export function lakePython(): PythonEnvironment {
  return pythonEnvironment(['pyiceberg==0.12.0', 'pyarrow==26.0.1', 'pyroaring==1.2.0', 'deltalake==1.6.6', 'polars==2.1.0']);
}
