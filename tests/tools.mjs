/**
 * What the commands of package.json share: install when nothing is installed, build, run a step and say so. Plain
 * JavaScript, since it runs before anything is installed.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const seconds = since => `${((Date.now() - since) / 1000).toFixed(1)} s`;

/** Runs a program in the project's root with our input and output. Returns its exit status; a signal counts as 1. */
export function run(title, program, args, environment = {}) {
  const since = Date.now();
  process.stdout.write(`\n▶ ${title}\n`);
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...environment } });
  if (error !== undefined) process.stdout.write(`${error.message}\n`);
  process.stdout.write(`${status === 0 ? '✔' : '✘'} ${title} (${seconds(since)})\n`);
  return status ?? 1;
}

const bin = (name, file) => join(root, 'node_modules', name, file);
/** Runs a program that npm installed, by its own file: no shell, the same on every platform. */
export const runNode = (title, [name, file], args, environment) => run(title, process.execPath, [bin(name, file), ...args], environment);

/** The same beside others: its output comes in one piece when it has ended. Resolves to its exit status. */
export function runNodeBeside(title, [name, file], args) {
  const since = Date.now(), output = [];
  const child = spawn(process.execPath, [bin(name, file), ...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => { output.push(chunk); });
  return new Promise(resolve => {
    child.once('error', error => { output.push(Buffer.from(`${error.message}\n`)); });
    child.once('close', status => {
      process.stdout.write(`\n▶ ${title}\n${Buffer.concat(output).toString()}${status === 0 ? '✔' : '✘'} ${title} (${seconds(since)})\n`);
      resolve(status ?? 1);
    });
  });
}

export const tools = { tsc: ['typescript', 'bin/tsc'], vitest: ['vitest', 'vitest.mjs'], biome: ['@biomejs/biome', 'bin/biome'], eslint: ['eslint', 'bin/eslint.js'], knip: ['knip', 'bin/knip.js'] };

/** npm ci when node_modules is missing or older than the lock file. Ends the process when it fails. */
export function install() {
  const installed = join(root, 'node_modules', '.package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(join(root, 'package-lock.json')).mtimeMs - 1000) return;
  if (existsSync(installed) && process.env.TRIBUTARY_CI !== '1') return; // a developer's own tree: npm install is theirs to call
  if (run('install dependencies (npm ci)', 'npm', ['ci', '--no-audit', '--no-fund']) !== 0) process.exit(1);
}

/** tsc into dist. Ends the process when it fails. */
export function build() {
  if (!existsSync(join(root, 'dist', 'main.js'))) rmSync(join(root, 'dist', '.tsbuildinfo'), { force: true });
  if (runNode('build (tsc)', tools.tsc, ['-p', 'tsconfig.build.json']) !== 0) process.exit(1);
}

/** tsc of tests, bench and examples into .cache/tests, for what is run by node and not by vitest. */
export function buildTests() {
  if (runNode('build tests, bench and examples (tsc)', tools.tsc, ['-p', 'tsconfig.tests.json']) !== 0) process.exit(1);
}
