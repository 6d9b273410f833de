/** Starts the child of the crash matrices (source-crash.ts) and sees it die. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './worker.ts';

/** Where the child dies: before or after the nth statement, append, write of its memory or call whose text matches. */
export interface CrashStep {
  readonly at: 'statement' | 'append' | 'memory' | 'call';
  readonly when: 'before' | 'after';
  readonly matching: string;
  /** Default 1. */
  readonly nth?: number;
  /** The parent hears when the nth call that matches has come. */
  readonly notice?: { readonly matching: string; readonly nth: number };
}

export interface Dying {
  /** Resolves when the child is dead by its own hand; rejects when it ends in another way. */
  readonly dead: Promise<void>;
  /** Resolves when the notice has come, or the child has ended. */
  readonly noticed: Promise<void>;
}

/** Patience with a step, on a machine under load. */
const STEP_MS = 90_000;

/** Compiles the child into `.cache/NAME`, a folder for each test file; Node 20 runs no TypeScript. Resolves with the path of the program. */
export function compileChild(name: string): string {
  const out = join(projectRoot, '.cache', name), program = join(out, 'tests/kit/source-crash.js');
  spawnSync(process.execPath, [join(projectRoot, 'node_modules/typescript/bin/tsc'), '--ignoreConfig', '--noCheck', '--target', 'es2023', '--module', 'nodenext', '--rewriteRelativeImportExtensions', '--types', 'node', '--rootDir', projectRoot, '--outDir', out, join(projectRoot, 'tests/kit/source-crash.ts')], { cwd: projectRoot });
  if (!existsSync(program)) throw new Error('the child program was not compiled');
  return program;
}

/** Starts the child over the log in `directory`; `name` is the step's in errors. */
export function startChild(program: string, directory: string, config: Readonly<Record<string, string>>, name: string, step: CrashStep): Dying {
  const child = spawn(process.execPath, [program, directory, JSON.stringify(config), JSON.stringify(step)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => { said = (said + chunk.toString()).slice(-8000); });
  const patience = setTimeout(() => { child.kill('SIGTERM'); }, STEP_MS);
  const ended = new Promise<string | null>((resolve, reject) => { child.once('error', reject); child.once('exit', (_, reason) => { clearTimeout(patience); resolve(reason); }); });
  const dead = ended.then(signal => { if (signal !== 'SIGKILL') throw new Error(`the step '${name}' did not come: ${signal} ${said}`); });
  dead.catch(() => { /* met by whoever waits for it */ });
  const noticed = Promise.race([new Promise<void>(resolve => { child.stdout.once('data', () => { resolve(); }); }), ended.then(() => undefined)]);
  return { dead, noticed };
}
