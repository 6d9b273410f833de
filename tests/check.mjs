/**
 * `npm run check`: what is looked at before each commit, in less than a minute: types, lint, promises, dead code, the
 * import table and the unit tests. All steps run; the exit status is 1 when one of them found something.
 */
import { install, runNode, tools } from './tools.mjs';

install();
const steps = [
  () => runNode('lint (biome)', tools.biome, ['lint', '.']),
  () => runNode('types (tsc)', tools.tsc, ['-p', 'tsconfig.json', '--noEmit']),
  () => runNode('promises (eslint)', tools.eslint, ['.', '--cache', '--cache-location', '.cache/eslint']),
  () => runNode('dead code (knip)', tools.knip, ['--no-progress']),
  () => runNode('unit tests (vitest)', tools.vitest, ['run', '--project', 'unit', '--reporter=dot']),
];
const failed = steps.filter(step => step() !== 0).length;
process.stdout.write(failed === 0 ? '\ncheck: all well\n' : `\ncheck: ${failed} of ${steps.length} steps found something\n`);
process.exitCode = failed === 0 ? 0 : 1;
