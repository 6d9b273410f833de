/**
 * `npm test`: installs what is missing, builds, runs every suite, and closes with `N passed, N failed`.
 *
 *   npm test                          everything
 *   npm test -- --project unit        one project (unit, servers, whole)
 *   npm test -- tests/runtime/log     some files
 *   npm run test:long                 everything, with the long versions of the tests that have one (hours)
 *
 * In CI (CI or TRIBUTARY_CI set) a skipped test is a failure, and so is a run in which nothing ran.
 */
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build, install, root, runNode, tools } from './tools.mjs';

const inCi = process.env.TRIBUTARY_CI === '1' || (process.env.CI ?? '') !== '';
const args = process.argv.slice(2).filter(arg => arg !== '--long');
const long = process.argv.includes('--long') ? { TRIBUTARY_LONG: '1' } : {};
const report = join(root, '.cache', 'vitest.json');

install();
build();
mkdirSync(join(root, '.cache'), { recursive: true });
rmSync(report, { force: true });
const status = runNode('tests (vitest)', tools.vitest, ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...args], long);

let counts = { passed: 0, failed: 0, skipped: [] };
try {
  counts = count(JSON.parse(readFileSync(report, 'utf8')));
} catch (error) {
  process.stdout.write(`no test report: ${error.message}\n`);
  counts.failed = 1;
}
for (const name of counts.skipped) process.stdout.write(`skipped: ${name}\n`);
if (inCi) counts.failed += counts.skipped.length;
if (status !== 0 && counts.failed === 0) counts.failed = 1; // an error outside any test
process.stdout.write(`\n${counts.passed} passed, ${counts.failed} failed\n`);
process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;

/** A file that could not be loaded has no test of its own: it counts as one failure. */
function count({ testResults }) {
  const found = { passed: 0, failed: 0, skipped: [] };
  for (const { name, status: outcome, assertionResults } of testResults) {
    const failed = assertionResults.filter(test => test.status === 'failed').length;
    found.passed += assertionResults.filter(test => test.status === 'passed').length;
    found.failed += failed === 0 && outcome === 'failed' ? 1 : failed;
    found.skipped.push(...assertionResults.filter(test => !['passed', 'failed'].includes(test.status)).map(test => `${name.replace(`${root}/`, '')} › ${test.fullName}`));
  }
  return found;
}
